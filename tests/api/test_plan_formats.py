"""Plans from and for other tools, and divided layers, over REST."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from partition_studio.errors import StudioError
from partition_studio.partition.plan import OutputChannelSharding, Plan, SpatialSharding
from partition_studio.schemas import (
    AutodiceIn,
    AutodiceOut,
    CutListIn,
    ImportedPlanOut,
    ModelOut,
    ModelSummaryOut,
    PlacementMapIn,
    PlanReportOut,
    ShardIn,
)
from tests.studio import RunningStudio


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    folder: Path = tmp_path_factory.mktemp("studio")
    with RunningStudio(folder) as running:
        yield running


@pytest.fixture(scope="module")
def model(studio: RunningStudio) -> ModelOut:
    added = studio.client.post("/api/examples/digits", ModelSummaryOut)
    return studio.client.get(f"/api/models/{added.id}", ModelOut)


def names(model: ModelOut) -> list[str]:
    """Return AutoDiCE's names of the layers."""
    return [layer.outputs[0].replace("/", "_") for layer in model.layers]


def half(model: ModelOut) -> dict[str, list[str]]:
    everything = names(model)
    return {"nx01_arm0123": everything[:6], "nx02": everything[6:]}


def autodice(studio: RunningStudio, model: ModelOut, **fields: object) -> ImportedPlanOut:
    request = AutodiceIn.model_validate({"mapping": json.dumps(half(model)), **fields})
    return studio.client.post(f"/api/models/{model.id}/plans/import-autodice", ImportedPlanOut, request)


def check(studio: RunningStudio, model: ModelOut, plan: Plan) -> PlanReportOut:
    return studio.client.post(f"/api/models/{model.id}/plans/check", PlanReportOut, plan)


def test_autodice_files_become_a_plan_and_back(studio: RunningStudio, model: ModelOut) -> None:
    imported = autodice(studio, model, devices={"nx01": "board-1", "nx02": "board-2"})
    assert imported.plan.devices() == ("board-1", "board-2")
    assert imported.plan.resources["nx01_arm0123"].cores == [0, 1, 2, 3]
    out = studio.client.post(f"/api/models/{model.id}/plans/export-autodice", AutodiceOut, imported.plan)
    assert out.horizontal is None
    assert out.devices == {"nx01_arm0123": "board-1"}
    again = autodice(studio, model, mapping=out.mapping, devices=out.devices)
    assert again.plan == imported.plan


def test_a_divided_mapping_shows_its_parts_in_the_report(studio: RunningStudio, model: ModelOut) -> None:
    mapping = half(model)
    first = model.layers[0]
    mapping["nx02"].append(names(model)[0])
    horizontal = {names(model)[0]: ["lop", [5, 65535], ["nx01_arm0123", "nx02"]]}
    texts = {"mapping": json.dumps(mapping), "horizontal": json.dumps(horizontal)}
    plan = autodice(studio, model, **texts).plan
    report = check(studio, model, plan)
    (shard,) = report.shards
    assert (shard.index, shard.strategy, shard.whole_layers) == (0, "output_channels", [first.name])
    assert shard.devices == ["nx01_arm0123", "nx02"]
    (divided,) = report.divided
    assert (divided.layer, divided.shards) == (first.name, [0])
    parts = {part.name: part.device for part in divided.parts if not part.glue}
    assert parts == {f"{first.name}#0": "nx01_arm0123", f"{first.name}#1": "nx02"}


def test_a_map_and_cuts_become_plans(studio: RunningStudio, model: ModelOut) -> None:
    placement = {layer.name: "a" if index < 6 else "b" for index, layer in enumerate(model.layers)}
    request = PlacementMapIn(map=json.dumps(placement), devices={"b": "board-2"})
    mapped = studio.client.post(f"/api/models/{model.id}/plans/import-map", ImportedPlanOut, request).plan
    assert mapped.devices() == ("a", "board-2")
    cuts = CutListIn(cuts=[model.layers[5].outputs[0]], devices=["a", "board-2"])
    cut = studio.client.post(f"/api/models/{model.id}/plans/import-cuts", ImportedPlanOut, cuts).plan
    assert cut.placement == mapped.placement


