"""Proving to a device who we are: key file, ssh-agent, the user's default keys, and last a password."""

import base64
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import paramiko
import paramiko.pkey
from cryptography.exceptions import UnsupportedAlgorithm
from paramiko.ssh_exception import AuthenticationException, BadAuthenticationType, SSHException

from partition_studio.fleet.address import SshAddress
from partition_studio.fleet.errors import AuthFailedError, ConnectionLostError

_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")

#: OpenSSH hangs up after six attempts (MaxAuthTries); one stays for the password.
_MAX_KEYS_OFFERED = 5
_MAX_KEY_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class SshCredentials:
    """How to log in.

    With `key_file`, only that key (and then the password) is tried; without, the keys that `~/.ssh/config` names
    (`identity_files`), those of the ssh-agent unless `identities_only`, and where no file was named the default ones of
    `ssh_dir`. The ssh-agent is never forwarded. The password is held in memory for the call, and never shown.
    """

    key_file: Path | None = None
    password: str | None = field(default=None, repr=False)
    use_agent: bool = True
    ssh_dir: Path | None = field(default_factory=lambda: Path.home() / ".ssh")
    identity_files: tuple[Path, ...] = ()
    identities_only: bool = False

    def with_identities(self, files: tuple[Path, ...], *, only: bool) -> "SshCredentials":
        """Return these and what the SSH config says of keys."""
        return replace(
            self, identity_files=(*files, *self.identity_files), identities_only=only or self.identities_only
        )

    def for_jump_host(self) -> "SshCredentials":
        """Return what may be shown to a jump host: neither the device's key file nor its password."""
        return SshCredentials(use_agent=self.use_agent, ssh_dir=self.ssh_dir)


def authenticate(transport: paramiko.Transport, address: SshAddress, credentials: SshCredentials) -> None:
    """Log in to a server whose host key was verified.

    Raises AuthFailedError whose details say in `reason` what was refused: `wrong_key`, `no_key`, `key_unreadable`,
    `wrong_password`, `password_not_accepted`, `key_not_accepted` or `too_many_attempts`.
    """
    offered: list[str] = []
    allowed: list[str] | None = None
    for name, key in _keys(address, credentials):
        if len(offered) == _MAX_KEYS_OFFERED:
            break
        offered.append(name)
        try:
            if not _try(transport, address, partial(transport.auth_publickey, address.user, key)):
                continue
        except BadAuthenticationType as error:
            allowed = list(error.allowed_types)
            break
        return
    if credentials.password is not None:
        _try_password(transport, address, credentials.password)
        return
    if allowed is not None:
        raise _failed(address, "key_not_accepted", f"takes no keys, only {', '.join(allowed) or 'nothing'}")
    if not offered:
        raise _failed(address, "no_key", "wants a key or a password, and none was given or found")
    raise _failed(address, "wrong_key", f"refuses every key for the user {address.user}: {', '.join(offered)}")


def _try_password(transport: paramiko.Transport, address: SshAddress, password: str) -> None:
    try:
        if _try(transport, address, partial(transport.auth_password, address.user, password)):
            return
    except BadAuthenticationType as error:
        accepted = ", ".join(error.allowed_types) or "nothing"
        raise _failed(address, "password_not_accepted", f"takes no passwords, only {accepted}") from error
    raise _failed(address, "wrong_password", f"refuses the password of the user {address.user}")


def _try(transport: paramiko.Transport, address: SshAddress, attempt: Callable[[], list[str]]) -> bool:
    """Return whether the attempt logged in; a refusal is False, a lost connection is raised."""
    try:
        missing = attempt()
    except BadAuthenticationType:
        raise
    except AuthenticationException as error:
        if transport.is_active():
            return False
        if "timeout" in str(error).lower():
            raise ConnectionLostError(f"{address} did not answer the login in time", address=str(address)) from error
        raise _failed(address, "too_many_attempts", "hung up after too many refused attempts") from error
    except (SSHException, EOFError, OSError) as error:
        if transport.is_active():
            return False
        raise _failed(address, "too_many_attempts", f"hung up during the login ({error})") from error
    if missing:
        raise _failed(address, "key_not_accepted", f"also wants {', '.join(missing)}")
    return True


