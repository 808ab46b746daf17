"""AutoDiCE's files become plans; what is wrong with them is told by name."""

import json
from typing import Any

import pytest
from onnx import helper

from partition_studio.errors import PlanError
from partition_studio.partition.formats.autodice import AutodiceFiles, import_autodice
from partition_studio.partition.formats.autodice_names import AutodiceError, HostResource, host_resource
from partition_studio.partition.formats.outline import Outline
from partition_studio.partition.partition import divide
from partition_studio.partition.plan import (
    InputChannelSharding,
    OutputChannelSharding,
    Resource,
    SpatialSharding,
)
from tests.core.networks import make_model, value
from tests.formats.cnn import FOLDED, LAYERS, layer_of, load_file, loaded, take

#: What comes before the first cut, and after it.
FRONT, BACK = LAYERS[:3], LAYERS[3:]
GOOD = {"nx01_arm0123": FRONT, "nx01_gpu": BACK}
PLATFORM = "nx01, arm, slots=0-5, gpu=NVIDIAVolta (CUDA)\nnx02, arm, slots=0-3\n"


def without(names: list[str], *gone: str) -> list[str]:
    return [name for name in names if name not in gone]


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("nx01_arm0123", HostResource("nx01", (0, 1, 2, 3), "cpu")),
        ("lenovo_cpu0", HostResource("lenovo", (0,), "cpu")),
        ("nx01_gpu", HostResource("nx01", (), "gpu")),
        ("nx01_cpu", HostResource("nx01", (), "cpu")),
        ("nx01", HostResource("nx01")),
        ("my_board", HostResource("my_board")),
        ("my_board_arm45", HostResource("my_board", (4, 5), "cpu")),
        ("alice_armstrong", HostResource("alice_armstrong")),
        ("_gpu", HostResource("_gpu")),
    ],
)
def test_a_key_names_a_host_and_a_resource_of_it(key: str, host: HostResource) -> None:
    assert host_resource(key) == host


@pytest.mark.parametrize("key", ["nx01_cpu0-3", "nx01_arm0,1", "nx01_arm11"])
def test_a_resource_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(AutodiceError, match=key):
        host_resource(key)


def test_layers_are_found_by_their_first_output_with_underscores() -> None:
    plan = take(GOOD).plan
    assert plan.placement == {layer_of(name): key for key, names in GOOD.items() for name in names}
    assert plan.shards == []
    network, _ = loaded()
    assert (plan.network.sha256, plan.network.name) == (network.digest, "net")


def test_resources_keep_their_names_and_become_parts_of_devices() -> None:
    assert take(GOOD).plan.resources == {
        "nx01_arm0123": Resource(device="nx01_arm0123", cores=[0, 1, 2, 3], processor="cpu"),
        "nx01_gpu": Resource(device="nx01_gpu", processor="gpu"),
    }
    by_host = take(GOOD, nx01="jetson").plan
    assert {resource.device for resource in by_host.resources.values()} == {"jetson"}
    assert by_host.placement == take(GOOD).plan.placement
    assert by_host.devices() == ("jetson",)
    by_key = take(GOOD, nx01="jetson", nx01_gpu="server").plan
    assert [resource.device for resource in by_key.resources.values()] == ["jetson", "server"]


def test_a_host_without_resource_is_a_device_by_its_own_or_the_given_name() -> None:
    mapping = {"nx01": FRONT, "my_board": BACK}
    assert set(take(mapping).plan.placement.values()) == {"nx01", "my_board"}
    renamed = take(mapping, nx01="jetson").plan
    assert set(renamed.placement.values()) == {"jetson", "my_board"}
    assert renamed.resources == {}


def test_keys_of_one_host_that_became_devices_of_their_own_are_noted() -> None:
    (note,) = take(GOOD).notes
    assert note.startswith("'nx01_arm0123', 'nx01_gpu' name one host, 'nx01', but are 2 devices")
    assert "--device nx01=NAME" in note
    assert take(GOOD, nx01_gpu="server").notes == ()
    assert take({"nx01_arm0": FRONT, "nx02_gpu": BACK}).notes == ()


@pytest.mark.parametrize(
    ("keys", "noted"),
    [
        (("nx01_tpu", "nx02"), "'nx01_tpu'"),
        (("nx01_cpu01", "nx01_foo"), "'nx01_foo'"),
        (("nx01", "nx01_foo"), "'nx01_foo'"),
        (("my_board", "alice_armstrong"), None),
    ],
)
def test_an_ending_that_looks_like_a_resource_and_is_none_is_noted(keys: tuple[str, str], noted: str | None) -> None:
    notes = take({keys[0]: FRONT, keys[1]: BACK}).notes
    assert [note.split(" is taken for a host of its own")[0] for note in notes] == ([] if noted is None else [noted])


