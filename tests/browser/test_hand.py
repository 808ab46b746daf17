"""The hand in the browser: dragging, painting, moving boundaries, splitting; what it answers, and what it refuses."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.axe import assert_accessible
from tests.browser.conftest import shoot
from tests.browser.editor import PATIENCE_MS, open_demo, saved_plan, spread_demo, still
from tests.planner_studio import limit_memory
from tests.studio import RunningStudio, wait_for

pytestmark = pytest.mark.browser


@pytest.fixture
def demo(shared_demo: RunningStudio) -> RunningStudio:
    """The demo's network spread over its three devices, and no other plan."""
    spread_demo(shared_demo)
    return shared_demo


def open_editor(browser: Browser, studio: RunningStudio, **options: object) -> tuple[Page, list[str]]:
    page, errors = open_demo(browser, studio, **options)
    expect(page.get_by_test_id("plan-figures")).to_contain_text("frames/s", timeout=PATIENCE_MS)
    return page, errors


def on(page: Page, layer: str, device: str) -> None:
    expect(page.get_by_test_id(f"layer-{layer}")).to_have_attribute("data-device-name", device)


def hold_over(page: Page, layer: str, device: str) -> None:
    """Drag a layer over a device's card, and hold it there."""
    page.get_by_test_id(f"device-card-{device}").scroll_into_view_if_needed()
    still(page)
    card = page.get_by_test_id(f"layer-{layer}").bounding_box()
    target = page.get_by_test_id(f"device-card-{device}").bounding_box()
    assert card is not None
    assert target is not None
    page.mouse.move(card["x"] + 40, card["y"] + 10)
    page.mouse.down()
    page.mouse.move(card["x"] + 60, card["y"] + 30, steps=3)
    page.mouse.move(target["x"] + 60, target["y"] + 20, steps=4)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_drop_says_what_it_would_do_and_then_what_it_did_old_beside_new(
    browser: Browser, demo: RunningStudio, scheme: str
) -> None:
    page, errors = open_editor(browser, demo, color_scheme=scheme)
    hold_over(page, "conv2", "board-3")
    ghost = page.get_by_test_id("drag-ghost")
    expect(ghost).to_contain_text("conv2 → board-3")
    expect(ghost).to_contain_text(re.compile(r"Latency.*→.*(better|worse)"), timeout=PATIENCE_MS)
    # The canvas shows it already; the plan is as it was until the hand lets go.
    on(page, "conv2", "board-3")
    shoot(page, f"hand-1-held-{scheme}")
    page.mouse.up()
    answer = page.get_by_test_id("answer")
    expect(answer).to_have_attribute("data-settled", "true", timeout=PATIENCE_MS)
    expect(answer).to_contain_text(re.compile("Throughput.*Latency.*Energy.*Memory.*Cuts"))
    expect(page.get_by_test_id("plan-figures")).to_contain_text(re.compile("better|worse"))
    expect(page.locator("[role=status]", has_text=re.compile(r"conv2 to board-3: latency"))).to_have_count(1)
    expect(page.locator("[data-testid^=bottleneck-]")).not_to_have_count(0)
    assert_accessible(page)
    shoot(page, f"hand-2-answered-{scheme}")
    page.get_by_test_id("undo").click()
    on(page, "conv2", "board-1")
    assert errors == []


def test_what_a_board_has_no_memory_for_is_refused_in_the_hand_the_menu_and_by_the_keys(
    browser: Browser, demo: RunningStudio
) -> None:
    memory = demo.services.devices.limits()["board-3"].memory_bytes
    assert memory is not None
    limit_memory(demo.services, "board-3", 1_000_000)
    try:
        page, errors = open_editor(browser, demo)
        hold_over(page, "conv1", "board-3")
        expect(page.get_by_test_id("drag-ghost")).to_have_attribute("data-refused", "true")
        expect(page.get_by_test_id("drag-ghost")).to_contain_text("memory")
        expect(page.get_by_test_id("drop-refused-board-3")).to_contain_text("need at least")
        on(page, "conv1", "board-1")
        shoot(page, "hand-3-refused")
        page.mouse.up()
        expect(page.get_by_test_id("refusal")).to_contain_text("memory")
        page.get_by_test_id("layer-conv1").click()
        page.keyboard.press("3")
        expect(page.get_by_test_id("refusal")).to_be_visible()
        page.get_by_test_id("assign-menu").click()
        expect(page.get_by_test_id("assign-to-board-3")).to_have_attribute("aria-disabled", "true")
        expect(page.get_by_test_id("assign-to-board-3")).to_contain_text("memory")
        shoot(page, "hand-4-menu")
        page.keyboard.press("Escape")
        on(page, "conv1", "board-1")
        expect(page.get_by_test_id("undo")).to_be_disabled()
        assert errors == []
    finally:
        limit_memory(demo.services, "board-3", memory)


