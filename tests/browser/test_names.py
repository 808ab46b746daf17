"""Long names, names with markup and names from right to left: dialogs show them, and keep every button in view."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import onnx
import pytest
from onnx import helper
from playwright.sync_api import Browser, Locator, Page, expect

from partition_studio.schemas import PlanIn
from tests.browser.conftest import open_page, shoot
from tests.core.networks import make_model, value, weight
from tests.planner_studio import add_devices, add_model
from tests.studio import RunningStudio

pytestmark = pytest.mark.browser

PATIENCE_MS = 25_000

MARKUP: Final = "<img src=x onerror=alert(1)>"
LAYERS: Final = ("L" * 200, MARKUP, "\u05d3\u05d4 conv \u05d0\u05d1\u05d2", "last")
DEVICES: Final = ("b" * 60, "board-with-a-rather-long-name", "board-3")
NETWORK: Final = MARKUP + "M" * 90
PLAN: Final = "P" * 119


def convolutions() -> onnx.ModelProto:
    """Return a chain of convolutions with these names, and tensors that are called likewise."""
    nodes, weights, before = [], [], "image"
    for number, name in enumerate(LAYERS):
        after = "out" if number == len(LAYERS) - 1 else f"t {name}"
        channels = 3 if number == 0 else 8
        weights.append(weight(f"w{number}", np.zeros((8, channels, 3, 3), dtype=np.float32)))
        nodes.append(helper.make_node("Conv", [before, f"w{number}"], [after], name=name, pads=[1, 1, 1, 1]))
        before = after
    return make_model(nodes, [value("image", [1, 3, 16, 16])], [value("out", [1, 8, 16, 16])], weights)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with RunningStudio(tmp_path_factory.mktemp("studio")) as running:
        add_devices(running.services, DEVICES)
        model = add_model(running.services, convolutions(), NETWORK)
        plan = running.services.plans.spread(model, list(DEVICES))
        placement = dict(zip(LAYERS, (*DEVICES, DEVICES[-1]), strict=True))
        plan = plan.model_copy(update={"placement": placement})
        running.services.plans.create(model, PlanIn(name=PLAN, plan=plan))
        yield running


def expect_whole(page: Page, box: Locator, *buttons: Locator) -> None:
    """Nothing of a box is cut off at its side, and its buttons can be pressed where they are."""
    expect(box).to_be_visible()
    assert box.evaluate("box => box.scrollWidth - box.clientWidth") <= 1
    for button in buttons:
        expect(button).to_be_in_viewport(ratio=1)
        place = button.bounding_box()
        assert place is not None
        middle = (place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
        assert button.evaluate("(button, [x, y]) => button.contains(document.elementFromPoint(x, y))", list(middle))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dialogs_hold_the_longest_names(browser: Browser, studio: RunningStudio, scheme: str) -> None:
    _, page, errors = open_page(browser, studio, color_scheme=scheme)
    (model,) = studio.services.models.all()
    page.goto(f"{studio.url}/m/{model.id}")
    first = page.get_by_test_id(f"layer-{LAYERS[0]}")
    expect(first).to_be_visible(timeout=PATIENCE_MS)
    first.click()
    page.keyboard.press("s")
    form = page.get_by_test_id("split")
    expect(page.get_by_test_id("split-figures")).to_be_visible()
    shoot(page, f"80-names-split-{scheme}")
    expect_whole(page, form, page.get_by_test_id("split-apply"), form.get_by_text("Cancel"))
    page.keyboard.press("Escape")
    expect(form).to_be_hidden()

    page.keyboard.press("c")
    form = page.get_by_test_id("link-dialog")
    expect_whole(page, form, form.get_by_text("This tensor only"), page.get_by_test_id("link-apply"))
    shoot(page, f"81-names-link-{scheme}")
    page.keyboard.press("Escape")
    expect(form).to_be_hidden()

    page.get_by_test_id("plans-open").click()
    expect_whole(page, page.get_by_test_id("plans"), page.get_by_test_id("plans-compare"))
    page.keyboard.press("Escape")
    expect_whole(page, page.get_by_test_id("plan-figures"))

    page.goto(f"{studio.url}/models")
    page.get_by_test_id(f"remove-{model.id}").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text(NETWORK)
    expect_whole(page, question, page.get_by_test_id("confirm-remove"), question.get_by_role("button", name="Close"))
    page.goto(f"{studio.url}/devices")
    page.get_by_test_id(f"remove-{DEVICES[0]}").click()
    question = page.get_by_role("dialog")
    expect_whole(page, question, page.get_by_test_id("confirm-remove"), question.get_by_role("button", name="Close"))
    shoot(page, f"82-names-remove-{scheme}")
    assert errors == []
