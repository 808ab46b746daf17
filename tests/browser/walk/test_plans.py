"""Plans side by side, in files, by links and in two windows; steps taken back and done again; keys and fingers."""

import json

import pytest
from playwright.sync_api import Page, expect

from partition_studio.schemas import SavedPlanOut
from tests.browser.editor import drag_by_finger, still
from tests.browser.walk.conftest import Begin
from tests.browser.walk.walking import PATIENCE_MS, Walk, keep, on_networks
from tests.studio import wait_for

pytestmark = pytest.mark.browser


def plans(walk: Walk) -> dict[str, SavedPlanOut]:
    return {plan.name: plan for plan in walk.studio.services.plans.all(walk.model.id)}


def send(walk: Walk, layer: str, number: int) -> None:
    walk.card(layer).click()
    walk.page.keyboard.press(str(number))
    walk.on(layer, f"board-{number}")


def list_plans(page: Page) -> None:
    page.get_by_test_id("plans-open").click()
    expect(page.get_by_test_id("plans-list")).to_be_visible()


@on_networks()
def test_a_plan_is_named_noted_duplicated_and_laid_beside_its_copy(begin: Begin, example: str) -> None:
    walk = begin(example)
    page = walk.page
    page.get_by_test_id("plan-name").click()
    page.keyboard.type("Night shift")
    page.keyboard.press("Enter")
    list_plans(page)
    page.get_by_test_id("plan-notes").fill("Quiet boards only")
    wait_for(lambda: "Night shift" in plans(walk) and plans(walk)["Night shift"].plan.notes, what="name and notes")
    page.get_by_test_id("plan-duplicate").click()
    expect(page.get_by_test_id("plan-name")).to_have_text("Night shift copy")
    first, second, third = walk.beginning(3)
    walk.card(first).click()
    walk.card(third).click(modifiers=["Shift"])
    page.keyboard.press("3")
    wait_for(lambda: plans(walk)["Night shift copy"].plan.placement[second] == "board-3", what="the autosave")
    list_plans(page)
    key = f"saved {plans(walk)['Night shift'].id}"
    row = page.get_by_test_id(f"plan-row-{plans(walk)['Night shift'].id}")
    expect(row).to_contain_text("frames/s", timeout=PATIENCE_MS)
    row.hover()
    walk.keep("plans")
    row.get_by_test_id("row-compare").click()
    expect(page.get_by_test_id(f"compare-{key}")).to_contain_text("predicted", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("differences")).to_contain_text("3 layers")
    for name in ("best single device", "whole network on every device"):
        page.get_by_test_id("compare-add").click()
        page.get_by_test_id(f"add-baseline {name}").click(timeout=PATIENCE_MS)
    expect(page.locator(".compare-table .is-best").first).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_test_id(f"against-{key}").click()
    page.get_by_test_id("difference-next").click()
    expect(page.locator(".card.is-apart").first).to_be_visible()
    still(page)
    walk.keep("side-by-side")
    page.get_by_test_id("take-all").click()
    expect(page.get_by_test_id("differences")).to_contain_text("Every layer is where Night shift has it")
    walk.undo()
    expect(page.get_by_test_id("differences")).to_contain_text("3 layers")
    page.get_by_test_id("compare-close").click()
    expect(page.locator(".card.is-same, .card.is-apart")).to_have_count(0)
    walk.end()


@on_networks()
def test_every_step_is_taken_back_done_again_and_found_in_the_history(begin: Begin, example: str) -> None:
    walk = begin(example)
    page = walk.page
    layers = walk.beginning(3)
    for number in (2, 3):
        for layer in layers:
            send(walk, layer, number)
    page.get_by_test_id("history").click()
    steps = page.get_by_test_id("history-step")
    expect(steps).to_have_count(7)
    steps.nth(3).click()
    for layer in layers:
        walk.on(layer, "board-2")
    expect(page.locator(".history-step.is-undone")).to_have_count(3)
    walk.keep("history")
    page.keyboard.press("Escape")
    walk.canvas.focus()
    for _ in range(3):
        page.keyboard.press("Control+Shift+z")
    for layer in layers:
        walk.on(layer, "board-3")
    for _ in range(6):
        page.keyboard.press("Control+z")
    for layer in layers:
        walk.on(layer, "board-1")
    walk.nothing_to_undo()
    walk.end()


