"""Where a device's password is kept: in memory until the studio ends, or in the system's keyring; never in a file."""

import logging
from collections.abc import Callable
from typing import Literal, Protocol

from partition_studio.errors import BadInputError

logger = logging.getLogger(__name__)

Kept = Literal["no", "memory", "keyring"]

_SERVICE = "partition-studio"


class NoKeyringError(BadInputError):
    """There is no keyring that keeps secrets."""

    code = "no_keyring"
    next_step = "Leave it in memory (without --keep-password), or better: log in with a key."


class Keyring(Protocol):
    """A backend of the `keyring` package, as far as it is used here."""

    def get_password(self, service: str, username: str) -> str | None:
        """Return a password, or None."""

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep a password."""

    def delete_password(self, service: str, username: str) -> None:
        """Forget a password."""


def system_keyring() -> Keyring | None:
    """Return the system's keyring; None where there is none, or one that writes plain text."""
    # Loaded here: it looks for backends over D-Bus, and most devices have no password.
    import keyring
    import keyring.backends.chainer

    backend = keyring.get_keyring()
    chain = list(backend.backends) if isinstance(backend, keyring.backends.chainer.ChainerBackend) else [backend]
    return next((one for one in chain if _keeps_secrets(one)), None)


def _keeps_secrets(backend: object) -> bool:
    kind = type(backend)
    return not (
        kind.__module__.startswith(("keyring.backends.fail", "keyring.backends.null", "keyrings.alt"))
        or "plaintext" in kind.__name__.lower()
    )


class Passwords:
    """The devices' passwords of one studio; thread-safe, as far as the keyring is."""

    def __init__(self, studio: str, find_keyring: Callable[[], Keyring | None] = system_keyring) -> None:
        self._studio = studio
        self._find_keyring = find_keyring
        self._memory: dict[str, str] = {}

    def require_keyring(self) -> Keyring:
        """Return the keyring. Raises NoKeyringError."""
        found = self._find_keyring()
        if found is None:
            raise NoKeyringError("This machine has no keyring that keeps secrets, so the password was not kept")
        return found

    def keep(self, device: str, password: str, *, in_keyring: bool) -> Kept:
        """Keep a password and return where. Raises NoKeyringError; then it is kept nowhere."""
        if in_keyring:
            backend = self.require_keyring()
            try:
                backend.set_password(_SERVICE, self._account(device), password)
            except Exception as error:
                # Backends raise what they like; what they say may hold the secret, so only its kind is told.
                raise NoKeyringError(f"The system's keyring refused the password ({type(error).__name__})") from None
        self._memory[device] = password
        return "keyring" if in_keyring else "memory"

    def get(self, device: str, kept: Kept) -> str | None:
        """Return a device's password; None when there is none (any more)."""
        if device not in self._memory and kept == "keyring":
            try:
                found = self.require_keyring().get_password(_SERVICE, self._account(device))
            except Exception as error:
                # Locked, gone, refused: the person is asked for the password again.
                logger.warning("keyring_unreadable", extra={"device": device, "reason": type(error).__name__})
                return None
            if found is not None:
                self._memory[device] = found
        return self._memory.get(device)

    def remembers(self, device: str) -> bool:
        """Return whether a device's password is in memory."""
        return device in self._memory

    def forget(self, device: str, kept: Kept) -> None:
        """Forget a device's password wherever it is."""
        self._memory.pop(device, None)
        if kept == "keyring":
            try:
                self.require_keyring().delete_password(_SERVICE, self._account(device))
            except Exception as error:
                logger.warning("keyring_not_cleared", extra={"device": device, "reason": type(error).__name__})

    def _account(self, device: str) -> str:
        return f"{self._studio}/{device}"
