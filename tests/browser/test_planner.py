"""The planner in the browser: what limits a plan, the best one, trade-offs, and why there is none."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from partition_studio.cli.demo import DEMO_DEVICES, prepare
from partition_studio.partition.plan import Plan
from partition_studio.schemas import PlanIn, SavedPlanOut
from tests.browser.axe import assert_accessible
from tests.browser.conftest import open_page, shoot
from tests.studio import RunningStudio, wait_for

pytestmark = pytest.mark.browser

PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def shared_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with RunningStudio(tmp_path_factory.mktemp("studio"), prepare=prepare) as running:
        yield running


@pytest.fixture
def demo(shared_demo: RunningStudio) -> RunningStudio:
    """The demo's studio with a plan that leaves something to be wished for."""
    model = shared_demo.services.demo_model_id
    assert model is not None
    for saved in shared_demo.services.plans.all(model):
        shared_demo.services.plans.remove(saved.id)
    spread = shared_demo.services.plans.spread(model, list(DEMO_DEVICES))
    poor = spread.model_copy(update={"placement": {**spread.placement, "conv1": "board-2"}})
    shared_demo.services.plans.create(model, PlanIn(name="Demo", plan=poor))
    return shared_demo


@pytest.fixture(autouse=True)
def closed_pages(browser: Browser) -> Iterator[None]:
    """No page outlives its test: it would save its own plan of the shared studio."""
    yield
    for context in browser.contexts:
        context.close()


def open_editor(browser: Browser, studio: RunningStudio, **options: object) -> tuple[Page, list[str]]:
    _, page, errors = open_page(browser, studio, **options)
    expect(page.get_by_test_id("layer-conv1")).to_be_visible(timeout=PATIENCE_MS)
    return page, errors


def saved_plan(studio: RunningStudio) -> Plan:
    return studio.client.get(f"/api/models/{studio.services.demo_model_id}/plans", list[SavedPlanOut])[0].plan


def shown(page: Page) -> dict[str, str]:
    """Return the device of every layer, as the canvas shows it."""
    pairs = page.locator("[data-device-name]").evaluate_all(
        "cards => cards.map(card => [card.dataset.testid, card.dataset.deviceName])"
    )
    return {layer.removeprefix("layer-"): device for layer, device in pairs}


def layer(page: Page, name: str) -> Locator:
    return page.get_by_test_id(f"layer-{name}")


def test_a_plan_tells_what_limits_it_and_the_next_change_is_one_step(browser: Browser, demo: RunningStudio) -> None:
    page, errors = open_editor(browser, demo)
    expect(page.get_by_test_id("plan-figures")).to_contain_text("frames/s", timeout=PATIENCE_MS)
    page.get_by_test_id("why").click()
    expect(page.get_by_test_id("bottleneck")).to_contain_text(re.compile("board-[123]"))
    expect(page.get_by_test_id("busiest").locator("li").first).to_contain_text("100")
    expect(page.locator(".is-blamed").first).to_be_visible()
    # Nothing was measured on these devices, which is said, with a way to measure.
    expect(page.get_by_test_id("profile-first")).to_be_visible()
    expect(page.get_by_test_id("gantt")).to_be_visible(timeout=PATIENCE_MS)
    shoot(page, "50-what-limits-the-plan")
    assert_accessible(page)

    before = shown(page)
    figure = page.get_by_test_id("predicted-throughput")
    slow = figure.inner_text()
    page.get_by_test_id("next-move-apply").click()
    # What it was before stands beside what it is now.
    expect(figure).to_contain_text(re.compile(rf"\+.* from {re.escape(slow)}", re.S), timeout=PATIENCE_MS)
    assert shown(page) != before
    page.get_by_test_id("undo").click()
    expect(page.get_by_test_id("undo")).to_be_disabled()
    assert shown(page) == before
    page.get_by_test_id("planner-close").click()
    expect(page.get_by_test_id("planner")).to_be_hidden()
    expect(page.locator(".is-blamed")).to_have_count(0)
    assert errors == []


