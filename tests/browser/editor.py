"""What tests of the editor do again and again: open it, wait until it stands still, look at what was saved."""

from playwright.sync_api import Browser, Locator, Page, expect

from partition_studio.cli.demo import DEMO_DEVICES
from partition_studio.partition.plan import Plan
from partition_studio.schemas import BlockOut, ModelOut
from tests.browser.conftest import open_page
from tests.planner_studio import only_plan
from tests.studio import RunningStudio

PATIENCE_MS = 60_000


def spread_network(studio: RunningStudio, model_id: str) -> None:
    """Have a network spread over a demo's three devices, and no other plan of it."""
    only_plan(studio.services, model_id, studio.services.plans.spread(model_id, list(DEMO_DEVICES)))


def spread_demo(studio: RunningStudio) -> None:
    """Have a demo's network spread over its three devices."""
    model = studio.services.demo_model_id
    assert model is not None
    spread_network(studio, model)


def spread_all(studio: RunningStudio) -> None:
    """Have every network of a demo spread over its three devices."""
    for summary in studio.services.models.all():
        spread_network(studio, summary.id)


def open_demo(browser: Browser, studio: RunningStudio, **options: object) -> tuple[Page, list[str]]:
    """Sign a fresh browser in to a demo, which opens its network; returns its page and the errors that it reports."""
    _, page, errors = open_page(browser, studio, **options)
    expect(page.get_by_test_id("layer-conv1")).to_be_visible(timeout=PATIENCE_MS)
    still(page)
    return page, errors


def open_network(browser: Browser, studio: RunningStudio, name: str, **options: object) -> tuple[Page, list[str]]:
    """Open a network by its name, and wait until its plan is saved; returns as `open_demo`."""
    _, page, errors = open_page(browser, studio, **options)
    page.goto(f"{studio.url}/m/{model_named(studio, name).id}")
    expect(page.get_by_test_id("canvas")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_test_id("sync")).to_have_text("Saved")
    still(page)
    return page, errors


def model_named(studio: RunningStudio, name: str) -> ModelOut:
    """Return a network by its name."""
    models = {summary.name: summary.id for summary in studio.services.models.all()}
    return studio.services.models.show(models[name])


def block_named(model: ModelOut, name: str) -> BlockOut:
    """Return a block of a network."""
    return next(block for block in model.blocks if block.name == name)


def still(page: Page) -> None:
    """Wait until the view has not moved for three frames."""
    page.evaluate(
        """() => new Promise(done => {
          let last = "", same = 0;
          const look = () => {
            const now = document.querySelector(".react-flow__viewport")?.style.transform ?? "";
            same = now === last ? same + 1 : 0;
            last = now;
            if (same >= 3) done(null); else requestAnimationFrame(look);
          };
          look();
        })"""
    )


def finger(page: Page, *points: tuple[float, float]) -> None:
    """Draw with one finger along a line of points."""
    touch = page.context.new_cdp_session(page)
    for i, (x, y) in enumerate(points):
        kind = "touchStart" if i == 0 else "touchMove"
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    # A finger that is lifted as it moves has thrown something: Chromium takes the next tap for the end of the throw.
    page.wait_for_timeout(150)
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def drag_by_finger(page: Page, what: Locator, onto: Locator) -> None:
    """Drag something by its middle to the upper part of a device's card, in ten steps."""
    start, target = what.bounding_box(), onto.bounding_box()
    assert start is not None
    assert target is not None
    x, y = start["x"] + start["width"] / 2, start["y"] + start["height"] / 2
    to_x, to_y = target["x"] + target["width"] / 2, target["y"] + min(30, target["height"] / 2)
    finger(page, *((x + (to_x - x) * part / 10, y + (to_y - y) * part / 10) for part in range(11)))


def saved_plan(studio: RunningStudio, model_id: str | None = None) -> Plan:
    """Return the plan of a network (of a demo's) that was saved last."""
    model_id = model_id or studio.services.demo_model_id
    assert model_id is not None
    return studio.services.plans.all(model_id)[0].plan
