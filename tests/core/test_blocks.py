"""Blocks: recognised from structure and names, or set by hand."""

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from onnx import helper

from partition_studio.graph.blocks import Block, BlockError, expand, find_blocks, is_run, with_manual
from partition_studio.graph.examples import example
from partition_studio.graph.load import load_network
from partition_studio.graph.network import Network
from partition_studio.partition.draft import Draft
from partition_studio.partition.run import find_run

from .networks import cnn_models, load, make_model, value, weight

node = helper.make_node


class Build:
    """A network of convolutions of 1 x 1 that is written down in one line a layer."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []

    def layer(self, operator: str, *sources: str, name: str = "") -> str:
        output = f"t{len(self.nodes)}"
        weights = ["w"] if operator == "Conv" else []
        attributes: dict[str, Any] = {"axis": 1} if operator == "Concat" else {}
        self.nodes.append(node(operator, [*sources, *weights], [output], name=name or output, **attributes))
        return output

    def conv(self, source: str, name: str = "") -> str:
        return self.layer("Conv", source, name=name)

    def residual(self, source: str, prefix: str = "") -> str:
        inner = self.layer(
            "Relu", self.conv(source, f"{prefix}conv1" if prefix else ""), name=prefix and f"{prefix}relu1"
        )
        total = self.layer("Add", self.conv(inner, prefix and f"{prefix}conv2"), source, name=prefix and f"{prefix}add")
        return self.layer("Relu", total, name=prefix and f"{prefix}relu2")

    def network(self, output: str) -> Network:
        last = next(n for n in self.nodes if output in n.output)
        last.output[0] = "y"
        for other in self.nodes:
            other.input[:] = ["y" if name == output else name for name in other.input]
        array = np.ones((2, 2, 1, 1), np.float32)
        return load(
            make_model(self.nodes, [value("x", (1, 2, 4, 4))], [value("y", (1, 2, 4, 4))], [weight("w", array)])
        )


def inner_blocks(network: Network) -> list[Block]:
    return [block for block in find_blocks(network) if block.kind != "stage"]


@pytest.mark.parametrize(
    ("name", "kinds", "stages"),
    [
        ("resnet-50", {"residual": 16}, [3, 4, 6, 3]),
        ("squeezenet", {"fire": 8}, [2, 2, 4]),
        ("inception-v1", {"inception": 9}, [2, 5, 2]),
        ("densenet-121", {"dense": 58}, [6, 12, 24, 16]),
        ("shufflenet", {"residual": 13, "branches": 3}, [4, 8, 4]),
        ("inception-v2", {"inception": 10}, None),
        ("vgg-19", {}, []),
    ],
)
def test_architectures_have_the_blocks_of_their_papers(
    name: str, kinds: dict[str, int], stages: list[int] | None
) -> None:
    # The package's own file: its weights are made by nodes, so that it loads at once.
    network = load_network(example(name).path)
    blocks = find_blocks(network)
    found = [block.kind for block in blocks if block.kind != "stage"]
    assert {kind: found.count(kind) for kind in set(found)} == kinds
    if stages is not None:
        assert [sum(b.parent == s.name for b in blocks) for s in blocks if s.kind == "stage"] == stages
    assert_well_formed(network, blocks)


def assert_well_formed(network: Network, blocks: tuple[Block, ...]) -> None:
    draft = Draft(network)
    named = {block.name: block for block in blocks}
    assert len(named) == len(blocks)
    for level in (True, False):
        layers = [layer for block in blocks if (block.kind == "stage") == level for layer in block.layers]
        assert len(set(layers)) == len(layers)
    for index, block in enumerate(blocks):
        run = find_run(draft, block.layers)
        assert sorted(run.names) == sorted(block.layers)
        assert list(block.layers) == sorted(block.layers, key=network.position.__getitem__)
        if block.parent is not None:
            assert set(block.layers) <= set(named[block.parent].layers)
            assert named[block.parent] in blocks[:index]


def test_a_block_is_called_by_the_beginning_that_its_layers_share() -> None:
    build = Build()
    tensor = build.conv("x", "/stem/Conv")
    for index in range(3):
        tensor = build.residual(tensor, f"/layer1/layer1.{index}/")
    network = build.network(tensor)
    assert [block.name for block in inner_blocks(network)] == ["layer1.0", "layer1.1", "layer1.2"]
    assert all(len(block.layers) == 5 for block in inner_blocks(network))


@pytest.mark.parametrize("prefix", ["res2{}_branch2", "fire{}/", "inception_{}a/", "block.{}."])
def test_names_of_many_tools_are_understood(prefix: str) -> None:
    build = Build()
    tensor = "x"
    for index in range(2, 5):
        tensor = build.residual(tensor, prefix.format("abcde"[index] if "res2" in prefix else index))
    found = [block.name for block in inner_blocks(build.network(tensor))]
    assert len(found) == 3
    assert not any(name.startswith("residual") for name in found)


def test_folders_of_names_are_blocks_where_nothing_branches() -> None:
    build = Build()
    tensor = "x"
    for folder in ("/features/features.0", "/features/features.1", "/head"):
        for part in ("conv/Conv", "act/Relu", "more/Conv"):
            tensor = build.layer(part.rsplit("/", 1)[1], tensor, name=f"{folder}/{part}")
    blocks = find_blocks(build.network(tensor))
    assert [(block.name, block.kind, len(block.layers)) for block in blocks] == [
        ("features", "named", 6),
        ("head", "named", 3),
    ]


def test_a_gate_inside_a_residual_block_is_part_of_it() -> None:
    build = Build()
    start = build.conv("x")
    swish = build.conv(start)
    swish = build.layer("Mul", swish, build.layer("Sigmoid", swish))
    squeezed = build.layer("Sigmoid", build.conv(build.layer("GlobalAveragePool", swish)))
    gated = build.layer("Mul", swish, squeezed)
    end = build.layer("Add", build.conv(gated), start)
    blocks = find_blocks(build.network(build.conv(end)))
    assert [(block.kind, len(block.layers)) for block in blocks] == [("residual", 9)]


def test_the_skips_of_a_u_shaped_network_are_no_blocks() -> None:
    build = Build()
    tensor, skips = "x", []
    for _ in range(4):
        tensor = build.residual(tensor)
        skips.append(tensor)
        tensor = build.conv(tensor)
    for skip in reversed(skips):
        tensor = build.residual(build.conv(build.layer("Add", build.conv(tensor), skip)))
    network = build.network(tensor)
    blocks = [block for block in inner_blocks(network) if len(block.layers) == 5]
    assert len(blocks) == 8
    assert max(len(block.layers) for block in inner_blocks(network)) <= 5


def test_several_inputs_and_outputs_are_no_fault() -> None:
    nodes = [
        node("Conv", ["a", "w"], ["t"], name="left"),
        node("Conv", ["b", "w"], ["u"], name="right"),
        node("Add", ["t", "u"], ["s"], name="sum"),
        node("Relu", ["s"], ["y"], name="first"),
        node("Relu", ["t"], ["z"], name="second"),
    ]
    shape = (1, 2, 4, 4)
    array = np.ones((2, 2, 1, 1), np.float32)
    ends = [value(name, shape) for name in "abyz"]
    network = load(make_model(nodes, ends[:2], ends[2:], [weight("w", array)]))
    assert_well_formed(network, find_blocks(network))


@settings(max_examples=60, deadline=None)
@given(model=cnn_models())
def test_blocks_of_any_network_can_be_divided_as_they_are(model: onnx.ModelProto) -> None:
    network = load(model)
    assert_well_formed(network, find_blocks(network))
    assert find_blocks(network) == find_blocks(network)


def chain() -> Network:
    build = Build()
    tensor = "x"
    for index in range(6):
        tensor = build.conv(tensor, f"c{index}")
    return build.network(tensor)


def test_blocks_set_by_hand_replace_those_that_they_overlap_with() -> None:
    build = Build()
    tensor = build.conv("x", "stem")
    for name in ("one", "two"):
        tensor = build.residual(tensor, f"{name}/")
    network = build.network(tensor)
    found = find_blocks(network)
    both = with_manual(network, found, {"mine": ["one/relu2", "two/conv1"], "front": ["stem"]})
    assert [(block.name, block.kind) for block in both] == [("front", "manual"), ("mine", "manual")]
    other = with_manual(network, found, {"mine": ["stem"]})
    assert {block.name for block in other} == {"mine", "one", "two"}


@pytest.mark.parametrize("manual", [{"m": ["n3", "n4"]}, {"m": ["n17", "n18"], "other": ["n19"]}])
def test_a_stage_stays_around_a_block_set_by_hand(manual: dict[str, list[str]]) -> None:
    network = load_network(example("resnet-50").path)
    found = find_blocks(network)
    both = with_manual(network, found, manual)
    for name, layers in manual.items():
        block = next(block for block in both if block.name == name)
        stage = next((stage for stage in found if stage.kind == "stage" and set(layers) <= set(stage.layers)), None)
        assert block.parent == (stage.name if stage else None)
    assert_well_formed(network, both)


@pytest.mark.parametrize(
    ("manual", "words"),
    [
        ({"m": ["c0", "nope"]}, ["'m'", "'nope'", "unknown"]),
        ({"m": ["c0"], "n": ["c1", "c0"]}, ["'c0'", "'m'", "'n'"]),
        ({"m": ["c0", "c3"]}, ["'m'", "'c3'", "not connected"]),
        ({"m": []}, ["'m'", "no layers"]),
    ],
)
def test_a_block_that_cannot_be_is_named(manual: dict[str, list[str]], words: list[str]) -> None:
    with pytest.raises(BlockError) as caught:
        with_manual(chain(), (), manual)
    assert all(word in caught.value.message for word in words), caught.value.message


def test_a_run_that_is_left_and_entered_again_is_no_block() -> None:
    build = Build()
    start = build.conv("x", "start")
    around = build.conv(start, "around")
    network = build.network(build.layer("Add", start, around, name="end"))
    assert not is_run(network, ["start", "end"])
    with pytest.raises(BlockError, match="'around'"):
        with_manual(network, (), {"m": ["start", "end"]})


def test_a_list_of_layers_may_name_blocks() -> None:
    blocks = (Block("one", ("a", "b"), "named"), Block("two", ("c",), "named"))
    assert expand(blocks, ["x", "block:one", "b", "block:two"]) == ["x", "a", "b", "c"]
    with pytest.raises(BlockError, match="'three'"):
        expand(blocks, ["block:three"])