def test_nodes_that_loading_folds_away_are_passed_over_and_counted() -> None:
    plain = take(GOOD, nx01="jetson")
    assert plain.notes == ()
    listed = take({"nx01_arm0123": [*FRONT, *FOLDED], "nx01_gpu": [*FOLDED, *BACK]}, nx01="jetson")
    assert listed.plan == plain.plan
    assert len(listed.notes) == 1
    assert listed.notes[0].startswith(f"{len(FOLDED)} nodes")


@pytest.mark.parametrize(
    ("name", "entry", "expected"),
    [
        ("net_conv1", ["lop", [3, 65535], ["p", "q"]], (OutputChannelSharding, [3, 5])),
        ("net_conv1", ["lop", [3, 8], ["p", "q"]], (OutputChannelSharding, [3, 5])),
        ("net_conv1", ["lop", [2, 4, 65535], ["p", "q", "p"]], (OutputChannelSharding, [2, 2, 4])),
        ("net_fc", ["lop", [4, 65535], ["p", "q"]], (OutputChannelSharding, [4, 6])),
        ("net_conv3", ["lop", [4, 65535], ["p", "q"]], (OutputChannelSharding, [4, 4])),
        ("net_conv2", ["lip", [5, 3], ["p", "q"]], (InputChannelSharding, [5, 3])),
        ("net_conv2", ["lip", [5, 65535], ["p", "q"]], (InputChannelSharding, [5, 3])),
        ("net_fc", ["lip", [100, 65535], ["p", "q"]], (InputChannelSharding, [100, 28])),
        ("net_conv1", ["height", [3, 65535], ["p", "q"]], (SpatialSharding, [3, 5])),
        ("net_pool", ["height", [3, 1], ["p", "q"]], (SpatialSharding, [3, 1])),
        ("net_conv1", ["width", [2, 2, 4], ["p", "q", "q"]], (SpatialSharding, [2, 2, 4])),
    ],
)
def test_horizontal_entries_become_shardings(name: str, entry: list[Any], expected: tuple[type, list[int]]) -> None:
    """`lop` has cumulative ends, the others sizes; a number beyond the size is the rest."""
    plan = take({"p": LAYERS, "q": [name]}, {name: entry}).plan
    kind, sizes = expected
    (sharding,) = plan.shards
    assert type(sharding) is kind
    assert (sharding.layers, sharding.devices, sharding.unit) == ([layer_of(name)], entry[2], "size")
    if isinstance(sharding, SpatialSharding):
        assert (sharding.rows, sharding.columns) == ((sizes, [1]) if entry[0] == "height" else ([1], sizes))
    else:
        assert not isinstance(sharding, SpatialSharding)
        assert getattr(sharding, "shares") == sizes  # noqa: B009  (one of two classes)
    assert layer_of(name) not in plan.placement
    network, _ = loaded()
    parts = divide(network, plan).network
    assert [f"{layer_of(name)}#{index}" in parts.layers_by_name for index in range(len(sizes))] == [True] * len(sizes)


def test_parts_go_to_resources_and_renamed_devices() -> None:
    mapping = {"nx01_cpu01": LAYERS, "nx02": ["net_conv1"]}
    plan = take(mapping, {"net_conv1": ["lop", [4, 65535], ["nx01_cpu01", "nx02"]]}, nx01="pi", nx02="jetson").plan
    assert plan.shards[0].devices == ["nx01_cpu01", "jetson"]
    assert plan.devices() == ("pi", "jetson")


HALF = {"p": LAYERS, "q": ["net_conv1"]}


