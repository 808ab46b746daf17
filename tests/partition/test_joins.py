"""Pieces of joins come from the parts: what matches exchanges nothing, neighbours exchange halos alone."""

import numpy as np
import onnx
import pytest

from partition_studio.graph.network import Network, TensorType
from partition_studio.graph.runtime import run_model
from partition_studio.graph.weights import Range
from partition_studio.partition.draft import Draft, Origin
from partition_studio.partition.extract import extract
from partition_studio.partition.joins import shorten
from partition_studio.partition.stages import build_stages
from tests.core.networks import load, relu_chain

from .channels import Builder, lip, lop, prove, traffic


@pytest.mark.parametrize("shares", [[1, 1], [1, 3], [2, 1, 1]])
def test_matching_output_and_input_channels_exchange_nothing(shares: list[float]) -> None:
    builder = Builder()
    t = builder.conv("a", builder.input("x", (1, 3, 8, 8)), (8, 3, 3, 3))
    t = builder.add("Relu", "relu", [builder.batch_norm("norm", t, 8)])
    model = builder.model(builder.conv("b", t, (5, 8, 3, 3)))
    parted = prove(model, lop("a", "norm", "relu", shares=shares), lip("b", shares=shares))
    others = [index for index in range(1, len(shares))]
    assert traffic(parted) == {(f"d{index}", "d0"): [f"b.out#{index}"] for index in others}, "partial sums alone"


@pytest.mark.parametrize("opset", [7, 9, 10, 13, 18, 23])
def test_glue_is_written_as_each_opset_wants_it(opset: int) -> None:
    builder = Builder(opset=opset)
    t = builder.conv("a", builder.input("x", (1, 4, 8, 8)), (8, 4, 3, 3))
    model = builder.model(builder.conv("b", builder.add("Relu", "relu", [t]), (5, 8, 3, 3)), ir=8 if opset < 19 else 10)
    prove(model, lip("a"), lop("relu", shares=[1, 3]), lip("b", shares=[3, 1]))


def test_half_precision_is_divided() -> None:
    builder = Builder()
    x = builder.input("x", (1, 4, 6, 6), onnx.TensorProto.FLOAT16)
    held = [
        builder.weight(f"w{i}", builder.generator.uniform(-1, 1, (6, 4 + 2 * i, 1, 1)).astype("f2")) for i in (0, 1)
    ]
    t = builder.add("Conv", "b", [builder.add("Conv", "a", [x, held[0]]), held[1]])
    prove(builder.model(t), lop("a"), lip("b"))
    prove(builder.model(t), lip("a"), lop("b"))


def test_a_depthwise_convolution_between_them_changes_nothing() -> None:
    builder = Builder()
    t = builder.conv("a", builder.input("x", (1, 3, 8, 8)), (8, 3, 1, 1))
    t = builder.conv("depthwise", t, (8, 1, 3, 3), group=8)
    model = builder.model(builder.conv("b", t, (5, 8, 1, 1)))
    parted = prove(model, lop("a", shares=[1, 3]), lop("depthwise", shares=[1, 3]), lip("b", shares=[1, 3]))
    assert traffic(parted) == {("d1", "d0"): ["b.out#1"]}


def test_shares_that_do_not_match_exchange_only_what_differs() -> None:
    builder = Builder()
    t = builder.conv("a", builder.input("x", (1, 3, 8, 8)), (8, 3, 1, 1))
    parted = prove(builder.model(builder.conv("b", t, (5, 8, 1, 1))), lop("a", shares=[1, 1]), lip("b", shares=[3, 5]))
    assert traffic(parted) == {("d0", "d1"): ["a.out#0[3:4]"], ("d1", "d0"): ["b.out#1"]}


def test_a_joined_map_goes_from_every_part_to_every_reader_directly() -> None:
    builder = Builder()
    t = builder.conv("a", builder.input("x", (1, 3, 8, 8)), (8, 3, 1, 1))
    parted = prove(builder.model(builder.conv("b", t, (4, 8, 1, 1))), lop("a", "b", parts=3))
    sent = traffic(parted)
    for maker in range(3):
        for reader in range(3):
            if maker != reader:
                assert f"a.out#{maker}" in sent[f"d{maker}", f"d{reader}"]
    assert sum(len(tensors) for tensors in sent.values()) == 6 + 2


def test_sums_that_are_read_in_pieces_are_added_up_in_pieces() -> None:
    builder = Builder()
    t = builder.conv("a", builder.input("x", (1, 4, 8, 8)), (8, 4, 1, 1))
    parted = prove(builder.model(builder.conv("b", t, (5, 8, 1, 1))), lip("a"), lip("b"))
    assert traffic(parted) == {("d0", "d1"): ["a.out#0[4:8]"], ("d1", "d0"): ["a.out#1[0:4]", "b.out#1"]}