@on_networks()
def test_a_plan_goes_out_and_in_as_a_file_and_a_link_opens_the_same_view(begin: Begin, example: str) -> None:
    walk = begin(example, permissions=["clipboard-read", "clipboard-write"])
    page = walk.page
    layer = walk.beginning(1)[0]
    page.get_by_test_id("plan-menu").click()
    expect(page.get_by_test_id("plan-export")).to_be_visible()
    walk.keep("plan-menu", accessible=False)
    with page.expect_download() as export:
        page.get_by_test_id("plan-export").click()
    written = export.value.path().read_bytes()
    assert json.loads(written)["placement"] == walk.saved.placement
    page.get_by_test_id("plan-menu").click()
    page.get_by_role("menuitem", name="Clear the plan").click()
    expect(page.get_by_test_id("plan-problems")).to_have_text("No layer is on a device yet.")
    walk.keep("cleared")
    page.get_by_test_id("plan-import").set_input_files(
        {"name": "kept.plan.json", "mimeType": "application/json", "buffer": written}
    )
    walk.on(layer, "board-1")
    walk.wait_saved([layer], "board-1")
    # A selection, an open block and a place are in the link.
    name = walk.folded()
    walk.block(name).dblclick()
    expect(page.get_by_test_id(f"frame-{name}")).to_be_attached()
    still(page)
    walk.card(walk.beginning(1)[0]).click()
    page.wait_for_function("() => document.querySelector('.react-flow__viewport').getAnimations().length === 0")
    page.get_by_test_id("plan-menu").click()
    page.get_by_test_id("copy-link").click()
    expect(page.get_by_test_id("flash-note")).to_contain_text("copied")
    other = page.context.new_page()
    other.goto(page.evaluate("navigator.clipboard.readText()"))
    expect(other.locator(".card.is-selected")).to_have_count(1, timeout=PATIENCE_MS)
    expect(other.get_by_test_id(f"frame-{name}")).to_be_attached()
    place = "document.querySelector('.react-flow__viewport').style.transform.match(/[-\\d.]+/g).map(Number)"
    here, there = page.evaluate(place), other.evaluate(place)
    assert all(abs(a - b) < 1 for a, b in zip(here, there, strict=True)), (here, there)
    walk.end()


@on_networks()
def test_two_windows_see_one_anothers_edits(begin: Begin, example: str) -> None:
    walk = begin(example)
    page = walk.page
    first, second = walk.beginning(2)
    other = page.context.new_page()
    there = Walk(other, walk.studio, walk.model, [])
    other.goto(page.url)
    expect(there.card(first)).to_be_visible(timeout=PATIENCE_MS)
    still(other)
    send(walk, first, 3)
    there.on(first, "board-3")
    expect(other.get_by_test_id("plan-notice")).to_contain_text("Edited in another window: 1 layer")
    keep(other, f"{example}-edited-elsewhere")
    send(there, second, 2)
    walk.on(second, "board-2")
    walk.undo()
    there.on(first, "board-1")
    walk.on(second, "board-2")
    expect(page.get_by_test_id("conflict")).to_have_count(0)
    assert there.errors == []
    walk.end()


@on_networks()
def test_all_is_done_by_the_keys_and_the_keys_are_listed(begin: Begin, example: str) -> None:
    walk = begin(example)
    page = walk.page
    conv = walk.conv().name
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("?")
    expect(page.get_by_test_id("shortcuts")).to_contain_text("Show the layers as a table")
    walk.keep("keys")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type(f'name="{conv}"')
    page.keyboard.press("Control+Enter")
    page.keyboard.press("2")
    page.keyboard.press("Control+k")
    page.keyboard.type("send board-3")
    expect(page.get_by_role("option")).to_have_count(1)
    walk.keep("palette")
    page.keyboard.press("Enter")
    walk.wait_saved([conv], "board-3")
    page.keyboard.press("s")
    page.get_by_test_id("split-apply").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("split")).to_be_hidden(timeout=PATIENCE_MS)
    wait_for(lambda: len(walk.saved.shards) == 1, what="the saving of the split")
    for _ in range(2):
        page.keyboard.press("Control+z")
    wait_for(lambda: not walk.saved.shards and walk.saved.placement[conv] == "board-2", what="both steps back")
    # Arrows walk the graph, O folds and opens.
    page.keyboard.press("/")
    page.get_by_test_id("search").fill("")
    page.keyboard.press("Escape")
    walk.canvas.focus()
    page.keyboard.press("ArrowDown")
    expect(walk.bar).to_be_visible()
    page.keyboard.press("[")
    still(page)
    expect(page.locator(".card.is-fold").first).to_be_visible()
    walk.end()


@on_networks()
def test_a_network_is_held_on_a_tablet_by_finger(begin: Begin, example: str) -> None:
    walk = begin(example, has_touch=True, is_mobile=True)
    page = walk.page
    for width, height in ((1024, 768), (820, 1180)):
        page.set_viewport_size({"width": width, "height": height})
        page.reload()
        expect(page.locator(".card").first).to_be_visible(timeout=PATIENCE_MS)
        still(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        walk.keep(f"tablet-{width}")
    layer = walk.beginning(1)[0]
    drag_by_finger(page, walk.card(layer), page.locator('[data-drop-device="board-3"]').first)
    walk.on(layer, "board-3")
    walk.wait_saved([layer], "board-3")
    walk.keep("tablet-dropped", accessible=False)
    walk.end()
