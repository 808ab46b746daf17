"""What every part of the walk needs: a network in the hand, and a picture of each state in both themes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pytest
from playwright.sync_api import Locator, Page, expect

from partition_studio.partition.plan import Plan
from partition_studio.schemas import LayerOut, ModelOut, PlanIn
from tests.browser.axe import assert_accessible
from tests.browser.conftest import shoot
from tests.browser.editor import still
from tests.planner_studio import add_profile
from tests.studio import RunningStudio, wait_for

PATIENCE_MS: Final = 90_000

DEVICES: Final = ("board-1", "board-2", "board-3")
SPEEDS: Final = (1.0, 1.0, 0.6)

#: Whose pictures are looked at for accessibility, too: the parts of the page are the same with every network.
LOOKED_AT: Final = "resnet-50"

NETWORKS: Final = ("digits", "resnet-50", "densenet-121")


def on_networks(*quick: str) -> pytest.MarkDecorator:
    """Walk on every network; where slow tests are left out, on these alone."""
    marked = [one if one in quick else pytest.param(one, marks=pytest.mark.slow) for one in NETWORKS]
    return pytest.mark.parametrize("example", marked)


def spread_anew(studio: RunningStudio, example: str, *, profiled: bool = True) -> ModelOut:
    """Return a network with one plan, spread over the three devices; it is added if need be, with made-up profiles."""
    services = studio.services
    known = {model.example: model.id for model in services.models.all()}
    if example not in known:
        known[example] = services.models.add_example(example).id
        if profiled:
            for device, speed in zip(DEVICES, SPEEDS, strict=True):
                add_profile(services, known[example], device, speed=speed)
    model = known[example]
    for saved in services.plans.all(model):
        services.plans.remove(saved.id)
    services.plans.create(model, PlanIn(name="Spread", plan=services.plans.spread(model, list(DEVICES))))
    return services.models.show(model)


def keep(page: Page, name: str, *, accessible: bool = True) -> None:
    """Keep a picture of this state in both themes; both must be accessible."""
    still(page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", scheme)
        settled(page)
        shoot(page, f"walk-{name}-{scheme}")
        if accessible:
            assert_accessible(page)
    page.emulate_media(color_scheme="light")


def settled(page: Page) -> None:
    """Wait until nothing changes its colour or place any more; what pulses or turns for ever is no matter."""
    going = "document.getAnimations().some(one => one instanceof CSSTransition && one.playState === 'running')"
    page.wait_for_function(f"() => !{going}")


def box_of(locator: Locator) -> tuple[float, float, float, float]:
    """Return where something is: left, top, width, height."""
    box = locator.bounding_box()
    assert box is not None
    return box["x"], box["y"], box["width"], box["height"]


@dataclass(frozen=True)
class Walk:
    """A network that is open in a browser, and what can be taken hold of there."""

    page: Page
    studio: RunningStudio
    model: ModelOut
    errors: list[str]

    @property
    def example(self) -> str:
        return str(self.model.example)

    @property
    def canvas(self) -> Locator:
        return self.page.get_by_test_id("canvas")

    @property
    def bar(self) -> Locator:
        return self.page.get_by_role("toolbar", name="Selection")

    @property
    def saved(self) -> Plan:
        """The open plan, as the studio has it."""
        return self.studio.services.plans.all(self.model.id)[0].plan

    def open(self, path: str = "") -> None:
        self.page.goto(f"{self.studio.url}/m/{self.model.id}{path}")
        expect(self.page.locator(".card").first).to_be_visible(timeout=PATIENCE_MS)
        expect(self.page.get_by_test_id("plan-figures")).to_contain_text("frames/s", timeout=PATIENCE_MS)
        still(self.page)

    def keep(self, name: str, *, accessible: bool = True) -> None:
        keep(self.page, f"{self.example}-{name}", accessible=accessible and self.example == LOOKED_AT)

    def card(self, layer: str) -> Locator:
        return self.page.get_by_test_id(f"layer-{layer}")

    def block(self, name: str) -> Locator:
        return self.page.get_by_test_id(f"block-{name}")

    def layers_of(self, block: str) -> list[str]:
        return next(one.layers for one in self.model.blocks if one.name == block)

    def beginning(self, count: int) -> list[str]:
        """The first layers that have a card of their own, as they follow one another."""
        return [layer.name for layer in self.model.layers if self.card(layer.name).count()][:count]

    def folded(self) -> str:
        """The first block that is one card; where none is, all are folded first."""
        folds = self.page.locator(".card.is-fold")
        if not folds.count():
            self.page.get_by_test_id("fold-all").click()
            expect(folds.first).to_be_visible()
            still(self.page)
        names = {str(fold.get_attribute("data-testid")).removeprefix("block-") for fold in folds.all()}
        return next(block.name for block in self.model.blocks if block.name in names)

    def conv(self) -> LayerOut:
        """A convolution that can be divided in every way: with a window, channels and a map."""
        return next(
            layer
            for layer in self.model.layers[1:]
            if layer.op_type == "Conv" and "3" in layer.attributes.get("kernel_shape", "")
        )

    def cuts(self) -> list[tuple[str, str]]:
        """Layers on two devices of which one feeds the other."""
        made = {tensor: layer.name for layer in self.model.layers for tensor in layer.outputs}
        on = self.saved.placement
        pairs = [(made[tensor], layer.name) for layer in self.model.layers for tensor in layer.inputs if tensor in made]
        return [(a, b) for a, b in pairs if on[a] != on[b]]

    def find(self, layer: str) -> Locator:
        """Go to a layer by the search: what hides it is opened, and it is selected."""
        search = self.page.get_by_test_id("search")
        search.fill(f'name="{layer}"')
        search.press("Enter")
        expect(self.card(layer)).to_have_class(re.compile("is-selected"))
        search.fill("")
        self.canvas.focus()
        still(self.page)
        return self.card(layer)

    def on(self, layer: str, device: str) -> None:
        expect(self.card(layer)).to_have_attribute("data-device-name", device)

    def wait_saved(self, layers: Sequence[str], device: str) -> None:
        wait_for(lambda: all(self.saved.placement.get(one) == device for one in layers), what=f"the saving on {device}")

    def press(self, locator: Locator, dx: float = 40, dy: float = 10) -> None:
        left, top, _, _ = box_of(locator)
        self.page.mouse.move(left + dx, top + dy)
        self.page.mouse.down()

    def hold_over(self, locator: Locator, device: str) -> None:
        """Drag something over a device's card, and hold it there."""
        target = self.page.get_by_test_id(f"device-card-{device}")
        target.scroll_into_view_if_needed()
        self.press(locator)
        left, top, _, _ = box_of(locator)
        self.page.mouse.move(left + 60, top + 30, steps=3)
        x, y, _, _ = box_of(target)
        self.page.mouse.move(x + 60, y + 20, steps=4)

    def undo(self) -> None:
        self.page.get_by_test_id("undo").click()

    def nothing_to_undo(self) -> None:
        expect(self.page.get_by_test_id("undo")).to_be_disabled()

    def zoom_in(self, times: int = 1) -> None:
        for _ in range(times):
            self.page.get_by_role("button", name="Zoom in").click()
            still(self.page)

    def end(self) -> None:
        """Nothing went wrong on the way."""
        assert self.errors == []
