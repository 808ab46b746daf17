"""From profiles to a pipeline that runs, watched on the same graph, on real agents; and what is left of it."""

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import open_page
from tests.browser.walk.conftest import Begin
from tests.browser.walk.walking import DEVICES, PATIENCE_MS, keep, on_networks, spread_anew
from tests.planner_studio import limit_memory
from tests.studio import RunningStudio, wait_for

pytestmark = pytest.mark.browser

PROFILE_S = 900.0


def in_the_way(studio: RunningStudio, device: str) -> Path:
    """Have a file where the device's folder is to be: nothing can be installed there."""
    folder = studio.data_dir.local_devices / device
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("in the way")
    return folder


def expect_state(page: Page, state: str) -> None:
    expect(page.get_by_test_id("deploy-state")).to_have_text(state, timeout=PATIENCE_MS)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@on_networks("digits", "resnet-50", "densenet-121")
def test_a_network_is_profiled_on_every_device_and_their_links_are_measured(
    browser: Browser, walked: RunningStudio, example: str
) -> None:
    model = spread_anew(walked, example, profiled=False)
    context, page, errors = open_page(browser, walked)
    page.goto(f"{walked.url}/devices")
    page.get_by_test_id("profile-all").click(timeout=PATIENCE_MS)
    page.get_by_test_id("profile-all-model").click()
    page.get_by_role("option", name=model.name, exact=True).click()
    keep(page, f"{example}-profile-asked")
    page.get_by_test_id("profile-all-start").click()
    expect(page.get_by_role("dialog")).to_be_hidden(timeout=PATIENCE_MS)
    expect(page.get_by_test_id("jobs")).to_be_visible()
    keep(page, f"{example}-profiling", accessible=False)

    wait_for(
        lambda: len(walked.services.profiles.all(model_id=model.id)) == len(DEVICES),
        what="the profiles",
        deadline_s=PROFILE_S,
    )
    page.get_by_test_id("measure-links").click()
    for pair in ("board-1-board-2", "board-2-board-1", "studio-board-1"):
        expect(page.get_by_test_id(f"link-{pair}")).to_contain_text(re.compile(r"[GM]bit/s"), timeout=PATIENCE_MS)
    keep(page, f"{example}-devices")
    page.get_by_test_id("profile-of-board-2").click()
    page.get_by_test_id("profiles").get_by_role("button", name=model.name).first.click()
    layers = page.get_by_test_id("profile-layers").locator("tbody tr")
    expect(layers).to_have_count(len(model.layers), timeout=PATIENCE_MS)
    keep(page, f"{example}-profile")
    assert errors == []
    context.close()


@on_networks()
def test_a_gauge_turns_red_before_the_limit_is_crossed(begin: Begin, example: str) -> None:
    walk = begin(example)
    page, services = walk.page, walk.studio.services
    needs = {cost.device: cost.likely_memory_bytes for cost in services.plans.check(walk.model.id, walk.saved).devices}
    memory = services.devices.limits()["board-1"].memory_bytes
    assert memory is not None
    limit_memory(services, "board-1", int(needs["board-1"] / 0.97))
    limit_memory(services, "board-2", int(needs["board-2"] / 0.9))
    try:
        page.reload()
        gauge = page.get_by_test_id("gauge-memory-board-1")
        expect(gauge).to_have_attribute("data-tone", "full", timeout=PATIENCE_MS)
        expect(gauge.get_by_role("meter")).to_have_attribute("aria-valuetext", re.compile("at the limit"))
        expect(page.get_by_test_id("gauge-memory-board-2")).to_have_attribute("data-tone", "close")
        expect(page.get_by_test_id("gauge-memory-board-3")).to_have_attribute("data-tone", "fine")
        walk.keep("gauges")
    finally:
        for device in ("board-1", "board-2"):
            limit_memory(services, device, memory)
    walk.end()


