"""Pan and zoom of 1,500 layers, all blocks open: at zoom 0.8, and with everything in view.

Each animation frame has one event (a move of a drag, or a turn of the wheel); the same goes to an empty page and to
plain React Flow with dagre, which draws every node, as its defaults are. Each round visits each of them in turn.
"""

import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from bench.editor.bench import LONG, Bar, Bench, Cell, Table, row
from bench.editor.browser import VIEWPORT, Frames, Tab, pan, zoom

NAME = "frames"

_GESTURES = (pan(60, 900), zoom(8))
_COUNT, _QUICK_COUNT = 160, 40
_WORKING = 0.8
_MIDDLE = 750

#: By view: at most so many times an empty page's frame, and at least so many times better than plain React Flow.
_BARS = {"zoom 0.8": (1.3, None), "all in view": (2.0, 3.0)}

Measured = dict[tuple[str, str], list[Frames]]


def measure(bench: Bench) -> Iterator[Table]:
    """Frames while 1,500 layers are panned and zoomed, beside an empty page and plain React Flow with dagre."""
    found: dict[str, Measured] = {view: {} for view in _BARS}
    count = _QUICK_COUNT if bench.quick else _COUNT
    for _ in range(bench.rounds):
        for who, page in PAGES.items():
            with page(bench) as (tab, selector, show):
                for view, measured in found.items():
                    show(view)
                    for gesture in _GESTURES:
                        tab.frames(gesture, selector, 8)
                        measured.setdefault((who, gesture.name), []).append(tab.frames(gesture, selector, count))
                        tab.rest(200)
    title = f"milliseconds, {bench.rounds} rounds of {count} frames, 1,500 layers"
    for view, measured in found.items():
        yield Table(NAME, f"{title}, {view}", _rows(measured))
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


def _bars(view: str, measured: Measured) -> list[dict[str, Cell]]:
    most, better = _BARS[view]
    bars: list[dict[str, Cell]] = []
    for gesture in _GESTURES:
        ours, empty, plain = ([_frame(one) for one in measured[who, gesture.name]] for who in PAGES)
        title = f"{gesture.name}, {view}"
        bars.append(row(Bar(f"{title}: studio / empty", [a / b for a, b in zip(ours, empty, strict=True)], most, "x")))
        if better is not None:
            ratios = [a / b for a, b in zip(ours, plain, strict=True)]
            bars.append(row(Bar(f"{title}: studio / React Flow", ratios, 1 / better, "x")))
            # A frame is never shorter than the screen's, which hides how much shorter the work in it is.
            work = [
                a.busy_ms / b.busy_ms
                for a, b in zip(
                    measured["studio", gesture.name], measured["React Flow, dagre", gesture.name], strict=True
                )
            ]
            bars.append(row(Bar(f"{title}: main thread, studio / React Flow", work, 1 / better, "x")))
    return bars


Opened = tuple[Tab, str, Callable[[str], None]]


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

        def show(view: str) -> None:
            tab.page.evaluate("zoom => window.benchShow(zoom)", _WORKING if view == "zoom 0.8" else None)
            tab.rest()

        yield tab, ".react-flow__pane", show


@contextmanager
def _studio(bench: Bench) -> Iterator[Opened]:
    with open_long(bench) as tab:
        tab.page.get_by_test_id("open-all").click()
        tab.page.get_by_test_id("fit").click()
        tab.rest()

        def show(view: str) -> None:
            if view == "zoom 0.8":
                show_middle(tab)
            else:
                tab.page.get_by_test_id("fit").click()
                tab.page.get_by_test_id("overview").wait_for()
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
