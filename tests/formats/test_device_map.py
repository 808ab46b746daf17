"""A map {node: device} becomes a plan."""

import json
from typing import Any

import pytest

from partition_studio.partition.formats.device_map import DeviceMapError, import_map
from tests.formats.cnn import loaded

NAMES = [layer.name for layer in loaded()[0].layers]
GOOD = {name: "a" if index < 4 else "b" for index, name in enumerate(NAMES)}


def test_a_map_is_a_placement() -> None:
    network, _ = loaded()
    imported = import_map(network, json.dumps(GOOD))
    assert imported.plan.placement == GOOD
    assert (imported.plan.network.sha256, imported.notes) == (network.digest, ())


def test_devices_are_renamed_as_told() -> None:
    network, _ = loaded()
    renamed = import_map(network, json.dumps(GOOD), devices={"a": "pi"}).plan
    assert list(renamed.placement.values()) == ["pi"] * 4 + ["b"] * (len(NAMES) - 4)


def test_nodes_of_the_file_that_loading_folds_away_need_no_device() -> None:
    network, _ = loaded()
    imported = import_map(network, json.dumps({**GOOD, "Constant_5": "a"}), original={"Constant_5"})
    assert imported.plan.placement == GOOD
    assert imported.notes[0].startswith("1 node ")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("", ["map is not JSON"]),
        ([], ["one JSON object"]),
        ({}, ["empty"]),
        ('{"a": "p", "a": "q"}', ["'a' twice"]),
        ({**GOOD, NAMES[0]: 3}, [repr(NAMES[0]), "name of a device"]),
        ({**GOOD, NAMES[0]: ""}, [repr(NAMES[0]), "name of a device"]),
        ({name: "a" for name in NAMES[1:]}, ["leaves out", repr(NAMES[0])]),
        ({**GOOD, f"{NAMES[1]}x": "a"}, [f"no '{NAMES[1]}x'", "Did you mean", repr(NAMES[1])]),
        ({f"block{index}": "a" for index in range(150)}, ["another network", "150 of its 150"]),
    ],
)
def test_what_is_wrong_is_told_by_name(document: Any, words: list[str]) -> None:
    text = document if isinstance(document, str) else json.dumps(document)
    with pytest.raises(DeviceMapError) as caught:
        import_map(loaded()[0], text)
    assert caught.value.code == "bad_device_map"
    assert all(word in caught.value.message for word in words), caught.value.message
    assert len(caught.value.message) < 300


def test_a_device_that_the_map_does_not_have_is_named() -> None:
    with pytest.raises(DeviceMapError, match="'z'"):
        import_map(loaded()[0], json.dumps(GOOD), devices={"z": "pi"})