def _keys(address: SshAddress, credentials: SshCredentials) -> Iterator[tuple[str, paramiko.PKey]]:
    """Yield each key to offer, once, with the name under which the person knows it."""
    with contextlib.ExitStack() as held:
        agent_keys = _agent_keys(held) if credentials.use_agent else {}
        if credentials.key_file is not None:
            yield str(credentials.key_file), _named_key(address, credentials.key_file, agent_keys)
            return
        seen: set[bytes] = set()
        for name, key in _found_keys(address, credentials, agent_keys):
            if key.asbytes() not in seen:
                seen.add(key.asbytes())
                yield name, key


def _found_keys(
    address: SshAddress, credentials: SshCredentials, agent_keys: Mapping[bytes, paramiko.PKey]
) -> Iterator[tuple[str, paramiko.PKey]]:
    files = list(credentials.identity_files)
    if not files and credentials.ssh_dir is not None:
        files = [credentials.ssh_dir / name for name in _DEFAULT_KEYS]
    if credentials.identity_files:
        yield from _readable(address, files, agent_keys)
    if not credentials.identities_only:
        for number, key in enumerate(agent_keys.values(), 1):
            yield f"ssh-agent key {number}", key
    if not credentials.identity_files:
        yield from _readable(address, files, agent_keys)


def _readable(
    address: SshAddress, files: Iterable[Path], agent_keys: Mapping[bytes, paramiko.PKey]
) -> Iterator[tuple[str, paramiko.PKey]]:
    for path in files:
        # A key that the person did not name here may be missing, or have a passphrase that only the agent knows.
        with contextlib.suppress(AuthFailedError):
            yield str(path), _named_key(address, path, agent_keys)


def _agent_keys(held: contextlib.ExitStack) -> dict[bytes, paramiko.PKey]:
    try:
        agent = paramiko.Agent()
    except (SSHException, OSError):
        # An agent that is not there, or answers nonsense, has no keys.
        return {}
    held.callback(agent.close)
    return {key.asbytes(): key for key in agent.get_keys()}


def _named_key(address: SshAddress, path: Path, agent_keys: Mapping[bytes, paramiko.PKey]) -> paramiko.PKey:
    """Return a key by its file; one that only the agent can use, by its public half beside it."""
    try:
        return _load_key(address, path)
    except AuthFailedError:
        public = path if path.suffix == ".pub" else path.with_name(path.name + ".pub")
        blob = _public_blob(public)
        if blob in agent_keys:
            return agent_keys[blob]
        raise


def _public_blob(path: Path) -> bytes:
    """Return the bytes of a public key file, empty when it is none."""
    try:
        with path.open("rb") as file:
            words = file.read(_MAX_KEY_BYTES).split()
        return base64.b64decode(words[1], validate=True) if len(words) > 1 else b""
    except (OSError, ValueError):
        return b""


def _load_key(address: SshAddress, path: Path) -> paramiko.PKey:
    try:
        return paramiko.PKey.from_path(path)
    except TypeError as error:
        raise _failed(
            address, "key_unreadable", f"cannot be asked: the key {path} has a passphrase; add it with `ssh-add {path}`"
        ) from error
    except FileNotFoundError as error:
        raise _failed(address, "key_unreadable", f"cannot be asked: there is no key file {path}") from error
    except IsADirectoryError as error:
        raise _failed(address, "key_unreadable", f"cannot be asked: {path} is a folder and no key file") from error
    except PermissionError as error:
        raise _failed(
            address, "key_unreadable", f"cannot be asked: whom the studio runs as may not read the key file {path}"
        ) from error
    except (OSError, ValueError, SSHException, UnsupportedAlgorithm, paramiko.pkey.UnknownKeyType) as error:
        if _public_blob(path):
            beside = path.with_suffix("") if path.suffix == ".pub" else "the private one"
            what = f"cannot be asked: {path} is the public key; give the private one beside it ({beside})"
            raise _failed(address, "key_unreadable", what) from error
        raise _failed(address, "key_unreadable", f"cannot be asked: the key {path} cannot be read ({error})") from error


def _failed(address: SshAddress, reason: str, what: str) -> AuthFailedError:
    return AuthFailedError(f"{address} {what}", address=str(address), reason=reason)
