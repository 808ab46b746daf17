"""Chromium without a window: pages with our probe in them, frames, the main thread's time, the heap."""

import statistics
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, Playwright, Route
from tests.browser.conftest import CHROMIUM_FLAGS, chromium

PROBE = Path(__file__).with_name("probe.js")

VIEWPORT = (1280, 720)

PATIENCE_MS = 60_000

#: Without them Chromium throttles what it takes for hidden.
_FLAGS = [
    *CHROMIUM_FLAGS,
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
]


class NoChromiumError(Exception):
    """There is no Chromium on this machine."""


def launch(playwright: Playwright) -> Browser:
    """Start Chromium. Raises NoChromiumError."""
    path = chromium()
    if path is None:
        raise NoChromiumError("no Chromium in PATH: install the distribution's, or set CHROMIUM")
    return playwright.chromium.launch(executable_path=path, args=_FLAGS)


def _only_here(route: Route) -> None:
    """Let nothing leave the machine: Netron would tell its makers that it was started."""
    host = route.request.url.split("/")[2].split(":")[0]
    if host in ("127.0.0.1", "localhost"):
        route.continue_()
    else:
        route.abort()


@dataclass(frozen=True, slots=True)
class Tab:
    """A page and the debugger's line to it."""

    page: Page
    debugger: CDPSession

    def metrics(self) -> Mapping[str, float]:
        """Return Chromium's own figures of the page: seconds, counts, bytes."""
        answer = self.debugger.send("Performance.getMetrics")
        return {each["name"]: each["value"] for each in answer["metrics"]}

    def busy_s(self) -> float:
        """Return how long the page's main thread has worked so far."""
        return self.metrics()["TaskDuration"]

    def heap_bytes(self) -> int:
        """Return what JavaScript holds once garbage is collected."""
        for _ in range(2):
            self.debugger.send("HeapProfiler.collectGarbage")
        return int(self.debugger.send("Runtime.getHeapUsage")["usedSize"])

    def probe(self, call: str, argument: object = None) -> Any:
        """Call the probe: `call` is the name of one of its functions."""
        return self.page.evaluate(f"argument => window.bench.{call}(argument)", argument)

    def rest(self, quiet_ms: int = 400) -> None:
        """Wait until the page stands still."""
        self.probe("rest", quiet_ms)

    def slow_down(self, times: float) -> None:
        """Have the page's main thread work as that of a computer so many times slower; 1 is this one."""
        self.debugger.send("Emulation.setCPUThrottlingRate", {"rate": times})

    def frames(self, gesture: "Gesture", selector: str, count: int) -> "Frames":
        """Make a gesture, one event a frame, over the middle of an element."""
        before_s = self.busy_s()
        times = self.probe("frames", {"gesture": gesture.message, "count": count, "selector": selector})
        return Frames(tuple(times), 1e3 * (self.busy_s() - before_s) / len(times))


@contextmanager
def open_tab(
    browser: Browser, *, viewport: tuple[int, int] = VIEWPORT, cookies: Mapping[str, str] | None = None
) -> Iterator[Tab]:
    """Open a page in a browser that has seen nothing yet; `cookies` are for this machine's servers."""
    context = browser.new_context(viewport={"width": viewport[0], "height": viewport[1]})
    try:
        for host in ("127.0.0.1", "localhost"):
            context.add_cookies(
                [{"name": name, "value": value, "domain": host, "path": "/"} for name, value in (cookies or {}).items()]
            )
        context.route("**/*", _only_here)
        context.add_init_script(path=PROBE)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        debugger = context.new_cdp_session(page)
        debugger.send("Performance.enable", {"timeDomain": "threadTicks"})
        debugger.send("HeapProfiler.enable")
        yield Tab(page, debugger)
    finally:
        context.close()


@dataclass(frozen=True, slots=True)
class Gesture:
    """What is done to a page, an event in each frame: a pan by so many pixels, a wheel's turns, or nothing."""

    name: str
    message: Mapping[str, object]


def pan(x: int, y: int) -> Gesture:
    """Drag to and fro, as far as that."""
    return Gesture("pan", {"kind": "pan", "by": [x, y]})


def zoom(by: float) -> Gesture:
    """Turn the wheel out, in and back."""
    return Gesture("zoom", {"kind": "zoom", "by": by})


NOTHING = Gesture("nothing", {"kind": "nothing"})


@dataclass(frozen=True, slots=True)
class Frames:
    """Milliseconds between animation frames, and how long the main thread worked for each."""

    times_ms: tuple[float, ...]
    busy_ms: float

    @property
    def median_ms(self) -> float:
        """The frame in the middle."""
        return statistics.median(self.times_ms)

    @property
    def p95_ms(self) -> float:
        """All but one frame in twenty are shorter."""
        return sorted(self.times_ms)[int(0.95 * (len(self.times_ms) - 1))]
