"""From an empty studio to frames that flow through two devices, pressing only what the page offers next."""

import re
import sys
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.axe import assert_accessible
from tests.browser.conftest import open_page, shoot
from tests.studio import RunningStudio

pytestmark = pytest.mark.browser

PATIENCE_MS = 90_000

#: What a person presses, and no more than that.
MOST_PRESSES = 4


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with RunningStudio(tmp_path_factory.mktemp("studio")) as running:
        yield running


class Person:
    """Somebody who reads nothing, and presses what stands out: the one filled button of the present step."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.presses = 0

    def press_next(self, *, step: str) -> None:
        current = self.page.locator('.first-step[aria-current="step"]')
        expect(current).to_have_attribute("data-testid", f"step-{step}", timeout=PATIENCE_MS)
        button = current.locator('button[data-variant="filled"]')
        expect(button).to_have_count(1)
        expect(button).to_be_enabled()
        button.click()
        self.presses += 1


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_every_empty_page_offers_the_next_thing_to_press(browser: Browser, empty: RunningStudio, scheme: str) -> None:
    _, page, errors = open_page(browser, empty, color_scheme=scheme)
    expect(page.get_by_test_id("first-steps")).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_timeout(200)
    shoot(page, f"60-empty-studio-{scheme}")
    assert_accessible(page)
    for link, offered in (("Devices", "no-devices"), ("Runs", "no-runs")):
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=link).click()
        offer = page.get_by_test_id(offered)
        expect(offer.get_by_role("button").first).to_be_enabled(timeout=PATIENCE_MS)
        shoot(page, f"61-empty-{link.lower()}-{scheme}")
        assert_accessible(page)
    page.get_by_test_id("no-runs-next").click()
    expect(page.get_by_test_id("first-steps")).to_be_visible()
    assert errors == []


def test_a_person_who_reads_nothing_gets_a_running_pipeline(browser: Browser, empty: RunningStudio) -> None:
    _, page, errors = open_page(browser, empty)
    begun = time.monotonic()
    person = Person(page)
    person.press_next(step="network")
    person.press_next(step="devices")
    person.press_next(step="deploy")
    shoot(page, "62-first-deployment")
    # The editor takes over: what it offers next is to let frames flow.
    run = page.get_by_test_id("run-start")
    expect(run).to_be_enabled(timeout=PATIENCE_MS)
    run.click()
    person.presses += 1
    expect(page.get_by_test_id("fps")).to_have_text(re.compile(r"\d"), timeout=PATIENCE_MS)
    sys.stdout.write(f"from nothing to frames: {person.presses} presses, {time.monotonic() - begun:.1f} s\n")
    assert person.presses <= MOST_PRESSES
    shoot(page, "63-first-run")
    (deployment,) = empty.services.deployments.all()
    assert deployment.state == "running"
    assert deployment.run is not None
    assert len({stage.device for stage in deployment.stages}) == 2
    page.get_by_test_id("run-stop").click()
    expect(page.get_by_test_id("run-start")).to_be_visible(timeout=PATIENCE_MS)
    # What was done once is not asked for again.
    page.goto(f"{empty.url}/models")
    expect(page.get_by_test_id("upload-input")).to_be_attached(timeout=PATIENCE_MS)
    expect(page.get_by_role("heading", name="Models")).to_be_visible()
    expect(page.get_by_test_id("first-steps")).to_be_hidden()
    assert errors == []