def test_a_stroke_of_the_brush_is_one_step_and_escape_leaves_the_brush(browser: Browser, demo: RunningStudio) -> None:
    page, errors = open_editor(browser, demo)
    page.get_by_test_id("canvas").focus()
    page.keyboard.press("b")
    page.keyboard.press("3")
    expect(page.get_by_test_id("brush-note")).to_contain_text("Painting board-3")
    still(page)
    first, last = (page.get_by_test_id(f"layer-{name}").bounding_box() for name in ("conv1", "conv2"))
    assert first is not None
    assert last is not None
    page.mouse.move(first["x"] + 40, first["y"] + 10)
    page.mouse.down()
    page.mouse.move(last["x"] + 40, last["y"] + 10, steps=2)
    for layer in ("conv1", "relu1", "conv2"):
        on(page, layer, "board-3")
    assert_accessible(page)
    shoot(page, "hand-5-painted")
    page.mouse.up()
    page.get_by_test_id("layer-relu2").click(modifiers=["Alt"])
    expect(page.get_by_test_id("brush-note")).to_contain_text("Painting board-2")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("brush-note")).to_be_hidden()
    page.get_by_test_id("undo").click()
    for layer in ("conv1", "relu1", "conv2"):
        on(page, layer, "board-1")
    expect(page.get_by_test_id("undo")).to_be_disabled()
    assert errors == []


def test_a_boundary_is_moved_by_the_mouse_and_by_the_keys(browser: Browser, demo: RunningStudio) -> None:
    page, errors = open_editor(browser, demo, color_scheme="dark")
    marker = page.get_by_test_id("boundary-board-1-board-2")
    expect(marker).to_have_attribute("aria-label", re.compile(r"^boundary between board-1 and board-2 after conv2, "))
    page.get_by_test_id("canvas").focus()
    page.keyboard.press("x")
    expect(marker).to_be_focused()
    page.keyboard.press("ArrowDown")
    on(page, "relu2", "board-1")
    expect(marker).to_be_focused()
    expect(marker).to_have_attribute("aria-label", re.compile("after relu2"))
    page.keyboard.press("ArrowUp")
    on(page, "relu2", "board-2")
    expect(marker).to_have_attribute("aria-label", re.compile("after conv2"))
    still(page)
    box, target = marker.bounding_box(), page.get_by_test_id("layer-relu1").bounding_box()
    assert box is not None
    assert target is not None
    page.mouse.move(box["x"] + 8, box["y"] + 15)
    page.mouse.down()
    page.mouse.move(target["x"] + 60, target["y"] - 6, steps=5)
    expect(page.get_by_test_id("boundary-ghost")).to_contain_text("2 layers → board-2")
    shoot(page, "hand-6-boundary-dark")
    page.mouse.up()
    on(page, "relu1", "board-2")
    wait_for(lambda: saved_plan(demo).placement["relu1"] == "board-2" or None, what="the saving of the moved boundary")
    page.get_by_test_id("undo").click()
    on(page, "relu1", "board-1")
    assert_accessible(page)
    assert errors == []


def test_a_split_is_shown_on_the_cards_with_its_figures_before_it_is_done(
    browser: Browser, demo: RunningStudio
) -> None:
    page, errors = open_editor(browser, demo)
    page.get_by_test_id("layer-conv1").click()
    page.keyboard.press("s")
    page.get_by_test_id("split-share-board-2").fill("75")
    expect(page.get_by_test_id("split-share-board-1")).to_have_value("25")
    expect(page.get_by_test_id("layer-conv1").locator(".card-segment")).to_have_count(2)
    expect(page.get_by_test_id("split-figures")).to_contain_text("Throughput", timeout=PATIENCE_MS)
    assert_accessible(page)
    shoot(page, "hand-7-split")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("layer-conv1").locator(".card-segment")).to_have_count(0)
    expect(page.get_by_test_id("undo")).to_be_disabled()
    assert errors == []
