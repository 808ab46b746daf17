"""Where passwords are kept."""

import keyring.backends.chainer
import keyring.backends.fail
import keyring.backends.null
import pytest

from partition_studio.fleet.passwords import Keyring, NoKeyringError, Passwords, system_keyring


class Safe:
    """A keyring that works."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


class Broken(Safe):
    """A keyring that answers nothing."""

    def get_password(self, service: str, username: str) -> str | None:
        raise OSError("locked")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise RuntimeError(f"cannot keep {password}")


def test_a_password_in_memory_is_gone_with_the_studio() -> None:
    passwords = Passwords("studio", lambda: None)
    assert passwords.keep("board", "hunter2", in_keyring=False) == "memory"
    assert passwords.get("board", "memory") == "hunter2"
    assert passwords.remembers("board")
    assert Passwords("studio", lambda: None).get("board", "memory") is None
    passwords.forget("board", "memory")
    assert passwords.get("board", "memory") is None


def test_a_password_in_the_keyring_is_there_for_the_next_studio_and_removed_with_the_device() -> None:
    safe = Safe()
    assert Passwords("studio", lambda: safe).keep("board", "hunter2", in_keyring=True) == "keyring"
    later = Passwords("studio", lambda: safe)
    assert later.get("board", "keyring") == "hunter2"
    assert Passwords("another", lambda: safe).get("board", "keyring") is None
    later.forget("board", "keyring")
    assert safe.kept == {}
    assert later.get("board", "keyring") is None


@pytest.mark.parametrize("backend", [None, Broken()])
def test_where_no_keyring_keeps_it_the_password_is_kept_nowhere_and_said_so(backend: Keyring | None) -> None:
    passwords = Passwords("studio", lambda: backend)
    with pytest.raises(NoKeyringError) as refused:
        passwords.keep("board", "hunter2", in_keyring=True)
    assert refused.value.code == "no_keyring"
    assert "hunter2" not in str(refused.value) + repr(refused.value.details)
    assert refused.value.__cause__ is None
    assert passwords.get("board", "keyring") is None


def test_a_keyring_that_fails_later_breaks_no_removal() -> None:
    passwords = Passwords("studio", Broken)
    passwords.forget("board", "keyring")
    assert passwords.get("board", "keyring") is None


class PlaintextKeyring(keyring.backends.null.Keyring):
    """Like those that write files in the clear."""

    priority = 0.5


@pytest.mark.parametrize("kind", [keyring.backends.fail.Keyring, keyring.backends.null.Keyring, PlaintextKeyring])
def test_what_keeps_nothing_or_keeps_it_in_the_clear_is_no_keyring(kind: type[keyring.backend.KeyringBackend]) -> None:
    before = keyring.get_keyring()
    keyring.set_keyring(kind())
    try:
        assert system_keyring() is None
    finally:
        keyring.set_keyring(before)
