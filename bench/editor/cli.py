"""The command line of the editor's benchmark."""

import argparse
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from playwright.sync_api import sync_playwright
from tests.studio import RunningStudio

from bench.cases import run_cases
from bench.editor.bench import Bench, Table, prepare
from bench.editor.browser import launch
from bench.editor.cases import drop, frames, layout, live, opening, size
from bench.editor.serving import build_pages, serve_folder
from bench.pipeline.report import machine
from bench.planner.report import failed, lines_of, write_json

Case = Callable[[Bench], Iterable[Table]]

CASES: dict[str, Case] = {module.NAME: module.measure for module in (opening, layout, frames, drop, live, size)}

_QUICK_ROUNDS, _QUICK_MINUTES = 1, 0.5


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.editor", description="The browser editor beside Netron, plain React Flow, an empty page."
    )
    parser.add_argument("--case", nargs="+", choices=[*CASES, "all"], default=["all"], help="only these cases")
    parser.add_argument("--rounds", type=int, default=5, help="how often each thing is measured")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the live view is watched")
    parser.add_argument("--quick", action="store_true", help="little of everything, to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = arguments(argv)
    names = list(CASES) if "all" in options.case else list(dict.fromkeys(options.case))
    rounds = _QUICK_ROUNDS if options.quick else options.rounds
    minutes = _QUICK_MINUTES if options.quick else options.minutes
    print(f"{machine()}\n")
    with tempfile.TemporaryDirectory(prefix="editor-bench-") as folder, sync_playwright() as playwright:
        root = Path(folder)
        build_pages(root / "pages")
        with RunningStudio(root / "studio") as studio, serve_folder(root / "pages") as pages:
            prepare(studio)
            browser = launch(playwright)
            try:
                bench = Bench(root, browser, studio, pages, root / "pages", options.quick, rounds, minutes)
                tables = run_cases(CASES, bench, names, lines_of=lines_of, failed=failed)
            finally:
                browser.close()
    if options.json is not None:
        write_json(options.json, tables, {"cases": names, "rounds": rounds, "minutes": minutes, "quick": options.quick})