@pytest.mark.timeout(600)
@on_networks()
def test_a_plan_is_deployed_fails_is_tried_again_runs_is_watched_and_leaves_a_report(
    begin: Begin, example: str
) -> None:
    walk = begin(example)
    page, studio = walk.page, walk.studio
    folder = in_the_way(studio, "board-2")
    page.get_by_test_id("deploy-menu").click()
    page.get_by_test_id("dry-run").click()
    expect(page.get_by_test_id("dry-run-board-3")).to_contain_text(re.compile("[KM]B"), timeout=PATIENCE_MS)
    walk.keep("dry-run")
    page.get_by_test_id("dry-run-deploy").click()

    # The error stands at its device with what to do; the others keep what they have. It is given up by one press.
    again = page.get_by_test_id("deploy-retry-board-2")
    expect(again).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_test_id("failure-board-2")).to_contain_text("board-2")
    walk.keep("deploy-failed")
    page.get_by_test_id("deploy-cancel").click()
    expect_state(page, "cancelled")
    walk.keep("deploy-cancelled")
    # Once more; and when what was in the way is gone, trying that device again is enough.
    page.get_by_test_id("deploy").click()
    expect_state(page, "deploying")
    expect(again).to_be_visible(timeout=PATIENCE_MS)
    for device in ("board-1", "board-3"):
        install = page.get_by_test_id(f"deploy-device-{device}").locator("[data-step=install]")
        expect(install).to_have_attribute("data-state", "done", timeout=PATIENCE_MS)
    folder.unlink()
    again.click()
    expect(again).to_be_hidden(timeout=PATIENCE_MS)
    walk.keep("deploying", accessible=False)
    expect_state(page, "running")
    expect(page.get_by_test_id("deploy-sheet")).to_be_hidden()

    # The editor is the live view now.
    page.get_by_test_id("run-start").click()
    expect(page.get_by_test_id("live-layer")).to_have_attribute("data-flows", "true", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("bottleneck")).to_contain_text("board", timeout=PATIENCE_MS)
    expect(page.get_by_label("Figures of the run")).to_contain_text("predicted")
    expect(page.get_by_test_id("result-class-0")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("[data-testid^=edge-label]", has_text="B/s").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_test_id("gauge-memory-board-1").get_by_role("meter")).to_have_attribute(
        "aria-valuetext", re.compile(r"Memory: .* of .*; predicted"), timeout=PATIENCE_MS
    )
    walk.keep("live")
    page.get_by_test_id("live-tab-compare").click()
    expect(page.get_by_test_id("compared")).to_contain_text(re.compile(r"board-1 → board-2.*B/s", re.S))
    walk.keep("live-compared")
    page.get_by_test_id("live-tab-way").click()
    expect(page.get_by_test_id("frame-way")).to_contain_text("ms", timeout=PATIENCE_MS)
    walk.keep("live-way")
    page.get_by_role("button", name="More about board-2").click()
    page.get_by_role("menuitem", name="Live charts").click()
    expect(page.get_by_role("dialog").get_by_test_id("memory-facts")).to_contain_text("USS", timeout=PATIENCE_MS)
    walk.keep("live-charts")
    page.keyboard.press("Escape")
    # What is edited now is marked, and does not touch what runs.
    layer = walk.beginning(1)[0]
    walk.card(layer).click()
    page.keyboard.press("2")
    expect(page.get_by_test_id("deploy")).to_have_text("Deploy 1 change")
    expect(walk.card(layer).locator(".card-changed")).to_have_count(1)
    walk.keep("live-edited", accessible=False)
    page.get_by_test_id("run-stop").click()
    page.get_by_test_id("live-tab-results").click()
    expect(page.get_by_test_id("run-state")).to_contain_text("stopped", timeout=PATIENCE_MS)
    page.get_by_test_id("stop-deployment").click()
    expect_state(page, "stopped")
    walk.keep("stopped")
    wait_for(lambda: not any(device.agent_running for device in studio.services.devices.all()), what="the agents' end")

    # What is left of it: a line in the history, and a report.
    deployment = studio.services.deployments.all()[0]
    assert deployment.run is not None
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Runs").click()
    line = page.get_by_test_id(f"run-{deployment.run.id}")
    expect(line).to_contain_text(walk.model.name, timeout=PATIENCE_MS)
    keep(page, f"{example}-runs")
    line.get_by_role("link").click()
    report = page.get_by_test_id("run-report")
    expect(report).to_contain_text("predicted", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("report-stages").locator("tbody tr").first).to_be_visible()
    keep(page, f"{example}-report")
    walk.end()
