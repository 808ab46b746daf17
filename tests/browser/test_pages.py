"""The pages around the editor, with a real pipeline that has run: models, devices, runs."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from onnx import TensorProto, helper
from playwright.sync_api import Browser, FilePayload, expect

from tests.browser.axe import assert_accessible
from tests.browser.conftest import shoot
from tests.browser.editor import PATIENCE_MS
from tests.browser.workshop import HOSTILE, Workshop, at, open_workshop, run_for

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("studio")) as opened:
        yield opened


def unexpected(errors: list[str]) -> list[str]:
    """What the console says beyond that a file was refused."""
    return [error for error in errors if not re.search(r"status of 4\d\d .*/api/models$", error)]


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_the_history_of_runs_is_read_and_looked_into(browser: Browser, workshop: Workshop, scheme: str) -> None:
    page, errors = at(browser, workshop, "/runs", color_scheme=scheme)
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
    # However long the plans' names are, both runs are seen.
    expect(table.locator("thead th").last).to_be_in_viewport(ratio=1)
    shoot(page, f"68-compared-{scheme}")
    assert_accessible(page)
    assert errors == []


def test_a_report_is_taken_along_and_its_plan_opened_anew(browser: Browser, workshop: Workshop, tmp_path: Path) -> None:
    first, _ = workshop.runs
    page, errors = at(browser, workshop, f"/runs/{first.id}")
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
    assert errors == []


def test_runs_are_compared_filtered_and_deleted_where_they_are_listed(browser: Browser, workshop: Workshop) -> None:
    extra = run_for(workshop.studio, workshop.deployment.id, seconds="0.5")
    page, errors = at(browser, workshop, "/runs")
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
    page, errors = at(browser, workshop, "/models")
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
    page, errors = at(browser, workshop, "/devices")
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
