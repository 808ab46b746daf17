"""The picture of a large network: folded at first, opened in place, far away one drawing; blocks are held whole."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from partition_studio.schemas import BlockOut, ModelOut
from tests.browser.axe import assert_accessible
from tests.browser.conftest import open_page, shoot
from tests.browser.editor import PATIENCE_MS, block_named, saved_plan, still
from tests.planner_studio import add_devices, add_profile, only_plan
from tests.studio import RunningStudio, wait_for

pytestmark = pytest.mark.browser

DEVICES = ("board-1", "board-2", "board-3")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with RunningStudio(tmp_path_factory.mktemp("studio")) as running:
        add_devices(running.services, DEVICES)
        running.services.models.add_example("resnet-50")
        yield running


@pytest.fixture
def studio(shared: RunningStudio) -> RunningStudio:
    """The studio with ResNet-50 spread over three devices."""
    model = resnet(shared)
    only_plan(shared.services, model.id, shared.services.plans.spread(model.id, list(DEVICES)))
    return shared


def resnet(studio: RunningStudio) -> ModelOut:
    return studio.services.models.show(studio.services.models.all()[0].id)


def block(studio: RunningStudio, name: str) -> BlockOut:
    return block_named(resnet(studio), name)


def placement(studio: RunningStudio) -> dict[str, str]:
    return dict(saved_plan(studio, resnet(studio).id).placement)


def open_editor(browser: Browser, studio: RunningStudio, **options: object) -> tuple[Page, list[str]]:
    _, page, errors = open_page(browser, studio, **options)
    page.get_by_test_id(f"model-card-{resnet(studio).id}").locator("a").first.click(timeout=PATIENCE_MS)
    expect(page.get_by_test_id("block-residual1")).to_be_visible(timeout=PATIENCE_MS)
    still(page)
    return page, errors


def zoom(page: Page) -> float:
    transform = page.locator(".react-flow__viewport").evaluate("element => element.style.transform")
    found = re.search(r"scale\(([\d.]+)\)", transform)
    assert found is not None, transform
    return float(found[1])


def places(page: Page) -> dict[str, tuple[float, float]]:
    """Return where the cards that are drawn stand in the network's own units."""
    found = page.locator(".drawn-card").evaluate_all(
        "cards => cards.map(card => [card.dataset.card, parseFloat(card.style.left), parseFloat(card.style.top)])"
    )
    return {name: (left, top) for name, left, top in found}


def centre(locator: Locator) -> tuple[float, float]:
    box = locator.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page: Page, start: tuple[float, float], device: str) -> None:
    card = page.get_by_test_id(f"device-card-{device}").bounding_box()
    assert card is not None
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + 30, start[1] + 20, steps=4)
    page.mouse.move(card["x"] + card["width"] / 2, card["y"] + 30, steps=10)
    page.mouse.up()


