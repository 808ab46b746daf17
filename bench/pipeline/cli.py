"""The command line of the benchmark."""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench.cases import run_cases
from bench.pipeline.bench import Bench
from bench.pipeline.cases import (
    latency,
    links,
    overload,
    peers,
    quotas,
    replicas,
    short_stages,
    studio,
    tiles,
    two_devices,
    unequal,
)
from bench.pipeline.figures import Bar, Outcome
from bench.pipeline.plot import INSTALL, write_plot
from bench.pipeline.report import failed, lines_of, machine, table_lines, write_json

Case = Callable[[Bench], Iterable[Outcome]]

CASES: dict[str, Case] = {
    module.NAME: module.measure
    for module in (
        two_devices,
        quotas,
        unequal,
        short_stages,
        latency,
        tiles,
        links,
        replicas,
        peers,
        studio,
        overload,
    )
}

_QUICK_ROUNDS, _QUICK_SECONDS, _QUICK_MINUTES = 1, 1.0, 0.25


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.pipeline",
        description="Partitioned networks against whole ones, every bar with its bound.",
    )
    parser.add_argument("--case", nargs="+", choices=list(CASES), default=list(CASES), help="only these cases")
    parser.add_argument("--rounds", type=int, default=5, help="alternations of what is compared")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each run")
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the overload")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that everything works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="write a picture of the bars")
    return parser.parse_args(argv)


def bench_of(options: argparse.Namespace, folder: Path) -> Bench:
    """Return the settings that a command line gives. Exits where there are not two cores."""
    cpus = tuple(sorted(os.sched_getaffinity(0)))
    if len(cpus) < 2:
        raise SystemExit("this benchmark needs two cores")
    quick: bool = options.quick
    return Bench(
        folder=folder,
        cpus=cpus,
        rounds=_QUICK_ROUNDS if quick else options.rounds,
        seconds=_QUICK_SECONDS if quick else options.seconds,
        quick=quick,
        minutes=_QUICK_MINUTES if quick else options.minutes,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = arguments(argv)
    with tempfile.TemporaryDirectory(prefix="pipeline-bench-") as folder:
        bench = bench_of(options, Path(folder))
        print(f"{machine()}\n")
        outcomes = run_cases(CASES, bench, options.case, lines_of=lines_of, failed=failed)
    print("\n".join(table_lines(outcomes)))
    print(
        f"load average {os.getloadavg()[0]:.1f} on {len(bench.cpus)} cores; "
        f"{bench.rounds} rounds, runs of {bench.seconds:g} s"
    )
    if options.json is not None:
        settings = {"cases": options.case, "rounds": bench.rounds, "seconds": bench.seconds, "quick": bench.quick}
        write_json(options.json, outcomes, settings)
    if options.plot is not None:
        try:
            write_plot(options.plot, [one for one in outcomes if isinstance(one, Bar)])
        except ImportError:
            print(INSTALL)
