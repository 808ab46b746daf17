"""Ctrl+C, and what had been begun in the studio."""

import signal

import pytest

from partition_studio.cli.interrupts import follow_begun


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def begun_while_pressed() -> str:
    press()
    return "begun"


def follow_and_press(begun: str) -> str:
    press()
    return f"{begun}, ended"


def test_what_was_begun_is_followed() -> None:
    assert follow_begun(lambda: "begun", lambda begun: f"{begun}, ended", lambda _: "called off") == "begun, ended"


def test_what_is_followed_is_called_off() -> None:
    assert follow_begun(lambda: "begun", follow_and_press, lambda begun: f"{begun}, called off") == "begun, called off"


def test_what_is_just_being_begun_is_called_off_once_it_is_known() -> None:
    followed: list[str] = []

    def follow(begun: str) -> str:
        followed.append(begun)
        return begun

    assert follow_begun(begun_while_pressed, follow, lambda begun: f"{begun}, called off") == "begun, called off"
    assert followed == []


def test_afterwards_ctrl_c_is_what_it_was() -> None:
    def refuse() -> str:
        raise ValueError("refused")

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="refused"):
        follow_begun(refuse, follow_and_press, follow_and_press)
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt):
        press()
