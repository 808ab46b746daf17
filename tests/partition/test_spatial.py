"""Exact tiles of runs of layers: what is divided, what is whole, what is exchanged, and what is refused."""

from typing import Any

import pytest

from partition_studio.partition.draft import ShardError
from partition_studio.partition.partition import Partition
from partition_studio.partition.plan import OutputChannelSharding

from .plans import explains
from .tiles import Builder, copies, divided, equal, spatial

PADS = {"pads": [1, 1, 1, 1]}


def chain(count: int = 3, shape: tuple[int, ...] = (1, 3, 24, 20)) -> Builder:
    """`n0` to `n<count - 1>`: convolutions that keep the map's size."""
    b = Builder(shape)
    for _ in range(count):
        b.conv(None, 3, 3, [3, 3], **PADS)
    return b


def refusal(b: Builder, *shards: Any) -> ShardError:
    with pytest.raises(ShardError) as caught:
        divided(b.model(), *shards)
    assert explains(caught.value)
    return caught.value


def device(parted: Partition, layer: str) -> str:
    return parted.placement[layer]


def test_halos_are_computed_twice_and_only_the_input_is_cut() -> None:
    parted = equal(chain().model(), spatial(["n0", "n1", "n2"], [1, 1]))
    assert sorted(layer.name for layer in parted.network.layers) == sorted(
        ["take:x#0", "take:x#1", "join:t2", *(f"n{i}#{part}" for i in range(3) for part in range(2))]
    )
    shapes = {t: parted.network.tensors[t].shape[2] for t in ("x#0", "t0#0", "t1#0", "t2#0", "x#1", "t2#1")}
    assert shapes == {"x#0": 15, "t0#0": 14, "t1#0": 13, "t2#0": 12, "x#1": 15, "t2#1": 12}


def test_shares_and_sizes_are_those_of_the_output() -> None:
    by_share = equal(chain(1).model(), spatial(["n0"], [1, 2, 1]))
    assert [by_share.network.tensors[f"t0#{i}"].shape[2] for i in range(3)] == [6, 12, 6]
    by_size = equal(chain(1).model(), spatial(["n0"], columns=[3, 17], unit="size"))
    assert [by_size.network.tensors[f"t0#{i}"].shape[3] for i in range(2)] == [3, 17]


def test_a_grid_is_dealt_row_by_row() -> None:
    parted = equal(chain(1).model(), spatial(["n0"], [1, 3], [1, 1]))
    assert [device(parted, f"n0#{i}") for i in range(4)] == ["d0", "d1", "d2", "d3"]
    shapes = [parted.network.tensors[f"t0#{i}"].shape[2:] for i in range(4)]
    assert shapes == [(6, 10), (6, 10), (18, 10), (18, 10)]


def test_outputs_of_several_resolutions_are_divided_in_the_same_proportion() -> None:
    b = chain(1)
    b.conv("t0", 3, 2, [3, 3], strides=[2, 2], **PADS)
    parted = equal(b.model("t0", "t1"), spatial(["n0", "n1"], [1, 3]))
    assert [parted.network.tensors[t].shape[2] for t in ("t1#0", "t1#1")] == [3, 9]
    sized = equal(b.model("t0", "t1"), spatial(["n0", "n1"], [3, 9], unit="size"))
    assert [sized.network.tensors[t].shape[2] for t in ("t1#0", "t1#1")] == [3, 9]


def test_before_an_exchange_no_halo_is_computed() -> None:
    parted = equal(chain().model(), spatial(["n0", "n1", "n2"], [1, 1], exchange_before=["n1", "n2"]))
    assert {parted.network.tensors[f"t{i}#{part}"].shape[2] for i in range(3) for part in range(2)} == {12}
    home = {stage.name: stage.device for stage in parted.graph.stages}
    between = [c for c in parted.graph.cuts if home.get(c.producer, "d0") != home.get(c.consumer, "d0")]
    carried = {tensor for cut in between for tensor in cut.tensors}
    halos = [parted.network.tensors[t].shape[2] for t in carried if t.startswith(("t0", "t1"))]
    assert halos == [1, 1, 1, 1], "one row each way, before each of two layers"


