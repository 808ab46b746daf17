"""The layout in its worker, from question to answer, beside dagre in another worker on the same nodes and edges.

`first` is what counts: a worker that was never asked before, the graph sent with the question. `later` is another view
of the same graph, as when a block opens. dagre is given up after a limit.
"""

import statistics
from collections.abc import Iterator

from bench.editor.bench import DENSENET, LONG, Bar, Bench, Cell, Table, row

NAME = "layout"

_BARS_MS = {False: 50.0, True: 200.0}
_LATER = 5


def measure(bench: Bench) -> Iterator[Table]:
    """Layouts of ResNet-50, DenseNet-121 and 1,500 layers: folded, all open, and by dagre."""
    limit_ms = 5_000 if bench.quick else 40_000
    rows: list[dict[str, Cell]] = []
    bars: list[dict[str, Cell]] = []
    for name in bench.networks:
        bench.page_data(name)
        with bench.tab() as tab:
            tab.page.goto(f"{bench.pages}/layout.html", wait_until="load")
            dagre: float | str | None = tab.page.evaluate(
                "([name, limit]) => window.benchLayout.byDagre(name, limit)", [name, limit_ms]
            )
            for is_open in (False, True):
                asked = [
                    tab.page.evaluate(
                        "([name, isOpen, times]) => window.benchLayout.own(name, isOpen, times)",
                        [name, is_open, _LATER],
                    )
                    for _ in range(bench.rounds)
                ]
                first = [one["first"] for one in asked]
                view = "all open" if is_open else "folded"
                rows.append(
                    {
                        "network": name,
                        "nodes": asked[0]["nodes"],
                        "edges": asked[0]["edges"],
                        "view": view,
                        "cards": asked[0]["cards"],
                        "first ms": statistics.median(first),
                        "later ms": statistics.median([each for one in asked for each in one["later"]]),
                        "dagre ms": dagre if is_open else None,
                        "dagre / first": dagre / statistics.median(first)
                        if is_open and isinstance(dagre, float)
                        else None,
                    }
                )
                if name in (DENSENET, LONG):
                    bars.append(row(Bar(f"{name}, {view}", first, _BARS_MS[is_open], "ms")))
    yield Table(NAME, "milliseconds", rows, [f"dagre: - where it has no answer within {limit_ms // 1000} s"])
    yield Table(NAME, "bars", bars)
