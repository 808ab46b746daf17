"""The bars as a picture: what was reached as a share of what is required, every round a dot."""

from collections.abc import Sequence
from pathlib import Path

from bench.pipeline.figures import Bar

INSTALL = "A plot needs matplotlib: `make bench` installs it, or `.venv/bin/pip install matplotlib`"
_BAR_INCHES = 0.3


def reached(bar: Bar, value: float) -> float:
    """Return a value as a share of its limit, above 1 when it is better than required."""
    return value / bar.limit if bar.direction == "at least" else bar.limit / value


def write_plot(path: Path, bars: Sequence[Bar]) -> None:
    """Write the plot; the ending of the name says in which format. Raises ImportError without matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(10, 1.5 + _BAR_INCHES * len(bars)), layout="constrained")
    for place, bar in enumerate(reversed(bars)):
        colour = "tab:green" if bar.met else "tab:red"
        axes.barh(place, reached(bar, bar.median), color=colour, alpha=0.5)
        axes.plot([reached(bar, value) for value in bar.values], [place] * len(bar.values), "k.", markersize=3)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(bars)), [bar.name for bar in reversed(bars)], fontsize=7)
    axes.set_xlabel("reached, as a share of what is required (above 1: better)")
    figure.savefig(path)
    pyplot.close(figure)
