"""Everything by finger, on a tablet upright and across."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.browser.axe import assert_accessible_in_both_themes
from tests.browser.conftest import shoot
from tests.browser.editor import PATIENCE_MS, drag_by_finger, finger
from tests.browser.workshop import Workshop, at, open_workshop
from tests.studio import wait_for

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("studio")) as opened:
        yield opened


SMALL_TARGETS = """
([least]) => [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary, [role=button]")]
  .filter((element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
  .map((element) => ({ element, target: element.matches("input[type=checkbox], input[type=radio]") ?
    element.closest("label, .mantine-Checkbox-root, .mantine-Switch-root, .mantine-Radio-root") ?? element : element }))
  .filter(({ element }) => element.closest(".visually-hidden, [inert]") === null)
  .map(({ element, target }) => ({ element, box: target.getBoundingClientRect() }))
  .filter(({ box }) => box.width > 1 && (box.width < least || box.height < least))
  .filter(({ element }) => getComputedStyle(element).display !== "inline")
  .map(({ element, box }) => `${element.outerHTML.slice(0, 120)} ${Math.round(box.width)}x${Math.round(box.height)}`)
"""


def found_at_rest(page: Page, script: str, *arguments: object) -> object:
    """Return what a script finds on a page, and goes on finding once things have slid into their places."""
    for _ in range(20):
        page.wait_for_timeout(300)
        found = page.evaluate(script, *arguments)
        if found == []:
            break
    return found


@pytest.mark.parametrize(("width", "height"), [pytest.param(1024, 768, marks=pytest.mark.slow), (820, 1180)])
def test_pages_fit_a_tablet_and_a_finger(browser: Browser, workshop: Workshop, width: int, height: int) -> None:
    size = ViewportSize(width=width, height=height)
    first, second = workshop.runs
    page, errors = at(browser, workshop, "/models", has_touch=True, is_mobile=True)
    page.set_viewport_size(size)
    for path, ready in (
        ("/models", "upload-input"),
        ("/devices", "path-desk-1"),
        ("/runs", "runs"),
        (f"/runs/{first.id}", "run-report"),
        (f"/runs/{first.id},{second.id}", "comparison"),
    ):
        page.goto(f"{workshop.studio.url}{path}")
        expect(page.get_by_test_id(ready)).to_be_attached(timeout=PATIENCE_MS)
        assert found_at_rest(page, SMALL_TARGETS, [24]) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        shoot(page, f"76-tablet-{width}{path.replace('/', '-').split(',')[0]}")
        assert_accessible_in_both_themes(page)
    assert errors == []


#: What can be pressed has its own middle, but in what scrolls or is zoomed.
COVERED = """
() => [...document.querySelectorAll("button, a[href], [role=tab], [role=slider]")]
  .filter((element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
  .filter((element) => element.closest(".visually-hidden, .skip-link, .react-flow, .boundaries") === null)
  .filter((element) => element.closest(".lanes-list, .planner, .details, .layer-table") === null)
  .filter((element) => {
    const { left, top, width, height } = element.getBoundingClientRect();
    const found = document.elementFromPoint(left + width / 2, top + height / 2);
    return width > 1 && !element.contains(found) && !found?.contains(element);
  })
  .map((element) => element.outerHTML.slice(0, 160))
"""


@pytest.mark.parametrize(("width", "height"), [pytest.param(1024, 768, marks=pytest.mark.slow), (820, 1180)])
def test_the_editor_fits_a_tablet_and_a_finger(browser: Browser, workshop: Workshop, width: int, height: int) -> None:
    page, errors = at(browser, workshop, f"/m/{workshop.deployment.model_id}", has_touch=True, is_mobile=True)
    page.set_viewport_size({"width": width, "height": height})
    page.reload()

    def fits(state: str) -> None:
        assert found_at_rest(page, COVERED) == [], state
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), state
        # What is drawn into the network is as large as the network is zoomed.
        assert [one for one in page.evaluate(SMALL_TARGETS, [24]) if "-fold=" not in one] == [], state
        shoot(page, f"79-tablet-{state}-{width}")
        assert_accessible_in_both_themes(page)

    card = page.get_by_test_id("layer-conv1")
    expect(card).to_be_visible(timeout=PATIENCE_MS)
    card.tap()
    expect(page.get_by_test_id("assign-menu")).to_be_visible()
    fits("selected")
    page.get_by_test_id("details-open").tap()
    expect(page.get_by_test_id("details")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_test_id("suggest").tap()
    expect(page.get_by_test_id("search-start")).to_be_visible(timeout=PATIENCE_MS)
    fits("planner")
    page.get_by_test_id("planner-close").tap()
    page.get_by_test_id("mode-table").tap()
    expect(page.get_by_test_id("row-conv1")).to_be_visible(timeout=PATIENCE_MS)
    fits("table")
    assert errors == []


def middle(page: Page, test_id: str) -> tuple[float, float]:
    box = page.get_by_test_id(test_id).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def stands_still(page: Page, test_id: str) -> bool:
    """Return whether a card has come to rest: the network is fitted into the window when that is known."""
    before = middle(page, test_id)
    page.wait_for_timeout(200)
    return middle(page, test_id) == before


def test_the_hand_needs_no_mouse(browser: Browser, workshop: Workshop) -> None:
    page, errors = at(browser, workshop, f"/m/{workshop.deployment.model_id}", has_touch=True, is_mobile=True)
    page.set_viewport_size({"width": 820, "height": 1180})
    page.reload()
    expect(page.get_by_test_id("layer-conv2")).to_be_visible(timeout=PATIENCE_MS)
    wait_for(lambda: stands_still(page, "layer-conv2") or None, what="the network at rest")
    # Painting.
    page.get_by_test_id("brush-tool").tap()
    brush = page.get_by_test_id("brush-desk-2")
    brush.tap()
    expect(brush).to_have_attribute("aria-pressed", "true", timeout=PATIENCE_MS)
    finger(page, middle(page, "layer-conv2"), middle(page, "layer-relu2"))
    for name in ("conv2", "relu2"):
        expect(page.get_by_test_id(f"layer-{name}")).to_have_attribute("data-device-name", "desk-2")
    page.get_by_test_id("brush-leave").tap()
    page.get_by_test_id("undo").tap()
    expect(page.get_by_test_id("layer-conv2")).to_have_attribute("data-device-name", "desk-1")
    # A box of several.
    page.get_by_test_id("box-tool").tap()
    (x, y), (to_x, to_y) = middle(page, "layer-conv2"), middle(page, "layer-relu2")
    finger(page, (x - 20, y - 10), (to_x, to_y), (to_x + 20, to_y + 10))
    expect(page.locator(".selection-what b")).to_have_text("2 layers")
    page.get_by_test_id("box-tool").tap()
    # The boundary.
    handle = page.get_by_role("slider", name=re.compile("^boundary")).first
    before = handle.get_attribute("aria-valuenow")
    box = handle.bounding_box()
    assert box is not None
    start = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    finger(page, start, (start[0], start[1] - 40), (start[0], start[1] - 160))
    expect(handle).not_to_have_attribute("aria-valuenow", before or "")
    page.get_by_test_id("undo").tap()
    expect(handle).to_have_attribute("aria-valuenow", before or "")
    expect(page.get_by_test_id("sync")).to_have_text("Saved")
    assert errors == []


@pytest.mark.parametrize(("width", "height"), [pytest.param(1024, 768, marks=pytest.mark.slow), (820, 1180)])
def test_layers_are_dragged_onto_a_device_by_finger(
    browser: Browser, workshop: Workshop, width: int, height: int
) -> None:
    page, errors = at(browser, workshop, f"/m/{workshop.deployment.model_id}", has_touch=True, is_mobile=True)
    page.set_viewport_size({"width": width, "height": height})
    page.reload()
    card = page.get_by_test_id("layer-conv1")
    expect(card).to_be_visible(timeout=PATIENCE_MS)
    wait_for(lambda: stands_still(page, "layer-conv1") or None, what="the network at rest")
    shoot(page, f"77-tablet-editor-{width}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    drag_by_finger(page, card, page.locator('[data-drop-device="desk-2"]').first)
    expect(card).to_have_attribute("data-device-name", "desk-2")
    # What it changes stands above what can be done next, however many lines that takes.
    answer, bar = page.get_by_test_id("answer"), page.get_by_role("toolbar", name="Selection")
    expect(answer).to_have_attribute("data-settled", "true", timeout=PATIENCE_MS)
    above, below = answer.bounding_box(), bar.bounding_box()
    assert above is not None
    assert below is not None
    assert above["y"] + above["height"] <= below["y"]
    shoot(page, f"78-tablet-dropped-{width}")
    page.get_by_test_id("undo").tap()
    expect(card).to_have_attribute("data-device-name", "desk-1")
    expect(page.get_by_test_id("sync")).to_have_text("Saved")
    assert errors == []