def test_suggest_fills_the_graph_within_the_limits_as_one_step(browser: Browser, demo: RunningStudio) -> None:
    page, errors = open_editor(browser, demo, color_scheme="dark")
    before = shown(page)
    page.get_by_test_id("suggest").click()
    page.get_by_test_id("use-board-3").uncheck()
    layer(page, "conv1").click()
    page.get_by_test_id("pin-selection").click()
    expect(page.get_by_test_id("pins")).to_contain_text("conv1 on board-2")
    shoot(page, "51-suggest-dark")
    assert_accessible(page)
    page.get_by_test_id("search-start").click()
    expect(page.get_by_test_id("search-state")).to_have_attribute("data-state", "done", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("gap")).to_have_text(re.compile("proved optimal|at most .* better is possible"))
    expect(page.get_by_test_id("baselines")).to_contain_text("Best single device")
    expect(page.get_by_test_id("use-answer")).to_have_text("The graph shows it")
    page.mouse.move(5, 300)
    shoot(page, "52-suggested-dark")
    assert_accessible(page)
    after = shown(page)
    assert after["conv1"] == "board-2"
    assert set(after.values()) <= {"board-1", "board-2"}
    wait_for(lambda: "board-3" not in saved_plan(demo).placement.values() or None, what="the saving of the plan")
    page.get_by_test_id("undo").click()
    expect(page.get_by_test_id("undo")).to_be_disabled()
    assert shown(page) == before
    assert errors == []


def test_points_of_the_front_are_walked_and_opened_by_the_keyboard(browser: Browser, demo: RunningStudio) -> None:
    page, errors = open_editor(browser, demo)
    before = shown(page)
    page.get_by_test_id("suggest").click()
    # What may be used is asked once for both.
    page.get_by_test_id("use-board-3").uncheck()
    page.get_by_test_id("planner-tab-front").click()
    page.get_by_test_id("front-start").click()
    points = page.get_by_test_id("point-front")
    expect(points.nth(1)).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_test_id("search-state")).to_have_attribute("data-state", "done", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("point-baseline")).to_have_count(2)
    expect(page.get_by_test_id("point-current")).to_have_count(1)
    # One stop for the Tab key, then arrows; what a point is, is said, and its plan is looked at on the graph.
    page.get_by_test_id("front-axis").get_by_text("Memory upwards").click()
    page.locator("[data-point][tabindex='0']").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    focused = page.locator("[data-point]:focus")
    expect(focused).to_have_attribute("aria-label", re.compile(r"frames/s, .*a device"))
    while focused.get_attribute("data-testid") != "point-front":
        page.keyboard.press("ArrowRight")
    expect(page.get_by_test_id("preview-note")).to_be_visible()
    expect(page.get_by_test_id("undo")).to_be_disabled()
    looked_at = shown(page)
    shoot(page, "53-trade-offs")
    assert_accessible(page)
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("undo")).to_be_enabled()
    expect(page.get_by_test_id("preview-note")).to_be_hidden()
    assert shown(page) == looked_at
    page.keyboard.press("Control+z")
    expect(page.get_by_test_id("undo")).to_be_disabled()
    assert shown(page) == before
    assert errors == []


def test_without_a_feasible_plan_it_says_which_limit_and_by_how_much(browser: Browser, demo: RunningStudio) -> None:
    page, errors = open_editor(browser, demo)
    before = shown(page)
    page.get_by_test_id("suggest").click()
    page.get_by_test_id("use-board-2").uncheck()
    page.get_by_test_id("use-board-3").uncheck()
    page.get_by_test_id("min-throughput").fill("1000000")
    page.get_by_test_id("search-start").click()
    obstacles = page.get_by_test_id("obstacles")
    expect(obstacles.locator("li").first).to_contain_text(re.compile(r"\d"), timeout=PATIENCE_MS)
    expect(page.get_by_test_id("min-throughput")).to_have_value(re.compile("1000000"))
    shoot(page, "54-no-plan")
    assert_accessible(page)
    expect(page.get_by_test_id("undo")).to_be_disabled()
    assert shown(page) == before
    # What is loosened is searched again.
    page.get_by_test_id("min-throughput").fill("1")
    page.get_by_test_id("search-start").click()
    expect(page.get_by_test_id("found")).to_be_visible(timeout=PATIENCE_MS)
    expect(obstacles).to_be_hidden()
    assert errors == []
