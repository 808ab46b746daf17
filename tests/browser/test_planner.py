"""The planner in the browser: what limits a plan, the best one, trade-offs, and why there is none."""

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from partition_studio.cli.demo import DEMO_DEVICES
from partition_studio.schemas import JobOut, SearchOut
from tests.browser.axe import assert_accessible
from tests.browser.conftest import open_page, shoot
from tests.browser.editor import PATIENCE_MS, open_demo, saved_plan, spread_network, still
from tests.planner_studio import add_model, branches, only_plan
from tests.studio import RunningStudio, wait_for

pytestmark = pytest.mark.browser


@pytest.fixture
def demo(shared_demo: RunningStudio) -> RunningStudio:
    """The demo's studio with a plan that leaves something to be wished for."""
    model = shared_demo.services.demo_model_id
    assert model is not None
    spread = shared_demo.services.plans.spread(model, list(DEMO_DEVICES))
    plan = spread.model_copy(update={"placement": {**spread.placement, "conv1": "board-2"}})
    only_plan(shared_demo.services, model, plan)
    return shared_demo


@pytest.fixture(scope="module")
def hard_model(shared_demo: RunningStudio) -> str:
    return add_model(shared_demo.services, branches(4, 12), "hard")


@pytest.fixture
def hard(shared_demo: RunningStudio, hard_model: str) -> str:
    """A network of which no search proves soon which placement is best."""
    spread_network(shared_demo, hard_model)
    return hard_model


