"""How tensors travel, and layers that several devices share: chosen on the graph, undone, deployed and run."""

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.axe import assert_accessible
from tests.browser.conftest import open_page, shoot
from tests.browser.editor import PATIENCE_MS, saved_plan, spread_demo
from tests.studio import RunningStudio, wait_for

pytestmark = pytest.mark.browser


@pytest.fixture
def demo(demo: RunningStudio) -> RunningStudio:
    """The demo's network spread over its three devices, and no other plan."""
    spread_demo(demo)
    return demo


def cut_labels(page: Page) -> Locator:
    return page.get_by_test_id("edge-label-conv2-relu2")


def choose_codec(page: Page, codec: str) -> None:
    cut_labels(page).first.click()
    expect(page.get_by_test_id("link-dialog")).to_be_visible()
    page.get_by_test_id(f"codec-{codec}").check()
    page.get_by_test_id("link-apply").click()
    expect(page.get_by_test_id("link-dialog")).to_be_hidden()


def deploy_and_run(page: Page) -> None:
    page.get_by_test_id("deploy").click()
    expect(page.get_by_test_id("deploy-state")).to_have_text("running", timeout=PATIENCE_MS)
    page.get_by_test_id("run-start").click()


def test_a_codec_is_chosen_on_the_edge_shown_there_and_undone(browser: Browser, demo: RunningStudio) -> None:
    _, page, errors = open_page(browser, demo)
    expect(cut_labels(page).first).to_be_visible(timeout=PATIENCE_MS)
    cut_labels(page).first.click()
    expect(page.get_by_test_id("link-dialog")).to_be_visible()
    shoot(page, "30-link")
    assert_accessible(page)
    page.keyboard.press("Escape")
    choose_codec(page, "int8+zstd")
    expect(cut_labels(page).first).to_contain_text("int8+zstd")
    shoot(page, "31-codec-on-the-edge")
    wait_for(lambda: saved_plan(demo).codecs or None, what="the plan with its codec")
    assert saved_plan(demo).codecs[0].codec == "int8+zstd"
    page.keyboard.press("Control+z")
    expect(cut_labels(page).first).not_to_contain_text("int8")
    assert errors == []


def test_a_plan_with_a_codec_runs_and_gives_results(browser: Browser, demo: RunningStudio) -> None:
    _, page, errors = open_page(browser, demo)
    expect(cut_labels(page).first).to_be_visible(timeout=PATIENCE_MS)
    choose_codec(page, "fp16+lz4")
    deploy_and_run(page)
    expect(page.get_by_test_id("result-class-0")).to_be_visible(timeout=PATIENCE_MS)
    shoot(page, "32-codec-runs")
    deployed = demo.services.deployments.all()[0]
    assert any("fp16+lz4" in cut.codecs.values() for cut in deployed.cuts)
    expect(page.get_by_test_id("deploy")).to_have_text("Deploy again")
    choose_codec(page, "lz4")
    expect(page.get_by_test_id("deploy")).to_have_text("Deploy 1 change")
    assert errors == []


def test_layers_shared_by_two_devices_are_seen_deployed_and_give_results_in_order(
    browser: Browser, demo: RunningStudio
) -> None:
    _, page, errors = open_page(browser, demo)
    expect(page.get_by_test_id("layer-conv1")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_test_id("canvas").press("Control+a")
    page.get_by_test_id("replicas-open").click()
    page.get_by_test_id("replica-on-board-3").uncheck()
    shoot(page, "33-replicas")
    page.get_by_test_id("replicas-apply").click()
    expect(page.get_by_test_id("layer-conv1").locator("[data-device]")).to_have_count(2)
    expect(page.get_by_test_id("replicas-replicas-1")).to_be_visible()
    plan = wait_for(lambda: saved_plan(demo) if saved_plan(demo).replicas else None, what="the plan with replicas")
    assert plan.replicas["replicas-1"].places == ["board-1", "board-2"]
    deploy_and_run(page)
    expect(page.get_by_test_id("result-class-0")).to_be_visible(timeout=PATIENCE_MS)
    shoot(page, "34-replicas-run")
    assert errors == []


def test_what_comes_from_the_studio_gets_a_codec_by_the_keyboard_with_bounds_of_its_own(
    browser: Browser, demo: RunningStudio
) -> None:
    _, page, errors = open_page(browser, demo, color_scheme="dark")
    page.get_by_test_id("layer-relu1").click()
    page.keyboard.press("c")
    expect(page.get_by_text("Nothing of this layer travels to another device")).to_have_count(1)
    page.get_by_test_id("layer-conv1").click()
    page.keyboard.press("c")
    expect(page.get_by_test_id("link-dialog")).to_be_visible()
    page.get_by_test_id("codec-clip8+rle").check()
    page.get_by_test_id("clip-low").fill("2")
    page.get_by_test_id("clip-high").fill("1")
    expect(page.get_by_test_id("link-apply")).to_be_disabled()
    page.get_by_test_id("clip-high").fill("6")
    shoot(page, "35-clip-dark")
    page.get_by_test_id("link-apply").click()
    expect(page.get_by_test_id("edge-label-image-conv1")).to_contain_text("clip8+rle")
    shoot(page, "36-codec-of-the-input-dark")
    plan = wait_for(lambda: saved_plan(demo) if saved_plan(demo).codecs else None, what="the plan with its codec")
    (chosen,) = plan.codecs
    assert (chosen.producer, chosen.consumer, chosen.low, chosen.high) == ("studio", "board-1", 2.0, 6.0)
    assert errors == []
