"""The layers as a table, the search, the trail."""

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from partition_studio.schemas import BlockOut
from tests.browser.axe import assert_accessible
from tests.browser.conftest import shoot
from tests.browser.editor import block_named, model_named, open_network, saved_plan, spread_all
from tests.planner_studio import add_profile
from tests.studio import RunningStudio, wait_for

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def shared(shared_demo: RunningStudio) -> RunningStudio:
    for example in ("resnet-50", "densenet-121"):
        shared_demo.services.models.add_example(example)
    add_profile(shared_demo.services, model_named(shared_demo, "ResNet-50").id, "board-1")
    return shared_demo


@pytest.fixture
def studio(shared: RunningStudio) -> RunningStudio:
    """The studio with every network spread over its three devices."""
    spread_all(shared)
    return shared


def block(studio: RunningStudio, name: str) -> BlockOut:
    return block_named(model_named(studio, "ResNet-50"), name)


def placement(studio: RunningStudio, name: str) -> dict[str, str]:
    return dict(saved_plan(studio, model_named(studio, name).id).placement)


def row(page: Page, layer: str) -> Locator:
    return page.get_by_test_id(f"row-{layer}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_graph_and_table_are_one_selection(browser: Browser, studio: RunningStudio, scheme: str) -> None:
    page, errors = open_network(browser, studio, "ResNet-50", color_scheme=scheme)
    residual = block(studio, "residual2").layers
    page.get_by_test_id("block-residual2").click()
    page.keyboard.press("t")
    table = page.get_by_test_id("layer-table")
    expect(table).to_be_focused()
    expect(table.locator("[role=row][aria-selected=true]")).to_have_count(len(residual))
    expect(row(page, residual[0])).to_be_in_viewport()
    expect(row(page, residual[0])).to_have_attribute("aria-selected", "true")
    # Every row is counted, and only those in view are in the page.
    layers = len(model_named(studio, "ResNet-50").layers)
    expect(table).to_have_attribute("aria-rowcount", str(layers + 1))
    assert table.get_by_role("row").count() < layers
    # Predicted times are there where a profile tells, and a dash elsewhere.
    expect(row(page, residual[0])).to_contain_text("ms")
    shoot(page, f"70-table-{scheme}")
    assert_accessible(page)
    # Select in the table, and see it in the graph.
    row(page, residual[-1]).click()
    page.keyboard.press("Shift+ArrowDown")
    expect(page.get_by_test_id("table-count")).to_contain_text("2 selected")
    page.keyboard.press("2")
    expect(row(page, residual[-1])).to_contain_text("board-2")
    wait_for(lambda: placement(studio, "ResNet-50")[residual[-1]] == "board-2" or None, what="the saving")
    page.keyboard.press("t")
    expect(page.get_by_test_id("canvas")).to_be_focused()
    expect(page.get_by_role("toolbar", name="Selection")).to_contain_text("2 layers")
    expect(page.get_by_test_id("block-residual3")).to_have_class(re.compile("is-cursor"))
    page.keyboard.press("Control+z")
    expect(page.get_by_test_id("block-residual2")).to_have_attribute("data-block-devices", "board-1")
    assert errors == []


def test_the_table_sorts_groups_chooses_columns_and_copies(browser: Browser, studio: RunningStudio) -> None:
    page, errors = open_network(browser, studio, "ResNet-50", permissions=["clipboard-read", "clipboard-write"])
    layers = model_named(studio, "ResNet-50").layers
    page.get_by_test_id("mode-table").click(force=True)
    table = page.get_by_test_id("layer-table")
    head = table.get_by_role("columnheader", name="MACs")
    first = table.locator("[role=row][aria-rowindex='2']")
    for sort, wanted in (
        ("descending", max(layers, key=lambda layer: layer.macs)),
        ("ascending", next(layer for layer in layers if layer.macs == 0)),
        ("none", layers[0]),
    ):
        page.get_by_test_id("sort-macs").click()
        expect(head).to_have_attribute("aria-sort", sort)
        expect(first).to_have_attribute("data-testid", f"row-{wanted.name}")
    # What no profile tells of is last, whichever way.
    page.get_by_test_id("sort-seconds").click()
    table.focus()
    page.keyboard.press("End")
    expect(table.locator(f"[role=row][aria-rowindex='{len(layers) + 1}'] .is-seconds")).to_have_text("\N{EN DASH}")
    page.keyboard.press("Home")
    page.get_by_test_id("sort-seconds").click()
    page.get_by_test_id("sort-seconds").click()
    # Rows under their blocks; a block is folded, and selected whole.
    page.get_by_test_id("table-grouped").check(force=True)
    table.focus()
    page.keyboard.press("Home")
    group = page.get_by_test_id("group-stage1 \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} residual1")
    expect(group).to_contain_text(f"{len(block(studio, 'residual1').layers)} layers")
    group.click()
    expect(page.get_by_test_id("table-count")).to_contain_text(f"{len(block(studio, 'residual1').layers)} selected")
    page.keyboard.press("ArrowLeft")
    expect(group).to_have_attribute("aria-expanded", "false")
    expect(row(page, block(studio, "residual1").layers[0])).to_have_count(0)
    shoot(page, "71-table-by-block")
    assert_accessible(page)
    page.keyboard.press("ArrowRight")
    # Columns come and go, and stay so.
    page.get_by_test_id("table-columns").click()
    page.get_by_test_id("column-joules").click()
    page.get_by_test_id("column-params").click()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("sort-joules")).to_be_visible()
    expect(page.get_by_test_id("sort-params")).to_have_count(0)
    page.get_by_test_id("table-copy").click()
    expect(page.get_by_test_id("flash-note")).to_contain_text("copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    lines = copied.split("\n")
    assert lines[0].startswith("order\tname\tkind")
    assert len(lines) == len(block(studio, "residual1").layers) + 1
    conv = next(layer for layer in layers if layer.name == lines[1].split("\t")[1])
    assert str(conv.macs) in lines[1].split("\t")
    assert errors == []


def test_rows_are_dragged_onto_a_device_and_taken_by_range(browser: Browser, studio: RunningStudio) -> None:
    page, errors = open_network(browser, studio, "ResNet-50")
    layers = [layer.name for layer in model_named(studio, "ResNet-50").layers]
    page.keyboard.press("t")
    row(page, layers[1]).click()
    row(page, layers[4]).click(modifiers=["Shift"])
    expect(page.get_by_test_id("table-count")).to_contain_text("4 selected")
    row(page, layers[6]).locator(".table-check").click()
    expect(page.get_by_test_id("table-count")).to_contain_text("5 selected")
    box, card = row(page, layers[2]).bounding_box(), page.get_by_test_id("device-card-board-3").bounding_box()
    assert box is not None
    assert card is not None
    page.mouse.move(box["x"] + 200, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + 260, box["y"] + 40, steps=3)
    page.mouse.move(card["x"] + 60, card["y"] + 30, steps=6)
    page.mouse.up()
    for layer in (layers[1], layers[2], layers[3], layers[4], layers[6]):
        expect(row(page, layer)).to_contain_text("board-3")
    expect(row(page, layers[5])).to_contain_text("board-1")
    page.keyboard.press("Control+z")
    expect(row(page, layers[1])).to_contain_text("board-1")
    assert errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_search_goes_on_says_what_is_wrong_and_marks_all_hits(
    browser: Browser, studio: RunningStudio, scheme: str
) -> None:
    page, errors = open_network(browser, studio, "ResNet-50", color_scheme=scheme)
    layers = model_named(studio, "ResNet-50").layers
    page.keyboard.press("/")
    search = page.get_by_test_id("search")
    expect(search).to_be_focused()
    expect(page.get_by_role("listbox", name="Examples")).to_contain_text("device:none")
    shoot(page, f"72-search-empty-{scheme}")
    assert_accessible(page)
    # Suggestions are of what occurs here.
    page.keyboard.type("kind:co")
    expect(page.get_by_role("option", name=re.compile("kind:Conv|Conv"))).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(search).to_have_value("kind:Conv")
    page.keyboard.type(" bytes > 1 MB")
    wanted = [layer for layer in layers if layer.op_type == "Conv" and layer.activation_bytes > 1_000_000]
    panel = page.get_by_test_id("search-panel")
    expect(panel).to_contain_text(f"{len(wanted)} layers")
    page.get_by_test_id("only-hits").check(force=True)
    expect(page.get_by_test_id("block-residual16")).to_have_css("opacity", re.compile(r"0\.\d+"))
    expect(page.get_by_test_id("block-residual1")).to_have_css("opacity", "1")
    shoot(page, f"73-search-hits-{scheme}")
    assert_accessible(page)
    # A fault is named where it is, and the hits stay.
    search.fill("kind:Conv bytes > 1 MB seconds > 2 MB")
    problem = page.get_by_test_id("search-problem")
    expect(problem).to_contain_text("no unit of seconds")
    expect(problem.locator("mark")).to_have_text("2 MB")
    expect(page.get_by_test_id("block-residual1")).to_have_class(re.compile("is-hit"))
    shoot(page, f"74-search-problem-{scheme}")
    assert_accessible(page)
    search.fill("kind:Conv bytes > 1 MB")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("toolbar", name="Selection")).to_contain_text(f"{len(wanted)} layers")
    expect(page.get_by_test_id("canvas")).to_be_focused()
    # The table shows the hits alone, and takes them all.
    page.keyboard.press("t")
    expect(page.get_by_test_id("table-count")).to_contain_text(f"{len(wanted)} of {len(layers)} layers")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+a")
    expect(page.get_by_test_id("table-count")).to_contain_text(f"{len(wanted)} selected")
    page.keyboard.press("Delete")
    expect(row(page, wanted[0].name).locator(".is-device")).to_have_text("\N{EN DASH}")
    page.keyboard.press("/")
    search.fill("device:none")
    expect(page.get_by_test_id("table-count")).to_contain_text(f"{len(wanted)} of {len(layers)} layers")
    assert errors == []