@pytest.mark.parametrize(
    ("mapping", "horizontal", "words"),
    [
        ("{", None, ["mapping", "not JSON", "line 1"]),
        ('{"p": [1e999]}', None, ["'p'"]),
        ('{"p": [NaN]}', None, ["mapping", "not JSON"]),
        ("[]", None, ["mapping", "one JSON object"]),
        ("{}", None, ["mapping", "empty"]),
        ('{"p": [], "p": []}', None, ["mapping", "'p' twice"]),
        ({"p": "net_conv1"}, None, ["'p'", "list of layers"]),
        ({"version": 1, "p": LAYERS}, None, ["'version'", "list of layers"]),
        ({"p": LAYERS, "": []}, None, ["empty"]),
        ({"p": without(LAYERS, "net_pool", "y")}, None, ["leaves out", "'net_pool'", "'y'"]),
        ({"p": LAYERS, "q": ["net_pool"]}, None, ["'net_pool'", "twice", "'p', 'q'"]),
        ({"p": [*LAYERS, "net_pool"]}, None, ["'net_pool'", "twice under 'p'"]),
        ({"p": [*LAYERS, "net_pol"]}, None, ["'net_pol'", "Did you mean 'net_pool'"]),
        (HALF, "nonsense", ["horizontal file", "not JSON"]),
        (HALF, "", ["horizontal file", "not JSON"]),
        (HALF, [1], ["horizontal file", "one JSON object"]),
        (HALF, {"net_conv1": {"mode": "lop"}}, ["'net_conv1'", "must be as in"]),
        (HALF, {"net_conv1": ["lop", [4, 8]]}, ["'net_conv1'", "must be as in"]),
        (HALF, {"net_conv1": ["depth", [4, 8], ["p", "q"]]}, ["'net_conv1'", "'depth'", "`lop`"]),
        (HALF, {"net_conv1": [["lop"], [4, 8], ["p", "q"]]}, ["'net_conv1'", "`lop`"]),
        (HALF, {"net_conv1": ["lop", "4,8", ["p", "q"]]}, ["'net_conv1'", "whole numbers"]),
        (HALF, {"net_conv1": ["lop", [4.5, 8], ["p", "q"]]}, ["'net_conv1'", "whole numbers"]),
        (HALF, {"net_conv1": ["lop", [True, 8], ["p", "q"]]}, ["'net_conv1'", "whole numbers"]),
        (HALF, {"net_conv1": ["lop", [0, 8], ["p", "q"]]}, ["'net_conv1'", "whole numbers"]),
        (HALF, {"net_conv1": ["lop", [4, 8], "p"]}, ["'net_conv1'", "list of names"]),
        (HALF, {"net_conv1": ["lop", [4, 6, 8], ["p", "q"]]}, ["'net_conv1'", "3 numbers for 2 devices"]),
        (HALF, {"net_conv1": ["lop", [8], ["p"]]}, ["'net_conv1'", "into 1"]),
        (HALF, {"net_conv1": ["lop", [5, 4], ["p", "q"]]}, ["[5, 4]", "'net_conv1'", "'q'", "cumulative ends"]),
        (HALF, {"net_conv1": ["lop", [8, 65535], ["p", "q"]]}, ["'net_conv1'", "after 'p' nothing is left"]),
        (HALF, {"net_conv1": ["lop", [65535, 8], ["p", "q"]]}, ["'net_conv1'", "after 'p' nothing is left"]),
        (HALF, {"net_conv1": ["lop", [3, 7], ["p", "q"]]}, ["7 of the 8 output channels", "'net_conv1'", "must be 8"]),
        (HALF, {"net_conv1": ["height", [3, 6], ["p", "q"]]}, ["[3, 6]", "'net_conv1'", "8 rows"]),
        (HALF, {"net_conv1": ["height", [3, 4], ["p", "q"]]}, ["7 of the 8 rows", "'net_conv1'", "must be 5"]),
        (HALF, {"net_conv1": ["height", [9, 9], ["p", "q"]]}, ["after 'p' nothing is left"]),
        (HALF, {"net_conv1": ["lop", [4, 8], ["p", "z"]]}, ["'net_conv1'", "'z'", "does not have"]),
        (HALF, {"net_conv9": ["lop", [4, 8], ["p", "q"]]}, ["no 'net_conv9'", "Did you mean", "'net_conv1'"]),
        (HALF, {"net_size": ["lop", [4, 8], ["p", "q"]]}, ["'net_size'", "when the network is loaded"]),
        (HALF, {"net_conv1": ["lop", [4, 8], ["p", "p"]]}, ["'net_conv1'", "under 'q'", "no part"]),
        ({"p": LAYERS, "q": []}, {"net_conv1": ["lop", [4, 8], ["p", "q"]]}, ["'net_conv1'", "to 'q'", "not list it"]),
        ({"p": LAYERS, "q": ["y"]}, {"y": ["lop", [4, 65535], ["p", "q"]]}, ["'Softmax_y'"]),
        ({"p": LAYERS, "q": ["y"]}, {"y": ["height", [4, 65535], ["p", "q"]]}, ["'y'", "no rows"]),
        ({"p": LAYERS, "q": ["net_conv3"]}, {"net_conv3": ["lip", [2, 65535], ["p", "q"]]}, ["'net_conv3'", "grouped"]),
    ],
)
def test_what_is_wrong_is_told_by_name_in_one_line(mapping: Any, horizontal: Any, words: list[str]) -> None:
    with pytest.raises(AutodiceError) as caught:
        take(mapping, horizontal)
    assert isinstance(caught.value, PlanError)
    assert caught.value.code == "bad_autodice"
    assert all(word in caught.value.message for word in words), caught.value.message
    assert "\n" not in caught.value.message


