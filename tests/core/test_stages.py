"""How a placement becomes stages and cuts."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from partition_studio.graph.difference import difference
from partition_studio.graph.frames import random_frame
from partition_studio.graph.network import Network
from partition_studio.partition.extract import OutputFolderError, submodels, write_submodels
from partition_studio.partition.partition import partition
from partition_studio.partition.stages import (
    SINK,
    SOURCE,
    Cut,
    StageGraph,
    StageNotFoundError,
    UnplacedLayerError,
)
from partition_studio.partition.verify import verify

from .networks import load, load_both, make_model, plan_for, relu_chain, value, weight

SHAPE = (1, 2, 4, 4)
node = helper.make_node


def network_of(edges: dict[str, list[str]], outputs: list[str], inputs: tuple[str, ...] = ("x",)) -> onnx.ModelProto:
    """A network whose layers are called after their output: `{"c": ["a", "b"]}` is c = a + b."""
    nodes = [node("Sum" if len(s) > 1 else "Relu", s, [name], name=name.upper()) for name, s in edges.items()]
    return make_model(nodes, [value(i, SHAPE) for i in inputs], [value(o, SHAPE) for o in outputs])


def staged(model: onnx.ModelProto, placement: dict[str, str]) -> tuple[Network, StageGraph]:
    network, original = load_both(model)
    parted = partition(network, plan_for(network, placement))
    graph = parted.graph
    parts = {name: part.data for name, part in submodels(network, graph).items()}
    assert verify(original, parted, parts, random_frame(network.inputs, 0)).max_abs == 0.0
    return network, graph


RESIDUAL = {"a": ["x"], "b": ["a"], "c": ["b"], "d": ["c", "a"]}


def test_a_chain_on_one_device_is_one_stage() -> None:
    _, graph = staged(relu_chain(4), {f"l{i}": "pi" for i in range(4)})
    assert [(s.name, s.layers, s.inputs, s.outputs) for s in graph.stages] == [
        ("pi-0", ("l0", "l1", "l2", "l3"), ("x",), ("y",))
    ]
    assert graph.cuts == (Cut(SOURCE, "pi-0", ("x",)), Cut("pi-0", SINK, ("y",)))


def test_a_device_that_is_left_and_entered_again_has_two_stages() -> None:
    _, graph = staged(relu_chain(3), {"l0": "pi", "l1": "nano", "l2": "pi"})
    assert graph.order == ("pi-0", "nano-0", "pi-1")
    assert graph.devices == ("pi", "nano")
    assert graph.stage_of_layer["l2"].name == "pi-1"
    with pytest.raises(StageNotFoundError, match="pi-7"):
        graph.stage("pi-7")


def windows_of(placement: dict[str, str]) -> dict[str, int]:
    _, graph = staged(network_of(RESIDUAL, ["d"]), placement)
    return {cut.id: graph.window(cut) for cut in graph.cuts}


def test_a_skip_over_another_device_waits_with_a_wider_window() -> None:
    assert windows_of({"A": "p", "B": "q", "C": "q", "D": "r"}) == {
        "source->p-0": 2,
        "p-0->q-0": 2,
        "q-0->r-0": 2,
        "p-0->r-0": 3,
        "r-0->sink": 2,
    }


def test_links_of_a_device_whose_stages_take_turns_have_three_more_places() -> None:
    assert windows_of({"A": "p", "B": "q", "C": "q", "D": "p"}) == {
        "source->p-0": 5,
        "p-0->q-0": 5,
        "q-0->p-1": 5,
        "p-0->p-1": 6,
        "p-1->sink": 5,
    }
    assert windows_of({"A": "p", "B": "q", "C": "p", "D": "r"})["r-0->sink"] == 2


def test_a_plain_chain_waits_with_two_places() -> None:
    _, graph = staged(relu_chain(3), {"l0": "a", "l1": "b", "l2": "c"})
    assert {graph.window(cut) for cut in graph.cuts} == {2}


def test_independent_branches_of_one_device_are_stages_of_their_own() -> None:
    model = network_of({"a": ["x"], "b": ["a"], "c": ["a"], "e": ["b"], "f": ["c"], "d": ["e", "f"]}, ["d"])
    _, graph = staged(model, {"A": "p", "B": "q", "C": "r", "E": "p", "F": "p", "D": "s"})
    layers = {s.name: s.layers for s in graph.stages}
    assert sorted(layers.values()) == [("A",), ("B",), ("C",), ("D",), ("E",), ("F",)]


def test_branches_that_read_the_same_tensor_stay_together() -> None:
    model = network_of({"a": ["x"], "b": ["a"], "c": ["a"], "d": ["b", "c"]}, ["d"])
    _, graph = staged(model, {"A": "p", "B": "q", "C": "q", "D": "r"})
    assert [s.layers for s in graph.stages] == [("A",), ("B", "C"), ("D",)]
    assert graph.cuts[2] == Cut("q-0", "r-0", ("b", "c"))


def test_a_tensor_that_two_stages_need_goes_to_each() -> None:
    model = network_of({"a": ["x"], "b": ["a"], "c": ["a"]}, ["b", "c"])
    _, graph = staged(model, {"A": "p", "B": "q", "C": "r"})
    assert {(c.producer, c.consumer, c.tensors) for c in graph.cuts if c.producer == "p-0"} == {
        ("p-0", "q-0", ("a",)),
        ("p-0", "r-0", ("a",)),
    }


def test_no_stage_waits_for_itself_through_another() -> None:
    """A and D are on one device, but D also needs the other device's answer to A: they cannot be one stage."""
    model = network_of({"a": ["x"], "b": ["a"], "c": ["a"], "d": ["b", "c"]}, ["d"])
    _, graph = staged(model, {"A": "p", "B": "q", "C": "p", "D": "p"})
    assert [(s.name, s.layers) for s in graph.stages] == [("p-0", ("A", "C")), ("q-0", ("B",)), ("p-1", ("D",))]