def test_enter_pressed_before_the_search_can_be_read_is_not_lost(browser: Browser, studio: RunningStudio) -> None:
    page, errors = open_network(browser, studio, "Handwritten digits")
    # What reads a search is fetched when somebody begins to type: a slow network brings it after the hand is done.
    held: list[Route] = []
    page.route("**/query-*.js", lambda route: held.append(route))
    with page.expect_request("**/query-*.js"):
        page.keyboard.press("/")
    page.keyboard.type("name=conv2")
    page.keyboard.press("Enter")
    expect(page.locator(".card.is-selected")).to_have_count(0)
    for route in held:
        route.continue_()
    expect(page.get_by_test_id("layer-conv2")).to_have_class(re.compile("is-selected"))
    assert errors == []


def test_the_trail_says_where_one_is_and_leads_to_what_is_beside(browser: Browser, studio: RunningStudio) -> None:
    page, errors = open_network(browser, studio, "ResNet-50")
    trail = page.get_by_test_id("trail")
    page.get_by_test_id("block-residual2").click()
    expect(trail.get_by_role("listitem")).to_have_text(["ResNet-50", "stage1", "residual2"])
    # What is beside the block, and what is in it.
    trail.get_by_role("button", name="What is in stage1").click()
    expect(page.get_by_role("menuitem", name=re.compile("residual1"))).to_be_visible()
    shoot(page, "75-trail-menu")
    page.get_by_role("menuitem", name=re.compile("residual3")).click()
    expect(page.get_by_test_id("block-residual3")).to_have_class(re.compile("is-selected"))
    layer = block(studio, "residual3").layers[1]
    trail.get_by_role("button", name="What is in residual3").click()
    page.get_by_role("menuitem", name=layer).click()
    expect(page.get_by_test_id(f"layer-{layer}")).to_have_class(re.compile("is-selected"))
    expect(trail.get_by_role("listitem")).to_have_text(["ResNet-50", "stage1", "residual3", layer])
    trail.get_by_role("button", name="residual3", exact=True).click()
    expect(page.get_by_role("toolbar", name="Selection")).to_contain_text(
        f"{len(block(studio, 'residual3').layers)} layers"
    )
    trail.get_by_role("button", name="What is in residual3").click()
    page.get_by_role("menuitem", name="Fold residual3").click()
    expect(page.get_by_test_id("block-residual3")).to_be_visible()
    expect(trail.get_by_role("listitem")).to_have_text(["ResNet-50", "stage1", "residual3"])
    trail.get_by_role("button", name="ResNet-50", exact=True).click()
    expect(page.get_by_role("toolbar", name="Selection")).to_have_count(0)
    assert errors == []


def test_a_dense_network_is_found_in_and_tabled(browser: Browser, studio: RunningStudio) -> None:
    page, errors = open_network(browser, studio, "DenseNet-121")
    layers = model_named(studio, "DenseNet-121").layers
    page.keyboard.press("t")
    table = page.get_by_test_id("layer-table")
    expect(table).to_have_attribute("aria-rowcount", str(len(layers) + 1))
    page.keyboard.press("End")
    expect(row(page, layers[-1].name)).to_be_in_viewport()
    page.keyboard.press("/")
    page.keyboard.type("kind:Concat bytes > 1 MB")
    wanted = [layer for layer in layers if layer.op_type == "Concat" and layer.activation_bytes > 1_000_000]
    expect(page.get_by_test_id("table-count")).to_contain_text(f"{len(wanted)} of {len(layers)}")
    page.keyboard.press("Enter")
    expect(row(page, wanted[0].name)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Control+Enter")
    expect(table).to_be_focused()
    page.keyboard.press("3")
    wait_for(
        lambda: all(placement(studio, "DenseNet-121")[layer.name] == "board-3" for layer in wanted) or None,
        what="the saving of all hits",
    )
    shoot(page, "79-table-densenet")
    assert errors == []
