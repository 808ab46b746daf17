"""What a person sees of a network: far and near, of each layer and block, found, in a table; and what is wrong."""

import re

import pytest
from playwright.sync_api import Page, expect

from partition_studio.partition.plan import Plan
from partition_studio.schemas import PlanIn
from tests.browser.editor import still
from tests.browser.walk.conftest import Begin
from tests.browser.walk.walking import PATIENCE_MS, Walk, box_of, on_networks

pytestmark = pytest.mark.browser


def places(page: Page) -> dict[str, tuple[float, float]]:
    """Return where every card lies on the canvas."""
    found: list[tuple[str, float, float]] = page.locator("[data-card]").evaluate_all(
        "cards => cards.map(card => [card.dataset.card, parseFloat(card.style.left), parseFloat(card.style.top)])"
    )
    return {name: (x, y) for name, x, y in found}


def go_far(walk: Walk) -> None:
    """Open everything, and look at it from far enough that it is one drawing."""
    walk.page.get_by_test_id("open-all").click()
    overview = walk.page.get_by_test_id("overview")
    for _ in range(12):
        still(walk.page)
        if overview.count():
            return
        walk.page.get_by_role("button", name="Zoom out").click()
    raise AssertionError("it never became one drawing")


@on_networks("densenet-121")
def test_blocks_are_opened_in_place_and_the_whole_is_seen_from_afar(begin: Begin, example: str) -> None:
    walk = begin(example)
    page = walk.page
    walk.keep("open")
    name = walk.folded()
    before = places(page)
    x, y = before[f"fold {name}"]
    walk.block(name).dblclick()
    frame = page.get_by_test_id(f"frame-{name}")
    expect(frame).to_be_visible()
    still(page)
    after = places(page)
    kept = {name: at for name, at in before.items() if name in after}
    assert all(after[other] == at for other, at in kept.items() if at[0] < x - 1)
    # What stands above it stays in line with it, where it has become wider.
    above = {other: at for other, at in kept.items() if at[0] == x and at[1] < y}
    assert all(after[other][1] == top for other, (_, top) in above.items())
    assert len({after[other][0] - left for other, (left, _) in above.items()}) <= 1
    # What belongs together is traced from whatever is under the pointer: a Concat's many inputs, too.
    page.locator(".card.is-selected").first.hover()
    expect(page.locator(".is-traced").first).to_be_attached()
    walk.keep("block-opened", accessible=False)
    frame.get_by_role("button", name=f"Fold {name}").click()
    expect(walk.block(name)).to_be_visible()
    still(page)
    folded = places(page)
    assert all(folded[other] == at for other, at in before.items() if other in folded)
    go_far(walk)
    expect(page.locator(".card")).to_have_count(0)
    walk.keep("far")
    page.get_by_test_id("heat").click()
    expect(page.get_by_test_id("heat-legend")).to_contain_text("MACs")
    walk.keep("far-heat", accessible=False)
    page.get_by_test_id("heat").click()
    # Near by there are cards again, edges tell what passes, and the small map moves the view.
    for _ in range(14):
        if page.locator(".edge-shape").count():
            break
        walk.zoom_in()
    expect(page.locator(".edge-shape").first).to_contain_text(re.compile(r"\d"))
    minimap = page.get_by_test_id("minimap")
    expect(minimap).to_be_visible()
    view = page.locator(".react-flow__viewport")
    at_first = view.get_attribute("style")
    left, top, _, _ = box_of(minimap)
    page.mouse.click(left + 20, top + 20)
    still(page)
    assert view.get_attribute("style") != at_first
    walk.keep("near", accessible=False)
    page.get_by_test_id("fit").click()
    still(page)
    walk.end()


@on_networks("resnet-50")
def test_bars_show_each_measure_and_the_heat_map_leads_to_the_largest(begin: Begin, example: str) -> None:
    walk = begin(example)
    page = walk.page
    card = page.locator(".card:not(.card-end)[title]").first
    shown = set()
    for measure in ("Parameters", "Activation bytes", "MACs", "Predicted energy", "Predicted time"):
        page.get_by_test_id("measure").click()
        page.get_by_role("menuitemradio", name=measure).click()
        expect(page.get_by_test_id("measure")).to_have_text(measure)
        shown.add(card.get_attribute("title"))
    assert len(shown) == 5, shown
    walk.keep("measure-time", accessible=False)
    page.get_by_test_id("heat").click()
    expect(page.locator(".card.is-heat").first).to_be_visible()
    expect(page.get_by_test_id("heat-legend")).to_contain_text("Predicted time")
    walk.keep("heat")
    page.get_by_test_id("largest-open").click()
    largest = page.get_by_test_id("largest").get_by_role("listitem")
    expect(largest).to_have_count(10)
    walk.keep("largest")
    # A layer in a folded block is shown by opening it.
    second = largest.nth(1).get_by_role("button")
    name = second.inner_text().split()[-1]
    second.click()
    expect(walk.card(name)).to_have_class(re.compile("is-selected"))
    walk.end()


