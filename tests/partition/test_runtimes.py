"""Sub-models are written for the oldest runtime of a deployment, or refused before anything is sent."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from partition_studio.graph.load import load_network
from partition_studio.graph.network import Network
from partition_studio.graph.runtime import run_model
from partition_studio.partition.partition import Partition, partition
from partition_studio.partition.plan import NetworkRef, Plan
from partition_studio.partition.runtimes import (
    RuntimeLimits,
    RuntimeTooOldError,
    for_runtimes,
    limits_of,
    lowered,
    newest_opset,
    requirements_of,
)
from partition_studio.partition.submodel import SubModel, submodels
from tests.core.networks import make_model, value, weight

OLD, MIDDLE, NEW = "1.19.2", "1.23.2", "1.31.1"


def conv_net(opset: int, ir: int, extra: Sequence[onnx.NodeProto] = ()) -> onnx.ModelProto:
    """`x -> Conv -> Relu -> [extra: r -> y] `; without more, Relu makes y."""
    generator = np.random.default_rng(7)
    last = [helper.make_node("Relu", ["c"], ["r" if extra else "y"], name="relu"), *extra]
    return make_model(
        [helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]), *last],
        [value("x", (1, 3, 8, 8))],
        [value("y", None)],
        [weight("w", generator.standard_normal((4, 3, 3, 3)).astype(np.float32))],
        opset=opset,
        ir=ir,
    )


def parted(tmp_path: Path, model: onnx.ModelProto, placement: dict[str, str]) -> Partition:
    path = tmp_path / "net.onnx"
    onnx.save(model, path)
    network: Network = load_network(path)
    plan = Plan(version=2, network=NetworkRef(sha256=network.digest, name=network.name), placement=placement)
    return partition(network, plan)


@pytest.mark.parametrize(
    ("version", "opset", "ir"),
    [
        ("1.19.2", 21, 10),
        ("1.20.1", 21, 10),
        ("1.21.0", 22, 10),
        ("1.22.1", 22, 10),
        ("1.23.2", 23, 11),
        ("1.24.3", 25, 13),
        ("1.31.1", 26, 13),
        ("1.99.0+board", 26, 13),
    ],
)
def test_each_runtime_accepts_what_was_found_by_loading_models_in_it(version: str, opset: int, ir: int) -> None:
    limits = limits_of(version)
    assert limits is not None
    assert (limits.opset, limits.ir_version) == (opset, ir)


@pytest.mark.parametrize("version", ["", "nightly", "1.10.0", "-1.5"])
def test_of_an_unknown_runtime_nothing_is_claimed(version: str) -> None:
    assert limits_of(version) is None


def loads(opset: int, ir: int) -> bool:
    try:
        onnxruntime.InferenceSession(conv_net(opset, ir).SerializeToString(), providers=["CPUExecutionProvider"])
    except Exception:  # Boundary: the runtime raises errors of many types, all of which mean no.
        return False
    return True


def test_the_table_is_right_for_the_runtime_that_is_installed_here() -> None:
    limits = limits_of(onnxruntime.__version__)
    assert limits is not None
    assert loads(limits.opset, limits.ir_version)
    assert not loads(limits.opset + 1, limits.ir_version)
    assert not loads(limits.opset, limits.ir_version + 1)


def test_what_every_runtime_takes_is_sent_as_it_is(tmp_path: Path) -> None:
    whole = parted(tmp_path, conv_net(17, 8), {"conv": "a", "relu": "b"})
    parts = submodels(whole.network, whole.graph, annotated=False)
    assert for_runtimes(parts, whole.graph, {"a": OLD, "b": NEW}) is parts


def test_of_unknown_runtimes_nothing_is_changed(tmp_path: Path) -> None:
    whole = parted(tmp_path, conv_net(24, 11), {"conv": "a", "relu": "b"})
    parts = submodels(whole.network, whole.graph, annotated=False)
    assert for_runtimes(parts, whole.graph, {"a": "", "b": ""}) is parts


def test_all_parts_are_written_for_the_oldest_runtime_and_give_the_same_answer(tmp_path: Path) -> None:
    model = conv_net(24, 11)
    whole = parted(tmp_path, model, {"conv": "old", "relu": "new"})
    parts = submodels(whole.network, whole.graph, annotated=False)
    assert {(need.opset, need.ir_version) for need in requirements_of(parts).values()} == {(24, 11)}
    written = for_runtimes(parts, whole.graph, {"old": OLD, "new": NEW})
    assert {(need.opset, need.ir_version) for need in requirements_of(written).values()} == {(21, 10)}
    # What was there is as it was: others may use it.
    assert {need.opset for need in requirements_of(parts).values()} == {24}
    assert all(written[name].digest != parts[name].digest for name in parts)
    frame = {"x": np.random.default_rng(1).standard_normal((1, 3, 8, 8)).astype(np.float32)}
    values = dict(frame)
    for stage in whole.graph.stages:
        part = onnx.load_from_string(written[stage.name].data)
        onnx.checker.check_model(part)
        values.update(run_model(part, {name: values[name] for name in stage.inputs}))
    assert np.array_equal(values["y"], run_model(model, frame)["y"])


def test_a_layer_that_came_later_is_refused_by_name_with_its_device_and_what_to_do(tmp_path: Path) -> None:
    swish = helper.make_node("Swish", ["r"], ["y"], name="act")
    whole = parted(tmp_path, conv_net(24, 11, [swish]), {"conv": "pi", "relu": "pi", "act": "pi"})
    parts = submodels(whole.network, whole.graph, annotated=False)
    with pytest.raises(RuntimeTooOldError) as caught:
        for_runtimes(parts, whole.graph, {"pi": OLD})
    for word in ("'act'", "Swish", "opset 24", "pi", OLD, "opset 21"):
        assert word in caught.value.message
    assert "opset 21 or lower" in caught.value.next_step
    assert caught.value.details["layer"] == "act"
    assert caught.value.details["device"] == "pi"


def test_a_layer_that_came_later_may_lie_on_a_device_that_has_it(tmp_path: Path) -> None:
    swish = helper.make_node("Swish", ["r"], ["y"], name="act")
    whole = parted(tmp_path, conv_net(24, 11, [swish]), {"conv": "pi", "relu": "pi", "act": "pc"})
    parts = submodels(whole.network, whole.graph, annotated=False)
    written = for_runtimes(parts, whole.graph, {"pi": OLD, "pc": NEW})
    by_device = {whole.graph.device_of(name): need for name, need in requirements_of(written).items()}
    assert (by_device["pi"].opset, by_device["pc"].opset) == (21, 24)


def one_part(nodes: Sequence[onnx.NodeProto], opset: int, out: int = TensorProto.FLOAT) -> SubModel:
    """A sub-model as it is cut: with the type of every tensor."""
    model = make_model(nodes, [value("x", (1, 3))], [value("y", (1, 3), out)], opset=opset, ir=10)
    return SubModel("pi-0", onnx.shape_inference.infer_shapes(model), ())


def old_limits() -> RuntimeLimits:
    limits = limits_of(OLD)
    assert limits is not None
    return limits


def test_an_attribute_that_says_what_is_so_anyway_is_left_out() -> None:
    cast = helper.make_node("Cast", ["x"], ["y"], name="cast", to=TensorProto.FLOAT16, round_mode="up", saturate=1)
    written = lowered(one_part([cast], 24, TensorProto.FLOAT16), old_limits(), "pi")
    (node,) = written.model.graph.node
    assert {attribute.name for attribute in node.attribute} == {"to", "saturate"}
    onnx.checker.check_model(written.model)


def test_an_attribute_that_the_older_operator_has_not_is_a_reason() -> None:
    cast = helper.make_node("Cast", ["x"], ["y"], name="cast", to=TensorProto.FLOAT16, round_mode="down")
    with pytest.raises(RuntimeTooOldError, match="it has no attribute 'round_mode'"):
        lowered(one_part([cast], 24, TensorProto.FLOAT16), old_limits(), "pi")


def test_a_type_that_the_older_operator_does_not_take_is_a_reason() -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["b"], name="in", to=TensorProto.BFLOAT16),
        helper.make_node("Elu", ["b"], ["c"], name="elu"),
        helper.make_node("Cast", ["c"], ["y"], name="out", to=TensorProto.FLOAT),
    ]
    with pytest.raises(RuntimeTooOldError, match=r"'elu' \(Elu\).*takes no bfloat16"):
        lowered(one_part(nodes, 22), old_limits(), "pi")


def test_layers_inside_of_branches_are_lowered_and_refused_too() -> None:
    def chosen(operator: str) -> SubModel:
        inner = helper.make_graph(
            [helper.make_node(operator, ["x"], ["z"], name="inner")], "branch", [], [value("z", (1, 3))]
        )
        branch = helper.make_node("If", ["is"], ["y"], name="if", then_branch=inner, else_branch=inner)
        constant = helper.make_node("Constant", [], ["is"], value=weight("is", np.array(True)))
        return one_part([constant, branch], 24)

    onnx.checker.check_model(lowered(chosen("Elu"), old_limits(), "pi").model)
    with pytest.raises(RuntimeTooOldError, match="'inner'"):
        lowered(chosen("Swish"), old_limits(), "pi")


def test_an_element_type_that_needs_a_newer_file_format_is_a_reason() -> None:
    part = one_part([helper.make_node("Relu", ["x"], ["y"], name="relu")], 24)
    part.model.ir_version = 13
    part.model.graph.value_info.append(value("packed", (1, 3), TensorProto.INT2))
    with pytest.raises(RuntimeTooOldError, match=r"'packed'.*IR version 13"):
        lowered(part, old_limits(), "pi")


def untyped(nodes: Sequence[onnx.NodeProto], opset: int, ir: int = 10, domains: Sequence[str] = ()) -> SubModel:
    """A sub-model that tells the types of nothing within."""
    model = make_model(nodes, [value("x", (2,))], [value("y", (2,))], opset=opset, ir=ir)
    model.opset_import.extend(helper.make_opsetid(domain, 1) for domain in domains)
    return SubModel("pi-0", model, ())


def test_types_that_are_not_told_are_inferred() -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["t"], name="in", to=TensorProto.BFLOAT16),
        helper.make_node("HardSwish", ["t"], ["u"], name="act"),
        helper.make_node("Cast", ["u"], ["y"], name="out", to=TensorProto.FLOAT),
    ]
    with pytest.raises(RuntimeTooOldError, match=r"'act' \(HardSwish\).*takes no bfloat16"):
        lowered(untyped(nodes, 22), old_limits(), "pi")


@pytest.mark.parametrize("how", ["cast", "constant"])
def test_an_element_type_within_that_needs_a_newer_file_format_is_a_reason(how: str) -> None:
    made = (
        helper.make_node("Cast", ["x"], ["t"], to=TensorProto.FLOAT4E2M1)
        if how == "cast"
        else helper.make_node(
            "Constant", [], ["t"], value=helper.make_tensor("v", TensorProto.FLOAT4E2M1, [2], [1.0, 1.0])
        )
    )
    nodes = [made, helper.make_node("Cast", ["t"], ["y"], to=TensorProto.FLOAT)]
    with pytest.raises(RuntimeTooOldError, match=r"'t'.*IR version 11"):
        lowered(untyped(nodes, 23, 11), old_limits(), "pi")


def test_a_type_that_nobody_can_know_is_refused_where_it_matters_and_only_there() -> None:
    def after(operator: str) -> SubModel:
        nodes = [
            helper.make_node("Own", ["x"], ["t"], domain="mine"),
            helper.make_node(operator, ["t"], ["y"], name="next"),
        ]
        return untyped(nodes, 22, domains=["mine"])

    assert lowered(after("Relu"), old_limits(), "pi").model.opset_import[0].version == 21
    with pytest.raises(RuntimeTooOldError, match="type of 't' is not known"):
        lowered(after("HardSwish"), old_limits(), "pi")


def test_tensors_of_one_name_in_two_branches_have_types_of_their_own() -> None:
    def branch(kind: int, operator: str) -> onnx.GraphProto:
        nodes = [
            helper.make_node("Cast", ["x"], ["t"], to=kind),
            helper.make_node(operator, ["t"], ["u"], name=operator.lower()),
            helper.make_node("Cast", ["u"], ["z"], to=TensorProto.FLOAT),
        ]
        return helper.make_graph(nodes, "branch", [], [value("z", (2,))])

    def chosen(one: onnx.GraphProto, other: onnx.GraphProto) -> SubModel:
        constant = helper.make_node("Constant", [], ["is"], value=weight("is", np.array(True)))
        node = helper.make_node("If", ["is"], ["y"], name="if", then_branch=one, else_branch=other)
        return untyped([constant, node], 22)

    brief, plain = branch(TensorProto.BFLOAT16, "Relu"), branch(TensorProto.FLOAT16, "HardSwish")
    for pair in ((brief, plain), (plain, brief)):
        onnx.checker.check_model(lowered(chosen(*pair), old_limits(), "pi").model, full_check=True)
    with pytest.raises(RuntimeTooOldError, match="takes no bfloat16"):
        lowered(chosen(plain, branch(TensorProto.BFLOAT16, "HardSwish")), old_limits(), "pi")


def test_a_function_of_another_opset_is_a_reason() -> None:
    part = untyped([helper.make_node("F", ["x"], ["y"], domain="mine")], 24, domains=["mine"])
    inner = helper.make_node("Swish", ["a"], ["b"])
    part.model.functions.append(helper.make_function("mine", "F", ["a"], ["b"], [inner], [helper.make_opsetid("", 24)]))
    with pytest.raises(RuntimeTooOldError, match="function 'F'"):
        lowered(part, old_limits(), "pi")


def test_every_operator_of_a_newer_opset_is_either_lowered_or_told_apart() -> None:
    """No operator between the oldest and the newest runtime changed its meaning without a changed signature."""
    oldest = limits_of(OLD)
    assert oldest is not None
    changed = set()
    for opset in range(oldest.opset + 1, newest_opset() + 1):
        for schema in onnx.defs.get_all_schemas_with_history():
            if schema.domain or schema.since_version != opset:
                continue
            try:
                before = onnx.defs.get_schema(schema.name, opset - 1, "")
            except onnx.defs.SchemaError:
                continue
            if (before.min_input, before.max_input, before.min_output, before.max_output) != (
                schema.min_input,
                schema.max_input,
                schema.min_output,
                schema.max_output,
            ):
                changed.add(schema.name)
            assert set(before.attributes) <= set(schema.attributes), schema.name
    assert changed <= {"Attention"}
