"""The form of a network: simplified where that is equal, with sizes for its free dimensions, and changed later."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from partition_studio.errors import StudioError
from partition_studio.partition.plan import NetworkRef, Plan
from partition_studio.schemas import (
    DeploymentIn,
    DeploymentOut,
    DeviceIn,
    DeviceOut,
    ModelChangeIn,
    ModelOut,
    ModelSummaryOut,
    PlanReportOut,
)
from partition_studio.store.tables import ModelRow
from tests.cli.conftest import call
from tests.studio import RunningStudio, wait_for

PLAIN = ["conv", "bn", "relu", "again", "add"]
SIMPLIFIED = ["conv", "relu", "again", "add"]


def network(height: int | str = 8) -> bytes:
    """A convolution with its normalisation, then a residual block; the height may be free."""
    node = helper.make_node
    generator = np.random.default_rng(0)
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c", "s", "b", "m", "v"], ["n"], name="bn"),
        node("Relu", ["n"], ["r"], name="relu"),
        node("Conv", ["r", "k"], ["a"], name="again", pads=[1, 1, 1, 1]),
        node("Add", ["a", "r"], ["y"], name="add"),
    ]
    arrays = {"w": generator.standard_normal((4, 3, 3, 3)), "k": generator.standard_normal((4, 4, 3, 3))}
    arrays.update({name: generator.uniform(0.5, 1.5, 4) for name in "sbmv"})
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, height, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4, height, 8])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def add(studio: RunningStudio, data: bytes | None = None, **fields: str) -> ModelSummaryOut:
    files = [("file", ("net.onnx", data or network()))]
    return studio.client.post_form("/api/models", ModelSummaryOut, fields, files)


def change(studio: RunningStudio, model: ModelSummaryOut, simplified: bool) -> ModelSummaryOut:
    body = ModelChangeIn(simplified=simplified)
    return studio.client.patch(f"/api/models/{model.id}", ModelSummaryOut, body)


def layers(studio: RunningStudio, model: ModelSummaryOut) -> list[str]:
    return [layer.name for layer in studio.client.get(f"/api/models/{model.id}", ModelOut).layers]


def plan_of(studio: RunningStudio, model: ModelSummaryOut) -> Plan:
    network = studio.services.models.network(model.id)
    return Plan(network=NetworkRef.of(network), placement={layer.name: "a" for layer in network.layers})


def check(studio: RunningStudio, model: ModelSummaryOut, plan: Plan) -> dict[str, str | None]:
    report = studio.client.post(f"/api/models/{model.id}/plans/check", PlanReportOut, plan)
    return {problem.code: problem.next_step for problem in report.problems}


def code_of(act: Any, *arguments: Any, **fields: Any) -> str:
    with pytest.raises(StudioError) as caught:
        act(*arguments, **fields)
    return caught.value.code


def test_a_network_is_used_simplified_where_that_is_equal(studio: RunningStudio) -> None:
    model = add(studio)
    assert (model.simplified, model.simplifiable, model.layer_count) == (True, True, 4)
    assert model.simplification.startswith("1 of 5 layers falls away")
    shown = studio.client.get(f"/api/models/{model.id}", ModelOut)
    assert [layer.name for layer in shown.layers] == SIMPLIFIED
    assert [(block.kind, block.layers, block.parent) for block in shown.blocks] == [
        ("residual", ["again", "add"], None)
    ]


def test_where_nothing_can_be_gained_the_network_stays_as_it_is(studio: RunningStudio) -> None:
    model = studio.client.post("/api/examples/digits", ModelSummaryOut)
    assert (model.simplified, model.simplifiable) == (False, False)
    assert model.simplification == "There is nothing to simplify."
    assert code_of(change, studio, model, True) == "not_simplifiable"
    # Refused as a whole: the name that comes with it is not taken either.
    body = ModelChangeIn(simplified=True, name="Other")
    assert code_of(studio.client.patch, f"/api/models/{model.id}", ModelSummaryOut, body) == "not_simplifiable"
    assert change(studio, model, False) == model


def test_a_network_is_left_as_it_is_when_asked_and_tried_later(studio: RunningStudio) -> None:
    model = add(studio, simplify="false")
    assert (model.simplified, model.simplifiable, model.simplification) == (False, True, "")
    assert layers(studio, model) == PLAIN
    changed = change(studio, model, True)
    assert (changed.simplified, changed.layer_count) == (True, 4)
    assert changed.simplification
    assert layers(studio, model) == SIMPLIFIED
    back = change(studio, model, False)
    assert (back.simplified, back.simplifiable, back.layer_count) == (False, True, 5)
    assert layers(studio, model) == PLAIN


def test_a_plan_of_the_other_form_is_refused_with_what_to_do(studio: RunningStudio) -> None:
    model = add(studio)
    plan = plan_of(studio, model)
    assert "other_form" not in check(studio, model, plan)
    change(studio, model, False)
    assert "model simplify" in (check(studio, model, plan)["other_form"] or "")


def test_sizes_of_free_dimensions_are_given_and_kept(studio: RunningStudio) -> None:
    data = network(height="H")
    assert code_of(add, studio, data) == "unbound_dimension"
    assert code_of(add, studio, data, dims=json.dumps({"H": 0})) == "bad_request"
    assert code_of(add, studio, data, dims="no JSON") == "bad_request"
    assert code_of(add, studio, data, dims=json.dumps({"H": 6, "Z": 2})) == "unknown_dimension"
    model = add(studio, data, dims=json.dumps({"H": 6, "N": 2}))
    assert model.dims == {"H": 6, "N": 2}
    assert model.inputs[0].shape == [2, 3, 6, 8]
    assert model.simplified
    assert plan_of(studio, model).network.dims == {"H": 6, "N": 2}


def test_a_network_of_before_simplification_is_as_in_its_file(studio: RunningStudio) -> None:
    model = add(studio, simplify="false")
    with studio.services.models._database.session() as session, session.begin():
        row = session.get(ModelRow, model.id)
        assert row is not None
        new = {"simplified", "simplifiable", "simplification", "dims"}
        row.summary = {key: fact for key, fact in row.summary.items() if key not in new}
    assert studio.client.get(f"/api/models/{model.id}", ModelOut).simplified is False
    assert change(studio, model, True).simplified


def test_what_a_deployment_runs_keeps_its_form_and_gives_the_files_answer(studio: RunningStudio) -> None:
    model = add(studio, network(height="H"), dims=json.dumps({"H": 6}))
    studio.client.post("/api/devices", DeviceOut, DeviceIn(name="a", address="local:"))
    deployment = studio.client.post(
        "/api/deployments", DeploymentOut, DeploymentIn(model_id=model.id, plan=plan_of(studio, model))
    )

    def settled() -> DeploymentOut | None:
        now = studio.client.get(f"/api/deployments/{deployment.id}", DeploymentOut)
        return None if now.state == "deploying" else now

    # Running means that one frame was compared with the network as it is in the file.
    assert wait_for(settled, what="the deployment").state == "running"
    assert code_of(change, studio, model, False) == "model_busy"
    studio.client.post(f"/api/deployments/{deployment.id}/stop", DeploymentOut)
    wait_for(
        lambda: studio.client.get(f"/api/deployments/{deployment.id}", DeploymentOut).state == "stopped" or None,
        what="the stop",
    )
    assert change(studio, model, False).simplified is False


def test_the_command_line_says_and_changes_the_form(studio: RunningStudio, tmp_path: Path) -> None:
    env = {"PARTITION_STUDIO_URL": studio.url, "PARTITION_STUDIO_TOKEN": studio.token}
    path = tmp_path / "net.onnx"
    path.write_bytes(network(height="H"))
    assert call("model", "add", path, "--dim", "H", env=env).code == 2
    added = call("model", "add", path, "--no-simplify", "--dim", "H=6", "--json", env=env).document
    assert (added["simplified"], added["dims"]) == (False, {"H": 6})
    assert call("model", "simplify", "net", "--json", env=env).document["simplified"] is True
    shown = call("model", "show", "net", env=env).out
    assert "simplified" in shown and "residual1" in shown and "H = 6" in shown
    assert call("model", "simplify", "net", "--undo", "--json", env=env).document["simplified"] is False
