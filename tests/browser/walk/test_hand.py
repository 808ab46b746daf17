"""The hand: dragging, painting, moving boundaries, splitting; what it answers, and what it refuses."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.editor import still
from tests.browser.walk.conftest import Begin
from tests.browser.walk.walking import PATIENCE_MS, Walk, box_of, on_networks
from tests.planner_studio import limit_memory
from tests.studio import wait_for

pytestmark = pytest.mark.browser


def answered(walk: Walk) -> None:
    """Wait for what the last edit changed: old beside new."""
    answer = walk.page.get_by_test_id("answer")
    expect(answer).to_have_attribute("data-settled", "true", timeout=PATIENCE_MS)
    expect(answer).to_contain_text(re.compile("Throughput.*Latency.*Energy.*Memory.*Cuts"))


@on_networks("densenet-121")
def test_a_layer_a_block_and_a_lasso_are_dragged_and_each_is_one_step(begin: Begin, example: str) -> None:
    walk = begin(example)
    page = walk.page
    layer = walk.beginning(1)[0]
    walk.hold_over(walk.card(layer), "board-3")
    ghost = page.get_by_test_id("drag-ghost")
    expect(ghost).to_contain_text("board-3")
    expect(ghost).to_contain_text(re.compile(r"Latency.*→.*(better|worse)"), timeout=PATIENCE_MS)
    # The canvas shows it already; the plan is as it was until the hand lets go.
    walk.on(layer, "board-3")
    assert walk.saved.placement[layer] == "board-1"
    walk.keep("held", accessible=False)
    page.mouse.up()
    answered(walk)
    # What limits the plan now is marked.
    expect(page.locator("[data-testid^=bottleneck-]")).not_to_have_count(0)
    expect(page.get_by_test_id("plan-figures")).to_contain_text(re.compile("better|worse"))
    walk.keep("answered")
    walk.wait_saved([layer], "board-3")
    walk.undo()
    walk.on(layer, "board-1")
    walk.nothing_to_undo()

    name = walk.folded()
    walk.hold_over(walk.block(name), "board-3")
    expect(ghost).to_contain_text(re.compile(r"Latency.*→"), timeout=PATIENCE_MS)
    page.mouse.up()
    expect(walk.block(name)).to_have_attribute("data-block-devices", "board-3")
    walk.wait_saved(walk.layers_of(name), "board-3")
    answered(walk)
    walk.keep("block-dragged", accessible=False)
    walk.undo()
    walk.nothing_to_undo()

    left, top, width, height = box_of(walk.canvas)
    page.keyboard.down("Shift")
    page.mouse.move(left + 4, top + 50)
    page.mouse.down()
    page.mouse.move(left + width * 0.5, top + height * 0.6, steps=6)
    walk.keep("lasso", accessible=False)
    page.mouse.up()
    page.keyboard.up("Shift")
    expect(walk.bar).to_contain_text(re.compile(r"\d+ layers"))
    count = int(re.findall(r"\d+", walk.bar.inner_text())[0])
    walk.hold_over(page.locator(".card.is-selected").first, "board-3")
    expect(ghost).to_contain_text(re.compile(rf"{count} layers.*board-3"))
    page.mouse.up()
    wait_for(lambda: list(walk.saved.placement.values()).count("board-3") >= count, what="the saving of the lasso")
    walk.undo()
    walk.nothing_to_undo()
    walk.end()


@on_networks()
def test_layers_are_sent_by_number_and_by_menu_and_a_range_follows_the_graph(begin: Begin, example: str) -> None:
    walk = begin(example)
    page = walk.page
    first, second, third = walk.beginning(3)
    walk.card(first).click()
    page.keyboard.press("2")
    walk.on(first, "board-2")
    walk.card(second).click(button="right")
    expect(page.get_by_test_id("context-menu")).to_be_visible()
    walk.keep("menu", accessible=False)
    page.get_by_test_id("assign-to-board-3").click()
    walk.on(second, "board-3")
    walk.card(first).click()
    walk.card(third).click(modifiers=["Shift"])
    expect(walk.bar).to_contain_text("3 layers")
    for layer in (first, second, third):
        expect(walk.card(layer)).to_have_class(re.compile("is-selected"))
    page.get_by_test_id("assign-menu").click()
    page.get_by_test_id("assign-to-board-2").click()
    for layer in (first, second, third):
        walk.on(layer, "board-2")
    # From here to the end of what is on this device.
    page.get_by_test_id("onwards").click()
    page.get_by_test_id("select-to-cut").click()
    walk.keep("range")
    for _ in range(3):
        walk.undo()
    walk.nothing_to_undo()
    walk.end()


@on_networks()
def test_a_brush_paints_along_the_network_and_a_boundary_is_moved_by_mouse_and_keys(begin: Begin, example: str) -> None:
    walk = begin(example)
    page = walk.page
    first, second, third = walk.beginning(3)
    walk.canvas.focus()
    page.keyboard.press("b")
    page.keyboard.press("3")
    expect(page.get_by_test_id("brush-note")).to_contain_text("Painting board-3")
    walk.press(walk.card(first))
    left, top, _, _ = box_of(walk.card(third))
    page.mouse.move(left + 40, top + 10, steps=4)
    for layer in (first, second, third):
        walk.on(layer, "board-3")
    walk.keep("painted")
    page.mouse.up()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("brush-note")).to_be_hidden()
    walk.undo()
    walk.nothing_to_undo()

    marker = page.get_by_test_id("boundary-board-1-board-2").first
    walk.canvas.focus()
    page.keyboard.press("x")
    expect(marker).to_be_focused()
    still(page)
    words = str(marker.get_attribute("aria-label"))
    page.keyboard.press("ArrowDown")
    expect(marker).not_to_have_attribute("aria-label", words)
    expect(marker).to_be_focused()
    # Up again: before a block that was cut through, it goes to its edge.
    lower = str(marker.get_attribute("aria-label"))
    page.keyboard.press("ArrowUp")
    expect(marker).not_to_have_attribute("aria-label", lower)
    count = list(walk.saved.placement.values()).count("board-2")
    x, y, width, height = box_of(marker)
    page.mouse.move(x + width / 2, y + height / 2)
    page.mouse.down()
    left, top, _, _ = box_of(walk.card(third))
    page.mouse.move(left + 60, top - 6, steps=6)
    expect(page.get_by_test_id("boundary-ghost")).to_contain_text("→ board-2")
    walk.keep("boundary", accessible=False)
    page.mouse.up()
    walk.on(third, "board-2")
    wait_for(lambda: list(walk.saved.placement.values()).count("board-2") > count, what="the saving of the boundary")
    answered(walk)
    walk.keep("boundary-moved")
    walk.end()


@on_networks()
def test_what_a_board_has_no_memory_for_is_refused_while_it_is_in_the_hand(begin: Begin, example: str) -> None:
    walk = begin(example)
    page, services = walk.page, walk.studio.services
    memory = services.devices.limits()["board-3"].memory_bytes
    assert memory is not None
    limit_memory(services, "board-3", 1_000_000)
    try:
        page.reload()
        expect(page.locator(".card").first).to_be_visible(timeout=PATIENCE_MS)
        still(page)
        name = walk.folded()
        was = str(walk.block(name).get_attribute("data-block-devices"))
        walk.hold_over(walk.block(name), "board-3")
        ghost = page.get_by_test_id("drag-ghost")
        expect(ghost).to_have_attribute("data-refused", "true")
        expect(ghost).to_contain_text("memory")
        expect(page.get_by_test_id("drop-refused-board-3")).to_contain_text(re.compile("need at least"))
        walk.keep("refused", accessible=False)
        page.mouse.up()
        expect(page.get_by_test_id("refusal")).to_contain_text("memory")
        expect(walk.block(name)).to_have_attribute("data-block-devices", was)
        walk.nothing_to_undo()
        walk.keep("refused-said")
    finally:
        limit_memory(services, "board-3", memory)
    walk.end()


#: How a convolution is divided, and by which slider the second part gets three quarters.
SPLITS = (
    ("rows", "board-2", "rows"),
    ("columns", "board-2", "columns"),
    ("tiles", "Row 2", "tiles"),
    ("filters", "board-2", "filters"),
    ("inputs", "board-2", "inputs"),
)


@on_networks()
def test_a_convolution_is_divided_in_every_way_with_a_share_for_each_device(begin: Begin, example: str) -> None:
    walk = begin(example)
    page = walk.page
    conv = walk.conv().name
    segments = walk.card(conv).locator("[data-device]")
    for kind, slider, badge in SPLITS:
        walk.find(conv)
        page.keyboard.press("s")
        page.get_by_test_id(f"split-kind-{kind}").check()
        for device in ("board-1", "board-2"):
            page.get_by_test_id(f"split-device-{device}").check()
        page.get_by_test_id("split-device-board-3").uncheck()
        page.get_by_test_id(f"split-weight-{slider}").fill("75")
        other = slider.replace("2", "1")
        expect(page.get_by_test_id(f"split-share-{other}")).to_have_value("25")
        # The card shows the parts while the form is open, and the form what they would do.
        expect(segments).to_have_count(2)
        expect(page.get_by_test_id("split-figures")).to_contain_text("Throughput", timeout=PATIENCE_MS)
        walk.keep(f"split-{kind}", accessible=kind in ("rows", "tiles"))
        page.get_by_test_id("split-apply").click()
        expect(page.get_by_test_id("split")).to_be_hidden(timeout=PATIENCE_MS)
        expect(segments).to_have_count(2)
        expect(walk.card(conv)).to_contain_text(re.compile(rf"{badge} .2"))
        expect(page.get_by_test_id("deploy")).to_have_attribute("aria-disabled", "false", timeout=PATIENCE_MS)
        answered(walk)
        walk.keep(f"divided-{kind}", accessible=False)
        wait_for(lambda: len(walk.saved.shards) == 1, what=f"the saving of {kind}")
        walk.undo()
        expect(segments).to_have_count(0)
        walk.nothing_to_undo()
    walk.end()


@on_networks("resnet-50")
def test_a_codec_is_chosen_at_a_cut_shown_there_and_undone(begin: Begin, example: str) -> None:
    walk = begin(example)
    page = walk.page
    # The cut may lie within a block that is folded at first.
    walk.find(walk.cuts()[0][1])
    labels = [page.get_by_test_id(f"edge-label-{a}-{b}") for a, b in walk.cuts()]
    label = next(one for one in labels if one.count())
    expect(label.first).to_contain_text(re.compile(r"\d.[KM]?B"))
    label.first.click()
    expect(page.get_by_test_id("link-dialog")).to_be_visible()
    walk.keep("link")
    page.get_by_test_id("codec-int8+zstd").check()
    page.get_by_test_id("link-apply").click()
    expect(page.get_by_test_id("link-dialog")).to_be_hidden()
    expect(label.first).to_contain_text("int8+zstd")
    answered(walk)
    walk.keep("codec", accessible=False)
    wait_for(lambda: walk.saved.codecs or None, what="the plan with its codec")
    page.keyboard.press("Control+z")
    expect(label.first).not_to_contain_text("int8")
    walk.end()