@on_networks("digits")
def test_a_layer_tells_its_costs_its_neighbours_its_attributes_and_its_weights(begin: Begin, example: str) -> None:
    walk = begin(example)
    page = walk.page
    conv = walk.conv()
    walk.find(conv.name)
    page.get_by_test_id("details-open").click()
    details = page.get_by_test_id("details")
    expect(details.get_by_role("heading", level=2)).to_have_text("Conv")
    expect(details).to_contain_text("kernel_shape")
    expect(details.get_by_test_id("device-costs")).to_contain_text(re.compile(r"board-1 runs it.*ms.*measured", re.S))
    walk.keep("layer")
    histogram = details.get_by_test_id("histogram")
    expect(histogram).to_have_attribute("aria-label", re.compile("half of them or more lie in"))
    histogram.scroll_into_view_if_needed()
    heights = "svg => [...svg.querySelectorAll('rect')].map(rect => rect.getAttribute('height')).join()"
    linear = histogram.evaluate(heights)
    details.get_by_test_id("weights-log").click()
    assert histogram.evaluate(heights) != linear
    histogram.press("End")
    expect(details.locator("figcaption").first).to_contain_text("%)")
    details.get_by_text("As a table").first.click()
    expect(details.get_by_role("columnheader", name="How many")).to_be_visible()
    walk.keep("weights")
    # Neighbours are links, and nothing is hidden behind the panel.
    makers = [layer for layer in walk.model.layers if set(layer.outputs) & set(conv.inputs)]
    takers = [layer for layer in walk.model.layers if set(layer.inputs) & set(conv.outputs)]
    for layer in (*makers, *takers):
        link = details.get_by_role("button", name=f"{layer.op_type} {layer.name}", exact=True)
        expect(link).to_be_visible()
    link.click()
    taker = takers[-1].name
    expect(walk.card(taker)).to_have_class(re.compile("is-selected"))
    still(page)
    (left, _, width, _), (card_left, _, _, _) = box_of(details), box_of(walk.card(taker))
    assert card_left > left + width
    walk.end()


@on_networks()
def test_a_block_is_one_thing_with_sums_and_all_like_it_open_at_once(begin: Begin, example: str) -> None:
    walk = begin(example)
    page = walk.page
    name = walk.folded()
    walk.block(name).click()
    expect(walk.bar).to_contain_text(f"{len(walk.layers_of(name))} layers")
    page.get_by_test_id("details-open").click()
    details = page.get_by_test_id("details")
    for kind in ("Conv", "Relu"):
        expect(details).to_contain_text(re.compile(rf"\d\s{kind}\b"))
    expect(details).to_contain_text(re.compile(r"board-\d"))
    walk.keep("block")
    alike = details.get_by_test_id("details-fold-alike")
    if alike.count():
        alike.click()
    else:
        details.get_by_test_id("details-fold").click()
    expect(walk.block(name)).to_have_count(0)
    walk.keep("blocks-alike-opened", accessible=False)
    walk.end()


@on_networks("densenet-121")
def test_what_a_concat_joins_is_named_and_each_is_a_way_on(begin: Begin, example: str) -> None:
    walk = begin(example)
    page = walk.page
    makers = {
        layer.name: [maker for maker in walk.model.layers if set(maker.outputs) & set(layer.inputs)]
        for layer in walk.model.layers
    }
    joint = [name for name, found in makers.items() if len(found) > 1][-1]
    walk.find(joint)
    page.get_by_test_id("details-open").click()
    details = page.get_by_test_id("details")
    for source in makers[joint]:
        expect(details.get_by_role("button", name=f"{source.op_type} {source.name}", exact=True)).to_be_visible()
    walk.keep("joint")
    walk.end()


