"""What a person does with a mouse, from the first look to Stop, in a real Chromium."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from partition_studio.schemas import DeviceIn, PlanIn, SavedPlanOut
from tests.browser.conftest import open_page, shoot
from tests.sshd import SshServer
from tests.studio import RunningStudio, wait_for

pytestmark = pytest.mark.browser

PATIENCE_MS = 60_000


def layers_on(page: Page, device: str) -> int:
    text = page.get_by_test_id(f"device-layers-{device}").inner_text()
    found = re.search(r"\d+", text)
    assert found is not None, text
    return int(found[0])


def drag(page: Page, layer: str, device: str) -> None:
    source = page.get_by_test_id(f"layer-{layer}").bounding_box()
    target = page.get_by_test_id(f"device-card-{device}").bounding_box()
    assert source is not None
    assert target is not None
    page.mouse.move(source["x"] + source["width"] / 2, source["y"] + source["height"] / 2)
    page.mouse.down()
    page.mouse.move(source["x"] + 40, source["y"] + 40, steps=4)
    page.mouse.move(target["x"] + target["width"] / 2, target["y"] + 30, steps=12)
    page.mouse.up()


def visible_layer(page: Page, studio: RunningStudio, device: str) -> str:
    """Return a layer of a device that is on the screen."""
    model = studio.services.demo_model_id
    assert model is not None
    plan = studio.client.get(f"/api/models/{model}/plans", list[SavedPlanOut])[0].plan
    for name, placed in plan.placement.items():
        card = page.get_by_test_id(f"layer-{name}")
        if placed == device and card.count() and (box := card.bounding_box()) is not None:
            inside = box["x"] >= 0 and box["x"] + box["width"] < 940 and 60 < box["y"] < 620
            if inside:
                return name
    raise AssertionError(f"no layer of {device} is on the screen")


def deploy(page: Page) -> None:
    page.get_by_test_id("deploy").click()
    expect(page.get_by_test_id("deploy-state")).to_contain_text(re.compile("running", re.I), timeout=PATIENCE_MS)


def test_drag_deploy_run_watch_and_stop(browser: Browser, demo: RunningStudio) -> None:
    context, page, errors = open_page(browser, demo)
    expect(page.get_by_test_id("device-card-board-3")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_test_id("canvas")).to_be_visible()
    shoot(page, "1-editor")

    before = {device: layers_on(page, device) for device in ("board-1", "board-2", "board-3")}
    assert all(count > 0 for count in before.values())
    layer = visible_layer(page, demo, "board-1")
    drag(page, layer, "board-2")
    expect(page.get_by_test_id("device-layers-board-1")).to_contain_text(str(before["board-1"] - 1))
    expect(page.get_by_test_id("device-layers-board-2")).to_contain_text(str(before["board-2"] + 1))
    shoot(page, "2-dragged")
    page.get_by_test_id("undo").click()
    expect(page.get_by_test_id("device-layers-board-1")).to_contain_text(str(before["board-1"]))
    page.get_by_test_id("redo").click()
    expect(page.get_by_test_id("device-layers-board-1")).to_contain_text(str(before["board-1"] - 1))

    page.get_by_test_id("deploy").click()
    expect(page.get_by_test_id("deploy-sheet")).to_be_visible()
    shoot(page, "3-deploying")
    expect(page.get_by_test_id("deploy-state")).to_contain_text(re.compile("running", re.I), timeout=PATIENCE_MS)
    shoot(page, "4-deployed")

    # An empty plan is no list of changes to what runs: the plan that runs can be taken over.
    page.get_by_test_id("plan-menu").click()
    page.get_by_role("menuitem", name="Clear the plan").click()
    expect(page.get_by_test_id("deploy")).to_have_text("Deploy")
    expect(page.get_by_test_id("plan-problems")).to_have_text("No layer is on a device yet.")
    page.get_by_test_id("show-running-plan").click()
    expect(page.get_by_test_id("deploy")).to_have_text("Deploy again")
    expect(page.get_by_test_id("device-layers-board-1")).to_contain_text(str(before["board-1"] - 1))

    page.get_by_test_id("run-start").click()
    expect(page.get_by_test_id("result-class-0")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_test_id("fps")).to_contain_text(re.compile(r"\d"))
    expect(page.get_by_test_id("power-board-1")).to_contain_text("W", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("live-board-1")).to_contain_text(re.compile("est", re.I))
    expect(page.get_by_test_id("cpu-board-1")).to_contain_text(re.compile(r"\d"))
    expect(page.get_by_test_id("memory-board-1")).to_contain_text(re.compile(r"\d"))
    expect(page.get_by_test_id("flow-board-1")).to_contain_text(re.compile(r"compute.*wait.*in.*/s.*out.*/s", re.S))
    page.wait_for_timeout(2500)
    shoot(page, "5-running")

    saved = demo.client.get(f"/api/models/{demo.services.demo_model_id}/plans", list[SavedPlanOut])[0]
    assert saved.plan.placement[layer] == "board-2"

    page.get_by_test_id("stop-deployment").click()
    wait_for(
        lambda: not any(d.agent_running for d in demo.services.devices.all()) or None, what="the end of every agent"
    )
    page.wait_for_timeout(500)
    shoot(page, "6-stopped")
    assert errors == []
    context.close()


def test_a_selection_is_dragged_as_one_and_undone_as_one(browser: Browser, demo: RunningStudio) -> None:
    context, page, errors = open_page(browser, demo)
    expect(page.get_by_test_id("layer-conv1")).to_be_visible(timeout=PATIENCE_MS)
    before = layers_on(page, "board-1")
    page.get_by_test_id("layer-conv1").click()
    page.get_by_test_id("layer-relu1").click(modifiers=["Control"])
    drag(page, "relu1", "board-3")
    expect(page.get_by_test_id("device-layers-board-1")).to_have_text(str(before - 2))
    shoot(page, "15-selection-dragged")
    page.get_by_test_id("undo").click()
    expect(page.get_by_test_id("device-layers-board-1")).to_have_text(str(before))
    # The same without a mouse: the selection is still there.
    page.keyboard.press("2")
    expect(page.get_by_test_id("device-layers-board-1")).to_have_text(str(before - 2))
    assert errors == []
    context.close()


def test_live_charts_tell_of_every_stage(browser: Browser, demo: RunningStudio) -> None:
    context, page, errors = open_page(browser, demo)
    expect(page.get_by_test_id("layer-conv1")).to_be_visible(timeout=PATIENCE_MS)
    deploy(page)
    page.get_by_test_id("run-start").click()
    expect(page.get_by_test_id("flow-board-2")).to_contain_text("compute", timeout=PATIENCE_MS)
    page.get_by_role("button", name="More about board-2").click()
    page.get_by_role("menuitem", name="Live charts").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("rowheader", name="board-2-0")).to_be_visible(timeout=PATIENCE_MS)
    # Memory in parts, energy gross and net with its window, and where the watts come from.
    expect(dialog.get_by_test_id("memory-facts")).to_contain_text("USS")
    expect(dialog.get_by_test_id("energy-facts")).to_contain_text(re.compile(r"frames? in"), timeout=PATIENCE_MS)
    expect(dialog.get_by_test_id("power-table")).to_contain_text("estimated")
    page.wait_for_timeout(2000)
    shoot(page, "16-live-charts")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    # No profile of the model was taken there: nothing is predicted, and it says how to get one.
    stages = page.get_by_test_id("predictions-board-2")
    expect(stages).to_contain_text(re.compile(r"profile.*ms"), timeout=PATIENCE_MS)
    page.get_by_test_id("run-stop").click()
    page.get_by_test_id("run-energy").click(timeout=PATIENCE_MS)
    expect(page.get_by_test_id("run-energy-table")).to_contain_text(re.compile(r"J.*frames? in.*estimated", re.S))
    shoot(page, "17-run-energy")
    assert errors == []
    context.close()


def test_a_reload_in_the_middle_shows_the_deployment_again(browser: Browser, demo: RunningStudio) -> None:
    context, page, errors = open_page(browser, demo)
    page.get_by_test_id("deploy").click()
    expect(page.get_by_test_id("deploy-sheet")).to_be_visible(timeout=PATIENCE_MS)
    page.reload()
    expect(page.get_by_test_id("deploy-state")).to_contain_text(re.compile("running", re.I), timeout=PATIENCE_MS)
    assert errors == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_empty_studio_explains_itself(browser: Browser, studio: RunningStudio, scheme: str) -> None:
    context, page, errors = open_page(browser, studio, color_scheme=scheme)
    expect(page.get_by_test_id("example-digits")).to_be_visible(timeout=PATIENCE_MS)
    shoot(page, f"7-empty-{scheme}")
    page.get_by_test_id("example-digits").click()
    expect(page.get_by_test_id("canvas")).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_timeout(500)
    shoot(page, f"8-no-devices-{scheme}")
    assert errors == []
    context.close()


def test_a_file_that_is_no_network_is_refused_by_name(browser: Browser, studio: RunningStudio) -> None:
    context, page, _ = open_page(browser, studio)
    page.get_by_test_id("upload-input").set_input_files(
        {"name": "holiday.onnx", "mimeType": "application/octet-stream", "buffer": b"not a network"}
    )
    expect(page.get_by_test_id("problem").first).to_contain_text("holiday.onnx", timeout=PATIENCE_MS)
    shoot(page, "9-bad-file")
    context.close()


def test_who_is_not_signed_in_is_told_how(browser: Browser, studio: RunningStudio) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    page.goto(studio.url)
    expect(page.get_by_text("partition-studio link")).to_be_visible(timeout=PATIENCE_MS)
    shoot(page, "10-not-signed-in")
    context.close()


@pytest.mark.ssh
def test_a_board_is_added_after_its_fingerprint_was_compared_and_a_false_one_is_refused(
    browser: Browser, studio: RunningStudio, tmp_path: Path
) -> None:
    with SshServer(tmp_path / "board") as board:
        context, page, _ = open_page(browser, studio)
        page.goto(f"{studio.url}/devices")
        page.get_by_test_id("add-device").first.click()
        page.get_by_test_id("device-name").fill("pi1")
        page.get_by_test_id("device-address").fill(str(board.address))
        page.get_by_test_id("device-key").fill(str(board.key_file))
        page.get_by_test_id("device-submit").click()
        expect(page.get_by_test_id("fingerprint")).to_contain_text(board.fingerprint(), timeout=PATIENCE_MS)
        assert studio.services.devices.names() == []
        shoot(page, "11-fingerprint")
        page.get_by_test_id("accept-fingerprint").click()
        expect(page.get_by_test_id("check-pi1")).to_be_visible(timeout=PATIENCE_MS)
        shoot(page, "12-devices")
        old = board.fingerprint()
        board.new_host_key()
        board.cut()
        page.get_by_test_id("check-pi1").click()
        refused = page.get_by_test_id("problem").first
        expect(refused).to_contain_text(board.fingerprint(), timeout=PATIENCE_MS)
        expect(refused).to_contain_text(old)
        shoot(page, "13-changed-host-key")
        # Who knows why it changed forgets the old key, and is asked about the new one.
        page.get_by_test_id("access-pi1").click()
        page.get_by_test_id("forget-key").click()
        expect(page.get_by_test_id("fingerprint").last).to_have_text(board.fingerprint(), timeout=PATIENCE_MS)
        page.get_by_test_id("accept-fingerprint").click()
        expect(page.get_by_test_id("state-pi1")).to_have_text(re.compile("^ready"), timeout=PATIENCE_MS)
        context.close()


@pytest.mark.ssh
def test_cancel_gives_a_deployment_up(browser: Browser, studio: RunningStudio, tmp_path: Path) -> None:
    # Every command on this board takes a second, so that there is time to change one's mind.
    with SshServer(tmp_path / "board", before="sleep 1") as board:
        studio.services.devices.add(
            DeviceIn(
                name="slow",
                address=str(board.address),
                key_file=str(board.key_file),
                trusted_fingerprint=board.fingerprint(),
            )
        )
        model = studio.services.models.add_example("digits")
        plan = studio.services.plans.spread(model.id, ["slow"])
        studio.services.plans.create(model.id, PlanIn(name="slow", plan=plan))
        context, page, _ = open_page(browser, studio)
        page.goto(f"{studio.url}/m/{model.id}")
        page.get_by_test_id("deploy").click()
        expect(page.get_by_test_id("deploy-step-slow")).to_be_visible(timeout=PATIENCE_MS)
        page.get_by_test_id("deploy-cancel").click()
        wait_for(lambda: studio.services.deployments.all()[0].state == "cancelled" or None, what="the cancelling")
        page.wait_for_timeout(300)
        shoot(page, "14-cancelled")
        assert not any(device.agent_running for device in studio.services.devices.all())
        context.close()