def test_a_whole_that_others_read_keeps_its_join() -> None:
    builder = Builder()
    t = builder.conv("a", builder.input("x", (1, 3, 8, 8)), (8, 3, 1, 1))
    side = builder.add("Softmax", "side", [t], axis=1)
    model = builder.model(builder.conv("b", t, (5, 8, 1, 1)), side, t)
    parted = prove(model, lop("a"), lip("b"))
    assert "join:a.out" in parted.network.layers_by_name
    assert parted.placement["join:a.out"] == "home"
    assert {layer.name for layer in parted.network.consumers["a.out#1"]} == {"b#1", "join:a.out"}


def test_what_a_subgraph_captures_keeps_its_name() -> None:
    builder = Builder()
    t = builder.conv("a", builder.input("x", (1, 3, 8, 8)), (8, 3, 1, 1))
    mean = builder.add("ReduceMean", "mean", [t], keepdims=0)
    positive = builder.add("Greater", "positive", [mean, builder.weight("zero", np.float32(0))])
    branches = {}
    for branch, op_type in (("then_branch", "Relu"), ("else_branch", "Neg")):
        made = onnx.helper.make_node(op_type, [t], ["chosen"])
        result = onnx.helper.make_tensor_value_info("chosen", onnx.TensorProto.FLOAT, (1, 8, 8, 8))
        branches[branch] = onnx.helper.make_graph([made], branch, [], [result])
    model = builder.model(builder.add("If", "choice", [positive], **branches))
    parted = prove(model, lop("a"), placement={"choice": "other"})
    assert traffic(parted)["home", "other"] == ["positive.out", "a.out"]


# --- glue by hand, as spatial runs make it ---------------------------------------------------------------------------


def tiled_chain(rows: int, columns: int, halo: int) -> Draft:
    """Return `x -> l0 -> l1 -> y` in which both layers are tiles of an 8 x 8 map; those of l1 are wider by a halo."""
    draft = Draft(load(relu_chain(2, (1, 2, 8, 8))))

    def bounds(count: int, index: int, extra: int = 0) -> tuple[int, int]:
        size = 8 // count
        return max(0, index * size - extra), min(8, (index + 1) * size + extra)

    for layer, source, target in (("l0", "x", "t0"), ("l1", "t0", "y")):
        node = draft.node(layer)
        draft.remove(layer)
        wide = halo if layer == "l1" else 0
        strips = []
        for row in range(rows):
            tiles = []
            for column in range(columns):
                name = f"{target}:{row},{column}"
                (top, bottom), (left, right) = bounds(rows, row, wide), bounds(columns, column, wide)
                piece = draft.take(source, [Range(2, top, bottom), Range(3, left, right)], f"{name}:in")
                kind = TensorType("float32", (1, 2, bottom - top, right - left))
                made = f"{name}:wide"
                draft.add_like(node, [piece], {made: kind}, name=f"{layer}:{row},{column}")
                (first, last), (begin, end) = bounds(rows, row), bounds(columns, column)
                cuts = [Range(2, first - top, last - top), Range(3, begin - left, end - left)]
                tiles.append(draft.take(made, cuts, name))
            strips.append(tiles[0] if columns == 1 else f"{target}:{row}")
            if columns > 1:
                draft.join(tiles, strips[-1], 3)
        draft.join(strips, target, 2)
    return draft


def run_draft(draft: Draft, x: np.ndarray) -> np.ndarray:
    network = draft.finish()
    graph = build_stages(network, {layer.name: "one" for layer in network.layers})
    model = extract(network, graph.stages[0])
    onnx.checker.check_model(model, full_check=True)
    return np.asarray(run_model(model, {"x": x}, ["y"])["y"])