@on_networks()
def test_layers_are_searched_by_kind_device_and_bytes_and_the_trail_says_where_one_is(
    begin: Begin, example: str
) -> None:
    walk = begin(example)
    page, layers = walk.page, walk.model.layers
    page.keyboard.press("/")
    search = page.get_by_test_id("search")
    expect(search).to_be_focused()
    expect(page.get_by_text("Searches to begin with")).to_be_visible()
    walk.keep("search-begun")
    middle = sorted(layer.activation_bytes for layer in layers)[len(layers) // 2]
    query = f"kind:Conv device:board-1 bytes > {middle} B"
    wanted = [
        layer
        for layer in layers
        if layer.op_type == "Conv" and walk.saved.placement[layer.name] == "board-1" and layer.activation_bytes > middle
    ]
    search.fill(query)
    expect(page.get_by_test_id("search-panel")).to_contain_text(re.compile(rf"(?<!\d){len(wanted)} layers?"))
    page.get_by_test_id("only-hits").check(force=True)
    walk.keep("search-hits")
    search.press("Control+Enter")
    expect(walk.bar).to_contain_text(f"{len(wanted)} layers" if len(wanted) > 1 else wanted[0].name)
    search.fill("")
    # Into a block, to what is beside, and out again.
    name = walk.folded()
    trail = page.get_by_test_id("trail")
    walk.block(name).click()
    expect(trail.get_by_role("listitem").last).to_have_text(name)
    inside = trail.get_by_role("button", name=f"What is in {name}")
    inside.click()
    expect(page.get_by_role("menuitem", name=f"Open {name}")).to_be_visible()
    walk.keep("trail", accessible=False)
    page.get_by_role("menuitem").last.click()
    expect(page.locator(".card.is-selected").first).to_be_visible()
    trail.get_by_role("button", name=walk.model.name, exact=True).click()
    expect(walk.bar).to_have_count(0)
    walk.end()


@on_networks()
def test_the_table_has_the_same_selection_sorts_filters_and_assigns_many(begin: Begin, example: str) -> None:
    walk = begin(example)
    page, layers = walk.page, walk.model.layers
    first = walk.beginning(1)[0]
    walk.card(first).click()
    page.keyboard.press("t")
    table = page.get_by_test_id("layer-table")
    expect(page.get_by_test_id(f"row-{first}")).to_have_attribute("aria-selected", "true")
    walk.keep("table")
    page.get_by_test_id("sort-macs").click()
    most = max(layers, key=lambda layer: layer.macs)
    expect(table.locator("[role=row][aria-rowindex='2']")).to_have_attribute("data-testid", f"row-{most.name}")
    page.get_by_test_id("search").fill("kind:Relu")
    relus = [layer.name for layer in layers if layer.op_type == "Relu"]
    expect(page.get_by_test_id("table-count")).to_contain_text(f"{len(relus)} of {len(layers)}")
    table.focus()
    page.keyboard.press("Control+a")
    expect(page.get_by_test_id("table-count")).to_contain_text(f"{len(relus)} selected")
    page.keyboard.press("3")
    walk.wait_saved(relus, "board-3")
    walk.keep("table-assigned")
    page.get_by_test_id("table-grouped").check(force=True)
    walk.keep("table-grouped", accessible=False)
    page.keyboard.press("Control+z")
    walk.wait_saved(relus[:1], "board-1")
    walk.end()


@on_networks("resnet-50")
def test_errors_stand_at_their_layer_in_its_fold_and_far_away(begin: Begin, example: str) -> None:
    walk = begin(example)
    page = walk.page
    name = walk.folded()
    layer = walk.layers_of(name)[2]
    plan = walk.saved
    gone = Plan(network=plan.network, placement={**plan.placement, layer: "gone-board"}, resources=plan.resources)
    saved = walk.studio.services.plans.create(walk.model.id, PlanIn(name="With a device that is gone", plan=gone))
    page.goto(f"{walk.studio.url}/m/{walk.model.id}/p/{saved.id}")
    expect(page.locator(".card").first).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_test_id("fold-all").click()
    still(page)
    outer = next(one.name for one in walk.model.blocks if layer in one.layers and walk.block(one.name).count())
    block = walk.block(outer)
    expect(block.get_by_test_id("trouble")).to_be_visible(timeout=PATIENCE_MS)
    block.hover()
    words = page.get_by_test_id("trouble-words").filter(has_text="gone-board")
    expect(words).to_be_visible()
    walk.keep("trouble")
    # In the details in full, with what to do.
    block.click()
    page.get_by_test_id("details-open").click()
    expect(page.get_by_test_id("details").get_by_role("list", name="Errors and warnings")).to_contain_text("gone-board")
    # The layer itself bears the mark.
    walk.find(layer)
    expect(walk.card(layer).get_by_test_id("trouble")).to_be_visible()
    walk.keep("trouble-layer", accessible=False)
    # And from far away it is still seen.
    go_far(walk)
    walk.keep("trouble-far", accessible=False)
    walk.end()
