"""Layers divided over devices with a mouse: seen, refused, deployed, undone; and plans of other tools."""

import json
import re

import pytest
from onnx import helper
from playwright.sync_api import Browser, Locator, Page, Route, expect

from partition_studio.partition.plan import SpatialSharding
from partition_studio.schemas import ModelOut, SavedPlanOut
from tests.browser.conftest import open_page, shoot
from tests.browser.editor import PATIENCE_MS, open_demo, saved_plan, spread_demo
from tests.core.networks import make_model, value
from tests.studio import RunningStudio, wait_for

pytestmark = pytest.mark.browser


@pytest.fixture
def demo(shared_demo: RunningStudio) -> RunningStudio:
    """The demo's studio with its first plan; nothing is deployed."""
    spread_demo(shared_demo)
    return shared_demo


def segments(page: Page, layer: str) -> Locator:
    return page.get_by_test_id(f"layer-{layer}").locator("[data-device]")


def demo_model(studio: RunningStudio) -> ModelOut:
    return studio.client.get(f"/api/models/{studio.services.demo_model_id}", ModelOut)


def split(page: Page, *layers: str, kind: str = "rows") -> None:
    """Select layers and divide them with the mouse over the two first devices."""
    page.get_by_test_id(f"layer-{layers[0]}").click()
    for layer in layers[1:]:
        page.get_by_test_id(f"layer-{layer}").click(modifiers=["Control"])
    page.get_by_test_id("split-open").click()
    page.get_by_test_id(f"split-kind-{kind}").check()
    for device in ("board-1", "board-2"):
        page.get_by_test_id(f"split-device-{device}").check()
    page.get_by_test_id("split-device-board-3").uncheck()
    page.get_by_test_id("split-apply").click()


def test_a_convolution_divided_by_rows_runs_on_two_devices_and_gives_the_class(
    browser: Browser, demo: RunningStudio
) -> None:
    page, errors = open_demo(browser, demo)
    page.get_by_test_id("layer-conv1").click()
    page.get_by_test_id("split-open").click()
    shoot(page, "20-split")
    page.get_by_role("button", name="Cancel").click()
    split(page, "conv1")
    expect(page.get_by_test_id("split")).to_be_hidden()
    expect(segments(page, "conv1")).to_have_count(2)
    expect(page.get_by_test_id("layer-conv1")).to_contain_text(re.compile(r"rows .2"))
    expect(page.get_by_test_id("plan-problems")).to_contain_text("can be deployed", timeout=PATIENCE_MS)
    page.wait_for_timeout(300)
    shoot(page, "21-divided")

    page.get_by_test_id("deploy").click()
    expect(page.get_by_test_id("deploy-state")).to_contain_text(re.compile("running", re.I), timeout=PATIENCE_MS)
    expect(page.get_by_test_id("deploy")).to_have_text("Deploy again")
    page.get_by_test_id("run-start").click()
    expect(page.get_by_test_id("result-class-0")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_test_id("run-stop").click()
    expect(page.get_by_test_id("run-state")).to_contain_text("stopped", timeout=PATIENCE_MS)
    shoot(page, "22-divided-ran")
    # A sample's file name begins with its digit.
    titles = page.locator("[data-testid^='result-'][title]").evaluate_all("list => list.map(item => item.title)")
    answers = [re.fullmatch(r"Frame \d+, (\d)_.*\n(\d+) .*", title.split("%")[0], re.S) for title in titles]
    assert answers
    assert all(answer is not None and answer[1] == answer[2] for answer in answers), titles

    page.get_by_test_id("stop-deployment").click()
    expect(page.get_by_test_id("deploy-state")).to_have_text("stopped", timeout=PATIENCE_MS)
    page.get_by_test_id("undo").click()
    expect(segments(page, "conv1")).to_have_count(0)
    wait_for(lambda: saved_plan(demo).placement.get("conv1") == "board-1" or None, what="the saving of the undone plan")
    assert saved_plan(demo).shards == []
    assert errors == []


def test_shares_follow_the_sliders_and_halos_the_switch(browser: Browser, demo: RunningStudio) -> None:
    page, errors = open_demo(browser, demo, color_scheme="dark")
    page.get_by_test_id("layer-conv1").click()
    page.get_by_test_id("layer-conv2").click(modifiers=["Shift"])
    page.keyboard.press("s")
    page.get_by_test_id("split-weight-board-2").fill("75")
    page.get_by_test_id("split-exchange").check(force=True)
    shoot(page, "23-split-dark")
    page.get_by_test_id("split-apply").click()
    expect(segments(page, "conv2")).to_have_count(2)
    page.get_by_test_id("layer-conv2").dblclick()
    expect(page.get_by_test_id("sharding")).to_contain_text("Halos are exchanged before conv2")
    shoot(page, "24-divided-dark")
    wait_for(lambda: saved_plan(demo).shards or None, what="the saving of the divided plan")
    layers = ["conv1", "relu1", "conv2"]
    assert saved_plan(demo).shards == [
        SpatialSharding(layers=layers, devices=["board-1", "board-2"], rows=[1, 3], exchange_before=["conv2"])
    ]
    page.get_by_test_id("sharding-remove").click()
    expect(segments(page, "conv2")).to_have_count(0)
    expect(page.get_by_test_id("layer-conv2")).to_have_attribute("data-device-name", "board-2")
    assert errors == []


def test_a_split_that_is_still_looked_at_outlives_a_press_beside_its_form_and_not_escape(
    browser: Browser, demo: RunningStudio
) -> None:
    page, errors = open_demo(browser, demo)
    held: list[Route] = []

    def begin() -> None:
        """Press Split, and have the studio's answers held back."""
        page.get_by_test_id("layer-conv1").click()
        page.keyboard.press("s")
        expect(page.get_by_test_id("split-figures")).to_be_visible(timeout=PATIENCE_MS)
        page.route("**/plans/check?*", lambda route: held.append(route))
        page.get_by_test_id("split-apply").click()
        expect(page.get_by_test_id("split-apply")).to_have_text("Checking…")

    def let_go() -> None:
        for route in held:
            route.continue_()
        held.clear()
        page.unroute("**/plans/check?*")

    begin()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("split")).to_be_hidden()
    let_go()
    page.wait_for_timeout(500)
    expect(segments(page, "conv1")).to_have_count(0)
    expect(page.get_by_test_id("undo")).to_be_disabled()

    begin()
    page.get_by_test_id("layer-relu1").click()
    expect(page.get_by_test_id("split")).to_be_hidden()
    expect(page.get_by_test_id("undo")).to_be_disabled()
    let_go()
    expect(segments(page, "conv1")).to_have_count(2)
    expect(page.get_by_test_id("undo")).to_be_enabled()
    assert errors == []


