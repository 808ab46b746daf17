"""What cannot be used is refused by name, and what was there stays."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from partition_studio.errors import StudioError
from partition_studio.partition.plan import Plan
from partition_studio.schemas import (
    DeploymentIn,
    DeploymentOut,
    DeploymentState,
    DeviceIn,
    DeviceOut,
    ModelOut,
    ModelSummaryOut,
    PlanIn,
    PlanReportOut,
    SavedPlanOut,
    SpreadIn,
)
from partition_studio.store.tables import DeploymentRow, PlanRow
from tests.studio import RunningStudio


def upload(studio: RunningStudio, name: str, data: bytes) -> ModelSummaryOut:
    return studio.client.post_form("/api/models", ModelSummaryOut, {}, [("file", (name, data))])


def code_of(act: Any, *arguments: Any) -> str:
    with pytest.raises(StudioError) as caught:
        act(*arguments)
    assert caught.value.message
    assert caught.value.next_step
    return caught.value.code


@pytest.fixture
def model(studio: RunningStudio) -> ModelSummaryOut:
    return studio.client.post("/api/examples/digits", ModelSummaryOut)


@pytest.fixture
def plan(studio: RunningStudio, model: ModelSummaryOut) -> Plan:
    for name in ("a", "b"):
        studio.client.post("/api/devices", DeviceOut, DeviceIn(name=name, address="local:"))
    return studio.client.post(f"/api/models/{model.id}/plans/spread", Plan, SpreadIn(devices=["a", "b"]))


@pytest.mark.parametrize(
    ("name", "data"),
    [("picture.onnx", b"\x89PNG not a network at all"), ("empty.onnx", b""), ("text.onnx", b"hello " * 100)],
)
def test_a_file_that_is_no_network_is_refused_and_named(studio: RunningStudio, name: str, data: bytes) -> None:
    kept = studio.client.post("/api/examples/digits", ModelSummaryOut)
    with pytest.raises(StudioError, match=name):
        upload(studio, name, data)
    assert [m.id for m in studio.client.get("/api/models", list[ModelSummaryOut])] == [kept.id]
    assert [path.name for path in (studio.data_dir.path / "models").iterdir()] == [kept.digest]


def test_the_same_file_twice_is_refused(studio: RunningStudio, model: ModelSummaryOut) -> None:
    data = studio.services.models.path(model.id).read_bytes()
    assert code_of(upload, studio, "again.onnx", data) == "model_exists"


@pytest.mark.parametrize("name", ["../evil.onnx", "/etc/evil.onnx", ".hidden"])
def test_a_file_name_that_leads_elsewhere_is_refused(studio: RunningStudio, name: str) -> None:
    assert code_of(upload, studio, name, b"x") in ("bad_input", "bad_request")


def test_unknown_things_are_named(studio: RunningStudio) -> None:
    get = studio.client.get
    assert code_of(get, "/api/models/nope", dict) == "model_not_found"
    assert code_of(get, "/api/deployments/nope", dict) == "deployment_not_found"
    assert code_of(get, "/api/runs/nope", dict) == "run_not_found"
    assert code_of(get, "/api/devices/nope/log", dict) == "device_not_found"
    assert code_of(get, "/api/nope", dict) == "not_found"
    assert code_of(studio.client.post, "/api/examples/nope", dict) == "example_not_found"


def check(studio: RunningStudio, model: ModelSummaryOut, plan: Plan) -> PlanReportOut:
    return studio.client.post(f"/api/models/{model.id}/plans/check", PlanReportOut, plan)


def test_a_good_plan_has_costs_and_no_errors(studio: RunningStudio, model: ModelSummaryOut, plan: Plan) -> None:
    report = check(studio, model, plan)
    shown = studio.client.get(f"/api/models/{model.id}", ModelOut)
    assert [p for p in report.problems if p.severity == "error"] == []
    assert sum(cost.layers for cost in report.devices) == shown.layer_count
    assert sum(cost.macs for cost in report.devices) == shown.macs
    assert {cut.producer_device for cut in report.cuts} == {"studio", "a", "b"}


def test_each_fault_of_a_plan_names_its_layer_or_device(
    studio: RunningStudio, model: ModelSummaryOut, plan: Plan
) -> None:
    first, *others = plan.placement
    unknown_layer = plan.model_copy(update={"placement": {**plan.placement, "no such layer": "a"}})
    unknown_device = plan.model_copy(update={"placement": {**plan.placement, first: "toaster"}})
    unplaced = plan.model_copy(update={"placement": {name: plan.placement[name] for name in others}})
    foreign = plan.model_copy(update={"network": plan.network.model_copy(update={"sha256": "0" * 64})})
    assert any("no such layer" in p.message for p in check(studio, model, unknown_layer).problems)
    assert any(p.device == "toaster" for p in check(studio, model, unknown_device).problems)
    assert any(p.layer == first for p in check(studio, model, unplaced).problems)
    assert any(p.code == "other_network" for p in check(studio, model, foreign).problems)


def test_a_plan_saved_by_someone_else_in_the_meantime_is_not_overwritten(
    studio: RunningStudio, model: ModelSummaryOut, plan: Plan
) -> None:
    with studio.http(**studio.bearer) as http:
        saved = studio.client.post(f"/api/models/{model.id}/plans", SavedPlanOut, PlanIn(name="mine", plan=plan))
        theirs = PlanIn(name="theirs", plan=plan, revision=saved.revision).model_dump_json()
        mine = PlanIn(name="mine again", plan=plan, revision=saved.revision).model_dump_json()
        json = {"Content-Type": "application/json"}
        assert http.put(f"/api/plans/{saved.id}", content=theirs, headers=json).status_code == 200
        refused = http.put(f"/api/plans/{saved.id}", content=mine, headers=json)
    assert (refused.status_code, refused.json()["code"]) == (409, "plan_conflict")
    kept = studio.client.get(f"/api/plans/{saved.id}", SavedPlanOut)
    assert (kept.name, kept.revision) == ("theirs", saved.revision + 1)
    assert studio.client.get(f"/api/models/{model.id}/plans", list[SavedPlanOut]) == [kept]


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("ssh://user@127.0.0.1:1", "unreachable"),
        ("ssh://user@169.254.169.254", "bad_address"),
        ("ssh://-oProxyCommand=x@host", "bad_address"),
        ("ssh://user@ho st", "bad_address"),
        ("http://board", "bad_address"),
        ("", "bad_address"),
    ],
)
def test_a_device_that_cannot_be_is_not_registered(studio: RunningStudio, address: str, code: str) -> None:
    assert code_of(studio.client.post, "/api/devices", DeviceOut, DeviceIn(name="x", address=address)) == code
    assert studio.client.get("/api/devices", list[DeviceOut]) == []


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "a;b", "$(x)", "studio", "x" * 64, "a\nb"])
def test_a_device_name_that_could_mislead_is_refused(studio: RunningStudio, name: str) -> None:
    assert (
        code_of(studio.client.post, "/api/devices", DeviceOut, DeviceIn(name=name, address="local:")) == "bad_address"
    )


def test_a_device_is_not_registered_twice(studio: RunningStudio) -> None:
    request = DeviceIn(name="a", address="local:")
    studio.client.post("/api/devices", DeviceOut, request)
    assert code_of(studio.client.post, "/api/devices", DeviceOut, request) == "device_exists"


def test_a_request_that_is_no_document_says_where(studio: RunningStudio) -> None:
    with studio.http(**studio.bearer) as client:
        answer = client.post("/api/devices", content="{", headers={"Content-Type": "application/json"})
        assert answer.json()["code"] == "bad_request"
        answer = client.post("/api/devices", json={"name": "a", "address": "local:", "surprise": 1})
        assert "surprise" in answer.json()["message"]


def test_a_removed_model_takes_its_plans_along(studio: RunningStudio, model: ModelSummaryOut, plan: Plan) -> None:
    studio.client.post(f"/api/models/{model.id}/plans", SavedPlanOut, PlanIn(name="p", plan=plan))
    studio.client.delete(f"/api/models/{model.id}")
    assert studio.client.get("/api/models", list[ModelSummaryOut]) == []
    assert code_of(studio.client.delete, f"/api/models/{model.id}") == "model_not_found"
    again = studio.client.post("/api/examples/digits", ModelSummaryOut)
    assert studio.client.get(f"/api/models/{again.id}/plans", list[SavedPlanOut]) == []


@pytest.mark.parametrize("field", ["idle_power_w", "busy_power_w"])
@pytest.mark.parametrize("value", ["inf", "nan", "-1"])
def test_power_that_is_no_number_is_refused_and_the_list_stays_readable(
    studio: RunningStudio, field: str, value: str
) -> None:
    body = {"name": "x", "address": "local:", "idle_power_w": 1, "busy_power_w": 2, field: value}
    with studio.http(**studio.bearer) as client:
        assert client.post("/api/devices", json=body).json()["code"] == "bad_request"
        assert client.get("/api/devices").json() == []


def test_of_two_who_save_at_once_one_is_told(studio: RunningStudio, model: ModelSummaryOut, plan: Plan) -> None:
    saved = studio.client.post(f"/api/models/{model.id}/plans", SavedPlanOut, PlanIn(name="p", plan=plan))
    for revision in range(saved.revision, saved.revision + 5):
        request = PlanIn(name="mine", plan=plan, revision=revision)

        def save(request: PlanIn = request) -> str:
            try:
                studio.services.plans.update(saved.id, request)
            except StudioError as error:
                return error.code
            return "saved"

        with ThreadPoolExecutor(4) as pool:
            answers = sorted(pool.map(lambda _: save(), range(4)))
        assert answers == ["plan_conflict"] * 3 + ["saved"]


@pytest.mark.parametrize("number", ["-1", "0", str(2**63), "9" * 30, "9" * 5000, "x"])
def test_a_number_that_no_row_can_have_is_refused(studio: RunningStudio, number: str) -> None:
    with studio.http() as client:
        for method, path in (("GET", "profiles"), ("DELETE", "profiles"), ("DELETE", "plans")):
            answer = client.request(method, f"/api/{path}/{number}", headers=studio.bearer)
            assert answer.status_code == 422
            assert answer.json()["code"] == "bad_request"


def test_half_of_a_surrogate_pair_is_no_models_id(studio: RunningStudio, plan: Plan) -> None:
    half = '"model_id": "\\ud800"'
    with studio.http() as client:
        for path, body in (
            ("devices/a/profiles", f"{{{half}}}"),
            ("deployments", f'{{{half}, "plan": {plan.model_dump_json()}}}'),
        ):
            headers = {**studio.bearer, "content-type": "application/json"}
            assert client.post(f"/api/{path}", content=body, headers=headers).status_code == 422


@pytest.mark.parametrize("path", ["/%00", "/" + "x" * 300, "/a/" + "%ff" * 10])
def test_a_path_that_no_file_can_have_is_no_fault_of_the_studio(studio: RunningStudio, path: str) -> None:
    with studio.http() as client:
        assert client.get(path).status_code in (200, 404, 503)


def test_a_deployment_of_another_form_keeps_the_studio_from_nothing(studio: RunningStudio) -> None:
    with studio.services._database.session() as session, session.begin():
        for number, state in enumerate(("running", "deploying", "stopped")):
            session.add(
                DeploymentRow(
                    id=f"old{number}",
                    model_id="gone",
                    epoch=1,
                    state=state,
                    document={"plan": "of an older studio"},
                    created_at=datetime.now(UTC),
                )
            )
    studio.services.deployments.resume_running()
    assert studio.client.get("/api/deployments", list[DeploymentOut]) == []
    assert code_of(studio.client.get, "/api/deployments/old0", dict) == "deployment_not_found"


def test_a_plan_that_cannot_be_read_keeps_nobody_from_the_others(
    studio: RunningStudio, model: ModelSummaryOut, plan: Plan
) -> None:
    kept = studio.client.post(f"/api/models/{model.id}/plans", SavedPlanOut, PlanIn(name="kept", plan=plan))
    with studio.services.plans._database.session() as session, session.begin():
        row = PlanRow(
            model_id=model.id, name="newer", revision=1, document={"version": 99}, updated_at=datetime.now(UTC)
        )
        session.add(row)
        session.flush()
        newer = row.id
    assert [one.id for one in studio.client.get(f"/api/models/{model.id}/plans", list[SavedPlanOut])] == [kept.id]
    assert code_of(studio.client.get, f"/api/plans/{newer}", SavedPlanOut) == "plan_unreadable"
    studio.client.delete(f"/api/plans/{newer}")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("plan\u202egnp", "plangnp"),
        (" two\nlines\t", "two lines"),
        ("\u200bhidden\u200b", "hidden"),
        ("👩\u200d👧", "👩\u200d👧"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
    ],
)
def test_what_cannot_be_seen_of_a_plans_name_is_left_out(
    studio: RunningStudio, model: ModelSummaryOut, plan: Plan, given: str, kept: str
) -> None:
    saved = studio.client.post(f"/api/models/{model.id}/plans", SavedPlanOut, PlanIn(name=given, plan=plan))
    assert saved.name == kept
    assert DeploymentIn(model_id=model.id, plan=plan, plan_name=given).plan_name == kept


@pytest.mark.parametrize("name", ["", "  ", "\u200b", "\u200d", "x" * 121])
def test_a_plan_has_a_name_that_shows(studio: RunningStudio, model: ModelSummaryOut, plan: Plan, name: str) -> None:
    body = {"name": name, "plan": plan.model_dump(mode="json")}
    with studio.http(**studio.bearer) as client:
        assert client.post(f"/api/models/{model.id}/plans", json=body).json()["code"] in ("bad_input", "bad_request")


@pytest.mark.parametrize(("state", "ends"), [("deploying", "failed"), ("running", "failed"), ("stopping", "stopped")])
def test_a_deployment_that_ended_with_the_studio_says_so(
    studio: RunningStudio, model: ModelSummaryOut, plan: Plan, state: DeploymentState, ends: DeploymentState
) -> None:
    now = datetime.now(UTC)
    kept = DeploymentOut.model_validate(
        {
            **{key: [] for key in ("stages", "cuts", "devices", "notes")},
            **dict.fromkeys(("plan_name", "deploy_s", "problem", "retry_until", "run")),
            "id": "ours",
            "model_id": model.id,
            "model_name": model.name,
            "epoch": 1,
            "state": state,
            "plan": plan,
            "created_at": now,
            "plaintext": False,
        }
    )
    document = kept.model_dump(mode="json")
    with studio.services._database.session() as session, session.begin():
        session.add(
            DeploymentRow(id="ours", model_id=model.id, epoch=1, state=state, document=document, created_at=now)
        )
    studio.services.deployments.resume_running()
    (ended,) = studio.client.get("/api/deployments", list[DeploymentOut])
    assert ended.state == ends
    assert (ended.problem and ended.problem.code) == ("studio_ended" if ends == "failed" else None)


def test_a_deployment_that_cannot_be_written_down_is_not_begun_nor_in_the_way_of_the_next(
    studio: RunningStudio, model: ModelSummaryOut, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = studio.services.deployments

    def refuse(_: object) -> None:
        raise OperationalError("INSERT", {}, OSError("database or disk is full"))

    monkeypatch.setattr(service, "_save", refuse)
    with pytest.raises(OperationalError):
        service.deploy(model.id, plan)
    # It would be "on its way" for ever.
    with pytest.raises(OperationalError):
        service.deploy(model.id, plan)
    assert service.active_of(model.id) is None
