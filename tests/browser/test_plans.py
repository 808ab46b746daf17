"""Several plans of one network: made, named, copied, removed, laid side by side; and the history of steps."""

import re
from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from partition_studio.partition.plan import Plan
from partition_studio.schemas import ModelOut, PlanIn, SavedPlanOut
from tests.browser.axe import assert_accessible
from tests.browser.conftest import open_page, shoot
from tests.browser.editor import PATIENCE_MS
from tests.planner_studio import add_devices, add_links, add_profile
from tests.studio import RunningStudio, wait_for

pytestmark = pytest.mark.browser

DEVICES: Final = ("board-1", "board-2", "board-3")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with RunningStudio(tmp_path_factory.mktemp("studio")) as running:
        add_devices(running.services, DEVICES)
        model = running.services.models.add_example("resnet-50")
        for number, device in enumerate(DEVICES, 1):
            add_profile(running.services, model.id, device, speed=float(number))
        peers = ("studio", *DEVICES)
        add_links(running.services, {(one, other): 50e6 for one in peers for other in peers if one != other})
        yield running


@pytest.fixture
def studio(shared: RunningStudio) -> RunningStudio:
    """ResNet-50 with two plans: spread over three devices, and over the two faster ones. The first is the newest."""
    for saved in plans(shared):
        shared.services.plans.remove(saved.id)
    model = resnet(shared).id
    for name, devices in (("Two boards", DEVICES[1:]), ("Three boards", DEVICES)):
        plan = shared.services.plans.spread(model, list(devices))
        shared.services.plans.create(model, PlanIn(name=name, plan=plan))
    return shared


def resnet(studio: RunningStudio) -> ModelOut:
    return studio.services.models.show(studio.services.models.all()[0].id)


def plans(studio: RunningStudio) -> list[SavedPlanOut]:
    return studio.services.plans.all(resnet(studio).id)


def saved(studio: RunningStudio, name: str) -> SavedPlanOut:
    return next(plan for plan in plans(studio) if plan.name == name)


def saved_plan(studio: RunningStudio, name: str) -> Plan:
    return saved(studio, name).plan


def open_editor(browser: Browser, studio: RunningStudio, **options: object) -> tuple[Page, list[str]]:
    _, page, errors = open_page(browser, studio, **options)
    page.goto(f"{studio.url}/m/{resnet(studio).id}")
    expect(page.get_by_test_id("block-residual1")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_test_id("plan-name")).to_have_text("Three boards")
    return page, errors


def list_plans(page: Page) -> None:
    page.get_by_test_id("plans-open").click()
    expect(page.get_by_test_id("plans-list")).to_be_visible()


def beside(page: Page, studio: RunningStudio, name: str) -> str:
    """Lay a saved plan beside the open one; return its key."""
    plan = saved(studio, name).id
    list_plans(page)
    row = page.get_by_test_id(f"plan-row-{plan}")
    row.hover()
    row.get_by_test_id("row-compare").click()
    expect(page.get_by_test_id(f"compare-saved {plan}")).to_contain_text("predicted", timeout=PATIENCE_MS)
    return f"saved {plan}"


def test_plans_are_made_named_copied_and_switched(browser: Browser, studio: RunningStudio) -> None:
    page, errors = open_editor(browser, studio)
    page.get_by_test_id("plan-name").click()
    page.keyboard.type("Night shift")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("plan-name")).to_have_text("Night shift")
    expect(page.get_by_test_id("plan-name")).to_be_focused()
    wait_for(lambda: "Night shift" in [plan.name for plan in plans(studio)] or None, what="the new name")

    list_plans(page)
    page.get_by_test_id("plan-notes").fill("Quiet boards only\nbecause of the fans")
    rows = page.locator(".plan-row")
    expect(rows.first).to_contain_text("Quiet boards only")
    expect(rows.nth(1)).to_contain_text("frames/s", timeout=PATIENCE_MS)
    page.mouse.move(5, 700)
    shoot(page, "60-plans")
    assert_accessible(page)
    wait_for(lambda: saved_plan(studio, "Night shift").notes.startswith("Quiet") or None, what="the notes")

    page.get_by_test_id("plan-duplicate").click()
    expect(page.get_by_test_id("plan-name")).to_have_text("Night shift copy")
    copy = wait_for(
        lambda: next((plan for plan in plans(studio) if plan.name == "Night shift copy"), None), what="the copy"
    )
    assert copy.plan.placement == saved_plan(studio, "Night shift").placement
    expect(page).to_have_url(re.compile(f"/p/{copy.id}$"))

    list_plans(page)
    page.keyboard.press("ArrowDown")
    page.get_by_test_id(f"plan-open-{saved(studio, 'Two boards').id}").press("Enter")
    expect(page.get_by_test_id("plan-name")).to_have_text("Two boards")
    expect(page.locator('[data-block-devices~="board-1"]')).to_have_count(0)
    page.go_back()
    expect(page.get_by_test_id("plan-name")).to_have_text("Night shift copy")
    assert errors == []


