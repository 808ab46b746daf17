"""The pictures of the README: `python -m bench.pictures` makes them anew, of a real demo, in light and dark.

Three devices on this machine, the digits really profiled, planned, deployed and run; ResNet-50 spread over them.
"""

import argparse
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright
from tests.browser.conftest import CHROMIUM_FLAGS, chromium
from tests.studio import RunningStudio, wait_for

from partition_studio.cli import demo
from partition_studio.schemas import JobOut, PlanIn, ProfileIn
from partition_studio.services import Services

FOLDER = Path(__file__).parents[1] / "docs" / "images"

SIZE = (1280, 720)
PATIENCE_MS = 240_000
RUN_MS = 6_000

#: So that the page of the README stays light.
MOST_BYTES = 400_000
COLOURS = 256

NETWORK = "resnet-50"


def prepare(services: Services) -> None:
    """Have what `partition-studio demo` shows, and a larger network."""
    demo.prepare(services)
    model = services.models.add_example(NETWORK)
    plan = services.plans.spread(model.id, list(demo.DEMO_DEVICES))
    services.plans.create(model.id, PlanIn(name="Three boards", plan=plan))


def measure(studio: RunningStudio, model_id: str) -> None:
    """Profile a network on every device."""
    for device in demo.DEMO_DEVICES:
        job = studio.client.post(f"/api/devices/{device}/profiles", JobOut, ProfileIn(model_id=model_id))
        path = f"/api/jobs/{job.id}"
        wait_for(lambda path=path: studio.client.get(path, JobOut).state != "running", what=path, deadline_s=240)  # type: ignore[misc]


def keep(page: Page, folder: Path, name: str) -> None:
    """Write what is seen in both themes, in few colours."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", scheme)
        page.wait_for_timeout(400)
        path = folder / f"{name}-{scheme}.png"
        image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        few = image.quantize(COLOURS, Image.Quantize.MEDIANCUT, kmeans=3, dither=Image.Dither.NONE)
        few.save(path, optimize=True)
        size_bytes = path.stat().st_size
        print(f"{path.name}: {size_bytes / 1000:.0f} KB", flush=True)
        assert size_bytes <= MOST_BYTES, f"{path.name} is too large"


def walk(page: Page, studio: RunningStudio, folder: Path) -> None:
    """Go through the tour of the README and keep what it tells of."""
    digits, network = studio.services.demo_model_id, studio.services.models.add_example(NETWORK).id
    page.goto(studio.ticket_link())
    page.goto(f"{studio.url}/m/{network}")
    expect(page.get_by_test_id("block-residual1")).to_be_visible(timeout=PATIENCE_MS)
    keep(page, folder, "editor")

    page.goto(f"{studio.url}/m/{digits}")
    expect(page.get_by_test_id("layer-conv1")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_test_id("suggest").click()
    page.get_by_test_id("planner-tab-front").click()
    page.get_by_test_id("front-start").click()
    expect(page.get_by_test_id("search-state")).to_have_attribute("data-state", "done", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("front-chart")).to_be_visible()
    keep(page, folder, "trade-offs")
    page.get_by_test_id("planner-close").click()

    page.get_by_test_id("deploy").click()
    expect(page.get_by_test_id("deploy-state")).to_contain_text("unning", timeout=PATIENCE_MS)
    if not page.get_by_test_id("deploy-sheet").is_visible():
        page.get_by_test_id("deploy-menu").click()
        page.get_by_test_id("show-steps").click()
    expect(page.get_by_test_id("deploy-sheet")).to_be_visible()
    keep(page, folder, "deploy")
    page.get_by_test_id("deploy-sheet").get_by_role("button", name="Close").first.click()

    page.get_by_test_id("run-start").click()
    expect(page.get_by_test_id("result-class-0")).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_timeout(RUN_MS)
    keep(page, folder, "live")
    page.get_by_test_id("run-stop").click()

    page.goto(f"{studio.url}/devices")
    expect(page.get_by_text(demo.DEMO_DEVICES[-1]).first).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_timeout(1000)
    keep(page, folder, "devices")


def main(argv: Sequence[str] | None = None) -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(prog="python -m bench.pictures", description="The pictures of the README.")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where they are written")
    folder = parser.parse_args(argv).out
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pictures-") as data, RunningStudio(Path(data), prepare=prepare) as studio:
        assert studio.services.demo_model_id is not None
        measure(studio, studio.services.demo_model_id)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
            context = browser.new_context(
                viewport={"width": SIZE[0], "height": SIZE[1]}, device_scale_factor=2, reduced_motion="reduce"
            )
            walk(context.new_page(), studio, folder)
            browser.close()


if __name__ == "__main__":
    main()