@pytest.mark.parametrize("kind", ["instance normalisation", "softmax", "align_corners", "unknown operator"])
def test_a_layer_that_needs_the_whole_map_is_whole_on_the_first_device(kind: str) -> None:
    b = Builder((1, 3, 24, 20))
    b.conv(None, 3, 3, [3, 3], **PADS)
    if kind == "instance normalisation":
        b.add("InstanceNormalization", None, b.random(3), b.random(3))
    elif kind == "softmax":
        b.add("Softmax", axis=2)
    elif kind == "align_corners":
        coordinates = {"coordinate_transformation_mode": "align_corners"}
        b.add("Resize", None, "", b.const([1, 1, 2, 2]), mode="linear", **coordinates)
    else:
        b.add("CumSum", None, b.const(2, "int64"))
    b.conv(None, 3, 3, [3, 3], **PADS)
    network = b.model()
    parted = equal(network, spatial(["n0", "n1", "n2"], [1, 1]))
    assert copies(parted, "n1") == []
    assert len(copies(parted, "n0")) == len(copies(parted, "n2")) == 2
    assert parted.division.devices["n1"] == "d0"


def test_softmax_over_columns_is_divided_into_rows() -> None:
    b = Builder((1, 3, 24, 20))
    b.add("Softmax", axis=-1)
    assert len(copies(equal(b.model(), spatial(["n0"], [1, 1])), "n0")) == 2


@pytest.mark.parametrize("flat", [False, True])
def test_tiling_goes_on_around_squeeze_and_excitation(flat: bool) -> None:
    b = Builder((1, 3, 24, 20))
    root = b.conv(None, 3, 4, [3, 3], **PADS)
    b.add("GlobalAveragePool")
    if flat:
        b.add("Flatten")
        b.add("Gemm", None, b.random(4, 4))
        b.add("Reshape", None, b.const([1, 4, 1, 1], "int64"))
    b.conv(None, 4, 4, [1, 1])
    b.add("Sigmoid")
    b.add("Mul", [root, b.last])
    b.conv(None, 4, 2, [3, 3], **PADS)
    parted = equal(b.model(), spatial(b.names, [1, 2], [1, 1]))
    assert len(copies(parted, b.names[0])) == len(copies(parted, b.names[-1])) == 4
    assert copies(parted, "n1") == []


def test_a_run_may_end_in_a_global_pool() -> None:
    b = chain(1)
    b.add("GlobalMaxPool")
    parted = equal(b.model(), spatial(["n0", "n1"], [1, 1]))
    assert len(copies(parted, "n0")) == 2


def test_parts_are_divided_again() -> None:
    b = chain(2)
    model = b.model()
    rows = spatial(["n0", "n1"], [1, 1])
    again = spatial(["n0#1", "n1#1"], columns=[1, 1])
    parted = equal(model, rows, again)
    assert {"n0#0", "n0#1#0", "n1#1#1"} <= set(parted.network.layers_by_name)
    origin = parted.division.origins["t1#1#1"]
    assert [(cut.axis, cut.start, cut.stop) for cut in origin.ranges] == [(2, 12, 24), (3, 10, 20)]


def test_tiles_of_a_channel_shard_equal_their_pieces() -> None:
    filters = OutputChannelSharding(layers=["n0"], devices=["a", "b"])
    parted = equal(chain(2).model(), filters, spatial(["n0#0"], [1, 1]))
    origin = parted.division.origins["t0#0#1"]
    assert [cut.axis for cut in origin.ranges] == [1, 2]


def test_the_same_division_makes_the_same_names() -> None:
    sharding = spatial(["n0", "n1", "n2"], [1, 2], [1, 1], exchange_before=["n2"])
    one, other = (equal(chain().model(), sharding) for _ in range(2))
    assert [node.SerializeToString() for node in one.network.nodes] == [
        node.SerializeToString() for node in other.network.nodes
    ]


