"""Finds the one move of layers that brings a plain plan most throughput, and names what limits it.

What is tried: of each stage that has to do with the bottleneck, the first or the last layers, up to all of them, go to
a device before or behind it, or to an idle one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from partition_agent.protocol import STUDIO_PEER
from partition_studio.graph.network import Network
from partition_studio.partition.plan import Plan
from partition_studio.partition.stages import CutTypeError, Stage, StageGraph, build_stages
from partition_studio.planner.errors import BadFiguresError
from partition_studio.planner.figures.checks import require_devices
from partition_studio.planner.figures.figures import Figures
from partition_studio.planner.prediction.flow import Resource
from partition_studio.planner.prediction.prediction import Prediction
from partition_studio.planner.prediction.quick import QuickPredictor

#: Less is not worth a person's while.
LEAST_GAIN = 1.001

#: Of longer stages so many numbers of layers are tried at first, then those around the best.
_GRID = 16

#: Idle devices that are tried, the fastest first.
_IDLE = 3


@dataclass(frozen=True, slots=True)
class NextMove:
    """A change of a plan. `gain` is the throughput with it over that without; `text` says it, and what limits the plan.

    `plan` is the changed one, `prediction` its.
    """

    text: str
    plan: Plan
    prediction: Prediction
    gain: float

    @property
    def throughput_per_s(self) -> float:
        """Frames a second with it."""
        return self.prediction.throughput_per_s


@dataclass(frozen=True, slots=True)
class _Move:
    """The first (or last) `count` layers of a stage go to a device."""

    stage: Stage
    is_head: bool
    count: int
    target: str

    @property
    def layers(self) -> tuple[str, ...]:
        return self.stage.layers[: self.count] if self.is_head else self.stage.layers[-self.count :]


def next_move(network: Network, plan: Plan, figures: Figures) -> NextMove | None:
    """Return the move of layers that brings most; None where none brings anything, and for plans that are not plain.

    A plan is plain when it places whole layers on whole devices, without codecs and micro-batches. Every device of
    `figures` may be used. No device gets more than its memory holds by a move. Raises BadFiguresError for those of the
    plan.
    """
    if not is_plain(plan):
        return None
    return _Finder(network, plan, figures).find()


def is_plain(plan: Plan) -> bool:
    """Return whether a plan places whole layers on whole devices, and nothing else."""
    parts = plan.shards or plan.codecs or plan.micro_batch > 1
    return not parts and not any(name in plan.resources or name in plan.replicas for name in plan.placement.values())


def limit_text(resource: Resource) -> str:
    """Return what a bottleneck is, in words."""
    match resource.kind:
        case "cores":
            return f"the processor of {resource.name!r}"
        case "lane":
            return f"computing on {resource.name!r}"
        case "link":
            source, _, target = resource.name.partition("->")
            return f"the link from {source!r} to {target!r}"
        case "interface":
            device, _, way = resource.name.rpartition(" ")
            return f"what {'enters' if way == 'in' else 'leaves'} {device!r}"


class _Finder:
    def __init__(self, network: Network, plan: Plan, figures: Figures) -> None:
        self._network, self._plan, self._figures = network, plan, figures
        self._quick = QuickPredictor(network, figures)
        self._now = self._quick.predict(plan.placement)
        self._graph = build_stages(network, plan.placement)

    def find(self) -> NextMove | None:
        best = self._best(self._moves())
        if best is not None:
            move, prediction = best
            closer = self._best(self._around(move))
            if closer is not None and closer[1].throughput_per_s > prediction.throughput_per_s:
                best = closer
        if best is None:
            return None
        move, prediction = best
        gain = prediction.throughput_per_s / self._now.throughput_per_s
        if gain < LEAST_GAIN:
            return None
        plan = self._plan.model_copy(update={"placement": self._placement(move)})
        return NextMove(self._text(move), plan, prediction, gain)

    def _best(self, moves: Iterable[_Move]) -> tuple[_Move, Prediction] | None:
        """Return the move with most throughput; among equals the one with the shortest way, then of fewest layers."""
        best: tuple[_Move, Prediction] | None = None
        best_rank: tuple[float, float, int] | None = None
        for move in moves:
            try:
                prediction = self._quick.predict(self._placement(move))
            except (CutTypeError, BadFiguresError):
                continue
            if not self._fits(prediction):
                continue
            rank = (prediction.period_s, prediction.latency_s, move.count)
            if best_rank is None or rank < best_rank:
                best, best_rank = (move, prediction), rank
        return best

    def _fits(self, prediction: Prediction) -> bool:
        """Return whether no device holds more than it can, but for what it held already."""
        for name, device in prediction.devices.items():
            before = self._now.devices.get(name)
            held = 0 if before is None else before.memory.bound_bytes
            if not device.fits and device.memory.bound_bytes > held:
                return False
        return True

    def _moves(self) -> Iterator[_Move]:
        idle = self._idle()
        for stage in _concerned(self._graph, self._now.bottleneck):
            for is_head in (True, False):
                near = _neighbours(self._graph, stage, before=is_head)
                for target in dict.fromkeys([*near, *idle]):
                    for count in _counts(len(stage.layers)):
                        yield _Move(stage, is_head, count, target)

    def _around(self, move: _Move) -> Iterator[_Move]:
        """Yield moves of the counts that the grid left out next to one."""
        counts = _counts(len(move.stage.layers))
        place = counts.index(move.count)
        least = counts[place - 1] + 1 if place else 1
        most = counts[place + 1] if place + 1 < len(counts) else move.count + 1
        for count in range(least, most):
            if count != move.count:
                yield _Move(move.stage, move.is_head, count, move.target)

    def _idle(self) -> list[str]:
        """Return the fastest devices without a stage whose figures can be reckoned with."""
        found = []
        for name, device in self._figures.devices.items():
            if name in self._now.devices:
                continue
            try:
                require_devices(self._figures, (name,))
            except BadFiguresError:
                continue
            found.append((device.profile.kernels_s, name))
        return [name for _, name in sorted(found)[:_IDLE]]

    def _placement(self, move: _Move) -> Mapping[str, str]:
        return {**self._plan.placement, **dict.fromkeys(move.layers, move.target)}

    def _text(self, move: _Move) -> str:
        layers = move.layers
        what = repr(layers[0]) if len(layers) == 1 else f"{layers[0]!r} to {layers[-1]!r} ({len(layers)} layers)"
        limit = limit_text(self._now.bottleneck)
        return f"Move {what} from {move.stage.device!r} to {move.target!r}: {limit} limits this plan"


def _concerned(graph: StageGraph, bottleneck: Resource) -> list[Stage]:
    """Return the stages whose layers a bottleneck waits for."""
    if bottleneck.kind == "link":
        names = set()
        for cut in graph.cuts:
            if f"{_peer(graph, cut.producer)}->{_peer(graph, cut.consumer)}" == bottleneck.name:
                names |= {cut.producer, cut.consumer}
        return [stage for stage in graph.stages if stage.name in names]
    device = bottleneck.name.rpartition(" ")[0] if bottleneck.kind == "interface" else bottleneck.name
    return list(graph.on(device))


def _neighbours(graph: StageGraph, stage: Stage, *, before: bool) -> list[str]:
    """Return the other devices that a stage reads from, or that read from it."""
    ends = [
        cut.producer if before else cut.consumer
        for cut in graph.cuts
        if (cut.consumer if before else cut.producer) == stage.name
    ]
    devices = dict.fromkeys(graph.device_of(end) for end in ends)
    return [device for device in devices if device is not None and device != stage.device]


def _peer(graph: StageGraph, end: str) -> str:
    return graph.device_of(end) or STUDIO_PEER


def _counts(layers: int) -> list[int]:
    """Return how many of a stage's layers are tried to be moved, in order, all of them among these."""
    if layers <= _GRID:
        return list(range(1, layers + 1))
    return sorted({max(1, round(layers * step / _GRID)) for step in range(1, _GRID + 1)})
