"""What devices answer is compared with what the parts answer here; and every replica has to answer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from partition_agent.protocol import (
    SINK,
    SOURCE,
    STUDIO_PEER,
    Connect,
    Done,
    LinkSpec,
    PeerAddress,
    Prepare,
    Prepared,
    StageSpec,
)
from partition_studio.deployment.errors import DevicesDifferError
from partition_studio.deployment.front_door import FrontDoor
from partition_studio.deployment.probe import doubts, judge, try_all_devices
from partition_studio.partition.carry import CodecEffect
from partition_studio.partition.verify import Verification
from tests.agent.by_hand import inputs, model, spec
from tests.agent.rig import AgentProcess

Array = np.ndarray[Any, Any]


def proof(expected: Array, slack: float = 0.0) -> Verification:
    effect = CodecEffect(slack, slack, 1, None, {}) if slack else None
    return Verification((), {"y": expected}, {"y": expected}, codec_effect=effect)


def accepts(expected: Array, answer: Array, slack: float = 0.0) -> bool:
    try:
        judge({"y": answer}, proof(expected, slack))
    except DevicesDifferError:
        return False
    return True


def test_whole_numbers_have_to_be_the_same_where_no_codec_changes_values() -> None:
    labels = np.arange(2000)
    assert accepts(labels, labels.copy())
    assert not accepts(labels, labels + 1)
    assert not accepts(np.array([1000, 7, 3]), np.array([999, 7, 3]))
    assert not accepts(np.array([True, False]), np.array([True, True]))


def test_one_of_a_hundred_whole_numbers_may_be_another_one_and_it_is_said() -> None:
    indices = np.arange(300)
    swapped = indices.copy()
    swapped[[3, 4]] = 4, 3
    (note,) = judge({"y": swapped}, proof(indices), ["s@1"])
    assert "Of 300" in note and "2" in note and "s@1" in note
    assert judge({"y": indices.copy()}, proof(indices)) == []
    swapped[[7, 8]] = 8, 7
    assert not accepts(indices, swapped)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_a_quantised_value_may_differ_by_one_step(dtype: str) -> None:
    values = np.array([3, 100], dtype)
    one = np.array(1, dtype)
    assert accepts(values, values + one)
    assert not accepts(values, values + one + one)


def test_answers_that_are_not_finite_have_to_be_so_in_the_same_places() -> None:
    for value in (-np.inf, np.inf, np.nan):
        expected = np.array([value, 1.0, 2.0], np.float32)
        assert accepts(expected, expected.copy())
        assert accepts(expected, expected * np.float32(1.0001))
        assert not accepts(expected, np.array([0.0, 1.0, 2.0], np.float32))
        assert not accepts(np.array([0.0, 1.0, 2.0], np.float32), expected)


def test_an_answer_of_zeros_may_be_rounded() -> None:
    zeros = np.zeros(3, np.float32)
    assert accepts(zeros, zeros + np.float32(1e-6))
    assert not accepts(zeros, zeros + np.float32(0.1))


def test_another_shape_or_type_is_another_answer() -> None:
    ones = np.ones((1, 4), np.float32)
    assert not accepts(ones, ones[0])
    assert not accepts(ones, ones.astype(np.float64))


@pytest.mark.parametrize("slack", [1.2, np.inf])
def test_no_codec_makes_zeros_an_answer_and_it_is_said_when_it_could(slack: float) -> None:
    expected = np.array([1.0, 2.0], np.float32)
    assert not accepts(expected, np.zeros(2, np.float32), slack)
    assert accepts(expected, expected * np.float32(1.2), slack)
    assert len(doubts(proof(expected, slack))) == 1


def test_what_codecs_change_is_allowed_to_devices_too() -> None:
    expected = np.array([1.0, 2.0], np.float32)
    changed = expected + np.float32(0.1)
    assert not accepts(expected, changed)
    assert accepts(expected, changed, 0.1)
    assert doubts(proof(expected, 0.1)) == []


def link(producer: str, consumer: str, devices: str, tensor: str, replica: int) -> LinkSpec:
    made, used = devices.split(">")
    return LinkSpec(
        f"{producer}>{consumer}", producer, consumer, made, used, (spec(tensor),), 2, routes=((0, replica),)
    )


@pytest.mark.parametrize("wrong", [None, 1])
def test_every_replica_has_to_give_the_right_answer(tmp_path: Path, wrong: int | None) -> None:
    """Three parts of one device are the replicas."""
    links = [link(SOURCE, f"s@{n}", f"{STUDIO_PEER}>d", "x", n) for n in range(3)]
    links += [link(f"s@{n}", SINK, f"d>{STUDIO_PEER}", "y", n) for n in range(3)]
    (given,) = inputs(1)
    expected = proof(np.sin(given * np.float32(0.5)))
    door = FrontDoor(
        deployment="d",
        epoch=1,
        links=links,
        inputs={"x": spec("x")},
        outputs={"y": spec("y")},
        replicas=[[[f"s@{n}"] for n in range(3)]],
    )
    try:
        with AgentProcess(tmp_path) as agent:
            digests = [agent.push(model("x", "y", 0.7 if n == wrong else 0.5)) for n in range(3)]
            stages = [
                StageSpec(f"s@{n}", digest, (spec("x"),), (spec("y"),), 1, lane=str(n), replica=(0, n))
                for n, digest in enumerate(digests)
            ]
            answer = agent.control.call(Prepare("d", 1, "d", "127.0.0.1", tuple(stages), tuple(links)))
            assert isinstance(answer, Prepared), answer
            peers = (
                PeerAddress("d", "127.0.0.1", answer.data_port, answer.public_key),
                PeerAddress(STUDIO_PEER, "", 0, door.public_key),
            )
            assert agent.control.call(Connect("d", 1, peers)) == Done()
            door.connect(peers[:1])
            if wrong is None:
                try_all_devices(door, {"x": given}, expected, lambda: None)
                assert door.dealt() == [[1, 1, 1]]
                assert door.speeds() == [[None, None, None]], "first frames do not tell how fast a replica is"
            else:
                with pytest.raises(DevicesDifferError, match=f"s@{wrong}"):
                    try_all_devices(door, {"x": given}, expected, lambda: None)
    finally:
        door.close()