def open_hard(browser: Browser, studio: RunningStudio, model: str, **options: object) -> tuple[Page, list[str]]:
    _, page, errors = open_page(browser, studio, **options)
    page.goto(f"{studio.url}/m/{model}")
    expect(page.get_by_test_id("layer-sum")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_test_id("suggest").click()
    return page, errors


def search_ends(page: Page, state: str) -> None:
    expect(page.get_by_test_id("search-state")).to_have_attribute("data-state", state, timeout=PATIENCE_MS)


def shown(page: Page) -> dict[str, str]:
    """Return the device of every layer, as the canvas shows it."""
    pairs = page.locator("[data-device-name]").evaluate_all(
        "cards => cards.map(card => [card.dataset.testid, card.dataset.deviceName])"
    )
    return {layer.removeprefix("layer-"): device for layer, device in pairs}


def layer(page: Page, name: str) -> Locator:
    return page.get_by_test_id(f"layer-{name}")


def test_a_plan_tells_what_limits_it_and_the_next_change_is_one_step(browser: Browser, demo: RunningStudio) -> None:
    page, errors = open_demo(browser, demo)
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
    page.get_by_role("button", name="Close the answer").click()
    expect(page.locator(".is-blamed")).to_have_count(0)
    assert errors == []


def test_suggest_fills_the_graph_within_the_limits_as_one_step(browser: Browser, demo: RunningStudio) -> None:
    page, errors = open_demo(browser, demo, color_scheme="dark")
    before = shown(page)
    page.get_by_test_id("suggest").click()
    page.get_by_test_id("use-board-3").uncheck()
    layer(page, "conv1").click()
    page.get_by_test_id("pin-selection").click()
    expect(page.get_by_test_id("pins")).to_contain_text("conv1 on board-2")
    shoot(page, "51-suggest-dark")
    assert_accessible(page)
    page.get_by_test_id("search-start").click()
    search_ends(page, "done")
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


def test_points_of_the_front_are_reached_by_the_mouse_and_opened_by_the_keyboard(
    browser: Browser, demo: RunningStudio
) -> None:
    page, errors = open_demo(browser, demo)
    before = shown(page)
    page.get_by_test_id("suggest").click()
    # What may be used is asked once for both.
    page.get_by_test_id("use-board-3").uncheck()
    page.get_by_test_id("planner-tab-front").click()
    page.get_by_test_id("front-start").click()
    points = page.get_by_test_id("point-front")
    expect(points.nth(1)).to_be_visible(timeout=PATIENCE_MS)
    search_ends(page, "done")
    expect(page.get_by_test_id("point-baseline")).to_have_count(2)
    expect(page.get_by_test_id("point-current")).to_have_count(1)
    # Without the baselines there is more room for the rest.
    page.get_by_test_id("front-baselines").uncheck()
    expect(page.get_by_test_id("point-baseline")).to_have_count(0)
    # One stop for the Tab key, then arrows; what a point is, is said, and its plan is looked at on the graph.
    page.get_by_test_id("front-axis").get_by_text("Memory").click()
    # However close they lie, each is the one that is looked at where it is drawn.
    readout = page.get_by_test_id("front-readout").locator("b")
    for point in page.locator("[data-point]").all():
        box = point.locator(".point-sign").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(readout).to_have_text(str(point.get_attribute("aria-label")).split(":")[0])
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
    page, errors = open_demo(browser, demo, color_scheme="dark")
    before = shown(page)
    page.get_by_test_id("suggest").click()
    page.get_by_test_id("use-board-2").uncheck()
    page.get_by_test_id("use-board-3").uncheck()
    page.get_by_test_id("min-throughput").fill("1000000")
    page.get_by_test_id("search-start").click()
    obstacles = page.get_by_test_id("obstacles")
    # What was asked for, and what there is.
    first = obstacles.locator("li").first
    expect(first).to_have_text(re.compile(r"\d.*frames/s.*\d.*frames/s", re.S), timeout=PATIENCE_MS)
    expect(first).not_to_contain_text("e+")
    expect(page.get_by_test_id("min-throughput")).to_have_value("1,000,000 frames/s")
    expect(page.get_by_test_id("use-board-2")).not_to_be_checked()
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


def test_stop_keeps_the_best_of_a_search_that_would_last(
    browser: Browser, shared_demo: RunningStudio, hard: str
) -> None:
    page, errors = open_hard(browser, shared_demo, hard)
    before = shown(page)
    page.get_by_test_id("search-seconds").fill("3000")
    page.get_by_test_id("search-start").click()
    # What is best so far, how good any plan can be at most, and how both came along.
    expect(page.get_by_test_id("value")).to_contain_text("frames/s", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("trace")).to_have_attribute("aria-label", re.compile("^Best plan .*frames/s"))
    expect(page.get_by_test_id("bound")).to_have_text(re.compile(r"Best so far\. No plan exceeds .* frames/s"))
    shoot(page, "55-searching")
    assert_accessible(page)
    page.get_by_test_id("search-stop").click()
    search_ends(page, "cancelled")
    expect(page.get_by_test_id("use-answer")).to_have_text("The graph shows it")
    jobs = shared_demo.client.get("/api/jobs", list[JobOut])
    job = next(one.id for one in jobs if one.model_id == hard)
    answer = shared_demo.client.get(f"/api/models/{hard}/searches/{job}", SearchOut).answer
    assert answer is not None and not answer.proved
    assert shown(page) == answer.plan.placement != before
    shoot(page, "56-stopped")
    page.get_by_test_id("undo").click()
    expect(page.get_by_test_id("undo")).to_be_disabled()
    assert shown(page) == before
    assert errors == []


def test_one_run_of_layers_per_device_is_proved_soon_and_replicas_are_allowed_by_one_press(
    browser: Browser, shared_demo: RunningStudio, hard: str
) -> None:
    page, errors = open_hard(browser, shared_demo, hard, color_scheme="dark")
    replicas = page.get_by_test_id("strategy-replicas")
    expect(replicas).to_be_enabled()
    switch = page.get_by_role("switch", name="One run of layers per device")
    switch.focus()
    page.keyboard.press("Space")
    expect(switch).to_be_checked()
    expect(switch).to_have_accessible_description(re.compile("proved soon"))
    # What does not go with it rests, and it is said why.
    expect(replicas).to_be_disabled()
    expect(page.get_by_test_id("one-run-reason")).to_be_visible()
    shoot(page, "57-one-run-dark")
    assert_accessible(page)
    page.get_by_test_id("search-start").click()
    search_ends(page, "done")
    expect(page.get_by_test_id("gap")).to_have_text("proved optimal")
    runs = page.get_by_test_id("value").inner_text()
    # The whole network on every device does more, which is said, with a way to have it.
    page.get_by_test_id("allow-replicas").click()
    expect(switch).not_to_be_checked()
    expect(replicas).to_be_checked()
    expect(page.get_by_test_id("search-state")).not_to_have_attribute("data-state", "done")
    expect(page.get_by_test_id("value")).not_to_have_text(runs, timeout=PATIENCE_MS)
    expect(page.get_by_test_id("allow-replicas")).to_be_hidden()
    # It goes on, or has just ended.
    page.evaluate("() => document.querySelector('[data-testid=search-stop]')?.click()")
    expect(page.get_by_test_id("use-answer")).to_have_text("The graph shows it", timeout=PATIENCE_MS)
    assert sorted(shown(page)["sum"].split()) == list(DEMO_DEVICES)
    assert errors == []


def test_beside_the_planner_the_graph_keeps_most_of_the_window(browser: Browser, demo: RunningStudio) -> None:
    page, errors = open_demo(browser, demo)
    page.get_by_test_id("suggest").click()
    expect(page.get_by_test_id("device-rail")).to_be_visible()

    def width(selector: str) -> float:
        box = page.locator(selector).bounding_box()
        assert box is not None
        return box["width"]

    assert width(".canvas") > 1280 * 0.6
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # Layers are dropped on a folded device as on one in full.
    still(page)
    source, target = layer(page, "conv1").bounding_box(), page.get_by_test_id("rail-board-3").bounding_box()
    assert source is not None and target is not None
    page.mouse.move(source["x"] + 10, source["y"] + 10)
    page.mouse.down()
    page.mouse.move(target["x"] + 10, target["y"] + 10, steps=5)
    page.mouse.up()
    expect(layer(page, "conv1")).to_have_attribute("data-device-name", "board-3")
    expect(page.get_by_test_id("flash-note")).to_have_text("board-3: 1 layer → board-3")
    # The planner's edge moves by keys, too; in full the devices stand there when they are asked for.
    before = width(".planner")
    page.get_by_role("separator", name="Width of the planner").focus()
    page.keyboard.press("ArrowLeft")
    assert width(".planner") > before
    page.get_by_test_id("unfold-devices").click()
    expect(page.get_by_test_id("device-card-board-1")).to_be_visible()
    page.get_by_test_id("fold-devices").click()
    page.set_viewport_size({"width": 1024, "height": 768})
    page.wait_for_function(
        "() => [...document.querySelectorAll('.header > *')]"
        ".every(one => one.getBoundingClientRect().right <= innerWidth)"
    )
    shoot(page, "58-planner-on-a-tablet")
    page.get_by_test_id("planner-close").click()
    expect(page.get_by_test_id("device-card-board-1")).to_be_visible()
    assert errors == []
