"""A real Chromium on a real studio."""

import os
import re
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from partition_studio.cli.demo import prepare
from tests.studio import RunningStudio

_KEPT = Path(__file__).parents[2] / "test-artifacts"
#: Screenshots of every state, to be looked at.
ARTEFACTS = _KEPT / "screenshots"
#: What was on the page when a test failed.
OUTLINES = _KEPT / "outlines"
_OUTLINE = "Aria snapshot:"

#: Nothing of Chromium's own may call anywhere; as root it needs --no-sandbox.
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# What is expected is waited for as long as a busy machine may take; Playwright itself gives up after five seconds.
expect.set_options(timeout=60_000)


def chromium() -> str | None:
    """Return the machine's Chromium."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


# Not for the whole session: as long as Playwright's synchronous interface is open, an event loop runs in this thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    assert path is not None, "chromium is not installed"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield launched
        launched.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep the outline of the page, of some hundred lines, out of what is said of a failure: in a file beside."""
    error = None if call.excinfo is None else call.excinfo.value
    if isinstance(error, AssertionError) and _OUTLINE in str(error):
        said, _, outline = str(error).partition(_OUTLINE)
        OUTLINES.mkdir(parents=True, exist_ok=True)
        # What a test was given may be an address.
        path = OUTLINES / f"{re.sub('[^A-Za-z0-9_.-]+', '-', item.name)[:150]}.txt"
        path.write_text(outline)
        error.args = (f"{said.rstrip()}\n\nThe page's outline: {path}",)
    return (yield)


@pytest.fixture(autouse=True)
def closed_pages(browser: Browser) -> Iterator[None]:
    """No page outlives its test: it would save its own plan of a studio that tests share."""
    yield
    for context in browser.contexts:
        context.close()


@pytest.fixture(scope="module")
def shared_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    """The studio as `partition-studio demo` opens it, for all tests of a file."""
    with RunningStudio(tmp_path_factory.mktemp("studio"), prepare=prepare) as running:
        yield running


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[RunningStudio]:
    """The studio as `partition-studio demo` opens it."""
    with RunningStudio(tmp_path / "studio", prepare=prepare) as running:
        yield running


def open_page(browser: Browser, studio: RunningStudio, **options: object) -> tuple[BrowserContext, Page, list[str]]:
    """Sign a fresh browser in; returns its page and the list of errors that the page reports."""
    context = browser.new_context(viewport={"width": 1280, "height": 720}, **options)  # type: ignore[arg-type]
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(_told(message)) if message.type == "error" else None)
    page.goto(studio.ticket_link())
    return context, page, errors


def _told(message: ConsoleMessage) -> str:
    """Return what the console says, with the address that it speaks of."""
    return f"{message.text} {message.location['url']}"


def shoot(page: Page, name: str) -> None:
    """Keep a screenshot."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(ARTEFACTS / f"{name}.png"))
