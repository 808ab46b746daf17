"""Everything by the keyboard: the palette of commands, the list of keys, and a deployment without a pointer."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.axe import assert_accessible
from tests.browser.conftest import open_page, shoot
from tests.browser.editor import PATIENCE_MS, block_named, model_named, open_network, spread_all, still
from tests.studio import RunningStudio, wait_for

pytestmark = pytest.mark.browser

#: The later of two sentences soon stands in the place of the first: both are heard, as each is told when it comes.
KEEP_WHAT_IS_SAID = """() => {
  const status = document.querySelector(".canvas-host .visually-hidden[role=status]");
  window.said = [];
  const keep = () => window.said.push(status.textContent);
  new MutationObserver(keep).observe(status, { subtree: true, childList: true, characterData: true });
}"""

#: What has the focus, by its name, and whether its ring is seen: drawn at all, and not clipped by what it lies in.
RING = """() => {
  const element = document.activeElement;
  if (element === document.body) return null;
  // A switch is drawn by what stands beside it.
  const drawn = element.matches("input") ? element.nextElementSibling ?? element.parentElement : element;
  const style = getComputedStyle(drawn);
  const width = style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth);
  const out = width + parseFloat(style.outlineOffset);
  const box = drawn.getBoundingClientRect();
  const ring = { left: box.left - out, top: box.top - out, right: box.right + out, bottom: box.bottom + out };
  const cut = [];
  for (let around = drawn.parentElement; around !== null && width > 0; around = around.parentElement) {
    if (getComputedStyle(around).overflow === "visible") continue;
    const clip = around.getBoundingClientRect();
    const sides = ["left", "top"].filter((side) => ring[side] < clip[side] - 0.5)
      .concat(["right", "bottom"].filter((side) => ring[side] > clip[side] + 0.5));
    if (sides.length > 0) cut.push(`${around.className}: ${sides.join(", ")}`);
  }
  const name = element.getAttribute("aria-label") ?? element.title ?? "";
  const isDrawn = width > 0 || style.boxShadow !== "none" || element.matches(".mantine-Input-input");
  return [`${element.tagName} ${name || element.textContent}`.slice(0, 60), isDrawn, cut.join("; ")];
}"""

#: The menu of devices is open, and the keys are its own.
HAS_THE_KEYS = "() => document.activeElement.closest('[data-testid=context-menu]') !== null"


@pytest.fixture(scope="module")
def shared(shared_demo: RunningStudio) -> RunningStudio:
    shared_demo.services.models.add_example("squeezenet")
    return shared_demo


@pytest.fixture
def studio(shared: RunningStudio) -> RunningStudio:
    """The demo, and SqueezeNet 1.0 beside its network; both are spread over its three devices."""
    spread_all(shared)
    return shared


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_palette_finds_commands_layers_devices_and_models(
    browser: Browser, studio: RunningStudio, scheme: str
) -> None:
    page, errors = open_network(browser, studio, "SqueezeNet 1.0", color_scheme=scheme)
    hidden = block_named(model_named(studio, "SqueezeNet 1.0"), "fire7").layers[2]
    page.get_by_test_id("block-fire2").click()
    page.keyboard.press("Control+k")
    entry = page.get_by_test_id("palette-input")
    expect(entry).to_be_focused()
    # What cannot be done now says why, and is not done.
    undo = page.get_by_role("option", name=re.compile("Undo"))
    expect(undo).to_contain_text("nothing to undo")
    expect(undo).to_have_attribute("aria-disabled", "true")
    shoot(page, f"76-palette-{scheme}")
    assert_accessible(page)
    page.keyboard.type("send board-3")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("block-fire2")).to_have_attribute("data-block-devices", "board-3")
    expect(page.get_by_test_id("canvas")).to_be_focused()
    page.keyboard.press("Control+k")
    expect(entry).to_be_focused()
    page.keyboard.type(hidden)
    expect(page.get_by_role("option").last).to_contain_text("Go to")
    shoot(page, f"77-palette-layer-{scheme}")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id(f"layer-{hidden}")).to_have_class(re.compile("is-selected"))
    page.keyboard.press("Control+k")
    expect(entry).to_be_focused()
    page.keyboard.type("model handwritten")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(str(studio.services.demo_model_id)))
    assert errors == []


def test_whatever_has_the_focus_has_a_ring_that_is_seen_whole(browser: Browser, studio: RunningStudio) -> None:
    page, errors = open_network(browser, studio, "SqueezeNet 1.0")
    page.get_by_test_id("block-fire2").click()
    expect(page.get_by_role("toolbar", name="Selection")).to_be_visible()
    page.get_by_role("link", name="Skip to the content").focus()
    seen: dict[str, str] = {}
    for _ in range(120):
        page.keyboard.press("Tab")
        told = page.evaluate(RING)
        if told is None:
            break
        name, is_drawn, cut = told
        seen[name] = "" if is_drawn and not cut else cut or "no ring"
    else:
        raise AssertionError("the focus does not come to the end of the page")
    assert len(seen) > 40, seen
    assert {name: fault for name, fault in seen.items() if fault} == {}
    assert errors == []


def test_the_list_of_keys_is_made_of_what_they_do(browser: Browser, studio: RunningStudio) -> None:
    page, errors = open_network(browser, studio, "SqueezeNet 1.0")
    page.get_by_test_id("canvas").focus()
    page.keyboard.press("?")
    keys = page.get_by_test_id("shortcuts")
    expect(keys).to_contain_text("Show the layers as a table")
    shoot(page, "78-keys")
    assert_accessible(page)
    # Who dictates switches single keys off; the others go on.
    page.get_by_role("switch", name="Keys without Ctrl").uncheck(force=True)
    page.keyboard.press("Escape")
    expect(keys).to_have_count(0)
    expect(page.get_by_test_id("canvas")).to_be_focused()
    page.keyboard.press("t")
    page.keyboard.press("Control+k")
    expect(page.get_by_test_id("palette-input")).to_be_focused()
    expect(page.get_by_test_id("layer-table")).to_have_count(0)
    assert errors == []


def test_the_menu_key_opens_the_menu_where_the_cursor_stands(browser: Browser, studio: RunningStudio) -> None:
    page, errors = open_network(browser, studio, "Handwritten digits")
    menu = page.get_by_test_id("context-menu")
    card = page.get_by_test_id("layer-conv2")
    card.click()
    still(page)
    page.keyboard.press("ContextMenu")
    page.wait_for_function(HAS_THE_KEYS)
    opened, under = menu.bounding_box(), card.bounding_box()
    assert opened is not None
    assert under is not None
    assert under["x"] < opened["x"] < under["x"] + under["width"]
    assert abs(opened["y"] - under["y"] - under["height"]) < 40
    shoot(page, "82-menu-by-key")
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    expect(page.get_by_test_id("canvas")).to_be_focused()
    page.keyboard.press("Shift+F10")
    page.wait_for_function(HAS_THE_KEYS)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_test_id("assign-to-board-2")).to_be_focused()
    page.keyboard.press("Enter")
    expect(card).to_have_attribute("data-device-name", "board-2")
    page.keyboard.press("Control+z")

    page.keyboard.press("t")
    table = page.get_by_test_id("layer-table")
    expect(table).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("ContextMenu")
    page.wait_for_function(HAS_THE_KEYS)
    page.keyboard.press("Escape")
    expect(table).to_be_focused()
    assert errors == []


def test_from_opening_to_deploying_without_a_pointer(browser: Browser, studio: RunningStudio) -> None:
    _, page, errors = open_page(browser, studio)
    # Open.
    expect(page.get_by_test_id("canvas")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_test_id("sync")).to_have_text("Saved")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("canvas")).to_be_focused()
    # The whole network is one stop; the boundaries between devices are the next.
    expect(page.get_by_role("slider", name=re.compile("^boundary", re.I))).to_have_count(2)
    still(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "slider", page.evaluate(
        "document.activeElement.outerHTML"
    )[:200]
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_test_id("canvas")).to_be_focused()
    # Find and assign.
    page.keyboard.press("/")
    page.keyboard.type("name=conv1")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_test_id("canvas")).to_be_focused()
    page.evaluate(KEEP_WHAT_IS_SAID)
    page.keyboard.press("2")
    expect(page.get_by_test_id("layer-conv1")).to_have_attribute("data-device-name", "board-2")
    # What was done is told, and then what it changes.
    page.wait_for_function("() => window.said.some(text => text.startsWith('conv1 to board-2: latency'))")
    assert "1 layer → board-2" in page.evaluate("window.said")
    # Split.
    page.keyboard.press("s")
    split = page.get_by_test_id("split")
    expect(split).to_be_visible()
    page.get_by_test_id("split-apply").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("layer-conv1")).to_have_class(re.compile("is-divided"))
    expect(split).to_be_hidden()
    shoot(page, "80-keyboard-split")
    # Undo both.
    page.keyboard.press("Control+z")
    expect(page.get_by_test_id("layer-conv1")).to_have_attribute("data-device-name", "board-2")
    page.keyboard.press("Control+z")
    expect(page.get_by_test_id("layer-conv1")).to_have_attribute("data-device-name", "board-1")
    # Deploy.
    page.keyboard.press("Control+k")
    expect(page.get_by_test_id("palette-input")).to_be_focused()
    page.keyboard.type("deploy the plan")
    expect(page.get_by_role("option").first).not_to_have_attribute("aria-disabled", "true")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("deploy-state")).to_contain_text(re.compile("running", re.I), timeout=PATIENCE_MS)
    shoot(page, "81-keyboard-deployed")
    assert errors == []
    for deployment in studio.services.deployments.all():
        studio.services.deployments.stop(deployment.id)
    wait_for(
        lambda: not any(device.agent_running for device in studio.services.devices.all()) or None,
        what="the end of every agent",
    )
