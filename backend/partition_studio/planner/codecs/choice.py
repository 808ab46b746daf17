"""Chooses codecs: for every link the one with the shortest stage and link time that changes the outputs little enough.

Throughput comes first: what counts is how long the busiest device or link has to do with a frame (see `codec_costs`);
among choices within `TIE` of the best, that with the shortest way of a single frame; and what is as good without loss,
by the same measure, is taken without loss. How much a choice changes the
outputs is measured, never guessed, by running the rest of the network on what the codecs leave of its tensors.

The best codec that is allowed for every link alike is where the search begins; then single tensors change their codec,
the most gainful change first, as long as that helps and the measured change of all codecs together is allowed. So the
result is never slower than the best fixed codec.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from partition_agent.protocol import LinkCodec
from partition_studio.partition.codecs import LOSSLESS, OnCut, Settled
from partition_studio.planner.codecs.costs import CodecCosts, CodecTask, Option, PlanCost, TensorCost, TensorOptions

#: Throughputs that are this close are alike.
TIE = 0.02

#: What is no difference, but what adding in another order makes.
_NOTHING = 1e-9

#: Codecs that are tried, ADCNN's clipping with the largest value of each frame as its bound.
CANDIDATES: tuple[LinkCodec, ...] = tuple(
    LinkCodec(name)
    for name in (
        *("none", "lz4", "zstd", "rle", "fp16", "fp16+lz4", "fp16+zstd", "int8", "int8+lz4", "int8+zstd"),
        *("clip8+rle", "clip4+rle", "clip2+rle"),
    )
)

#: How often at most the network is run to measure a change.
MOST_CHECKS = 400

Choice = tuple[int, ...]

ChangeOf = Callable[[Settled], float]


@dataclass(frozen=True, slots=True)
class ChosenCodec:
    """What one tensor of one cut travels as, and what that costs."""

    cut: str
    tensor: str
    size_bytes: int
    option: Option
    cost: TensorCost


@dataclass(frozen=True, slots=True)
class Refused:
    """A codec that would have been faster and changes the outputs too much, for one tensor; `change` is by how much."""

    cut: str
    tensor: str
    codec: str
    change: float


@dataclass(frozen=True, slots=True)
class CodecDecision:
    """The choice. `cost` is the plan's with it, `as_it_is` without any codec; `change` the measured one of the outputs.

    `refused` has, for each tensor, the first codec that was faster and not allowed.
    """

    tensors: tuple[ChosenCodec, ...]
    cost: PlanCost
    as_it_is: PlanCost
    change: float
    max_change: float
    refused: Mapping[OnCut, Refused]

    @property
    def codecs(self) -> Settled:
        """The codecs, of what does not travel as it is."""
        return MappingProxyType(
            {(one.cut, one.tensor): one.option.codec for one in self.tensors if one.option.codec.name != "none"}
        )


def choose_codecs(task: CodecTask, max_change: float, change_of: ChangeOf) -> CodecDecision:
    """Return the best codecs of a task.

    `change_of` measures by how much codecs change the network's outputs, as a share of their largest value, where
    `max_change` is allowed; it may raise to cancel.
    """
    return _Search(task, max_change, change_of).run()


def worthwhile(tensor: TensorOptions) -> TensorOptions:
    """Return a tensor without the options that make it no smaller; the first one, which is what it is, stays."""
    first, *others = tensor.options
    kept = [option for option in others if option.wire_bytes < first.wire_bytes]
    return TensorOptions(tensor.cut, tensor.tensor, tensor.size_bytes, (first, *kept))


class _Search:
    def __init__(self, task: CodecTask, max_change: float, change_of: ChangeOf) -> None:
        self._task = task
        self._costs = CodecCosts(task)
        self._max_change = max_change
        self._change_of = change_of
        self._changes: dict[frozenset[tuple[OnCut, LinkCodec]], float] = {}
        self._refused: dict[OnCut, Refused] = {}
        #: What the person chose, and no search can change.
        self._given = self._lossy((0,) * len(task.tensors))
        #: Moves that were not allowed once: with other codecs beside them they are hardly ever.
        self._bad: set[tuple[int, int]] = set()

    def run(self) -> CodecDecision:
        nothing: Choice = (0,) * len(self._task.tensors)
        best = self._speed_up(nothing, lossy=False)
        best = self._best_fixed(best)
        best = self._speed_up(best, lossy=True)
        bound_s = self._costs.of(best).period_s * (1 + TIE)
        best = self._shorten(best, bound_s)
        best = self._spare_loss(best, bound_s)
        tensors = zip(self._task.tensors, best, range(len(best)), strict=True)
        return CodecDecision(
            tensors=tuple(
                ChosenCodec(
                    tensor.cut,
                    tensor.tensor,
                    tensor.size_bytes,
                    tensor.options[option],
                    self._costs.of_tensor(number, option),
                )
                for tensor, option, number in tensors
            ),
            cost=self._costs.of(best),
            as_it_is=self._costs.of(nothing),
            change=self._change(best),
            max_change=self._max_change,
            refused=MappingProxyType(self._refused),
        )

    # --- the search --------------------------------------------------------------------------------------------------

    def _best_fixed(self, best: Choice) -> Choice:
        """Return the best allowed choice of one codec for all tensors that it makes smaller, if better than `best`."""
        names = dict.fromkeys(o.codec.name for tensor in self._task.tensors for o in tensor.options[1:])
        fixed = [tuple(_option_of(tensor, name) for tensor in self._task.tensors) for name in names]
        for choice in sorted(fixed, key=self._rank):
            if self._rank(choice) >= self._rank(best):
                break
            if self._is_allowed(choice):
                return choice
        return best

    def _rank(self, choice: Choice) -> tuple[float, int]:
        return _rank(self._costs.busy_s(choice))

    def _speed_up(self, choice: Choice, *, lossy: bool) -> Choice:
        """Change one tensor's codec after the other, the most gainful first, as long as the busiest has less to do."""
        busy_s = self._costs.busy_s(choice)
        while True:
            here = _rank(busy_s)
            moves = []
            for tensor, option in self._moves(choice, lossy):
                after_s = self._costs.busy_after_s(busy_s, tensor, choice[tensor], option)
                rank = _rank(after_s)
                if rank < here:
                    moves.append((*rank, self._own_s(tensor, option), tensor, option, after_s))
            moves.sort(key=lambda move: move[:5])
            for *_, tensor, option, after_s in moves:
                moved = _moved(choice, tensor, option)
                if self._may(moved, tensor):
                    choice, busy_s = moved, after_s
                    break
            else:
                return choice

    def _shorten(self, choice: Choice, bound_s: float) -> Choice:
        """Give each tensor, the dearest first, the codec with the shortest way of a frame that keeps the throughput."""
        before: Choice | None = None
        while choice != before:
            before = choice
            for tensor in sorted(range(len(choice)), key=lambda t: -self._own_s(t, choice[t])):
                choice = self._shortest(choice, tensor, bound_s)
        return choice

    def _shortest(self, choice: Choice, tensor: int, bound_s: float) -> Choice:
        here_s = self._latency_s(choice, bound_s)
        ways = []
        for number, option in self._moves(choice, True, only=tensor):
            moved = _moved(choice, number, option)
            ways.append((self._latency_s(moved, bound_s), option, moved))
        for there_s, _, moved in sorted(ways):
            if there_s >= here_s * (1 - _NOTHING):
                break
            if self._may(moved, tensor):
                return moved
        return choice

    def _latency_s(self, choice: Choice, bound_s: float) -> float:
        """Return the seconds of one frame's way, infinite where the throughput is not kept."""
        if max(self._costs.busy_s(choice).values(), default=0.0) > bound_s:
            return math.inf
        return self._costs.latency_s(choice)

    def _own_s(self, tensor: int, option: int) -> float:
        cost = self._costs.of_tensor(tensor, option)
        return cost.link_s + cost.coding_s

    def _spare_loss(self, choice: Choice, bound_s: float) -> Choice:
        """Take codecs without loss where the frame's way is hardly longer for it and the throughput stays."""
        most_s = self._latency_s(choice, bound_s) * (1 + TIE)
        for number, tensor in enumerate(self._task.tensors):
            if tensor.options[choice[number]].codec.name in LOSSLESS:
                continue
            others = [
                _moved(choice, number, option)
                for option, candidate in enumerate(tensor.options)
                if candidate.codec.name in LOSSLESS
            ]
            best = min(others, key=lambda other: self._latency_s(other, bound_s), default=choice)
            if self._latency_s(best, bound_s) <= most_s and self._change(best) <= self._change(choice):
                choice = best
        return choice

    def _moves(self, choice: Choice, lossy: bool, only: int | None = None) -> Iterator[tuple[int, int]]:
        """Yield each tensor with each other option of its; of one tensor, where `only` is given."""
        for number in range(len(choice)) if only is None else (only,):
            for option, candidate in enumerate(self._task.tensors[number].options):
                if option == choice[number] or (number, option) in self._bad:
                    continue
                if lossy or candidate.codec.name in LOSSLESS:
                    yield number, option

    def _is_allowed(self, choice: Choice) -> bool:
        return self._lossy(choice) == self._given or self._change(choice) <= self._max_change

    def _may(self, choice: Choice, moved: int) -> bool:
        """Say whether a choice is allowed after one tensor has moved; note it where it is not."""
        if self._is_allowed(choice):
            return True
        tensor, option = self._task.tensors[moved], choice[moved]
        self._bad.add((moved, option))
        refused = Refused(tensor.cut, tensor.tensor, tensor.options[option].codec.name, self._change(choice))
        self._refused.setdefault(tensor.key, refused)
        return False

    def _change(self, choice: Choice) -> float:
        lossy = self._lossy(choice)
        if not lossy:
            return 0.0
        beyond = self._max_change <= 0 or len(self._changes) >= MOST_CHECKS
        if beyond and lossy not in self._changes and lossy != self._given:
            return math.inf
        if lossy not in self._changes:
            self._changes[lossy] = self._change_of(MappingProxyType(dict(lossy)))
        return self._changes[lossy]

    def _lossy(self, choice: Choice) -> frozenset[tuple[OnCut, LinkCodec]]:
        chosen = ((t.key, t.options[o]) for t, o in zip(self._task.tensors, choice, strict=True))
        return frozenset((key, o.codec) for key, o in chosen if o.codec.name not in LOSSLESS)


def _rank(busy_s: Mapping[str, float]) -> tuple[float, int]:
    """Rank by the busiest, then by how many are as busy: links that are equally slow are relieved one by one."""
    period_s = max(busy_s.values(), default=0.0)
    return period_s, sum(busy >= period_s * (1 - _NOTHING) for busy in busy_s.values())


def _moved(choice: Choice, tensor: int, option: int) -> Choice:
    return (*choice[:tensor], option, *choice[tensor + 1 :])


def _option_of(tensor: TensorOptions, codec: str) -> int:
    """Return the number of a codec's option, or of the first one where the tensor has it not."""
    return next((number for number, option in enumerate(tensor.options) if option.codec.name == codec), 0)
