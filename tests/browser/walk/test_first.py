"""From an empty studio and a file, or an example, to frames that flow: what the page offers next."""

import re
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from partition_studio.graph.examples import build_example
from tests.browser.conftest import open_page
from tests.browser.walk.walking import PATIENCE_MS, keep, on_networks
from tests.studio import RunningStudio

pytestmark = pytest.mark.browser


@on_networks()
def test_a_file_becomes_a_pipeline_on_two_devices_by_pressing_what_stands_out(
    browser: Browser, tmp_path: Path, example: str
) -> None:
    file = tmp_path / f"{example}.onnx"
    file.write_bytes(build_example(example))
    with RunningStudio(tmp_path / "studio") as studio:
        context, page, errors = open_page(browser, studio)
        expect(page.get_by_test_id("first-steps")).to_be_visible(timeout=PATIENCE_MS)
        if example == "digits":
            keep(page, "empty-studio")
        begun = time.monotonic()
        page.get_by_test_id("upload-input").set_input_files(file)
        for step in ("devices", "deploy"):
            current = page.locator('.first-step[aria-current="step"]')
            expect(current).to_have_attribute("data-testid", f"step-{step}", timeout=PATIENCE_MS)
            button = current.locator('button[data-variant="filled"]')
            expect(button).to_be_enabled()
            keep(page, f"{example}-first-{step}")
            button.click()
        run = page.get_by_test_id("run-start")
        expect(run).to_be_enabled(timeout=PATIENCE_MS)
        keep(page, f"{example}-first-deployed")
        run.click()
        expect(page.get_by_test_id("fps")).to_have_text(re.compile(r"\d"), timeout=PATIENCE_MS)
        sys.stdout.write(f"{example}: from a file to frames in {time.monotonic() - begun:.1f} s\n")
        keep(page, f"{example}-first-frames", accessible=False)
        (deployment,) = studio.services.deployments.all()
        assert len({stage.device for stage in deployment.stages}) == 2
        assert errors == []
        context.close()


@on_networks()
def test_an_example_is_one_press_and_the_page_tells_what_it_is(browser: Browser, tmp_path: Path, example: str) -> None:
    with RunningStudio(tmp_path / "studio") as studio:
        context, page, errors = open_page(browser, studio)
        page.get_by_test_id(f"example-{example}").click(timeout=PATIENCE_MS)
        expect(page.get_by_test_id("canvas")).to_be_visible(timeout=PATIENCE_MS)
        expect(page.locator(".card").first).to_be_visible(timeout=PATIENCE_MS)
        keep(page, f"{example}-no-devices")
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="Models").click()
        (model,) = studio.services.models.all()
        card = page.get_by_test_id(f"model-card-{model.id}")
        expect(card).to_contain_text(f"Layers{model.layer_count}", timeout=PATIENCE_MS)
        expect(page.get_by_test_id(f"example-{example}")).to_have_text("Open")
        keep(page, f"{example}-models")
        assert errors == []
        context.close()
