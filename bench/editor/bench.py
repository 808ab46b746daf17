"""What every case is given: Chromium, a studio with the networks, the bench's own pages, how much to measure."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import onnx
from playwright.sync_api import Browser
from tests.planner_studio import add_devices, add_links, add_profile
from tests.studio import RunningStudio

from bench.editor.browser import VIEWPORT, Tab, open_tab
from bench.planner.bench import Cell, Table
from bench.synthetic import residual_chain
from partition_studio.graph.examples import build_example
from partition_studio.schemas import ModelSummaryOut, PlanIn

__all__ = ["DEVICES", "Bar", "Bench", "Cell", "Table", "row"]

DEVICES = ("board-1", "board-2", "board-3")

RESNET, DENSENET, LONG = "resnet-50", "densenet-121", "chain-1500"


@dataclass
class Bench:
    """One run: its browser and servers, and how much is measured."""

    folder: Path
    browser: Browser
    studio: RunningStudio
    pages: str
    pages_folder: Path
    quick: bool
    rounds: int
    minutes: float
    _models: dict[str, ModelSummaryOut] = field(default_factory=dict)

    def file(self, name: str) -> Path:
        """Return the ONNX file of a network, written once."""
        path = self.folder / f"{name}.onnx"
        if not path.exists():
            if name.startswith("chain-"):
                onnx.save(residual_chain(int(name.removeprefix("chain-"))), path)
            else:
                path.write_bytes(build_example(name))
        return path

    def model(self, name: str) -> str:
        """Return the studio's id of a network, added with a plan over all devices once."""
        if name not in self._models:
            with self.file(name).open("rb") as file:
                model = self.studio.services.models.add(file, file_name=f"{name}.onnx", name=name, simplify=False)
            plan = self.studio.services.plans.spread(model.id, list(DEVICES))
            self.studio.services.plans.create(model.id, PlanIn(name="Spread", plan=plan))
            for number, device in enumerate(DEVICES):
                add_profile(self.studio.services, model.id, device, speed=1 + number / 2)
            self._models[name] = model
        return self._models[name].id

    def page_data(self, name: str) -> str:
        """Have a network's document, as the studio's API gives it, beside the bench's pages; return its name."""
        path = self.pages_folder / f"{name}.json"
        if not path.exists():
            path.write_text(self.studio.services.models.show(self.model(name)).model_dump_json())
        return name

    @contextmanager
    def tab(self, *, viewport: tuple[int, int] = VIEWPORT, cookies: Mapping[str, str] | None = None) -> Iterator[Tab]:
        """Open a page in a browser that has seen nothing yet."""
        with open_tab(self.browser, viewport=viewport, cookies=cookies) as tab:
            yield tab

    def sign_in(self, tab: Tab) -> None:
        """Give a browser the studio's cookie; it has loaded nothing of the studio then."""
        answer = tab.page.request.get(self.studio.ticket_link(), max_redirects=0)
        assert answer.status == 303, answer.status

    @contextmanager
    def signed_in(self, path: str = "/models", *, viewport: tuple[int, int] = VIEWPORT) -> Iterator[Tab]:
        """Open a page of the studio, signed in, nothing cached but what the first page needs."""
        with self.tab(viewport=viewport) as tab:
            self.sign_in(tab)
            tab.page.goto(f"{self.studio.url}{path}")
            yield tab

    @cached_property
    def networks(self) -> Sequence[str]:
        """Those whose layouts are measured."""
        return (RESNET, DENSENET, LONG)


def prepare(studio: RunningStudio) -> None:
    """Have devices, and links between them."""
    add_devices(studio.services, DEVICES)
    add_links(studio.services, {(a, b): 1e8 for a in DEVICES for b in DEVICES if a != b})


@dataclass(frozen=True, slots=True)
class Bar:
    """What is required of a figure: that it is not above a limit."""

    name: str
    values: Sequence[float]
    limit: float
    unit: str

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.values)


def row(bar: Bar) -> dict[str, Cell]:
    """Return a bar as a line of a table."""
    return {
        "bar": bar.name,
        "median": bar.median,
        "least": min(bar.values),
        "most": max(bar.values),
        "unit": bar.unit,
        "required at most": bar.limit,
        "met": bar.median <= bar.limit,
    }
