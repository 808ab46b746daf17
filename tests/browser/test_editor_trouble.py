"""Two windows on one plan, and what may go wrong while a plan is edited: nothing is lost, and it is said plainly."""

import json
import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from partition_studio.partition.plan import Plan
from partition_studio.schemas import ModelOut, PlanIn, SavedPlanOut
from tests.browser.axe import assert_accessible
from tests.browser.conftest import open_page, shoot
from tests.browser.editor import PATIENCE_MS
from tests.planner_studio import add_devices, only_plan
from tests.studio import RunningStudio, wait_for

pytestmark = pytest.mark.browser

DEVICES = ("board-1", "board-2", "board-3")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with RunningStudio(tmp_path_factory.mktemp("studio")) as running:
        add_devices(running.services, DEVICES)
        yield running


@pytest.fixture
def studio(shared: RunningStudio) -> RunningStudio:
    """The studio with the digits network, and one plan of it."""
    services = shared.services
    if not services.models.all():
        services.models.add_example("digits")
    model = model_of(shared)
    only_plan(services, model.id, services.plans.spread(model.id, list(DEVICES)), "First")
    return shared


def model_of(studio: RunningStudio) -> ModelOut:
    return studio.services.models.show(studio.services.models.all()[0].id)


def saved_plans(studio: RunningStudio) -> list[SavedPlanOut]:
    return studio.services.plans.all(model_of(studio).id)


def saved_plan(studio: RunningStudio) -> Plan:
    return saved_plans(studio)[0].plan


def open_editor(browser: Browser, studio: RunningStudio, **options: object) -> Page:
    _, page, _ = open_page(browser, studio, **options)
    page.goto(f"{studio.url}/m/{model_of(studio).id}")
    expect(page.get_by_test_id("layer-conv1")).to_be_visible(timeout=PATIENCE_MS)
    return page


def another(page: Page) -> Page:
    """Another window of the same browser."""
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.get_by_test_id("layer-conv1")).to_be_visible(timeout=PATIENCE_MS)
    return other


def send(page: Page, layer: str, number: int) -> None:
    """Put a layer onto a device by its number."""
    page.get_by_test_id(f"layer-{layer}").click()
    page.keyboard.press(str(number))


def expect_device(page: Page, layer: str, number: int) -> None:
    expect(page.get_by_test_id(f"layer-{layer}")).to_have_attribute("data-device-name", f"board-{number}")


def expect_saved(page: Page, state: str = "saved") -> None:
    expect(page.get_by_test_id("sync")).to_have_attribute("data-state", state, timeout=PATIENCE_MS)


def wait_placed(studio: RunningStudio, layer: str, device: str) -> None:
    wait_for(lambda: saved_plan(studio).placement.get(layer) == device or None, what=f"the saving of {layer}")