def test_a_division_that_cannot_be_is_refused_in_the_studios_words_and_changes_nothing(
    browser: Browser, demo: RunningStudio
) -> None:
    page, errors = open_demo(browser, demo)
    before = saved_plan(demo)
    split(page, "flatten")
    refused = page.get_by_test_id("split").get_by_test_id("problem")
    expect(refused).to_have_attribute("data-code", "bad_shard", timeout=PATIENCE_MS)
    expect(refused).to_contain_text("flatten")
    expect(page.get_by_test_id("layer-flatten")).to_have_class(re.compile("is-error"))
    shoot(page, "25-refused")
    expect(page.get_by_test_id("undo")).to_be_disabled()
    assert saved_plan(demo) == before
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("layer-flatten")).not_to_have_class(re.compile("is-error"))
    assert errors == []


def test_sending_one_divided_layer_to_a_device_ends_the_division_of_all_in_one_step(
    browser: Browser, demo: RunningStudio
) -> None:
    page, errors = open_demo(browser, demo)
    split(page, "conv1", "relu1", kind="filters")
    # The cards show the parts while the form is open already.
    expect(page.get_by_test_id("split")).to_be_hidden()
    expect(segments(page, "relu1")).to_have_count(2)
    page.get_by_test_id("canvas").focus()
    page.keyboard.press("3")
    expect(page.get_by_test_id("mention")).to_contain_text("whole again, on board-3")
    for layer in ("conv1", "relu1"):
        expect(page.get_by_test_id(f"layer-{layer}")).to_have_attribute("data-device-name", "board-3")
    shoot(page, "26-no-longer-divided")
    page.get_by_test_id("undo").click()
    expect(segments(page, "conv1")).to_have_count(2)
    expect(segments(page, "relu1")).to_have_count(2)
    assert errors == []


def json_file(name: str, content: object) -> dict[str, object]:
    return {"name": name, "mimeType": "application/json", "buffer": json.dumps(content).encode()}


def choose(page: Page, testid: str, name: str, content: object) -> None:
    page.get_by_test_id(testid).set_input_files(json_file(name, content))  # type: ignore[arg-type]


