"""What is printed and written of a run: each bar with its rounds, and all of them in one table."""

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from bench.pipeline.figures import Bar, Outcome, Skipped, spread

_WIDTH = 62


def number(value: float) -> str:
    """Return a figure with three digits that count."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def bar_lines(bar: Bar) -> list[str]:
    """Return everything of one bar: its rounds beside each other, its costs, its notes."""
    low, high = spread(bar.values)
    lines = [
        f"{bar.name}",
        f"  {number(bar.median)} {bar.unit} ({number(low)} to {number(high)}), {bar.direction} {bar.limit:g}: "
        f"{'met' if bar.met else 'NOT MET'}",
    ]
    for name, values in {bar.unit: bar.values, **bar.facts}.items():
        rounds = " ".join(f"{number(value):>8}" for value in values)
        lines.append(f"    {name:<44}{rounds}   median {number(median(values))}")
    if bar.costs:
        lines.append("    of one frame:")
        lines += [f"      {name:<42}{value:>8.2f}" for name, value in bar.costs.items()]
    lines += [f"    {note}" for note in bar.notes]
    return lines


def lines_of(outcome: Outcome) -> list[str]:
    """Return what is printed of an outcome as soon as it is known."""
    return bar_lines(outcome) if isinstance(outcome, Bar) else [f"{outcome.name}: {outcome.reason}"]


def failed(case: str, error: Exception) -> Outcome:
    """Return what stands for a case that failed."""
    return Skipped(case, case, f"it failed: {error}")


def table_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """Return one line for each bar."""
    lines = [f"{'bar':<{_WIDTH}} {'median':>8} {'spread':>15} {'required':>10}  met"]
    for outcome in outcomes:
        if isinstance(outcome, Skipped):
            lines.append(f"{outcome.name:<{_WIDTH}} {'-':>8} {'-':>15} {'-':>10}  skipped: {outcome.reason}")
            continue
        low, high = spread(outcome.values)
        sign = ">=" if outcome.direction == "at least" else "<="
        lines.append(
            f"{outcome.name:<{_WIDTH}} {number(outcome.median):>8} {number(low) + ' - ' + number(high):>15} "
            f"{sign + ' ' + format(outcome.limit, 'g'):>10}  {'yes' if outcome.met else 'NO'}"
        )
    return lines


def machine() -> dict[str, object]:
    """Return what the figures hang on."""
    return {
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "load_average": list(os.getloadavg()),
        "unix_s": time.time(),
    }


def write_json(path: Path, outcomes: Sequence[Outcome], settings: dict[str, object]) -> None:
    """Write every figure of every round."""
    document = {
        "machine": machine(),
        "settings": settings,
        "bars": [{**asdict(one), "median": one.median, "met": one.met} for one in outcomes if isinstance(one, Bar)],
        "skipped": [asdict(one) for one in outcomes if isinstance(one, Skipped)],
    }
    path.write_text(json.dumps(document, indent=2) + "\n")
