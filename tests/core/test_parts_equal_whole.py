"""The one promise: whatever the placement, the parts give the same answer as the whole."""

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from partition_studio.graph.frames import random_frame
from partition_studio.graph.network import Network
from partition_studio.graph.walk import node_reads
from partition_studio.partition.extract import extract, submodels
from partition_studio.partition.partition import partition
from partition_studio.partition.stages import SINK, SOURCE, TURNS
from partition_studio.partition.verify import PartNotRunnableError, PartsDifferError, verify

from .networks import cnn_models, load, load_both, plan_for, random_plan, relu_chain

relaxed = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@relaxed
@given(model=cnn_models(), devices=st.integers(1, 5), seed=st.integers(0, 10**6))
def test_parts_of_a_random_cnn_placed_at_random_equal_the_whole(
    model: onnx.ModelProto, devices: int, seed: int
) -> None:
    network, original = load_both(model)
    parted = partition(network, random_plan(network, devices, seed))
    graph = parted.graph
    parts = {name: part.data for name, part in submodels(network, graph).items()}
    result = verify(original, parted, parts, random_frame(network.inputs, seed))
    assert {d.tensor for d in result.per_tensor} >= set(network.outputs)
    assert result.first_difference is None


@relaxed
@given(model=cnn_models(), devices=st.integers(1, 5), seed=st.integers(0, 10**6))
def test_stages_of_a_random_placement_are_sound(model: onnx.ModelProto, devices: int, seed: int) -> None:
    network = load(model)
    plan = random_plan(network, devices, seed)
    parted = partition(network, plan)
    graph = parted.graph
    assert sorted(name for stage in graph.stages for name in stage.layers) == sorted(plan.placement)
    for stage in graph.stages:
        assert {plan.placement[name] for name in stage.layers} == {stage.device}
        _check_submodel(network, extract(network, stage), stage.inputs, stage.outputs)
    order = {SOURCE: -1, **{name: index for index, name in enumerate(graph.order)}, SINK: len(graph.stages)}
    assert all(order[cut.producer] < order[cut.consumer] for cut in graph.cuts), "cuts lead forward: no circle"
    for stage in graph.stages:
        received = [tensor for cut in graph.cuts if cut.consumer == stage.name for tensor in cut.tensors]
        assert sorted(received) == sorted(stage.inputs), "each input comes once"
        assert received, "a stage without inputs would never fire"
    delivered = [tensor for cut in graph.cuts if cut.consumer == SINK for tensor in cut.tensors]
    assert sorted(delivered) == sorted(network.outputs)


def _check_submodel(
    network: Network, model: onnx.ModelProto, inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> None:
    onnx.checker.check_model(model, full_check=True)
    reads = {name for node in model.graph.node for name in node_reads(node)}
    weights = {tensor.name for tensor in model.graph.initializer}
    assert weights <= reads, "no unused weight"
    assert set(inputs) <= reads, "no unused input"
    available = weights | set(inputs) | {name for node in model.graph.node for name in node.output}
    assert reads <= available and set(outputs) <= available, "nothing lacks"
    assert model.ir_version >= 4
    assert {v.name for v in model.graph.value_info} | set(inputs) | set(outputs) >= available - weights


@settings(deadline=None, max_examples=15)
@given(model=cnn_models(), seed=st.integers(0, 10**6))
def test_the_same_stage_is_always_the_same_bytes(model: onnx.ModelProto, seed: int) -> None:
    network, again = load(model), load(model)
    first = submodels(network, partition(network, random_plan(network, 3, seed)).graph)
    second = submodels(again, partition(again, random_plan(again, 3, seed)).graph)
    assert {name: part.digest for name, part in first.items()} == {n: part.digest for n, part in second.items()}


@settings(deadline=None, max_examples=30)
@given(model=cnn_models(), devices=st.integers(2, 4), seed=st.integers(0, 10**6))
def test_a_window_holds_the_longest_way_around_a_cut(model: onnx.ModelProto, devices: int, seed: int) -> None:
    network = load(model)
    parted = partition(network, random_plan(network, devices, seed))
    graph = parted.graph

    def longest(start: str, end: str) -> int:
        if start == end:
            return 0
        steps = [longest(cut.consumer, end) for cut in graph.cuts if cut.producer == start]
        return max((count + 1 for count in steps if count >= 0), default=-1)

    several = {stage.name for stage in graph.stages if len(graph.on(stage.device)) > 1}
    for cut in graph.cuts[:6]:
        turns = TURNS if several & {cut.producer, cut.consumer} else 0
        assert graph.window(cut) == longest(cut.producer, cut.consumer) + 1 + turns


def test_a_damaged_part_is_noticed_and_its_tensor_named() -> None:
    network, original = load_both(relu_chain(4))
    parted = partition(network, plan_for(network, {"l0": "a", "l1": "b", "l2": "a", "l3": "b"}))
    graph = parted.graph
    parts = {name: part.data for name, part in submodels(network, graph).items()}
    damaged = onnx.ModelProto.FromString(parts["b-0"])
    damaged.graph.node[0].op_type = "Sigmoid"
    parts["b-0"] = damaged.SerializeToString()
    result = verify(original, parted, parts, random_frame(network.inputs, 1))
    assert not result.ok
    assert result.max_rel > result.tolerance
    with pytest.raises(PartsDifferError, match=r"'t1' of the stage 'b-0'"):
        result.require_equal()


def test_a_part_that_cannot_run_is_named() -> None:
    network, original = load_both(relu_chain(2))
    parted = partition(network, plan_for(network, {"l0": "a", "l1": "b"}))
    graph = parted.graph
    parts = {name: part.data for name, part in submodels(network, graph).items()}
    with pytest.raises(PartNotRunnableError, match="'b-0'"):
        verify(original, parted, {**parts, "b-0": parts["b-0"][:-20]}, random_frame(network.inputs, 1))


def test_equal_parts_differ_by_exactly_nothing() -> None:
    network, original = load_both(relu_chain(3))
    parted = partition(network, plan_for(network, {"l0": "a", "l1": "b", "l2": "c"}))
    graph = parted.graph
    parts = {name: part.data for name, part in submodels(network, graph).items()}
    seen: list[str] = []
    result = verify(original, parted, parts, random_frame(network.inputs, 1), on_stage=seen.append)
    assert (result.ok, result.max_abs, result.max_rel) == (True, 0.0, 0.0)
    assert [d.tensor for d in result.per_tensor] == ["t0", "t1", "y"]
    assert seen == ["a-0", "b-0", "c-0"]


def test_a_weight_that_two_stages_share_is_in_both() -> None:
    model = relu_chain(2)
    for node in model.graph.node:
        node.op_type = "Mul"
        node.input.append("w")
    model.graph.initializer.append(numpy_helper.from_array(numpy_helper.to_array(_scalar(1.5)), name="w"))
    network, original = load_both(model)
    parted = partition(network, plan_for(network, {"l0": "a", "l1": "b"}))
    graph = parted.graph
    for stage in graph.stages:
        assert [t.name for t in extract(network, stage).graph.initializer] == ["w"]
    parts = {name: part.data for name, part in submodels(network, graph).items()}
    assert verify(original, parted, parts, random_frame(network.inputs, 1)).max_abs == 0.0


def _scalar(number: float) -> onnx.TensorProto:
    return onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [], [number])
