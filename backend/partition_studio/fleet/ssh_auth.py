"""Proving to a device who we are: key file, ssh-agent, the user's default keys, and last a password."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class SshCredentials:
    """How to log in.

    With `key_file`, only that key (and then the password) is tried; without, the ssh-agent's keys and the default ones
    of `ssh_dir`. The password is held in memory for the call, and never shown.
    """

    key_file: Path | None = None
    password: str | None = field(default=None, repr=False)
    use_agent: bool = True
    ssh_dir: Path | None = field(default_factory=lambda: Path.home() / ".ssh")


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
    if credentials.key_file is not None:
        yield str(credentials.key_file), _load_key(address, credentials.key_file)
        return
    if credentials.use_agent:
        agent = paramiko.Agent()
        try:
            for number, agent_key in enumerate(agent.get_keys(), 1):
                yield f"ssh-agent key {number}", agent_key
        finally:
            agent.close()
    if credentials.ssh_dir is not None:
        for name in _DEFAULT_KEYS:
            path = credentials.ssh_dir / name
            if path.is_file():
                try:
                    key = _load_key(address, path)
                except AuthFailedError:
                    # A default key with a passphrase is the agent's business; the person did not name it.
                    continue
                yield str(path), key


def _load_key(address: SshAddress, path: Path) -> paramiko.PKey:
    try:
        return paramiko.PKey.from_path(path)
    except TypeError as error:
        raise _failed(
            address, "key_unreadable", f"cannot be asked: the key {path} has a passphrase; add it with `ssh-add {path}`"
        ) from error
    except (OSError, ValueError, SSHException, UnsupportedAlgorithm, paramiko.pkey.UnknownKeyType) as error:
        raise _failed(address, "key_unreadable", f"cannot be asked: the key {path} cannot be read ({error})") from error


def _failed(address: SshAddress, reason: str, what: str) -> AuthFailedError:
    return AuthFailedError(f"{address} {what}", address=str(address), reason=reason)
