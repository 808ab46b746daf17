"""What the user's `~/.ssh/config` says of a host: where it is, who logs in with which keys, and by which jump hosts.

Read anew at each connection, as OpenSSH does. Nothing of it is ever run: sections that hang on a command are left out,
and a host with a ProxyCommand is refused.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path

from paramiko.config import SSHConfig, SSHConfigDict
from paramiko.ssh_exception import ConfigParseError

from partition_studio.fleet.address import (
    DEFAULT_SSH_PORT,
    SshAddress,
    SshDestination,
    parse_destination,
    parse_port,
    parse_user,
    present_user,
)
from partition_studio.fleet.errors import AddressError, SshConfigError
from partition_studio.fleet.ssh.config_text import ConfigText, read_config

#: As many jump hosts as anybody has, and an end where two point at each other.
MAX_HOPS = 8


@dataclass(frozen=True, slots=True)
class Hop:
    """One SSH server on the way, and how to log in there.

    `known_hosts` are the user's files of host keys; None leaves the usual ones. They are read, never written.
    """

    address: SshAddress
    key_files: tuple[Path, ...] = ()
    identities_only: bool = False
    known_hosts: tuple[Path, ...] | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """The way to a device: jump hosts in the order in which they are passed, and the device."""

    jumps: tuple[Hop, ...]
    target: Hop

    @property
    def hops(self) -> tuple[Hop, ...]:
        """Every server on the way, the device last."""
        return (*self.jumps, self.target)

    def __str__(self) -> str:
        via = ", ".join(hop.address.short for hop in self.jumps)
        return self.target.address.short + (f" via {via}" if via else "")


@dataclass(frozen=True, slots=True)
class SshHost:
    """A host that the config names, by its alias."""

    alias: str
    route: Route


class SshConfig:
    """The user's SSH config; a file that is not there says nothing."""

    def __init__(self, file: Path | None) -> None:
        """Take the file, or None for a studio that reads none."""
        self._file = file

    def route(self, destination: SshDestination | SshAddress) -> Route:
        """Return the way to a device. What the person typed wins over the file.

        Raises SshConfigError where the file cannot be followed.
        """
        text = self._read()
        return self._route(_parsed(text), destination)

    def hosts(self) -> list[SshHost]:
        """List the hosts that have an alias (patterns are none) and can be reached. Raises SshConfigError."""
        text = self._read()
        config = _parsed(text)
        hosts = []
        for alias in text.aliases:
            try:
                hosts.append(SshHost(alias, self._route(config, parse_destination(f"ssh://{alias}"))))
            except AddressError:
                # Not one that can be registered by its alias: there is nothing to offer.
                continue
        return hosts

    def ignored(self) -> tuple[str, ...]:
        """Say what of the file is not followed."""
        return self._read().ignored

    def _read(self) -> ConfigText:
        return ConfigText("", (), ()) if self._file is None else read_config(self._file)

    def _route(self, config: SSHConfig, destination: SshDestination | SshAddress) -> Route:
        hops = self._hops(config, destination, None, MAX_HOPS)
        return Route(tuple(hops[:-1]), hops[-1])

    def _hops(
        self, config: SSHConfig, destination: SshDestination | SshAddress, via: list[str] | None, left: int
    ) -> list[Hop]:
        """Return the way to `destination`: through `via`, or through what the file says where that is None."""
        if left == 0:
            raise SshConfigError(
                f"{self._file}: the way to {destination} has more than {MAX_HOPS} hosts, or is a circle"
            )
        options = config.lookup(destination.host)
        try:
            hop = _hop(options, destination)
            jumps = _jumps(options, destination) if via is None else via
            if not jumps:
                return [hop]
            last = parse_destination(jumps[-1] if jumps[-1].startswith("ssh://") else f"ssh://{jumps[-1]}")
        except SshConfigError:
            raise
        except AddressError as error:
            raise SshConfigError(f"{self._file}, for {destination.host!r}: {error.message}") from error
        return [*self._hops(config, last, jumps[:-1] or None, left - 1), hop]


def _parsed(text: ConfigText) -> SSHConfig:
    try:
        return SSHConfig.from_text(text.text)
    except (ConfigParseError, ValueError) as error:
        raise SshConfigError(f"The SSH config cannot be read: {str(error)[:200]}") from error


def _hop(options: SSHConfigDict, destination: SshDestination | SshAddress) -> Hop:
    user, port = destination.user, destination.port
    host = parse_destination(f"ssh://{_bracketed(options.get('hostname') or destination.host)}").host
    alias = options.get("hostkeyalias")
    address = SshAddress(
        user=user or (parse_user(options["user"], "User") if "user" in options else present_user()),
        host=host.lower(),
        port=port or (parse_port(options["port"]) if "port" in options else DEFAULT_SSH_PORT),
        key_alias=None if alias is None else parse_destination(f"ssh://{alias}").host.lower(),
    )
    known = options.get("userknownhostsfile")
    return Hop(
        address,
        key_files=tuple(Path(name).expanduser() for name in options.get("identityfile", []) if name.lower() != "none"),
        identities_only=str(options.get("identitiesonly", "no")).lower() in ("yes", "true"),
        known_hosts=None if known is None else _known_hosts(known, address),
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _jumps(options: SSHConfigDict, destination: SshDestination | SshAddress) -> list[str]:
    """Return the jump hosts. Of ProxyJump and ProxyCommand, the one that stands first counts, as for OpenSSH."""
    said = [key for key in options if key in ("proxyjump", "proxycommand")]
    if not said:
        return []
    value = options[said[0]]
    if value is None or value.strip().lower() == "none":
        return []
    if said[0] == "proxycommand":
        raise SshConfigError(
            f"The SSH config gives {destination.host!r} a ProxyCommand, and the studio runs no commands of that file",
            next_step="Write ProxyJump there instead, or `ProxyCommand none` for this host.",
        )
    return [jump.strip() for jump in value.split(",")]


def _known_hosts(value: str, address: SshAddress) -> tuple[Path, ...]:
    try:
        names = shlex.split(value)
    except ValueError as error:
        raise SshConfigError(f"UserKnownHostsFile {value[:200]!r} cannot be read ({error})") from error
    tokens = {"%d": str(Path.home()), "%h": address.host, "%r": address.user, "%p": str(address.port)}
    files = []
    for name in names:
        for token, text in tokens.items():
            name = name.replace(token, text)
        if name.lower() != "none":
            files.append(Path(name).expanduser())
    return tuple(files)
