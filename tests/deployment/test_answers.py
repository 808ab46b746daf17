"""What a device may say of its part of a deployment."""

import pytest
import zmq

from partition_agent.protocol import DeploymentInfo, Done, Prepared, StageSpec
from partition_studio.deployment.answers import (
    MAX_NOTE,
    MAX_NOTES,
    MAX_PROVIDER,
    clean_prepared,
    find_held,
    require_own_keys,
)
from partition_studio.deployment.errors import DeviceLostError
from partition_studio.deployment.manifest import DeviceShare
from partition_studio.errors import DeploymentError

KEY = zmq.curve_keypair()[0].decode()
SHARE = DeviceShare("pi", (StageSpec("a", "0" * 64, (), (), max_batch=4), StageSpec("b", "1" * 64, (), ())), ())


def prepared(**changes: object) -> Prepared:
    return Prepared(**{"data_port": 4711, "public_key": KEY, "load_s": {}, **changes})  # type: ignore[arg-type]


def test_what_an_agent_says_of_its_stages_stays_as_it_is() -> None:
    said = prepared(providers={"a": "CUDAExecutionProvider", "b": "CPUExecutionProvider"}, batches={"a": 2, "b": 1})
    assert clean_prepared(said, SHARE, plaintext=False) == said


def test_a_note_that_names_its_device_does_not_name_it_twice() -> None:
    said = prepared(notes=("pi: the stage 'a' runs on the CPU", "the stage 'b' is loaded the plain way"))
    notes = clean_prepared(said, SHARE, plaintext=False).notes
    assert notes == ("the stage 'a' runs on the CPU", "the stage 'b' is loaded the plain way")


def test_notes_providers_and_batches_are_bounded_and_of_its_own_stages() -> None:
    said = prepared(
        notes=tuple(f"\x1b[31mevil {number}\x07\u202e" + "A" * 10_000 for number in range(100_000)),
        providers={"a": "C" * 1_000_000, "b": "\x1b]0;x\x07CPU", "other's": "CPU"},
        batches={"a": 2**62, "b": -5, "other's": 3},
    )
    clean = clean_prepared(said, SHARE, plaintext=False)
    assert len(clean.notes) == MAX_NOTES and all(len(note) <= MAX_NOTE for note in clean.notes)
    assert all(note.isprintable() for note in clean.notes) and clean.notes[0].startswith("evil 0")
    assert clean.providers == {"a": "C" * MAX_PROVIDER, "b": "CPU"}
    assert clean.batches == {"a": 4, "b": 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"data_port": 0},
        {"data_port": -1},
        {"data_port": 65536},
        {"data_port": 2**40},
        {"public_key": ""},
        {"public_key": KEY[:-1]},
        {"public_key": KEY + "0"},
        {"public_key": "\x1b" * 40},
    ],
)
def test_a_data_socket_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(DeploymentError, match="pi answered the deployment with nonsense"):
        clean_prepared(prepared(**changes), SHARE, plaintext=False)
    socket = {"data_port": 4711, "public_key": KEY, **changes}
    held = DeploymentInfo("d", 1, ("a", "b"), **socket)  # type: ignore[arg-type]
    with pytest.raises(DeploymentError, match="pi answered the deployment with nonsense"):
        find_held((held,), SHARE, "d", 1, plaintext=False)


def test_a_key_is_there_unless_links_are_in_plain_text() -> None:
    clean_prepared(prepared(public_key=""), SHARE, plaintext=True)
    with pytest.raises(DeploymentError):
        clean_prepared(prepared(), SHARE, plaintext=True)


def test_another_answer_than_what_was_asked_for_is_refused() -> None:
    with pytest.raises(DeploymentError):
        clean_prepared(Done(), SHARE, plaintext=False)


def test_a_share_is_found_by_deployment_epoch_and_stages() -> None:
    right = DeploymentInfo("d", 2, ("b", "a"), 4711, KEY)
    others = (
        DeploymentInfo("d", 1, ("a", "b"), 1, KEY),
        DeploymentInfo("e", 2, ("a", "b"), 1, KEY),
        DeploymentInfo("d", 2, ("a",), 1, KEY),
    )
    assert find_held((*others, right), SHARE, "d", 2, plaintext=False) == right
    for held in ((), others):
        with pytest.raises(DeviceLostError):
            find_held(held, SHARE, "d", 2, plaintext=False)


def test_two_devices_never_have_the_same_key() -> None:
    other = zmq.curve_keypair()[0].decode()
    require_own_keys({"pi": KEY, "jetson": other})
    require_own_keys({"pi": "", "jetson": ""})
    with pytest.raises(DeploymentError, match="pi and jetson"):
        require_own_keys({"pi": KEY, "x": other, "jetson": KEY})