def painted(page: Page, colour: str) -> tuple[float, float]:
    """Return a point of the window where the drawing has a device's colour all around."""
    found = page.evaluate(
        """colour => {
          const canvas = document.querySelector("[data-testid=overview]");
          const probe = document.createElement("canvas").getContext("2d");
          probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(colour).trim();
          probe.fillRect(0, 0, 1, 1);
          const wanted = probe.getImageData(0, 0, 1, 1).data;
          const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const is = (x, y) => [0, 1, 2].every(part => data[(y * width + x) * 4 + part] === wanted[part]);
          const { left, top, width: room } = canvas.getBoundingClientRect();
          const scale = room / width;
          for (let y = 3; y < height - 3; y += 1)
            for (let x = 3; x < width - 3; x += 1)
              if (is(x, y) && is(x + 1, y) && is(x, y + 1)) return [left + x * scale, top + y * scale];
          return null;
        }""",
        colour,
    )
    assert isinstance(found, list), f"nothing is painted in {colour}"
    return found[0], found[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_large_network_opens_folded_and_readable(browser: Browser, studio: RunningStudio, scheme: str) -> None:
    page, errors = open_editor(browser, studio, color_scheme=scheme)
    residual = [block for block in resnet(studio).blocks if block.kind == "residual"]
    expect(page.locator(".card.is-fold")).to_have_count(len(residual))
    expect(page.get_by_test_id("frame-stage1")).to_be_visible()
    assert zoom(page) >= 0.6
    first = page.get_by_test_id("block-residual1")
    expect(first).to_contain_text("Residual block")
    expect(first).to_contain_text(f"{len(residual[0].layers)} layers")
    expect(first).to_contain_text(re.compile("256.56.56"))
    # A block on two devices shows both, by their share of its layers.
    divided = page.locator(".card.is-fold:has([data-testid='stripes'])").first
    expect(divided.locator("[data-device]")).to_have_count(2)
    shoot(page, f"60-resnet-folded-{scheme}")
    assert_accessible(page)
    assert errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_block_opens_in_place_and_moves_nothing_left_of_it_or_above(
    browser: Browser, studio: RunningStudio, scheme: str
) -> None:
    page, errors = open_editor(browser, studio, color_scheme=scheme)
    before = places(page)
    name = "residual5"
    x, y = before[f"fold {name}"]
    on_screen = page.get_by_test_id(f"block-{name}").bounding_box()
    page.get_by_test_id(f"block-{name}").dblclick()
    frame = page.get_by_test_id(f"frame-{name}")
    expect(frame).to_be_visible()
    still(page)
    for layer in block(studio, name).layers:
        expect(page.get_by_test_id(f"layer-{layer}")).to_have_count(1)
    after = places(page)
    for other, (left, top) in before.items():
        if other in after and (left < x - 1 or (left == x and top < y)):
            assert after[other] == (left, top), other
        elif other in after:
            assert after[other][1] >= top, other
    opened = frame.bounding_box()
    assert on_screen is not None
    assert opened is not None
    # It stays under the pointer, but for what brings all of it into view.
    assert opened["y"] <= on_screen["y"] + 2
    assert opened["x"] <= on_screen["x"] <= opened["x"] + opened["width"]
    expect(frame).to_be_in_viewport(ratio=0.99)
    shoot(page, f"61-resnet-open-block-{scheme}")
    assert_accessible(page)
    # The same by its button, and everything is where it was.
    frame.get_by_role("button", name=f"Fold {name}").click()
    expect(page.get_by_test_id(f"block-{name}")).to_be_visible()
    still(page)
    after = places(page)
    assert all(after[other] == at for other, at in before.items() if other in after)
    assert errors == []


def test_a_folded_block_is_dragged_onto_a_device_with_all_its_layers_as_one_step(
    browser: Browser, studio: RunningStudio
) -> None:
    page, errors = open_editor(browser, studio)
    layers = block(studio, "residual1").layers
    assert {placement(studio)[layer] for layer in layers} == {"board-1"}
    drag(page, centre(page.get_by_test_id("block-residual1")), "board-3")
    expect(page.get_by_test_id("block-residual1")).to_have_attribute("data-block-devices", "board-3")
    wait_for(
        lambda: all(placement(studio)[layer] == "board-3" for layer in layers) or None,
        what="the saving of the block's layers",
    )
    # What passes between folded blocks on two devices is drawn as a cut, with its bytes.
    expect(page.locator(".edge-label").first).to_contain_text(re.compile("[KM]B"))
    shoot(page, "62-resnet-block-dragged")
    page.get_by_test_id("undo").click()
    expect(page.get_by_test_id("undo")).to_be_disabled()
    expect(page.get_by_test_id("block-residual1")).to_have_attribute("data-block-devices", "board-1")
    # Without a mouse: select it, and press the device's number.
    page.get_by_test_id("block-residual2").click()
    expect(page.get_by_role("toolbar", name="Selection")).to_contain_text(
        f"{len(block(studio, 'residual2').layers)} layers"
    )
    page.keyboard.press("2")
    expect(page.get_by_test_id("block-residual2")).to_have_attribute("data-block-devices", "board-2")
    assert errors == []


def test_search_opens_the_block_that_hides_the_hit(browser: Browser, studio: RunningStudio) -> None:
    page, errors = open_editor(browser, studio)
    layer = block(studio, "residual11").layers[2]
    page.get_by_test_id("search").fill(layer)
    expect(page.get_by_test_id("block-residual11")).to_contain_text("1 hit")
    expect(page.get_by_test_id(f"layer-{layer}")).to_have_count(0)
    page.keyboard.press("Enter")
    card = page.get_by_test_id(f"layer-{layer}")
    expect(card).to_have_class(re.compile("is-selected"))
    still(page)
    expect(card).to_be_in_viewport(ratio=0.99)
    shoot(page, "63-resnet-search")
    assert errors == []


def test_the_keyboard_walks_blocks_opens_and_folds_them(browser: Browser, studio: RunningStudio) -> None:
    page, errors = open_editor(browser, studio)
    page.get_by_test_id("block-residual1").click()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_test_id("block-residual2")).to_have_class(re.compile("is-selected"))
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("frame-residual2")).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".card.is-selected")).to_have_count(1)
    page.keyboard.press("o")
    expect(page.get_by_test_id("block-residual2")).to_be_visible()
    page.get_by_test_id("block-residual1").click()
    page.get_by_test_id("block-residual3").click(modifiers=["Shift"])
    expect(page.locator(".card.is-fold.is-selected")).to_have_count(3)
    # All like this one, by the menu; and all.
    page.get_by_test_id("block-residual1").click(button="right")
    page.get_by_test_id("menu-fold-alike").click()
    expect(page.locator(".card.is-fold")).to_have_count(0)
    page.get_by_test_id("canvas").focus()
    page.keyboard.press("[")
    expect(page.get_by_test_id("block-stage1")).to_be_visible()
    expect(page.get_by_test_id("block-stage1")).to_contain_text("Stage")
    still(page)
    shoot(page, "64-resnet-all-folded")
    page.keyboard.press("Shift+O")
    expect(page.get_by_test_id("frame-stage4")).to_have_count(1)
    assert errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_far_away_the_network_is_one_drawing_that_is_pressed_dragged_and_boxed(
    browser: Browser, studio: RunningStudio, scheme: str
) -> None:
    page, errors = open_editor(browser, studio, color_scheme=scheme)
    page.get_by_test_id("open-all").click()
    expect(page.get_by_test_id("overview")).to_be_visible()
    still(page)
    assert zoom(page) < 0.35
    expect(page.locator(".card")).to_have_count(0)
    shoot(page, f"65-resnet-overview-{scheme}")
    assert_accessible(page)
    # A painted card is pressed and dragged like any other.
    page.mouse.click(*painted(page, "--ps-d1"))
    expect(page.get_by_role("toolbar", name="Selection")).to_be_visible()
    count = list(placement(studio).values()).count("board-2")
    drag(page, painted(page, "--ps-d1"), "board-3")
    expect(page.get_by_test_id("device-layers-board-2")).to_have_text(str(count - 1))
    page.get_by_test_id("undo").click()
    expect(page.get_by_test_id("device-layers-board-2")).to_have_text(str(count))
    page.keyboard.press("Escape")
    box = page.get_by_test_id("canvas").bounding_box()
    assert box is not None
    bar = page.get_by_role("toolbar", name="Selection")
    page.keyboard.down("Shift")
    page.mouse.move(box["x"] + 4, box["y"] + 4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] - 70, steps=6)
    page.mouse.up()
    page.keyboard.up("Shift")
    expect(bar).to_contain_text(re.compile(r"\d+ layers"))
    page.keyboard.press("3")
    wait_for(lambda: len(set(placement(studio).values())) < 3 or None, what="the saving of the boxed layers")
    shoot(page, f"66-resnet-overview-boxed-{scheme}")
    page.get_by_test_id("undo").click()
    page.keyboard.press("Escape")
    # Zoomed in there are cards again, and the small map moves the view.
    for _ in range(8):
        page.get_by_role("button", name="Zoom in").click()
        still(page)
    expect(page.get_by_test_id("overview")).to_have_count(0)
    expect(page.locator(".card").first).to_be_visible()
    minimap = page.get_by_test_id("minimap")
    expect(minimap).to_be_visible()
    before = page.locator(".react-flow__viewport").evaluate("element => element.style.transform")
    corner = minimap.bounding_box()
    assert corner is not None
    page.mouse.click(corner["x"] + 20, corner["y"] + 20)
    still(page)
    assert page.locator(".react-flow__viewport").evaluate("element => element.style.transform") != before
    shoot(page, f"67-resnet-small-map-{scheme}")
    assert_accessible(page)
    assert errors == []