def test_autodice_files_come_in_for_registered_devices_and_go_out_again(browser: Browser, demo: RunningStudio) -> None:
    page, errors = open_demo(browser, demo)
    names = {layer.name: layer.outputs[0].replace("/", "_") for layer in demo_model(demo).layers}
    front, back = list(names.values())[:10], list(names.values())[10:]
    mapping = {"nx01_cpu": front, "board-2": [names["conv1"], *back]}
    horizontal = {names["conv1"]: ["lop", [4, 65535], ["nx01_cpu", "board-2"]]}
    page.get_by_test_id("plan-menu").click()
    page.get_by_test_id("import-autodice").click()
    choose(page, "autodice-mapping", "mapping.json", {"nx01_cpu": [*front, "nowhere"], "board-2": back})
    page.get_by_test_id("foreign-import").click()
    expect(page.get_by_test_id("foreign").get_by_test_id("problem")).to_contain_text("nowhere", timeout=PATIENCE_MS)
    choose(page, "autodice-mapping", "mapping.json", mapping)
    choose(page, "autodice-horizontal", "horizontal.json", horizontal)
    expect(page.get_by_test_id("foreign-device-board-2")).to_have_value("board-2")
    page.get_by_test_id("foreign-device-nx01").click()
    page.get_by_role("option", name="board-1").click()
    shoot(page, "27-import-autodice")
    page.get_by_test_id("foreign-import").click()
    expect(segments(page, "conv1")).to_have_count(2, timeout=PATIENCE_MS)
    expect(segments(page, "conv1").first).to_have_attribute("data-device", "board-1")
    expect(page.get_by_test_id("plan-problems")).to_contain_text("can be deployed", timeout=PATIENCE_MS)
    wait_for(lambda: saved_plan(demo).resources or None, what="the saving of the imported plan")
    assert saved_plan(demo).resources["nx01_cpu"].device == "board-1"

    if page.get_by_test_id("foreign-done").count():
        page.get_by_test_id("foreign-done").click()
    page.get_by_test_id("plan-menu").click()
    page.get_by_test_id("export-autodice").click()
    page.get_by_test_id("autodice-export").click()
    with page.expect_download() as download:
        page.get_by_test_id("autodice-save-mapping").click()
    assert sorted(json.loads(download.value.path().read_text())) == sorted(mapping)
    # The studio refused the first mapping, which the page's console reports too.
    assert [error for error in errors if "422" not in error] == []


def test_a_network_with_a_free_dimension_is_sent_again_with_its_size(browser: Browser, studio: RunningStudio) -> None:
    model = make_model(
        [helper.make_node("Relu", ["x"], ["y"], name="relu")],
        [value("x", [1, 3, "height", 8])],
        [value("y", [1, 3, "height", 8])],
    )
    _, page, _ = open_page(browser, studio)
    page.get_by_test_id("upload-input").set_input_files(
        {"name": "open.onnx", "mimeType": "application/octet-stream", "buffer": model.SerializeToString()}
    )
    expect(page.get_by_test_id("problem").first).to_contain_text("height", timeout=PATIENCE_MS)
    shoot(page, "28-free-dimension")
    page.get_by_test_id("dimension-size").fill("6")
    page.get_by_test_id("dimension-send").click()
    # An empty studio stays where its next step is.
    page.get_by_role("link", name="open", exact=True).click(timeout=PATIENCE_MS)
    expect(page.get_by_test_id("layer-relu")).to_contain_text(re.compile("3.6.8"), timeout=PATIENCE_MS)


def test_a_layers_block_is_selected_by_its_name(browser: Browser, demo: RunningStudio) -> None:
    page, errors = open_demo(browser, demo)
    page.get_by_test_id("layer-block1.conv1").click()
    block = next(block for block in demo_model(demo).blocks if block.name == "block1")
    expect(page.get_by_test_id("select-block")).to_have_text("block1")
    page.get_by_test_id("select-block").click()
    expect(page.locator(".card.is-selected")).to_have_count(len(block.layers))
    assert errors == []


def test_a_network_is_used_as_in_its_file_when_the_switch_says_so(browser: Browser, demo: RunningStudio) -> None:
    added = demo.services.models.add_example("squeezenet")
    assert added.simplified
    _, page, errors = open_page(browser, demo)
    page.goto(f"{demo.url}/m/{added.id}")
    switch = page.get_by_test_id(f"simplified-{added.id}")
    expect(switch).to_be_checked(timeout=PATIENCE_MS)
    page.get_by_test_id("spread").click()
    expect(page.get_by_test_id("sync")).to_have_text("Saved")
    switch.uncheck(force=True)
    expect(page.locator(".header-title")).to_contain_text(f"{added.layer_count + 1} layers", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("sync")).to_have_text("Saved", timeout=PATIENCE_MS)
    shoot(page, "29-as-in-the-file")
    plans = demo.client.get(f"/api/models/{added.id}/plans", list[SavedPlanOut])
    assert [saved.plan.network.simplified for saved in plans] == [True]
    assert len(plans[0].plan.placement) == added.layer_count
    assert errors == []