@pytest.mark.parametrize(("rows", "columns"), [(4, 1), (1, 4), (2, 2), (4, 2)])
def test_neighbouring_tiles_exchange_halos_alone(rows: int, columns: int) -> None:
    draft = tiled_chain(rows, columns, halo=1)
    x = np.random.default_rng(0).standard_normal((1, 2, 8, 8)).astype(np.float32)
    before = run_draft(draft, x)
    shorten(draft)
    assert np.array_equal(run_draft(draft, x), before)
    assert np.array_equal(before, np.maximum(x, 0))
    network = draft.finish()
    for layer in network.layers:
        if layer.name.startswith("l1:"):
            (source,) = layer.inputs
            own = layer.name.removeprefix("l1:")
            held = taken_from(network, source)
            foreign = sum(size for tile, size in held.items() if tile != f"t0:{own}:wide")
            row, column = (int(number) for number in own.split(","))
            tall, broad = network.tensors[source].shape[2:]
            assert held[f"t0:{own}:wide"] == 2 * (8 // rows) * (8 // columns), "its own tile"
            assert foreign == 2 * tall * broad - 2 * (8 // rows) * (8 // columns), f"the halo of tile {row},{column}"
    assert "join:t0" not in network.layers_by_name, "nobody needs the whole map"


def taken_from(network: Network, tensor: str) -> dict[str, int]:
    """Return how many elements of which layers' outputs make up a tensor, through glue."""
    maker = network.producers[tensor]
    if maker.op_type == "Relu":
        return {tensor: network.tensors[tensor].elements}
    if maker.op_type == "Slice":
        assert network.producers[maker.inputs[0]].op_type == "Relu", "pieces are cut off where tensors are made"
        return {maker.inputs[0]: network.tensors[tensor].elements}
    found: dict[str, int] = {}
    for part in maker.inputs:
        for source, elements in taken_from(network, part).items():
            found[source] = found.get(source, 0) + elements
    return found


def test_tiles_that_match_are_passed_on_as_they_are() -> None:
    draft = tiled_chain(2, 2, halo=0)
    shorten(draft)
    network = draft.finish()
    assert {layer.name: layer.inputs for layer in network.layers if layer.name.startswith("l1:")} == {
        f"l1:{tile}": (f"t0:{tile}:wide",) for tile in ("0,0", "0,1", "1,0", "1,1")
    }


def channels_in_parts() -> Draft:
    """Return a draft in which `t0` of shape (1, 6, 4, 4) is a join of three parts that `l0` makes."""
    draft = Draft(load(relu_chain(3, (1, 6, 4, 4))))
    node = draft.node("l0")
    draft.remove("l0")
    parts = []
    for index in range(3):
        piece = draft.take("x", [Range(1, 2 * index, 2 * index + 2)], f"x{index}")
        draft.add_like(node, [piece], {f"t0#{index}": draft.types[piece]}, name=f"l0#{index}")
        draft.origins[f"t0#{index}"] = Origin("t0", (Range(1, 2 * index, 2 * index + 2),))
        parts.append(f"t0#{index}")
    draft.join(parts, "t0", 1)
    return draft


def test_a_join_of_joins_is_one_join_and_equal_joins_are_one() -> None:
    draft = channels_in_parts()
    draft.join(["t0#0", "t0#1"], "front", 1)
    draft.join(["front", "t0#2"], "again", 1)
    draft.reconnect("l1", "t0", "again")
    shorten(draft)
    network = draft.finish()
    assert network.layers_by_name["l1"].inputs == ("t0",)
    assert network.layers_by_name["join:t0"].inputs == ("t0#0", "t0#1", "t0#2")
    assert [layer.name for layer in network.layers if layer.op_type == "Concat"] == ["join:t0"]


def test_a_piece_that_spans_parts_is_made_once() -> None:
    draft = channels_in_parts()
    pieces = [draft.take("t0", [Range(1, 1, 5)], name) for name in ("p", "q")]
    draft.add("Sum", pieces, {"s": draft.types["p"]}, name="sum")
    draft.outputs = (*draft.outputs, "s")
    shorten(draft)
    network = draft.finish()
    assert network.layers_by_name["sum"].inputs == ("p",), "both operands are the same piece"
    assert network.producers["p"].inputs == ("t0#0[1:2]", "t0#1", "t0#2[0:1]")
    assert network.producers["t0#0[1:2]"].inputs == ("t0#0",)


def test_the_same_piece_of_a_layers_output_is_cut_off_once() -> None:
    draft = channels_in_parts()
    pieces = [draft.take("t0#1", [Range(2, 1, 3)], name) for name in ("p", "q")]
    draft.add("Sum", pieces, {"s": draft.types["p"]}, name="sum")
    draft.outputs = (*draft.outputs, "s")
    shorten(draft)
    assert draft.finish().layers_by_name["sum"].inputs == ("p",)


def test_a_piece_of_a_piece_is_cut_off_once() -> None:
    draft = channels_in_parts()
    piece = draft.take("t0", [Range(1, 1, 5)], "p")
    inner = draft.take(piece, [Range(1, 1, 2), Range(2, 1, 3)], "inner")
    draft.add("Neg", [inner], {"n": draft.types[inner]}, name="neg")
    draft.outputs = (*draft.outputs, "n")
    shorten(draft)
    network = draft.finish()
    (read,) = network.layers_by_name["neg"].inputs
    assert network.producers[read].inputs == ("t0#1",)
    assert draft.origin(read) == Origin("t0", (Range(1, 2, 3), Range(2, 1, 3)))


def test_shortening_again_changes_nothing() -> None:
    for draft in (tiled_chain(2, 2, halo=1), channels_in_parts()):
        shorten(draft)
        nodes = {name: node.SerializeToString() for name, node in draft.nodes.items()}
        shorten(draft)
        assert {name: node.SerializeToString() for name, node in draft.nodes.items()} == nodes