def test_two_windows_see_one_anothers_edits_and_each_undoes_its_own(browser: Browser, studio: RunningStudio) -> None:
    page = open_editor(browser, studio)
    expect(page).to_have_url(re.compile(f"/p/{saved_plans(studio)[0].id}$"))
    other = another(page)
    send(page, "conv1", 3)
    expect_device(other, "conv1", 3)
    expect(other.get_by_test_id("plan-notice")).to_contain_text("Edited in another window: 1 layer")
    shoot(other, "60-edited-elsewhere")
    send(other, "relu1", 2)
    expect_device(page, "relu1", 2)
    page.get_by_test_id("undo").click()
    expect_device(page, "conv1", 1)
    expect_device(page, "relu1", 2)
    expect_device(other, "conv1", 1)
    # What the other one did is taken back by name.
    page.get_by_test_id("plan-notice").get_by_role("button", name="Undo").click()
    expect_device(other, "relu1", 1)
    expect(page.get_by_test_id("conflict")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_contradicts_is_shown_with_both_sides_and_neither_is_lost(
    browser: Browser, studio: RunningStudio, scheme: str
) -> None:
    page = open_editor(browser, studio, color_scheme=scheme)
    other = another(page)
    page.context.set_offline(True)
    send(page, "conv1", 2)
    send(page, "conv2", 2)
    expect_saved(page, "offline")
    shoot(page, f"61-offline-{scheme}")
    page.context.set_offline(False)
    # Both windows were offline; only this one goes on before the other has come back.
    saved = saved_plans(studio)[0]
    theirs = saved.plan.model_copy(
        update={"placement": {**saved.plan.placement, "conv1": "board-3", "relu1": "board-3"}}
    )
    studio.services.plans.update(saved.id, PlanIn(name="First", plan=theirs, revision=saved.revision))
    card = page.get_by_test_id("conflict")
    expect(card).to_contain_text("conv1", timeout=PATIENCE_MS)
    expect(card.locator("li")).to_have_count(1)
    expect(card).to_contain_text(re.compile("board-2.*board-3", re.S))
    expect_device(page, "relu1", 3)
    assert_accessible(page)
    shoot(page, f"62-conflict-{scheme}")
    page.get_by_test_id("conflict-look").click()
    expect_device(page, "conv1", 3)
    expect_device(page, "conv2", 1)
    page.get_by_test_id("conflict-look").click()
    # With the keyboard alone.
    page.get_by_test_id("canvas").focus()
    page.keyboard.press("F8")
    expect(card.get_by_test_id("conflict-mine")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(card.get_by_test_id("conflict-theirs")).to_be_checked()
    page.keyboard.press("Tab")
    expect(page.get_by_test_id("conflict-use")).to_have_text("Take theirs")
    expect(page.get_by_test_id("conflict-use")).to_be_focused()
    page.keyboard.press("Enter")
    expect(card).to_have_count(0)
    expect(page.get_by_test_id("canvas")).to_be_focused()
    expect_saved(page)
    wait_placed(studio, "conv1", "board-3")
    assert saved_plan(studio).placement["conv2"] == "board-2"
    expect_device(other, "conv2", 2)
    page.get_by_test_id("undo").click()
    wait_placed(studio, "conv1", "board-2")


def test_edits_of_a_studio_that_is_restarted_are_kept_and_saved_after(browser: Browser, studio: RunningStudio) -> None:
    page = open_editor(browser, studio)
    studio.stop()
    send(page, "conv1", 3)
    expect_saved(page, "offline")
    expect(page.get_by_test_id("connection-lost")).to_be_visible()
    shoot(page, "63-studio-away")
    studio.start()
    expect_saved(page)
    wait_placed(studio, "conv1", "board-3")
    expect(page.get_by_test_id("connection-lost")).to_be_hidden(timeout=PATIENCE_MS)

    # The page itself is left before the studio has its edits.
    studio.stop()
    send(page, "conv1", 2)
    expect_saved(page, "offline")
    page.goto("about:blank")
    # What a page sends as it is left outlives it: that would reach a studio which is back within milliseconds.
    page.wait_for_timeout(2000)
    page.close()
    studio.start()
    page = page.context.new_page()
    page.goto(f"{studio.url}/m/{model_of(studio).id}")
    expect_device(page, "conv1", 2)
    expect(page.get_by_test_id("plan-notice")).to_contain_text("1 layer")
    shoot(page, "63-brought-back")
    wait_placed(studio, "conv1", "board-2")
    expect_saved(page)
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('studio-draft'))") == []
    page.get_by_test_id("plan-notice").get_by_role("button", name="Undo").click()
    expect_device(page, "conv1", 3)


def test_drafts_that_contradict_one_another_are_asked_about_and_none_is_lost(
    browser: Browser, studio: RunningStudio
) -> None:
    page = open_editor(browser, studio)
    expect_saved(page)
    model, saved = model_of(studio), saved_plans(studio)[0]
    base = saved.plan.model_dump(mode="json")
    for number, window in enumerate(("older", "newer"), start=2):
        mine = {**base, "placement": {**base["placement"], "conv1": f"board-{number}"}}
        at_ms = int(time.time() * 1000) - (4 - number) * 3_600_000
        draft = {"at": at_ms, "planId": saved.id, "name": "First", "base": base, "mine": mine}
        key = f"studio-draft {model.id} {saved.id} {window}"
        page.evaluate("([key, text]) => localStorage.setItem(key, text)", [key, json.dumps(draft)])
    page.reload()
    card = page.get_by_test_id("conflict")
    expect(card).to_contain_text("Edits kept in this browser contradict the plan", timeout=PATIENCE_MS)
    expect(card).to_contain_text(re.compile("board-2.*board-3", re.S))
    wait_placed(studio, "conv1", "board-3")
    assert_accessible(page)
    shoot(page, "66-drafts-contradict")
    page.get_by_test_id("conflict-all-theirs").click()
    expect(page.get_by_test_id("conflict-use")).to_have_text("Use what is saved")
    page.get_by_test_id("conflict-use").click()
    expect_saved(page)
    expect_device(page, "conv1", 3)
    page.get_by_test_id("undo").click()
    wait_placed(studio, "conv1", "board-2")


def test_leaving_at_once_after_an_edit_loses_nothing(browser: Browser, studio: RunningStudio) -> None:
    page = open_editor(browser, studio)
    send(page, "conv1", 3)
    page.goto(f"{studio.url}/devices")
    page.go_back()
    expect_device(page, "conv1", 3)
    wait_placed(studio, "conv1", "board-3")


def test_a_removed_plan_is_saved_again_or_left(browser: Browser, studio: RunningStudio) -> None:
    page = open_editor(browser, studio)
    send(page, "conv1", 3)
    expect_saved(page)
    removed = saved_plans(studio)[0].id
    studio.services.plans.remove(removed)
    gone = page.get_by_test_id("plan-gone")
    expect(gone).to_contain_text("First", timeout=PATIENCE_MS)
    send(page, "relu1", 3)
    shoot(page, "64-plan-gone")
    page.get_by_test_id("plan-save-again").click()
    wait_for(lambda: saved_plans(studio) or None, what="the saving")
    wait_placed(studio, "relu1", "board-3")
    expect_saved(page)
    assert [saved_plan(studio).placement[layer] for layer in ("conv1", "relu1")] == ["board-3", "board-3"]
    assert saved_plans(studio)[0].id == removed
    expect(page).to_have_url(re.compile(f"/p/{removed}$"))


def test_a_removed_network_takes_no_edit_along_and_comes_back_with_them(
    browser: Browser, studio: RunningStudio
) -> None:
    page = open_editor(browser, studio)
    model = model_of(studio)
    file = studio.services.models.path(model.id).read_bytes()
    send(page, "conv1", 3)
    expect_saved(page)
    studio.services.models.remove(model.id)
    gone = page.get_by_test_id("model-gone")
    expect(gone).to_be_visible(timeout=PATIENCE_MS)
    send(page, "relu1", 3)
    assert_accessible(page)
    shoot(page, "65-model-gone")
    with page.expect_download() as export:
        page.get_by_test_id("trouble-export").click()
    assert json.loads(export.value.path().read_text())["placement"]["relu1"] == "board-3"
    page.get_by_test_id("model-again").set_input_files(
        {"name": "digits.onnx", "mimeType": "application/octet-stream", "buffer": file}
    )
    expect(gone).to_have_count(0, timeout=PATIENCE_MS)
    wait_for(lambda: saved_plans(studio) or None, what="the saving with the network that came back")
    wait_placed(studio, "relu1", "board-3")
    assert [saved_plan(studio).placement[layer] for layer in ("conv1", "relu1")] == ["board-3", "board-3"]


def test_a_broken_draft_is_told_and_the_plan_opens(browser: Browser, studio: RunningStudio) -> None:
    page = open_editor(browser, studio)
    model, plan = model_of(studio), saved_plans(studio)[0]
    page.evaluate(f"localStorage.setItem('studio-draft {model.id} {plan.id} x', '<img src=x onerror=alert(1)>')")
    page.reload()
    broken = page.get_by_test_id("broken-draft")
    expect(broken).to_be_visible(timeout=PATIENCE_MS)
    shoot(page, "66-broken-draft")
    with page.expect_download() as export:
        page.get_by_test_id("broken-export").click()
    assert "onerror" in export.value.path().read_text()
    page.get_by_test_id("broken-forget").click()
    expect(broken).to_have_count(0)
    expect_device(page, "conv1", 1)


def test_a_link_opens_the_same_plan_selection_folds_and_place(browser: Browser, studio: RunningStudio) -> None:
    page = open_editor(browser, studio)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_test_id("layer-block1.conv2").click()
    page.keyboard.press("o")
    expect(page.get_by_test_id("layer-block1.conv2")).to_have_count(0)
    page.get_by_test_id("layer-conv1").click()
    page.get_by_test_id("layer-pool1").click(modifiers=["Shift"])
    page.get_by_test_id("canvas").focus()
    page.keyboard.press("+")
    page.mouse.move(600, 300)
    page.mouse.wheel(0, -200)
    page.wait_for_function("() => document.querySelector('.react-flow__viewport').getAnimations().length === 0")
    chosen = page.locator(".card.is-selected").count()
    page.get_by_test_id("plan-menu").click()
    page.get_by_test_id("copy-link").click()
    expect(page.get_by_test_id("flash-note")).to_contain_text("copied")
    link = page.evaluate("navigator.clipboard.readText()")
    assert "/p/" in link
    other = page.context.new_page()
    other.goto(link)
    expect(other.locator(".card.is-selected")).to_have_count(chosen, timeout=PATIENCE_MS)
    expect(other.get_by_test_id("layer-block1.conv2")).to_have_count(0)
    expect(other).to_have_url(link.partition("?")[0])
    place = "document.querySelector('.react-flow__viewport').style.transform.match(/[-\\d.]+/g).map(Number)"
    here, there = page.evaluate(place), other.evaluate(place)
    assert all(abs(a - b) < 1 for a, b in zip(here, there, strict=True)), (here, there)
    shoot(other, "67-linked")
    # The table as it is, too.
    page.get_by_test_id("canvas").focus()
    page.keyboard.press("t")
    page.get_by_test_id("sort-macs").click()
    page.get_by_test_id("layer-table").focus()
    page.keyboard.press("l")
    # The note of the link before may still stand.
    page.wait_for_function("() => navigator.clipboard.readText().then((text) => text.includes('&table'))")
    other.goto(page.evaluate("navigator.clipboard.readText()"))
    expect(other.get_by_test_id("layer-table").locator("[role=row][aria-selected=true]")).to_have_count(
        chosen, timeout=PATIENCE_MS
    )
    expect(other.locator("[role=columnheader][aria-sort=descending]")).to_contain_text("MACs")
    # What is no more is left out, and said.
    other.goto(f"{link.partition('/p/')[0]}/p/999999?n=3&sel=1-2&open=nowhere&at=1&x=0&y=0&z=1")
    expect(other.get_by_test_id("plan-notice")).to_contain_text("removed", timeout=PATIENCE_MS)
    expect(other.get_by_test_id("plan-notice")).to_contain_text("another form")
    expect(other.locator(".card.is-selected")).to_have_count(0)


def test_a_plan_of_another_version_of_the_network_comes_in_as_far_as_it_fits(
    browser: Browser, studio: RunningStudio
) -> None:
    page = open_editor(browser, studio)
    document = saved_plan(studio).model_dump(mode="json")
    document["network"]["sha256"] = "0" * 64
    place = document["placement"]
    document["placement"] = {**{layer: "board-3" for layer in list(place)[:4]}, "<b>old</b>": "board-1"}
    file = FilePayload(name="old.plan.json", mimeType="application/json", buffer=json.dumps(document).encode())
    page.get_by_test_id("plan-import").set_input_files(file)
    fit = page.get_by_test_id("plan-fit")
    expect(fit).to_contain_text("4 layers fit", timeout=PATIENCE_MS)
    expect(fit).to_contain_text(f"{len(place) - 4} layers of this network are on no device then")
    fit.get_by_text("1 layer of the plan is not in this network").click()
    expect(fit).to_contain_text("<b>old</b>")
    assert_accessible(page)
    shoot(page, "67-what-fits")
    page.keyboard.press("Escape")
    expect(fit).to_have_count(0)
    assert len(saved_plan(studio).placement) == len(place)
    page.get_by_test_id("plan-import").set_input_files(file)
    expect(page.get_by_test_id("fit-take")).to_be_focused()
    page.keyboard.press("Enter")
    wait_for(lambda: set(saved_plan(studio).placement.values()) == {"board-3"} or None, what="what fits")
    page.get_by_test_id("undo").click()
    wait_for(lambda: saved_plan(studio).placement == place or None, what="the plan from before")


def test_who_is_signed_out_while_editing_signs_in_again_and_loses_nothing(
    browser: Browser, studio: RunningStudio
) -> None:
    page = open_editor(browser, studio)
    page.get_by_test_id("layer-conv1").click()
    page.context.clear_cookies()
    page.keyboard.press("3")
    again = page.get_by_test_id("sign-in-again")
    expect(again).to_be_visible(timeout=PATIENCE_MS)
    shoot(page, "68-signed-out")
    tab = page.context.new_page()
    tab.goto(studio.ticket_link())
    expect(again).to_have_count(0, timeout=PATIENCE_MS)
    wait_placed(studio, "conv1", "board-3")
    expect_saved(page)


def test_a_device_that_is_gone_is_replaced_for_all_its_layers_at_once(browser: Browser, studio: RunningStudio) -> None:
    saved = saved_plans(studio)[0]
    placement = {
        layer: "old-board" if device == "board-2" else device for layer, device in saved.plan.placement.items()
    }
    plan = saved.plan.model_copy(update={"placement": placement})
    studio.services.plans.update(saved.id, PlanIn(name="First", plan=plan, revision=saved.revision))
    page = open_editor(browser, studio)
    gone = page.get_by_test_id("device-gone-old-board")
    expect(gone).to_contain_text("not registered")
    # The report takes its room from the list of devices: until it is there, what is in the list may move.
    expect(page.get_by_test_id("plan-problems")).to_contain_text("old-board", timeout=PATIENCE_MS)
    gone.scroll_into_view_if_needed()
    page.get_by_test_id("replace-old-board").click()
    shoot(page, "69-device-gone")
    page.get_by_test_id("replace-by-board-3").click()
    expect(gone).to_have_count(0)
    wait_for(lambda: "old-board" not in saved_plan(studio).placement.values() or None, what="the saving")
    page.get_by_test_id("undo").click()
    expect(gone).to_have_count(1)
