"""The command line of the planner's benchmark."""

import argparse
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench.cases import run_cases
from bench.pipeline.report import machine
from bench.planner.bench import Bench, Table
from bench.planner.cases import nsga2, reality, scale, search
from bench.planner.report import failed, lines_of, write_json
from bench.planner.worlds import ARCHITECTURES

Case = Callable[[Bench], Iterable[Table]]

CASES: dict[str, Case] = {module.NAME: module.measure for module in (search, nsga2, scale, reality)}

_QUICK_NETWORKS, _QUICK_DEVICES, _QUICK_SECONDS, _QUICK_PLANS = ("squeezenet",), (2, 4), 3.0, 2


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.planner",
        description="The planner against other ways to find a plan, its bounds, and what is measured.",
    )
    parser.add_argument("--case", nargs="+", choices=list(CASES), default=list(CASES), help="only these cases")
    parser.add_argument("--networks", nargs="+", choices=ARCHITECTURES, help="only these architectures")
    parser.add_argument("--devices", nargs="+", type=int, default=[2, 4, 8, 16], help="numbers of devices")
    parser.add_argument("--seconds", type=float, default=20.0, help="what one search may take")
    parser.add_argument("--plans", type=int, default=12, help="how many plans are run (case reality)")
    parser.add_argument(
        "--boards",
        type=Path,
        metavar="FILE",
        help="devices to run on: a list of devices as the API takes them, in JSON",
    )
    parser.add_argument("--quick", action="store_true", help="little of everything, to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure")
    return parser.parse_args(argv)


def bench_of(options: argparse.Namespace, folder: Path) -> Bench:
    """Return the settings that a command line gives."""
    quick: bool = options.quick
    return Bench(
        folder=folder,
        quick=quick,
        seconds=_QUICK_SECONDS if quick else options.seconds,
        networks=options.networks or (_QUICK_NETWORKS if quick else ARCHITECTURES),
        devices=_QUICK_DEVICES if quick else options.devices,
        boards=options.boards,
        plans=_QUICK_PLANS if quick else options.plans,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = arguments(argv)
    with tempfile.TemporaryDirectory(prefix="planner-bench-") as folder:
        bench = bench_of(options, Path(folder))
        print(f"{machine()}\n")
        tables = run_cases(CASES, bench, options.case, lines_of=lines_of, failed=failed)
    if options.json is not None:
        settings = {"cases": options.case, "seconds": bench.seconds, "quick": bench.quick}
        write_json(options.json, tables, settings)
