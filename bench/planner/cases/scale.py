"""Large questions: what has to be proved, or to be good, within how long."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bench.planner.bench import Bench, Cell, Table
from bench.planner.cases.search import searched
from bench.planner.worlds import CHAIN, question_of
from partition_studio.planner.search.question import Limits, Question

NAME = "scale"


@dataclass(frozen=True, slots=True)
class Size:
    """A network and a number of devices; `most_gap` is required within `seconds` (None: only an answer)."""

    network: str
    devices: int
    seconds: float
    most_gap: float | None


#: `most_gap` 0: proved, but for the rounding of solvers.
SIZES = (
    Size("resnet-50", 8, 10.0, 0.0),
    Size("densenet-121", 16, 60.0, 0.02),
    Size(f"{CHAIN}1000", 100, 60.0, None),
)
_QUICK = (Size("squeezenet", 4, 3.0, None), Size(f"{CHAIN}100", 10, 3.0, None))


def measure(bench: Bench) -> Iterator[Table]:
    """ResNet-50 on 8 boards, DenseNet-121 on 16, 1,000 layers on 100: seconds, and how far from the bound.

    Each of plans with one run of layers for each board, and of any placement.
    """
    for size in _QUICK if bench.quick else SIZES:
        question = question_of(bench.network(size.network), size.devices)
        layers = len(question.network.layers)
        rows = [_row(size, replace(question, limits=Limits(contiguous=contiguous))) for contiguous in (True, False)]
        yield Table(NAME, f"{size.network} ({layers} layers) on {size.devices} unequal boards", rows)


def _row(size: Size, question: Question) -> dict[str, Cell]:
    row = searched(question, size.seconds)
    gap, proved, took_s = row["gap %"], row["proved"], row["all s"]
    assert isinstance(gap, float)
    assert isinstance(took_s, float)
    good = True if size.most_gap is None else bool(proved) or gap <= 100 * size.most_gap
    required = {None: "an answer", 0.0: "proved"}.get(size.most_gap, f"gap <= {100 * (size.most_gap or 0):g} %")
    return {
        "plans": "one run each" if question.limits.contiguous else "any placement",
        **row,
        "required": f"{required} in {size.seconds:g} s",
        # A search that is stopped takes a moment to end.
        "met": good and took_s <= 1.1 * size.seconds,
    }