def test_a_mapping_for_another_network_is_one_sentence() -> None:
    names = [f"block{index}_conv" for index in range(150)]
    with pytest.raises(AutodiceError) as caught:
        take({"p": [*names, *LAYERS[:2]]})
    assert "for another network: 150 of its 152 layers" in caught.value.message
    assert len(caught.value.message) < 200


def test_two_tensors_with_one_name_after_the_replacement_are_told() -> None:
    nodes = [helper.make_node("Relu", ["x"], ["a/b"], name="r"), helper.make_node("Abs", ["a/b"], ["a_b"], name="s")]
    network, original = load_file(make_model(nodes, [value("x", (1, 4))], [value("a_b", (1, 4))]))
    with pytest.raises(AutodiceError, match="'r' and 's' have the same name in AutoDiCE's files: 'a_b'"):
        import_autodice(network, AutodiceFiles('{"p": ["a_b"]}'), original=original)


@pytest.mark.parametrize(
    ("theirs", "ours", "words"),
    [
        ("nx09", "pi", ["'nx09'", "'pi'"]),
        ("nx01_gp", "pi", ["'nx01_gp'", "Did you mean 'nx01_gpu'"]),
        ("nx01", "p" * 201, ["'nx01'", "too long"]),
    ],
)
def test_a_device_that_cannot_be_mapped_is_named(theirs: str, ours: str, words: list[str]) -> None:
    with pytest.raises(AutodiceError) as caught:
        take(GOOD, **{theirs: ours})
    assert all(word in caught.value.message for word in words)


def test_a_device_cannot_take_the_name_of_a_resource() -> None:
    with pytest.raises(AutodiceError, match=r"'nx02' cannot become the device 'nx01_gpu'"):
        take({"nx02": FRONT, "nx01_gpu": BACK}, nx02="nx01_gpu")


def test_a_platform_that_fits_is_taken() -> None:
    assert take(GOOD, platform=PLATFORM) == take(GOOD)
    assert take({"nx02": FRONT, "nx01": BACK}, platform=f"# boards\n\n{PLATFORM}").plan.resources == {}
    assert take({"nx03_cpu7": LAYERS}, platform="nx03, arm\n").plan.devices() == ("nx03_cpu7",)


@pytest.mark.parametrize(
    ("mapping", "platform", "words"),
    [
        ({"nx02_arm0134": LAYERS}, PLATFORM, ["core 4", "'nx02'", "0-3", "line 2"]),
        ({"nx02_gpu": LAYERS}, PLATFORM, ["'nx02_gpu'", "no `gpu=`", "line 2"]),
        ({"nx3_gpu": LAYERS}, PLATFORM, ["'nx3_gpu'", "no host 'nx3'"]),
        (GOOD, "", ["names no host"]),
        (GOOD, "nx01, arm, slots=0-5\nnx01, arm", ["'nx01' twice", "lines 1 and 2"]),
        (GOOD, "slots=0-5, arm", ["Line 1", "begin with a host"]),
        (GOOD, "nx01, arm\nfoo bar baz", ["Line 2", "'foo bar baz'", "nx01, arm, slots=0-5"]),
        (GOOD, "nx01, arm\n\nnonsense", ["Line 3", "says nothing of 'nonsense'"]),
        (GOOD, "nx01, arm, slots=five", ["Line 1", "nx01", "'five'"]),
        (GOOD, "nx01, arm, slots=5-0", ["Line 1", "'5-0'"]),
        (GOOD, "# comment\nnx01, arm, memory=4", ["Line 2", "nx01", "'memory=4'"]),
        (GOOD, "nx01, arm, x86", ["Line 1", "'x86'"]),
        (GOOD, "nx01, arm,, slots=0-5", ["Line 1", "nx01"]),
        (GOOD, "nx01, arm, slots=0-5, gpu=none", ["'nx01_gpu'", "line 1"]),
    ],
)
def test_a_platform_that_does_not_fit_is_told_by_host_and_line(
    mapping: dict[str, list[str]], platform: str, words: list[str]
) -> None:
    with pytest.raises(AutodiceError) as caught:
        take(mapping, platform=platform)
    assert all(word in caught.value.message for word in words), caught.value.message


def test_texts_that_nest_too_deep_or_hold_huge_numbers_are_refused() -> None:
    network, _ = loaded()
    for text in ("[" * 100_000, '{"p": ' + "9" * 10_000 + "}", json.dumps({"p": "\ud800"})):
        with pytest.raises(AutodiceError):
            import_autodice(network, AutodiceFiles(text), original=Outline())