def test_an_output_may_also_be_read_inside() -> None:
    _, graph = staged(network_of(RESIDUAL, ["b", "d"]), {"A": "p", "B": "p", "C": "p", "D": "p"})
    assert graph.stages[0].outputs == ("b", "d")
    assert graph.cuts[-1] == Cut("p-0", SINK, ("b", "d"))


def test_an_input_may_go_straight_to_an_output() -> None:
    model = network_of({"a": ["x"]}, ["a", "z"], inputs=("x", "z"))
    _, graph = staged(model, {"A": "p"})
    assert Cut(SOURCE, SINK, ("z",)) in graph.cuts


def test_an_input_that_nobody_reads_is_sent_nowhere() -> None:
    network, graph = staged(network_of({"a": ["x"]}, ["a"], inputs=("x", "idle")), {"A": "p"})
    assert list(network.inputs) == ["x", "idle"]
    assert [cut.tensors for cut in graph.cuts] == [("x",), ("a",)]


def test_an_unplaced_layer_is_named() -> None:
    network = load(relu_chain(2))
    with pytest.raises(UnplacedLayerError, match="'l1'"):
        partition(network, plan_for(network, {"l0": "p"}))


def test_submodels_are_written_with_a_manifest(tmp_path: Path) -> None:
    network, graph = staged(relu_chain(3), {"l0": "pi", "l1": "../na no", "l2": "pi"})
    files = write_submodels(network, graph, tmp_path / "deep" / "out")
    assert sorted(p.name for p in (tmp_path / "deep" / "out").iterdir()) == sorted(
        [*(path.name for path in files.values()), "manifest.json"]
    )
    manifest = json.loads((tmp_path / "deep" / "out" / "manifest.json").read_text())
    assert manifest["network"]["sha256"] == network.digest
    assert [entry["name"] for entry in manifest["stages"]] == list(graph.order)
    for entry in manifest["stages"]:
        onnx.checker.check_model(onnx.load(tmp_path / "deep" / "out" / entry["file"]), full_check=True)
    assert manifest["cuts"][0] == {
        "producer": "source",
        "consumer": "pi-0",
        "tensors": ["x"],
        "bytes": 128,
        "window": 5,
    }
    assert list((tmp_path / "deep").iterdir()) == [tmp_path / "deep" / "out"]


def test_an_earlier_split_is_replaced_and_other_folders_are_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    network, graph = staged(relu_chain(3), {"l0": "a", "l1": "b", "l2": "c"})
    write_submodels(network, graph, out)
    network, graph = staged(relu_chain(3), {"l0": "a", "l1": "a", "l2": "a"})
    write_submodels(network, graph, out)
    assert len(list(out.iterdir())) == 2
    (out / "diary.txt").write_text("mine")
    with pytest.raises(OutputFolderError, match=r"diary\.txt"):
        write_submodels(network, graph, out)
    assert (out / "diary.txt").read_text() == "mine"
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputFolderError, match="not a folder"):
        write_submodels(network, graph, tmp_path / "file")


def test_difference_is_relative_to_the_largest_value() -> None:
    whole = np.array([0.0, 100.0, -200.0], np.float32)
    assert difference(whole, whole) == (0.0, 0.0)
    assert difference(whole + np.float32(0.5), whole) == (0.5, 0.0025)
    assert difference(np.array([1.0], np.float32), np.zeros(1, np.float32)) == (1.0, float("inf"))


def test_values_that_are_not_finite_must_be_the_same() -> None:
    whole = np.array([np.nan, np.inf, 1.0], np.float32)
    assert difference(whole.copy(), whole) == (0.0, 0.0)
    assert difference(np.array([np.nan, np.inf, 1.5], np.float32), whole) == (0.5, 0.5)
    for other in ([np.nan, -np.inf, 1.0], [np.inf, np.inf, 1.0], [0.0, np.inf, 1.0]):
        assert difference(np.array(other, np.float32), whole)[1] == float("inf")


def test_another_shape_or_dtype_is_infinitely_different() -> None:
    whole = np.ones((2, 3), np.float32)
    assert difference(whole.T, whole)[0] == float("inf")
    assert difference(whole.astype(np.float64), whole)[0] == float("inf")


def test_weights_never_cross_a_cut() -> None:
    nodes = [node("Mul", ["x", "w"], ["a"], name="A"), node("Add", ["a", "w"], ["b"], name="B")]
    w = weight("w", np.full((1, 2, 1, 1), 3, np.float32))
    model = make_model(nodes, [value("x", SHAPE)], [value("b", SHAPE)], [w])
    _, graph = staged(model, {"A": "p", "B": "q"})
    assert {tensor for cut in graph.cuts for tensor in cut.tensors} == {"x", "a", "b"}
