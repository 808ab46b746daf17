"""The pages around the editor, with a real pipeline that has run: models, devices, runs; on a tablet, too."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from onnx import TensorProto, helper
from playwright.sync_api import Browser, BrowserContext, FilePayload, Page, ViewportSize, expect

from partition_studio.partition.plan import Plan
from partition_studio.schemas import (
    DeploymentIn,
    DeploymentOut,
    DeviceIn,
    PlanIn,
    RunOut,
    SpreadIn,
)
from tests.browser.axe import assert_accessible, assert_accessible_in_both_themes
from tests.browser.conftest import open_page, shoot
from tests.studio import RunningStudio, wait_for

pytestmark = pytest.mark.browser

PATIENCE_MS = 60_000

#: A name as nobody gives it on purpose.
HOSTILE = "<img src=x onerror=alert(1)> " + "very-long-name-" * 6


@dataclass(frozen=True)
class Workshop:
    """A studio with a pipeline that ran twice."""

    studio: RunningStudio
    deployment: DeploymentOut
    runs: tuple[RunOut, RunOut]


def _run(studio: RunningStudio, deployment: str, **form: str) -> RunOut:
    fields = {"source": "random", "repeat": "true", "seconds": "3", **form}
    begun = studio.client.post_form(f"/api/deployments/{deployment}/runs", RunOut, fields, [])

    def ended() -> RunOut | None:
        now = studio.client.get(f"/api/runs/{begun.id}", RunOut)
        return None if now.state == "running" else now

    return wait_for(ended, what="the run's end")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with RunningStudio(tmp_path_factory.mktemp("studio")) as studio:
        model = studio.services.models.add_example("digits")
        for name in ("desk-1", "desk-2"):
            idle, busy = (2.0, 6.0) if name == "desk-1" else (None, None)
            device = DeviceIn(name=name, address="local:", idle_power_w=idle, busy_power_w=busy)
            studio.services.devices.add(device)
        plan = studio.client.post(f"/api/models/{model.id}/plans/spread", Plan, SpreadIn(devices=["desk-1", "desk-2"]))
        studio.services.plans.create(model.id, PlanIn(name=HOSTILE, plan=plan))
        wanted = DeploymentIn(model_id=model.id, plan=plan, plan_name=HOSTILE)
        begun = studio.client.post("/api/deployments", DeploymentOut, wanted)

        def settled() -> DeploymentOut | None:
            now = studio.client.get(f"/api/deployments/{begun.id}", DeploymentOut)
            return None if now.state == "deploying" else now

        deployment = wait_for(settled, what="the deployment", deadline_s=120)
        assert deployment.state == "running", deployment.problem
        # The first figure of power is there a moment after the agent.
        wait_for(
            lambda: any(live.device == "desk-1" and live.power for live in studio.services.telemetry.live()) or None,
            what="the first figure of power",
        )
        runs = (_run(studio, deployment.id), _run(studio, deployment.id, in_flight="1"))
        yield Workshop(studio, deployment, runs)


def at(browser: Browser, workshop: Workshop, path: str, **options: object) -> tuple[BrowserContext, Page, list[str]]:
    context, page, errors = open_page(browser, workshop.studio, **options)
    page.goto(f"{workshop.studio.url}{path}")
    return context, page, errors


def unexpected(errors: list[str]) -> list[str]:
    """What the console says beyond that a file was refused."""
    return [error for error in errors if "status of 4" not in error]


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_the_history_of_runs_is_read_and_looked_into(browser: Browser, workshop: Workshop, scheme: str) -> None:
    _, page, errors = at(browser, workshop, "/runs", color_scheme=scheme)
    first, second = workshop.runs
    for run in workshop.runs:
        line = page.get_by_test_id(f"run-{run.id}")
        expect(line).to_contain_text(HOSTILE, timeout=PATIENCE_MS)
        expect(line).to_contain_text("finished")
        expect(line).to_contain_text("desk-1")
    # Watts were declared for one device alone: its joules say that they are estimated, and nobody else has any.
    expect(page.get_by_test_id(f"run-{first.id}")).to_contain_text(re.compile(r"desk-1 [\d.]+\s?m?J est\."))
    expect(page.get_by_test_id(f"run-{first.id}")).not_to_contain_text(re.compile(r"desk-2 [\d.]+\s?m?J"))
    shoot(page, f"65-runs-{scheme}")
    assert_accessible(page)
    page.get_by_test_id(f"run-{first.id}").get_by_role("link").click()
    report = page.get_by_test_id("run-report")
    expect(report).to_contain_text("predicted", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("report-stages").locator("tbody tr")).to_have_count(2)
    expect(page.get_by_test_id("report-devices")).to_contain_text("busiest")
    expect(report).to_contain_text("Predicted with estimates")
    page.wait_for_timeout(300)
    shoot(page, f"66-report-{scheme}")
    assert_accessible(page)
    page.screenshot(path=str(Path("test-artifacts/screenshots") / f"67-report-whole-{scheme}.png"), full_page=True)
    page.goto(f"{workshop.studio.url}/runs/{first.id},{second.id}")
    table = page.get_by_test_id("comparison")
    expect(table.get_by_role("img", name="best").first).to_be_visible(timeout=PATIENCE_MS)
    expect(table).to_contain_text("Bottleneck, predicted")
    shoot(page, f"68-compared-{scheme}")
    assert_accessible(page)
    assert errors == []


def test_a_report_is_taken_along_and_its_plan_opened_anew(browser: Browser, workshop: Workshop, tmp_path: Path) -> None:
    first, second = workshop.runs
    _, page, errors = at(browser, workshop, f"/runs/{first.id}")
    files = {}
    for kind in ("html", "csv", "json"):
        page.get_by_test_id("export-run").click(timeout=PATIENCE_MS)
        with page.expect_download() as caught:
            page.get_by_test_id(f"export-{kind}").click()
        files[kind] = tmp_path / f"report.{kind}"
        caught.value.save_as(files[kind])
    told = json.loads(files["json"].read_text())
    assert told["run"]["id"] == first.id
    assert told["deployment"]["plan"] == workshop.deployment.plan.model_dump(mode="json")
    assert "Frames/s," in files["csv"].read_text()
    html = files["html"].read_text()
    assert "onerror=alert(1)&gt;" in html
    assert "<img" not in html
    other = page.context.new_page()
    other.goto(files["html"].as_uri())
    expect(other.get_by_role("heading", level=1)).to_contain_text("Handwritten digits")
    other.close()
    # As a new plan, beside what is there.
    before = len(workshop.studio.services.plans.all(workshop.deployment.model_id))
    page.get_by_test_id("open-plan").click()
    expect(page).to_have_url(re.compile(r"/m/[0-9a-f]+/p/\d+"), timeout=PATIENCE_MS)
    assert len(workshop.studio.services.plans.all(workshop.deployment.model_id)) == before + 1
    assert second.id != first.id
    assert errors == []


def test_runs_are_compared_filtered_and_deleted_where_they_are_listed(browser: Browser, workshop: Workshop) -> None:
    extra = _run(workshop.studio, workshop.deployment.id, seconds="0.5")
    _, page, errors = at(browser, workshop, "/runs")
    expect(page.get_by_test_id(f"run-{extra.id}")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_test_id("compare")).to_be_disabled()
    for run in workshop.runs:
        page.get_by_test_id(f"run-{run.id}").get_by_role("checkbox").check()
    page.get_by_test_id("compare").click()
    expect(page.get_by_test_id("comparison")).to_be_visible(timeout=PATIENCE_MS)
    page.go_back()
    page.get_by_test_id("filter-state").click()
    page.get_by_role("option", name="failed").click()
    expect(page.get_by_text("No run is like this")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Show all runs").click()
    page.get_by_test_id(f"run-{extra.id}").get_by_role("checkbox").check()
    page.get_by_test_id("delete-chosen").click()
    page.get_by_test_id("confirm-delete").click()
    expect(page.get_by_test_id(f"run-{extra.id}")).to_be_hidden(timeout=PATIENCE_MS)
    expect(page.get_by_test_id(f"run-{workshop.runs[0].id}")).to_be_visible()
    page.get_by_text("Deployments", exact=True).click()
    expect(page.get_by_test_id(f"deployment-{workshop.deployment.id}")).to_contain_text("running")
    assert errors == []


def strange_network() -> bytes:
    """Two layers that no runtime knows."""
    nodes = [
        helper.make_node("Frobnicate", ["x"], ["t"], name="<b>frob</b>"),
        helper.make_node("Twist", ["t"], ["y"], name="twist_2"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def test_a_refused_file_names_its_layers_and_loses_nothing(browser: Browser, workshop: Workshop) -> None:
    _, page, errors = at(browser, workshop, "/models")
    card = page.get_by_test_id(f"model-card-{workshop.deployment.model_id}")
    expect(card).to_contain_text("deployed", timeout=PATIENCE_MS)
    expect(card.locator("rect").first).to_be_attached()
    page.get_by_text("What can be added, and what cannot").click()
    expect(page.get_by_text("Export in inference mode.")).to_be_visible()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        shoot(page, f"70-models-{scheme}")
        assert_accessible(page)
    page.get_by_text("What can be added, and what cannot").click()
    file = FilePayload(name="strange.onnx", mimeType="application/octet-stream", buffer=strange_network())
    page.get_by_test_id("upload-input").set_input_files(file)
    refused = page.get_by_test_id("refused-layers")
    expect(refused).to_contain_text("<b>frob</b>", timeout=PATIENCE_MS)
    expect(refused).to_contain_text("Twist")
    expect(page.get_by_test_id("problem")).to_contain_text("standard ONNX operators")
    shoot(page, "71-refused")
    assert_accessible(page)
    expect(card).to_be_visible()
    # The very file that is there leads to what is there.
    path = workshop.studio.services.models.path(workshop.deployment.model_id)
    buffer = io.BytesIO(path.read_bytes()).getvalue()
    page.get_by_test_id("upload-input").set_input_files(
        {"name": "again.onnx", "mimeType": "application/octet-stream", "buffer": buffer}
    )
    expect(page.get_by_test_id("open-present")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_test_id(f"remove-{workshop.deployment.model_id}").click()
    expect(page.get_by_role("dialog")).to_contain_text("Stop that deployment first")
    page.keyboard.press("Escape")
    page.get_by_test_id(f"rename-{workshop.deployment.model_id}").click()
    page.get_by_test_id("model-name").fill(HOSTILE)
    page.get_by_test_id("model-rename").click()
    expect(card.get_by_role("heading")).to_have_text(HOSTILE.strip()[:120], timeout=PATIENCE_MS)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shoot(page, "72-hostile-name")
    workshop.studio.services.models.change(workshop.deployment.model_id, name="Handwritten digits")
    assert unexpected(errors) == []


def test_a_device_says_how_far_it_is_and_what_comes_next(browser: Browser, workshop: Workshop) -> None:
    _, page, errors = at(browser, workshop, "/devices")
    path = page.get_by_test_id("path-desk-1")
    expect(path.locator('[aria-current="step"]')).to_have_text(re.compile("^Profile"), timeout=PATIENCE_MS)
    page.get_by_test_id("profile-all").click()
    page.get_by_test_id("profile-all-start").click()
    expect(page.get_by_role("dialog")).to_be_hidden(timeout=PATIENCE_MS)
    for name in ("desk-1", "desk-2"):
        expect(page.get_by_test_id(f"path-{name}").locator('[data-step="profiled"]')).to_have_attribute(
            "data-state", "done", timeout=PATIENCE_MS
        )
    expect(path.locator('[aria-current="step"]')).to_have_text(re.compile("^Measure its links"))
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        shoot(page, f"74-device-path-{scheme}")
        assert_accessible(page)
    page.get_by_test_id("next-desk-1").click()
    expect(path.locator('[data-step="linked"]')).to_have_attribute("data-state", "done", timeout=PATIENCE_MS)
    expect(path.locator('[aria-current="step"]')).to_have_count(0)
    assert errors == []


SMALL_TARGETS = """
([least]) => [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary, [role=button]")]
  .filter((element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
  .map((element) => ({ element, target: element.matches("input[type=checkbox], input[type=radio]") ?
    element.closest("label, .mantine-Checkbox-root, .mantine-Switch-root, .mantine-Radio-root") ?? element : element }))
  .filter(({ element }) => element.closest(".visually-hidden, [inert]") === null)
  .map(({ element, target }) => ({ element, box: target.getBoundingClientRect() }))
  .filter(({ box }) => box.width > 1 && (box.width < least || box.height < least))
  .filter(({ element }) => getComputedStyle(element).display !== "inline")
  .map(({ element, box }) => `${element.outerHTML.slice(0, 120)} ${Math.round(box.width)}x${Math.round(box.height)}`)
"""


@pytest.mark.parametrize(("width", "height"), [pytest.param(1024, 768, marks=pytest.mark.slow), (820, 1180)])
def test_pages_fit_a_tablet_and_a_finger(browser: Browser, workshop: Workshop, width: int, height: int) -> None:
    size = ViewportSize(width=width, height=height)
    first, second = workshop.runs
    _, page, errors = at(browser, workshop, "/models", has_touch=True, is_mobile=True)
    page.set_viewport_size(size)
    for path, ready in (
        ("/models", "upload-input"),
        ("/devices", "path-desk-1"),
        ("/runs", "runs"),
        (f"/runs/{first.id}", "run-report"),
        (f"/runs/{first.id},{second.id}", "comparison"),
    ):
        page.goto(f"{workshop.studio.url}{path}")
        expect(page.get_by_test_id(ready)).to_be_attached(timeout=PATIENCE_MS)
        page.wait_for_timeout(200)
        shoot(page, f"76-tablet-{width}{path.replace('/', '-').split(',')[0]}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert page.evaluate(SMALL_TARGETS, [24]) == [], path
        assert_accessible_in_both_themes(page)
    assert errors == []


#: What can be pressed has its own middle, but in what scrolls or is zoomed.
COVERED = """
() => [...document.querySelectorAll("button, a[href], [role=tab], [role=slider]")]
  .filter((element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
  .filter((element) => element.closest(".visually-hidden, .skip-link, .react-flow, .boundaries") === null)
  .filter((element) => element.closest(".lanes-list, .planner, .details, .layer-table") === null)
  .filter((element) => {
    const { left, top, width, height } = element.getBoundingClientRect();
    const found = document.elementFromPoint(left + width / 2, top + height / 2);
    return width > 1 && !element.contains(found) && !found?.contains(element);
  })
  .map((element) => element.outerHTML.slice(0, 160))
"""


@pytest.mark.parametrize(("width", "height"), [pytest.param(1024, 768, marks=pytest.mark.slow), (820, 1180)])
def test_the_editor_fits_a_tablet_and_a_finger(browser: Browser, workshop: Workshop, width: int, height: int) -> None:
    _, page, errors = at(browser, workshop, f"/m/{workshop.deployment.model_id}", has_touch=True, is_mobile=True)
    page.set_viewport_size({"width": width, "height": height})
    page.reload()

    def fits(state: str) -> None:
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), state
        # What is drawn into the network is as large as the network is zoomed.
        assert [one for one in page.evaluate(SMALL_TARGETS, [24]) if "-fold=" not in one] == [], state
        assert page.evaluate(COVERED) == [], state
        shoot(page, f"79-tablet-{state}-{width}")
        assert_accessible_in_both_themes(page)

    card = page.get_by_test_id("layer-conv1")
    expect(card).to_be_visible(timeout=PATIENCE_MS)
    card.tap()
    expect(page.get_by_test_id("assign-menu")).to_be_visible()
    fits("selected")
    page.get_by_test_id("details-open").tap()
    expect(page.get_by_test_id("details")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_test_id("suggest").tap()
    expect(page.get_by_test_id("search-start")).to_be_visible(timeout=PATIENCE_MS)
    fits("planner")
    page.get_by_test_id("planner-close").tap()
    page.get_by_test_id("mode-table").tap()
    expect(page.get_by_test_id("row-conv1")).to_be_visible(timeout=PATIENCE_MS)
    fits("table")
    assert errors == []


def finger(page: Page, context: BrowserContext, *points: tuple[float, float]) -> None:
    """Draw with one finger along a line of points."""
    touch = context.new_cdp_session(page)
    for i, (x, y) in enumerate(points):
        kind = "touchStart" if i == 0 else "touchMove"
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def middle(page: Page, test_id: str) -> tuple[float, float]:
    box = page.get_by_test_id(test_id).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def stands_still(page: Page, test_id: str) -> bool:
    """Return whether a card has come to rest: the network is fitted into the window when that is known."""
    before = middle(page, test_id)
    page.wait_for_timeout(200)
    return middle(page, test_id) == before


def test_the_hand_needs_no_mouse(browser: Browser, workshop: Workshop) -> None:
    context, page, errors = at(browser, workshop, f"/m/{workshop.deployment.model_id}", has_touch=True, is_mobile=True)
    page.set_viewport_size({"width": 820, "height": 1180})
    page.reload()
    expect(page.get_by_test_id("layer-conv2")).to_be_visible(timeout=PATIENCE_MS)
    wait_for(lambda: stands_still(page, "layer-conv2") or None, what="the network at rest")
    # Painting.
    page.get_by_test_id("brush-tool").tap()
    brush = page.get_by_test_id("brush-desk-2")
    brush.tap()
    expect(brush).to_have_attribute("aria-pressed", "true", timeout=PATIENCE_MS)
    finger(page, context, middle(page, "layer-conv2"), middle(page, "layer-relu2"))
    for name in ("conv2", "relu2"):
        expect(page.get_by_test_id(f"layer-{name}")).to_have_attribute("data-device-name", "desk-2")
    page.get_by_test_id("brush-leave").tap()
    page.get_by_test_id("undo").tap()
    expect(page.get_by_test_id("layer-conv2")).to_have_attribute("data-device-name", "desk-1")
    # A box of several.
    page.get_by_test_id("box-tool").tap()
    (x, y), (to_x, to_y) = middle(page, "layer-conv2"), middle(page, "layer-relu2")
    finger(page, context, (x - 20, y - 10), (to_x, to_y), (to_x + 20, to_y + 10))
    expect(page.locator(".selection-what b")).to_have_text("2 layers")
    page.get_by_test_id("box-tool").tap()
    # The boundary.
    handle = page.get_by_role("slider", name=re.compile("^boundary")).first
    before = handle.get_attribute("aria-valuenow")
    box = handle.bounding_box()
    assert box is not None
    start = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    finger(page, context, start, (start[0], start[1] - 40), (start[0], start[1] - 160))
    expect(handle).not_to_have_attribute("aria-valuenow", before or "")
    page.get_by_test_id("undo").tap()
    assert errors == []


@pytest.mark.parametrize(("width", "height"), [pytest.param(1024, 768, marks=pytest.mark.slow), (820, 1180)])
def test_layers_are_dragged_onto_a_device_by_finger(
    browser: Browser, workshop: Workshop, width: int, height: int
) -> None:
    context, page, errors = at(browser, workshop, f"/m/{workshop.deployment.model_id}", has_touch=True, is_mobile=True)
    page.set_viewport_size({"width": width, "height": height})
    page.reload()
    card = page.get_by_test_id("layer-conv1")
    expect(card).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_timeout(500)
    shoot(page, f"77-tablet-editor-{width}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    start = card.bounding_box()
    target = page.locator('[data-drop-device="desk-2"]').first.bounding_box()
    assert start is not None
    assert target is not None
    touch = context.new_cdp_session(page)
    x, y = start["x"] + start["width"] / 2, start["y"] + start["height"] / 2
    to_x, to_y = target["x"] + target["width"] / 2, target["y"] + min(30, target["height"] / 2)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for part in range(1, 11):
        point = {"x": x + (to_x - x) * part / 10, "y": y + (to_y - y) * part / 10}
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(page.locator(".device-flash, .flash-note, [role=status]").filter(has_text="desk-2").first).to_be_attached(
        timeout=PATIENCE_MS
    )
    shoot(page, f"78-tablet-dropped-{width}")
    assert errors == []