def test_a_deleted_plan_comes_back(browser: Browser, studio: RunningStudio) -> None:
    page, errors = open_editor(browser, studio)
    before = saved(studio, "Three boards")
    list_plans(page)
    row = page.locator(".plan-row.is-open")
    row.hover()
    row.get_by_test_id("row-remove").click()
    expect(page.get_by_test_id("plan-name")).to_have_text("Two boards")
    wait_for(lambda: [plan.name for plan in plans(studio)] == ["Two boards"], what="the removal")
    page.get_by_test_id("bring-back").click()
    expect(page.get_by_test_id("plan-name")).to_have_text("Three boards")
    assert saved(studio, "Three boards") == before
    expect(page).to_have_url(re.compile(f"/p/{before.id}$"))
    assert errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_plans_lie_side_by_side_and_the_graph_shows_the_difference(
    browser: Browser, studio: RunningStudio, scheme: str
) -> None:
    page, errors = open_editor(browser, studio, color_scheme=scheme)
    three_boards = saved_plan(studio, "Three boards")
    two, three = saved_plan(studio, "Two boards").placement, three_boards.placement
    differ = [layer for layer in three if two[layer] != three[layer]]
    key = beside(page, studio, "Two boards")
    unfinished = studio.services.plans.create(
        resnet(studio).id, PlanIn(name="Unfinished", plan=three_boards.model_copy(update={"placement": {}}))
    )
    page.get_by_test_id("compare-add").click()
    page.get_by_test_id(f"add-saved {unfinished.id}").click()
    expect(page.get_by_test_id(f"compare-saved {unfinished.id}")).to_contain_text(
        "Not predicted: 123 layers on no device"
    )
    page.get_by_test_id(f"leave-saved {unfinished.id}").click()
    expect(page.get_by_test_id("differences")).to_contain_text(f"{len(differ)} layers")
    expect(page.get_by_test_id(f"compare-{key}")).to_contain_text(str(len(differ)))
    for name in ("best single device", "whole network on every device"):
        page.get_by_test_id("compare-add").click()
        page.get_by_test_id(f"add-baseline {name}").click(timeout=PATIENCE_MS)
    expect(page.locator(".compare-table .is-best").first).to_be_visible()
    page.get_by_test_id(f"against-{key}").click()
    # The first layers are on the first board here, and on the second there.
    page.get_by_test_id("difference-next").click()
    expect(page.get_by_test_id("difference-here")).to_contain_text("board-1 here, board-2 in Two boards")
    expect(page.locator(".card.is-apart").first).to_be_visible()
    page.mouse.move(5, 300)
    shoot(page, f"61-side-by-side-{scheme}")
    assert_accessible(page)
    page.get_by_test_id("canvas").focus()
    page.keyboard.press("]")
    page.keyboard.press("f")
    expect(page.get_by_test_id("overview")).to_be_visible()
    shoot(page, f"62-side-by-side-far-{scheme}")
    page.keyboard.press("[")

    page.get_by_test_id("difference-next").click()
    page.get_by_test_id("take-selection").click()
    expect(page.get_by_test_id("differences")).not_to_contain_text(f"{len(differ)} layers")
    page.get_by_test_id("take-all").click()
    expect(page.get_by_test_id("differences")).to_contain_text("Every layer is where Two boards has it")
    wait_for(lambda: saved_plan(studio, "Three boards").placement == two or None, what="the saving of what was taken")
    page.get_by_test_id("undo").click()
    page.get_by_test_id("undo").click()
    expect(page.get_by_test_id("differences")).to_contain_text(f"{len(differ)} layers")
    page.get_by_test_id("compare-close").click()
    expect(page.locator(".card.is-same, .card.is-apart")).to_have_count(0)
    assert errors == []


def test_the_history_goes_to_any_step(browser: Browser, studio: RunningStudio) -> None:
    page, errors = open_editor(browser, studio, color_scheme="dark")
    canvas = page.get_by_test_id("canvas")
    canvas.focus()
    page.keyboard.press("Control+a")
    for device in "123":
        page.keyboard.press(device)
    page.get_by_test_id("history").click()
    steps = page.get_by_test_id("history-step")
    expect(steps).to_have_count(4)
    expect(steps.first).to_contain_text("board-3")
    expect(steps.last).to_contain_text("As it was opened")
    steps.nth(2).click()
    expect(page.get_by_test_id("block-residual1")).to_have_attribute("data-block-devices", "board-1")
    expect(page.locator(".history-step.is-undone")).to_have_count(2)
    shoot(page, "63-history-dark")
    assert_accessible(page)
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("block-residual1")).to_have_attribute("data-block-devices", "board-3")
    page.keyboard.press("Escape")
    expect(steps).to_have_count(0)
    expect(page.get_by_test_id("undo")).to_have_attribute("aria-label", "Undo: 123 layers → board-3")
    canvas.focus()
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    expect(page.get_by_test_id("block-residual1")).to_have_attribute("data-block-devices", "board-1")
    page.keyboard.press("Control+y")
    page.keyboard.press("Control+Shift+z")
    expect(page.get_by_test_id("block-residual1")).to_have_attribute("data-block-devices", "board-3")
    assert errors == []