def test_bars_show_predicted_time_once_a_device_was_profiled(browser: Browser, studio: RunningStudio) -> None:
    page, errors = open_editor(browser, studio)
    first = page.get_by_test_id("block-residual1")
    expect(first).to_have_attribute("title", re.compile("MACs"))
    page.get_by_test_id("measure").click()
    predicted = page.get_by_role("menuitemradio", name="Predicted time")
    expect(predicted).to_be_disabled()
    page.keyboard.press("Escape")
    add_profile(studio.services, resnet(studio).id, "board-1")
    page.reload()
    expect(first).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_test_id("measure").click()
    page.get_by_role("menuitemradio", name="Predicted time").click()
    expect(first).to_have_attribute("title", re.compile("ms predicted"))
    # Nothing is known of what runs on other devices, which is said, and is no bar.
    expect(page.get_by_test_id("block-residual16")).to_have_attribute("title", re.compile("no profile there"))
    shoot(page, "68-resnet-predicted-time")
    assert errors == []


def test_another_size_of_the_window_wraps_the_columns_anew(browser: Browser, studio: RunningStudio) -> None:
    page, errors = open_editor(browser, studio)
    wide = places(page)
    page.set_viewport_size({"width": 900, "height": 900})
    wait_for(lambda: places(page) != wide or None, what="the wrapping")
    still(page)
    columns = {x for x, _ in places(page).values()}
    assert len(columns) <= len({x for x, _ in wide.values()})
    page.set_viewport_size({"width": 1280, "height": 720})
    wait_for(lambda: places(page) == wide or None, what="the wrapping back")
    assert errors == []