def test_layers_are_divided_and_a_refusal_names_the_layer_and_a_way(studio: RunningStudio, model: ModelOut) -> None:
    placed = Plan.model_validate(
        {
            "network": {"sha256": model.digest, "name": model.name, "simplified": model.simplified},
            "placement": {layer.name: "a" for layer in model.layers},
        }
    )
    path = f"/api/models/{model.id}/plans/shard"
    tiles = SpatialSharding(layers=[model.layers[0].name], devices=["a", "b"], rows=[1, 1])
    plan = studio.client.post(path, Plan, ShardIn(plan=placed, sharding=tiles, last=model.layers[1].name))
    assert plan.shards[0].layers == [layer.name for layer in model.layers[:2]]
    report = check(studio, model, plan)
    assert [divided.layer for divided in report.divided] == plan.shards[0].layers
    foreign = placed.model_copy(update={"network": placed.network.model_copy(update={"sha256": "0" * 64})})
    with pytest.raises(StudioError, match="for another network"):
        studio.client.post(path, Plan, ShardIn(plan=foreign, sharding=tiles))
    last = model.layers[-1].name
    many = OutputChannelSharding(layers=[last], devices=["a"] * 16)
    with pytest.raises(StudioError) as caught:
        studio.client.post(path, Plan, ShardIn(plan=placed, sharding=many))
    assert caught.value.code == "bad_shard"
    assert caught.value.details["layer"] == last
    assert "at most 10 parts" in caught.value.next_step
    refused = check(studio, model, placed.model_copy(update={"shards": [many]}))
    (problem,) = [p for p in refused.problems if p.code == "bad_shard"]
    assert problem.next_step == caught.value.next_step
    assert (len(refused.shards), refused.divided) == (1, [])


@pytest.mark.parametrize(
    ("route", "body", "code", "words"),
    [
        ("import-autodice", {"mapping": "{"}, "bad_autodice", "not JSON"),
        ("import-autodice", {"mapping": '{"p": ["nowhere"]}'}, "bad_autodice", "another network"),
        ("import-autodice", {"mapping": '{"p": ["\\ud800"]}'}, "bad_autodice", "not JSON"),
        ("import-autodice", {"mapping": "{}", "speed": 1}, "bad_request", "speed"),
        ("import-autodice", {}, "bad_request", "mapping"),
        ("import-map", {"map": "[]"}, "bad_device_map", "one JSON object"),
        ("import-cuts", {"cuts": ["nowhere"], "devices": ["a", "b"]}, "bad_cuts", "'nowhere'"),
        ("import-cuts", {"cuts": [], "devices": []}, "bad_request", "devices"),
        ("shard", {"plan": {}, "sharding": {}}, "bad_request", "plan"),
        ("export-autodice", {"version": 9}, "bad_request", "version"),
    ],
)
def test_what_is_wrong_is_answered_with_its_name(
    studio: RunningStudio, model: ModelOut, route: str, body: dict[str, object], code: str, words: str
) -> None:
    with studio.http(**studio.bearer) as http:
        answer = http.post(f"/api/models/{model.id}/plans/{route}", json=body)
    assert answer.status_code == 422
    assert answer.json()["code"] == code
    assert words in answer.json()["message"]


def test_a_file_that_is_too_long_and_an_unknown_model_are_refused(studio: RunningStudio, model: ModelOut) -> None:
    with studio.http(**studio.bearer) as http:
        long = http.post(
            f"/api/models/{model.id}/plans/import-autodice",
            json={"mapping": " " * (16 * 1024 * 1024 + 1)},
            timeout=httpx.Timeout(60),
        )
        nowhere = http.post("/api/models/nowhere/plans/import-map", json={"map": "{}"})
    assert (long.status_code, long.json()["code"]) == (422, "bad_request")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "model_not_found")
