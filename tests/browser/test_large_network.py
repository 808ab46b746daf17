"""A network of 10,000 layers in the editor: folded, unfolded, selected, assigned, searched, zoomed, as a table."""

from collections.abc import Iterator

import pytest
from bench.synthetic import residual_chain
from playwright.sync_api import Browser, expect

from tests.browser.conftest import open_page, shoot
from tests.planner_studio import add_devices, add_model
from tests.studio import RunningStudio

pytestmark = pytest.mark.browser

LAYERS = 10_000
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with RunningStudio(tmp_path_factory.mktemp("studio")) as running:
        add_devices(running.services, ("board-1", "board-2"))
        add_model(running.services, residual_chain(LAYERS), "long")
        yield running


def test_ten_thousand_layers_are_opened_selected_assigned_unfolded_searched_zoomed_and_listed(
    browser: Browser, studio: RunningStudio
) -> None:
    context, page, errors = open_page(browser, studio)
    model = studio.services.models.all()[0].id
    names = [layer.name for layer in studio.services.models.show(model).layers]
    middle = names[LAYERS // 2]
    page.goto(f"{studio.url}/m/{model}")
    canvas = page.get_by_test_id("canvas")
    expect(canvas).to_be_visible(timeout=PATIENCE_MS)
    # Folded, there are fewer cards than layers, few enough to be seen.
    shown = page.locator(".card.is-fold").or_(page.get_by_test_id("overview"))
    expect(shown.first).to_be_visible(timeout=PATIENCE_MS)
    assert int(canvas.get_attribute("data-cards") or LAYERS) < LAYERS // 2
    shoot(page, "90-ten-thousand-folded")

    canvas.focus()
    page.keyboard.press("Control+a")
    bar = page.get_by_role("toolbar", name="Selection")
    expect(bar).to_contain_text("10 000 layers", timeout=PATIENCE_MS)

    page.keyboard.press("1")
    layers = page.get_by_test_id("device-layers-board-1")
    expect(layers).to_have_text("10 000", timeout=PATIENCE_MS)
    page.get_by_test_id("undo").click()
    expect(layers).to_have_text("0", timeout=PATIENCE_MS)

    # The two ends of the network are cards, too.
    page.get_by_test_id("open-all").click()
    expect(canvas).to_have_attribute("data-cards", str(LAYERS + 2), timeout=PATIENCE_MS)
    expect(page.get_by_test_id("overview")).to_be_visible(timeout=PATIENCE_MS)
    shoot(page, "91-ten-thousand-open")

    search = page.get_by_test_id("search")
    search.fill(middle)
    search.press("Enter")
    card = page.get_by_test_id(f"layer-{middle}")
    expect(card).to_be_visible(timeout=PATIENCE_MS)
    # Only what is seen is in the page.
    assert page.locator(".card").count() < 200
    page.get_by_test_id("fit").click()
    expect(page.get_by_test_id("overview")).to_be_visible(timeout=PATIENCE_MS)
    search.press("Enter")
    expect(card).to_be_visible(timeout=PATIENCE_MS)
    canvas.focus()
    for _ in range(4):
        page.keyboard.press("-")
    expect(page.get_by_test_id("overview")).to_be_visible(timeout=PATIENCE_MS)
    for _ in range(4):
        page.keyboard.press("+")
    expect(card).to_be_visible(timeout=PATIENCE_MS)

    search.fill("")
    search.press("Escape")
    search.press("Escape")
    page.keyboard.press("t")
    expect(page.get_by_test_id("table-count")).to_contain_text("10 000 layers", timeout=PATIENCE_MS)
    page.get_by_test_id("layer-table").press("End")
    expect(page.get_by_test_id(f"row-{names[-1]}")).to_be_visible(timeout=PATIENCE_MS)
    assert page.locator(".table-row").count() < 100
    page.get_by_test_id("sort-macs").click()
    expect(page.get_by_role("columnheader", name="MACs")).to_have_attribute("aria-sort", "descending")
    context.close()
    assert errors == []
