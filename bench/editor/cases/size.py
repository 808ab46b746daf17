"""What the browser loads, gzipped, until a page is there: the Models page, and the editor.

Each as the first page of a browser that has nothing yet. The studio's answers (JSON) are no part of it.
"""

import gzip
import itertools
from collections.abc import Iterator
from typing import NamedTuple

from playwright.sync_api import Page, Request

from bench.editor.bench import RESNET, Bar, Bench, Cell, Table, row
from partition_studio.api.app import STATIC

NAME = "size"

LIMIT_KB = 300.0

#: Of `frontend/src/editor/later.ts`: what it needs is asked for after it.
LATER = "/assets/later-"


class Loaded(NamedTuple):
    """A file of the browser part: its path, its size, and its size gzipped."""

    path: str
    size_bytes: int
    gzip_bytes: int


class Watch:
    """Collects what a page loads of the browser part, until it is told to end."""

    def __init__(self, page: Page) -> None:
        """Begin."""
        self._page = page
        self._paths: dict[str, None] = {}
        page.on("request", self._heard)

    def _heard(self, request: Request) -> None:
        path = "/" + request.url.split("/", 3)[3].split("?")[0]
        self._paths["/index.html" if request.resource_type == "document" else path] = None

    def end(self) -> list[Loaded]:
        """Return what was asked for until now, the largest first; the studio's answers (JSON) are left out.

        What comes after the picture, from the editor's file `later` on, may have come already by now.
        """
        self._page.remove_listener("request", self._heard)
        first = itertools.takewhile(lambda path: LATER not in path, self._paths)
        bodies = {path: STATIC / path[1:] for path in first if not path.startswith("/api/")}
        files = [
            Loaded(path, len(body := file.read_bytes()), len(gzip.compress(body, 9)))
            for path, file in bodies.items()
            if file.is_file()
        ]
        return sorted(files, key=lambda file: -file.gzip_bytes)


def measure(bench: Bench) -> Iterator[Table]:
    """Kilobytes, gzipped, that the first view loads."""
    model = bench.model(RESNET)
    bars = []
    for name, path, there in (
        ("Models", "/models", f"model-card-{model}"),
        ("editor", f"/m/{model}", "block-residual1"),
    ):
        with bench.tab() as tab:
            bench.sign_in(tab)
            watch = Watch(tab.page)
            tab.page.goto(f"{bench.studio.url}{path}")
            tab.page.get_by_test_id(there).wait_for()
            files = watch.end()
        rows: list[dict[str, Cell]] = [
            {"file": file.path, "KB": file.size_bytes / 1e3, "gzip KB": file.gzip_bytes / 1e3} for file in files
        ]
        yield Table(NAME, f"what the {name} page loads first", rows)
        page_kb = sum(file.gzip_bytes for file in files) / 1e3
        bars.append(row(Bar(f"{name} page", [page_kb], LIMIT_KB, "KB gzip")))
    yield Table(NAME, "bars", bars)
