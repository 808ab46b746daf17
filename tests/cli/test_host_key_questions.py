"""Answers to the questions about host keys that were given on the command line."""

from typing import cast

import pytest

from partition_studio.cli.device_hosts import with_confirmed_keys
from partition_studio.errors import StudioError
from partition_studio.schemas import DeviceOut

GATE, BOARD = "ssh://edge@gate", "ssh://edge@board"
DEVICE = cast(DeviceOut, object())


class Studio:
    """Asks about each host's key, in order, until it was confirmed for that host."""

    def __init__(self, **shown: str) -> None:
        self.shown = {"gate": (GATE, shown["gate"], True), "board": (BOARD, shown["board"], False)}
        self.filed: list[str] = []

    def send(self, confirmed: str | None) -> DeviceOut:
        for address, fingerprint, jump_host in self.shown.values():
            if confirmed == f"{address}={fingerprint}":
                self.filed.append(address)
            elif confirmed is not None and confirmed.startswith(f"{address}="):
                raise refusal("changed_host_key", address, fingerprint, jump_host)
            if address not in self.filed:
                raise refusal("unknown_host_key", address, fingerprint, jump_host)
        return DEVICE


def refusal(code: str, address: str, fingerprint: str, jump_host: bool) -> StudioError:
    error = StudioError(code, address=address, fingerprint=fingerprint, jump_host=jump_host)
    error.code = code
    return error


@pytest.mark.parametrize("given", [["SHA256:g", "SHA256:b"], ["SHA256:b", "SHA256:g"]])
def test_fingerprints_given_beforehand_answer_the_questions_in_any_order(given: list[str]) -> None:
    studio = Studio(gate="SHA256:g", board="SHA256:b")
    assert with_confirmed_keys(studio.send, given, may_ask=False) is DEVICE
    assert studio.filed == [GATE, BOARD]


@pytest.mark.parametrize("given", [["SHA256:g"], ["SHA256:g", "SHA256:b"]])
def test_a_fingerprint_given_beforehand_answers_one_question(given: list[str]) -> None:
    studio = Studio(gate="SHA256:g", board="SHA256:g")
    with pytest.raises(StudioError):
        with_confirmed_keys(studio.send, given, may_ask=False)
    assert studio.filed == [GATE]


def test_a_device_that_shows_another_key_than_the_given_one_is_refused_and_not_asked_about() -> None:
    studio = Studio(gate="SHA256:g", board="SHA256:other")
    with pytest.raises(StudioError) as refused:
        with_confirmed_keys(studio.send, ["SHA256:g", "SHA256:b"], may_ask=True)
    assert refused.value.code == "changed_host_key"
