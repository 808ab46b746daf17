"""Opening ResNet-50, from the navigation to the first useful picture, beside Netron.

A useful picture is the same for both: at least five names or kinds of layers are in the window, not covered and not
transparent; the time is that of the frame after. The studio knows the network; Netron serves the same file. `first` is
with nothing cached, `again` with what the browser kept. From another page of the studio, the network is one press away.
"""

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence

from bench.editor.bench import RESNET, Bar, Bench, Table, row
from bench.editor.browser import Tab
from bench.editor.serving import serve_netron

NAME = "open"

_LEAST = 5
_OURS = {"texts": ".card-op, .card-name", "inside": ".canvas", "least": _LEAST}
_NETRON = {"texts": ".node-item text", "inside": "svg", "least": _LEAST}

_BAR_MS = 1000.0


def measure(bench: Bench) -> Iterator[Table]:
    """ResNet-50, known to the studio, to its first useful picture."""
    model, file = bench.model(RESNET), bench.file(RESNET)
    bench.studio.services.models.show(model)
    ours: dict[str, list[float]] = {"first": [], "again": [], "from Models": []}
    theirs: dict[str, list[float]] = {"first": [], "again": []}
    with serve_netron(file) as netron:
        for _ in range(bench.rounds):
            with bench.tab() as tab:
                bench.sign_in(tab)
                _watch(tab, _OURS)
                for name in ("first", "again"):
                    ours[name].append(_visit(tab, f"{bench.studio.url}/m/{model}"))
            with bench.signed_in() as tab:
                ours["from Models"].append(_press(tab, model))
            if netron is None:
                continue
            with bench.tab(cookies={"consent": "1"}) as tab:
                _watch(tab, _NETRON)
                for name in ("first", "again"):
                    theirs[name].append(_visit(tab, netron))
    bars = [row(Bar("studio, first", ours["first"], _BAR_MS, "ms"))]
    if netron is not None:
        bars += [
            row(Bar(f"studio / Netron, {name}", [a / b for a, b in zip(ours[name], theirs[name], strict=True)], 1, "x"))
            for name in theirs
        ]
    rows = [*_rows("studio", ours), *(_rows("Netron", theirs) if netron is not None else [])]
    notes = [] if netron is not None else ['Netron is not installed (pip install "netron>=9,<10"): left out']
    yield Table(NAME, f"milliseconds to the first useful picture, {bench.rounds} rounds", rows, notes)
    yield Table(NAME, "bars", bars)


def _rows(who: str, values: Mapping[str, Sequence[float]]) -> list[dict[str, str | float]]:
    return [
        {"": who, "visit": name, "median ms": statistics.median(times), "least": min(times), "most": max(times)}
        for name, times in values.items()
    ]


def _watch(tab: Tab, what: Mapping[str, object]) -> None:
    tab.page.add_init_script(f"window.bench.watchFirstPicture({json.dumps(what)})")


def _visit(tab: Tab, url: str) -> float:
    tab.page.goto("about:blank")
    tab.page.goto(url, wait_until="commit")
    return _told(tab)


def _press(tab: Tab, model: str) -> float:
    link = tab.page.get_by_test_id(f"model-card-{model}").locator("a").first
    link.wait_for()
    tab.rest()
    tab.probe("watchFirstPicture", _OURS)
    begin_ms = float(tab.page.evaluate("performance.now()"))
    link.dispatch_event("click")
    return _told(tab) - begin_ms


def _told(tab: Tab) -> float:
    return float(tab.probe("told", "firstPicture"))
