"""Deploy, and the live view on the same graph: a device fails and is tried again, frames flow, one dies."""

import os
import re
import signal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.axe import assert_accessible
from tests.browser.conftest import open_page, shoot
from tests.planner_studio import limit_memory
from tests.studio import RunningStudio, wait_for

pytestmark = pytest.mark.browser

PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def demo(shared_demo: RunningStudio) -> RunningStudio:
    return shared_demo


def expect_state(page: Page, state: str) -> None:
    expect(page.get_by_test_id("deploy-state")).to_have_text(state, timeout=PATIENCE_MS)


def stop(page: Page, studio: RunningStudio) -> None:
    page.get_by_test_id("stop-deployment").click()
    expect_state(page, "stopped")
    wait_for(lambda: not any(device.agent_running for device in studio.services.devices.all()), what="the agents' end")


def test_a_gauge_warns_before_a_limit_is_crossed_and_before_anything_is_deployed(
    browser: Browser, demo: RunningStudio
) -> None:
    model = demo.services.demo_model_id
    assert model is not None
    plan = demo.services.plans.all(model)[0].plan
    needs = {cost.device: cost.likely_memory_bytes for cost in demo.services.plans.check(model, plan).devices}
    limit_memory(demo.services, "board-1", int(needs["board-1"] / 0.97))
    limit_memory(demo.services, "board-2", int(needs["board-2"] / 0.9))
    context, page, errors = open_page(browser, demo)
    expect(page.get_by_test_id("gauge-memory-board-1")).to_have_attribute("data-tone", "full", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("gauge-memory-board-1").get_by_role("meter")).to_have_attribute(
        "aria-valuetext", re.compile("at the limit")
    )
    expect(page.get_by_test_id("gauge-memory-board-2")).to_have_attribute("data-tone", "close")
    expect(page.get_by_test_id("gauge-memory-board-3")).to_have_attribute("data-tone", "fine")
    shoot(page, "47-gauges")
    page.get_by_test_id("fold-devices").click()
    expect(page.get_by_test_id("rail-gauge-board-1")).to_have_attribute("data-tone", "full")
    assert_accessible(page)
    shoot(page, "48-gauges-folded")
    assert errors == []
    context.close()


def test_a_device_that_fails_is_tried_again_then_frames_flow_until_one_dies(
    browser: Browser, demo: RunningStudio
) -> None:
    folder = demo.block_device("board-2")
    context, page, errors = open_page(browser, demo)
    expect(page.get_by_test_id("layer-conv1")).to_be_visible(timeout=PATIENCE_MS)

    # Before anything is touched it is known what would be sent.
    page.get_by_test_id("deploy-menu").click()
    page.get_by_test_id("dry-run").click()
    expect(page.get_by_test_id("dry-run-board-3")).to_contain_text("KB", timeout=PATIENCE_MS)
    shoot(page, "40-dry-run")
    page.get_by_test_id("dry-run-deploy").click()

    # The error stands at its device, in the sheet and on its card; the others keep what they have.
    again = page.get_by_test_id("deploy-retry-board-2")
    expect(again).to_be_visible(timeout=PATIENCE_MS)
    sheet = page.get_by_test_id("deploy-sheet")
    expect(sheet.locator("[data-testid=deploy-device-board-2] [data-state=failed]")).to_have_count(1)
    expect(page.get_by_test_id("deploy-device-board-1").locator("[data-step=install]")).to_have_attribute(
        "data-state", "done", timeout=PATIENCE_MS
    )
    expect(page.get_by_test_id("failure-board-2")).to_contain_text("board-2")
    assert demo.services.deployments.all()[0].state == "deploying"
    # The sheet leaves the network in view.
    canvas, dock = page.get_by_test_id("canvas").bounding_box(), sheet.bounding_box()
    assert canvas is not None and dock is not None
    assert canvas["y"] + canvas["height"] <= dock["y"] + 1 and canvas["height"] > 280
    shoot(page, "41-one-device-failed")
    assert_accessible(page)

    # Whoever leaves and comes back sees it where it is.
    page.reload()
    expect(again).to_be_visible(timeout=PATIENCE_MS)
    folder.unlink()
    again.click()
    expect_state(page, "running")
    expect(sheet).to_be_hidden()

    # The editor is the live view now: frames flow on the graph, predicted stands beside measured.
    page.get_by_test_id("run-start").click()
    expect(page.get_by_test_id("live-layer")).to_have_attribute("data-flows", "true", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("bottleneck")).to_contain_text("board", timeout=PATIENCE_MS)
    expect(page.get_by_label("Figures of the run")).to_contain_text("predicted")
    expect(page.get_by_test_id("edge-label-conv2-relu2")).to_contain_text("B/s", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("gauge-memory-board-1").get_by_role("meter")).to_have_attribute(
        "aria-valuetext", re.compile(r"Memory: .* of .*; predicted")
    )
    shoot(page, "42-live")
    assert_accessible(page)
    page.get_by_test_id("live-tab-compare").click()
    expect(page.get_by_test_id("compared")).to_contain_text(re.compile(r"board-1 → board-2.*B/s", re.S))
    shoot(page, "43-predicted-and-measured")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_test_id("frame-way")).to_contain_text("ms", timeout=PATIENCE_MS)
    assert_accessible(page)
    shoot(page, "44-a-frames-way")

    # What is edited now is marked, and does not touch what runs.
    page.get_by_test_id("layer-relu2").click()
    page.keyboard.press("1")
    expect(page.get_by_test_id("deploy")).to_have_text("Deploy 1 change")
    expect(page.get_by_test_id("layer-relu2").locator(".card-changed")).to_have_count(1)
    assert demo.services.deployments.all()[0].state == "running"

    # One dies: it is told at its card, in the sheet, and on the graph; and what became of the frames.
    (victim,) = demo.agents("board-3")
    os.kill(victim.pid, signal.SIGKILL)
    expect_state(page, "failed")
    expect(page.get_by_test_id("failure-board-3")).to_contain_text("lost")
    expect(sheet).to_contain_text(re.compile(r"\d+ delivered, \d+ lost"))
    expect(page.get_by_test_id("live-layer")).to_be_visible()
    shoot(page, "45-one-died")
    assert_accessible(page)
    page.get_by_test_id("deploy-retry").click()
    expect_state(page, "running")
    stop(page, demo)
    assert errors == []
    context.close()


def test_another_window_sees_the_deploy_and_who_wants_no_motion_sees_numbers(
    browser: Browser, demo: RunningStudio
) -> None:
    context, page, errors = open_page(browser, demo, color_scheme="dark", reduced_motion="reduce")
    expect(page.get_by_test_id("layer-conv1")).to_be_visible(timeout=PATIENCE_MS)
    other = context.new_page()
    other.goto(page.url)
    expect(other.get_by_test_id("layer-conv1")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_test_id("deploy").click()
    expect(other.get_by_test_id("deploy-sheet")).to_be_visible(timeout=PATIENCE_MS)
    expect_state(other, "running")
    other.get_by_test_id("run-start").click()
    expect(page.get_by_test_id("live-layer")).to_have_attribute("data-flows", "true", timeout=PATIENCE_MS)
    expect(page.locator("[data-testid^=edge-label]", has_text="B/s").first).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_test_id("deploy-state").click()
    expect(page.get_by_test_id("deploy-device-board-1").locator("[data-state=done]").first).to_be_visible()
    shoot(page, "46-live-dark")
    assert_accessible(page)
    page.get_by_test_id("stop-deployment").click()
    expect_state(other, "stopped")
    assert errors == []
    context.close()
