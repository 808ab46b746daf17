"""Pan and zoom of 1,500 layers, all blocks open: at zoom 0.8, and with everything in view.

Each animation frame has one event (a move of a drag, or a turn of the wheel); the same goes to an empty page and to
plain React Flow with dagre, which draws every node, as its defaults are. Each round visits each of them in turn.

No frame is shorter than the screen's: a page that keeps it cannot be seen to be more than twice as fast as one that
takes two. What is compared with React Flow is therefore measured twice more: what the main thread does in a frame, and
the frames of a computer four times slower, which Chromium imitates for the main thread alone.
"""

import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from bench.editor.bench import LONG, Bar, Bench, Cell, Table, row
from bench.editor.browser import VIEWPORT, Frames, Tab, pan, zoom

NAME = "frames"

_GESTURES = (pan(60, 900), zoom(8))
_COUNT, _QUICK_COUNT = 160, 40
_WORKING = 0.8
_MIDDLE = 750


@dataclass(frozen=True, slots=True)
class View:
    """What is in the window, and what is required of its frames."""

    name: str
    #: Whether the whole network is in view; else its middle, at the working zoom.
    is_all: bool
    #: So many times slower is the main thread.
    slowed: float
    #: At most so many times an empty page's frame.
    most: float | None
    #: At least so many times better than plain React Flow.
    better: float | None


_VIEWS = (
    View("zoom 0.8", is_all=False, slowed=1, most=1.3, better=None),
    View("all in view", is_all=True, slowed=1, most=2.0, better=3.0),
    View("all in view, main thread 4 times slower", is_all=True, slowed=4, most=None, better=3.0),
)

Measured = dict[tuple[str, str], list[Frames]]


def measure(bench: Bench) -> Iterator[Table]:
    """Frames while 1,500 layers are panned and zoomed, beside an empty page and plain React Flow with dagre."""
    found: dict[View, Measured] = {view: {} for view in _VIEWS}
    count = _QUICK_COUNT if bench.quick else _COUNT
    for _ in range(bench.rounds):
        for who, page in PAGES.items():
            with page(bench) as (tab, selector, show):
                for view, measured in found.items():
                    show(view)
                    tab.slow_down(view.slowed)
                    for gesture in _GESTURES:
                        tab.frames(gesture, selector, 8)
                        measured.setdefault((who, gesture.name), []).append(tab.frames(gesture, selector, count))
                        tab.rest(200)
                    tab.slow_down(1)
    title = f"milliseconds, {bench.rounds} rounds of {count} frames, 1,500 layers"
    for view, measured in found.items():
        yield Table(NAME, f"{title}, {view.name}", _rows(measured))
    yield Table(NAME, "bars", [bar for view, measured in found.items() for bar in _bars(view, measured)])


def _rows(measured: Measured) -> list[dict[str, Cell]]:
    rows: list[dict[str, Cell]] = []
    for (who, gesture), rounds in measured.items():
        empty = measured["empty page", gesture]
        frame, busy = (statistics.median([of(one) for one in rounds]) for of in (_frame, _busy))
        rows.append(
            {
                "page": who,
                "gesture": gesture,
                "frame": frame,
                "95 of 100": statistics.median([one.p95_ms for one in rounds]),
                "busy": busy,
                "frame / empty": frame / statistics.median([_frame(one) for one in empty]),
            }
        )
    return rows


def _frame(one: Frames) -> float:
    return one.median_ms


def _busy(one: Frames) -> float:
    return one.busy_ms


def _bars(view: View, measured: Measured) -> Iterator[dict[str, Cell]]:
    for gesture in _GESTURES:
        ours, empty, plain = (measured[who, gesture.name] for who in PAGES)
        title = f"{gesture.name}, {view.name}"
        if view.most is not None:
            yield row(Bar(f"{title}: studio / empty", _ratios(_frame, ours, empty), view.most, "x"))
        if view.better is not None:
            limit = 1 / view.better
            yield row(Bar(f"{title}: studio / React Flow", _ratios(_frame, ours, plain), limit, "x"))
            yield row(Bar(f"{title}: main thread, studio / React Flow", _ratios(_busy, ours, plain), limit, "x"))


def _ratios(of: Callable[[Frames], float], ours: list[Frames], others: list[Frames]) -> list[float]:
    return [of(a) / of(b) for a, b in zip(ours, others, strict=True)]


Opened = tuple[Tab, str, Callable[[View], None]]


@contextmanager
def _empty(bench: Bench) -> Iterator[Opened]:
    with bench.tab() as tab:
        tab.page.goto(f"{bench.pages}/empty.html")
        yield tab, "main", lambda _: None


@contextmanager
def _plain(bench: Bench) -> Iterator[Opened]:
    name = bench.page_data(LONG)
    with bench.tab() as tab:
        tab.page.goto(f"{bench.pages}/flow.html?graph={name}")
        tab.page.wait_for_function("window.benchShow !== undefined")
        tab.page.locator(".react-flow__node").first.wait_for()

        def show(view: View) -> None:
            tab.page.evaluate("zoom => window.benchShow(zoom)", None if view.is_all else _WORKING)
            tab.rest()

        yield tab, ".react-flow__pane", show


@contextmanager
def _studio(bench: Bench) -> Iterator[Opened]:
    with open_long(bench) as tab:
        tab.page.get_by_test_id("open-all").click()
        tab.page.get_by_test_id("fit").click()
        tab.rest()

        def show(view: View) -> None:
            if view.is_all:
                tab.page.get_by_test_id("fit").click()
                tab.page.get_by_test_id("overview").wait_for()
            else:
                show_middle(tab)
            tab.rest()

        yield tab, ".react-flow__pane", show


@contextmanager
def open_long(bench: Bench, name: str = LONG, viewport: tuple[int, int] = VIEWPORT) -> Iterator[Tab]:
    """Open the editor on a long network and wait until it stands still."""
    model = bench.model(name)
    with bench.signed_in(f"/m/{model}", viewport=viewport) as tab:
        tab.page.get_by_test_id("canvas").wait_for()
        tab.page.locator(".react-flow__pane").wait_for()
        tab.rest()
        yield tab


def show_middle(tab: Tab) -> None:
    """Have a layer in the middle of the window, at the working zoom: as the hit of a search is shown."""
    search, layer = tab.page.get_by_test_id("search"), f"relu{_MIDDLE}"
    search.fill(layer)
    search.press("Enter")
    tab.page.get_by_test_id(f"layer-{layer}").wait_for()
    search.fill("")
    search.press("Escape")
    tab.page.locator(".search-foot").wait_for(state="hidden")
    tab.rest()
    assert abs(working_zoom(tab) - _WORKING) < 1e-6, working_zoom(tab)


def working_zoom(tab: Tab) -> float:
    """Return the zoom of the studio's canvas."""
    return float(
        tab.page.locator(".react-flow__viewport").evaluate("e => new DOMMatrix(getComputedStyle(e).transform).a")
    )


PAGES: dict[str, Callable[[Bench], AbstractContextManager[Opened]]] = {
    "studio": _studio,
    "empty page": _empty,
    "React Flow, dagre": _plain,
}