@pytest.mark.parametrize("operator", ["Flatten", "Reshape", "Gemm", "GlobalAveragePool and Flatten"])
def test_a_run_that_ends_in_no_map_is_refused_by_name(operator: str) -> None:
    b = chain(1)
    if operator.startswith("Global"):
        b.add("GlobalAveragePool")
    if operator == "Reshape":
        b.add("Reshape", None, b.const([1, -1], "int64"), name="flat")
    else:
        b.add("Flatten", name="flat")
    if operator == "Gemm":
        b.add("Gemm", None, b.random(3 * 24 * 20, 2))
    error = refusal(b, spatial(b.names, [1, 1]))
    assert error.details["layer"] == "flat"
    assert "cannot cross the" in error.message
    assert "before 'flat'" in error.next_step


def test_more_parts_than_rows_are_refused_with_the_most_that_work() -> None:
    b = Builder((1, 3, 3, 30))
    b.conv(None, 3, 3, [1, 1])
    error = refusal(b, spatial(["n0"], [1, 1, 1, 1]))
    assert (error.details["layer"], error.details["most_parts"]) == ("n0", 3)
    assert "at most 3" in error.next_step


def test_a_halo_that_swallows_the_tile_is_refused_with_the_most_that_work() -> None:
    b = chain(9, (1, 3, 20, 20))
    error = refusal(b, spatial(b.names, [1, 1, 1]))
    assert "swallows" in error.message
    assert (error.details["most_parts"], "into 2 equal rows" in error.next_step) == (2, True)
    equal(b.model(), spatial(b.names, [1, 1]))


def test_unequal_shares_that_a_halo_swallows_are_refused_with_equal_ones_that_work() -> None:
    b = chain(6, (1, 3, 20, 20))
    error = refusal(b, spatial(b.names, [1, 9]))
    assert "into 2 equal rows" in error.next_step
    equal(b.model(), spatial(b.names, [1, 1]))


def test_a_run_whose_halo_swallows_any_tile_should_be_shorter_or_exchange() -> None:
    b = chain(8, (1, 3, 8, 20))
    error = refusal(b, spatial(b.names, [1, 1]))
    assert error.next_step.startswith("Divide fewer layers at once, or exchange halos")
    equal(b.model(), spatial(b.names, [1, 1], exchange_before=b.names[1:]))


@pytest.mark.parametrize(
    ("sharding", "words"),
    [
        (spatial(["n0"], [10, 13], unit="size"), "sum to 23 rows; it has 24"),
        (spatial(["n0"], [10.5, 13.5], unit="size"), "whole numbers of rows"),
        (spatial(["n0", "n1"], [1, 1], exchange_before=["n2"]), "'n2', which is no layer of the run"),
        (spatial(["n0", "n7"], [1, 1]), "no layer 'n7'"),
        (spatial(["n0", "n2"], [1, 1]), "not connected"),
    ],
)
def test_a_wrong_entry_is_refused_by_name(sharding: Any, words: str) -> None:
    assert words in refusal(chain(), sharding).message


def test_a_layer_that_cannot_be_tiled_alone_is_refused_with_the_reason() -> None:
    b = Builder()
    b.add("InstanceNormalization", None, b.random(3), b.random(3))
    assert "'n0' (InstanceNormalization) cannot be divided into tiles" in refusal(b, spatial(["n0"], [1, 1])).message


def test_a_map_of_three_dimensions_is_refused() -> None:
    b = Builder((1, 2, 6, 6, 6))
    b.conv(None, 2, 2, [1, 1, 1])
    assert "a map of 3 dimensions" in refusal(b, spatial(["n0"], [1, 1])).message


def test_a_map_of_one_dimension_has_rows_only() -> None:
    b = Builder((1, 2, 30))
    b.conv(None, 2, 2, [3])
    assert len(copies(equal(b.model(), spatial(["n0"], [1, 2])), "n0")) == 2
    assert "rows only" in refusal(b, spatial(["n0"], columns=[1, 1])).message


def test_a_run_without_a_map_is_refused() -> None:
    b = Builder((1, 8))
    b.add("Relu")
    assert "no map of rows and columns" in refusal(b, spatial(["n0"], [1, 1])).message
