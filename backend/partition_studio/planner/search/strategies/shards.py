"""Divided layers: a first part of the network in tiles on several devices, and single heavy layers by channels.

Which divisions are worth a look is reckoned from the units' times alone, halos and joins left out; those that look best
are made and predicted. Then, in the best plan so far, units of whatever limits it are divided among it and those
devices that have least to do, as long as that helps.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from partition_studio.partition.add_shard import sharding_of
from partition_studio.partition.plan import MAX_PARTS, Sharding
from partition_studio.planner.search.problem.problem import STUDIO, Problem
from partition_studio.planner.search.question import Strategy
from partition_studio.planner.search.strategies.judge import Judge, Judged

#: Tilings of a first part that are made and predicted, of all that are reckoned; and how many may fail to be made.
MOST_TILINGS = 12
MOST_FAILURES = 36

#: Numbers of pieces of a first part between which halos are exchanged.
PIECES = (1, 4, 12)

#: A halo that is computed twice is reckoned as so much more of the work, for each unit of a piece and each other tile.
_HALO = 0.01

#: Places where the first part may end.
MOST_ENDS = 12

#: Times that the shares of a tiling are set anew by what was predicted of it.
BALANCINGS = 2

#: Units of what limits a plan that are tried, the heaviest first; and parts into which they are divided.
MOST_UNITS = 3
MOST_WAYS = 3

#: No part is smaller, of the largest one.
_LEAST_SHARE = 1e-6

_TILES: tuple[Strategy, ...] = ("spatial", "spatial_independent")
_CHANNELS: tuple[Strategy, ...] = ("output_channels", "input_channels")

Offer = Callable[[Judged], bool]


@dataclass(frozen=True, slots=True)
class Tiling:
    """Units `[start, stop)` in tiles on devices by `shares`; the units before on `first`, those behind on `rest`.

    Halos are exchanged at `exchanges`, places between units that one tensor crosses. `reckoned_s` is about the seconds
    that it takes at least: of a frame alone where that is asked for, else between frames.
    """

    start: int
    stop: int
    kind: Strategy
    devices: tuple[int, ...]
    shares: tuple[float, ...]
    first: int
    rest: int
    exchanges: tuple[int, ...] = ()
    reckoned_s: float = 0.0


def search_shards(
    judge: Judge, problem: Problem, start: Judged | None, stop: Callable[[], bool], offer: Offer
) -> Judged | None:
    """Offer plans with divided layers, as far as these are allowed; return the best of them and `start`."""
    best, made, failed = start, 0, 0
    in_seconds = judge.question.objective in ("throughput", "latency")
    for tiling in tilings(judge, problem):
        if stop() or made >= MOST_TILINGS or failed >= MOST_FAILURES:
            break
        if best is not None and in_seconds and tiling.reckoned_s >= best.cost:
            break
        judged = _balanced(judge, problem, tiling, stop)
        made, failed = made + (judged is not None), failed + (judged is None)
        if judged is not None and judged.keeps_limits and (best is None or judged.cost < best.cost):
            best = judged
            offer(judged)
    while best is not None and (better := _step(judge, problem, best, stop)) is not None:
        best = better
        offer(better)
    return best


def tilings(judge: Judge, problem: Problem) -> list[Tiling]:
    """Return the tilings of a first part of the network that look best, the best first."""
    kinds = [kind for kind in _TILES if kind in judge.question.limits.strategies]
    if not kinds:
        return []
    private = judge.question.limits.input_on
    places = single_tensor_places(problem)
    # What reads the raw input stays whole where that must not leave its device.
    start = 0 if private is None else next((place for place in places if place), len(problem.units))
    ends = _spaced([place for place in [*places, len(problem.units)] if place > start])
    order = sorted(_open_devices(judge, problem), key=lambda device: float(problem.compute_s[device].sum()))
    most = min(len(order), MAX_PARTS, judge.question.limits.max_devices or len(order))
    found = [
        Tiling(start, end, kind, devices, shares, _index(problem, private, devices[0]), rest, exchanges, reckoned_s)
        for end in ends
        for count in range(2, most + 1)
        for devices in dict.fromkeys((tuple(order[:count]), tuple(order[-count:])))
        for rest in dict.fromkeys((order[0], devices[0], *[d for d in order if d not in devices][:1]))
        for kind in kinds
        for exchanges in _exchanges([p for p in places if start < p < end], kind)
        for reckoned_s, shares in [_reckoned(judge, problem, (start, *exchanges, end), devices, rest)]
    ]
    return sorted(found, key=lambda tiling: tiling.reckoned_s)


def _exchanges(places: Sequence[int], kind: Strategy) -> list[tuple[int, ...]]:
    """Return where halos may be exchanged, as far apart as can be for some numbers of pieces."""
    if kind != "spatial":
        return [()]
    found = [
        tuple(places[len(places) * number // pieces] for number in range(1, pieces))
        for pieces in PIECES
        if pieces <= len(places)
    ]
    return [*dict.fromkeys([(), *found])]


def single_tensor_places(problem: Problem) -> list[int]:
    """Return the places between units (p: before unit p) that one tensor crosses, and 0; no input is read behind."""
    crossing = [0] * (len(problem.units) + 1)
    for tensor in problem.tensors:
        last = max(tensor.consumers, default=-1)
        first = 1 if tensor.producer == STUDIO else tensor.producer + 1
        # An output that the studio reads does not cross, but where it is made inside a run that run has two outputs.
        for place in range(first, last + 1):
            crossing[place] += 2 if tensor.producer == STUDIO else 1
    return [0, *(place for place in range(1, len(problem.units)) if crossing[place] == 1)]


def _spaced(places: Sequence[int]) -> list[int]:
    """Return at most `MOST_ENDS` of some places, evenly spaced, the last among them."""
    if len(places) <= MOST_ENDS:
        return list(places)
    return sorted({places[round(number * (len(places) - 1) / (MOST_ENDS - 1))] for number in range(MOST_ENDS)})


def _open_devices(judge: Judge, problem: Problem) -> list[int]:
    return [index for index, name in enumerate(problem.devices) if name in judge.devices]


def _index(problem: Problem, name: str | None, otherwise: int) -> int:
    return otherwise if name is None else problem.devices.index(name)


def _reckoned(
    judge: Judge, problem: Problem, places: tuple[int, ...], devices: tuple[int, ...], rest: int
) -> tuple[float, tuple[float, ...]]:
    """Return about what a tiling of the units between `places` costs in seconds, and the shares that balance it."""
    start, end, others = places[0], places[-1], len(devices) - 1
    halo = sum((stop - begin) ** 2 for begin, stop in pairwise(places)) / (end - start) * _HALO * others
    sent_s = float(problem.link_latency_s.mean() + 2 * problem.message_s.mean()) * others * (len(places) - 1)
    tiled = [max(float(problem.compute_s[d, start:end].sum()), 1e-12) * (1 + halo) for d in devices]
    behind = float(problem.compute_s[rest, end:].sum())
    together = 1 / sum(1 / seconds for seconds in tiled)
    if judge.question.objective == "latency" or rest not in devices:
        shares = tuple(together / seconds for seconds in tiled)
        alone_s = together + sent_s + behind
        return (alone_s if judge.question.objective == "latency" else max(together, behind)), shares
    # What is left to do behind is a part of what its device has to do: (period - behind) / tiled is its share.
    period = (1 + behind / tiled[devices.index(rest)]) * together
    shares = tuple(
        max(period - behind * (device == rest), period * 0.02) / seconds
        for device, seconds in zip(devices, tiled, strict=True)
    )
    return max(period, behind), shares


def _judged(judge: Judge, problem: Problem, tiling: Tiling) -> Judged | None:
    """Return what becomes of a tiling; None where the layers cannot be divided so."""
    placement: dict[str, str] = {}
    for index, unit in enumerate(problem.units):
        device = tiling.first if index < tiling.start else tiling.rest
        placement.update((layer, problem.devices[device]) for layer in unit)
    layers = [layer for unit in problem.units[tiling.start : tiling.stop] for layer in unit]
    names = [problem.devices[device] for device in tiling.devices]
    before = [layer for place in tiling.exchanges for layer in _first_readers(judge, problem, place)]
    sharding = _sharding(tiling.kind, layers, names, tiling.shares, before)
    return judge.judge_divided(judge.plan_of(placement), sharding)


def _first_readers(judge: Judge, problem: Problem, place: int) -> list[str]:
    """Return the layers that read the tensor which crosses a place between units, and nothing else.

    Those that read it later, beside what was made of it, would only have it exchanged once more.
    """
    network = judge.question.network
    crossing = next(t for t in problem.tensors if STUDIO < t.producer < place <= max(t.consumers, default=-1))
    return [layer.name for layer in network.consumers[crossing.name] if set(layer.inputs) == {crossing.name}]


def _sharding(
    kind: Strategy,
    layers: Sequence[str],
    devices: Sequence[str],
    shares: Sequence[float],
    exchange_before: Sequence[str] = (),
) -> Sharding:
    numbers = "rows" if kind in _TILES else "shares"
    parts = [max(share / max(shares), _LEAST_SHARE) for share in shares]
    document = {"strategy": kind, "layers": list(layers), "devices": list(devices), numbers: parts}
    if exchange_before:
        document["exchange_before"] = list(exchange_before)
    return sharding_of(document)


def _balanced(judge: Judge, problem: Problem, tiling: Tiling, stop: Callable[[], bool]) -> Judged | None:
    """Return a tiling's plan, its shares set anew by what was predicted as long as that helps."""
    best: Judged | None = None
    for _ in range(1 + BALANCINGS):
        if stop():
            break
        judged = _judged(judge, problem, tiling)
        if judged is None or (best is not None and judged.cost >= best.cost):
            break
        best = judged
        busy = [judged.prediction.devices[problem.devices[d]].busy_s for d in tiling.devices]
        level = sum(busy) / len(busy)
        shares = [share * min(max(level / spent, 0.5), 2) for share, spent in zip(tiling.shares, busy, strict=True)]
        tiling = replace(tiling, shares=tuple(shares))
    return best


def _step(judge: Judge, problem: Problem, best: Judged, stop: Callable[[], bool]) -> Judged | None:
    """Return a better plan with one more division; None where none is found."""
    for sharding in _divisions(judge, problem, best):
        if stop():
            return None
        judged = judge.judge_divided(best.plan, sharding)
        if judged is not None and judged.keeps_limits and judged.cost < best.cost * (1 - 1e-6):
            return judged
    return None


def _divisions(judge: Judge, problem: Problem, best: Judged) -> Iterator[Sharding]:
    """Yield divisions of one more unit, of those that weigh most where the plan is limited."""
    kinds = [kind for kind in (*_CHANNELS, *_TILES) if kind in judge.question.limits.strategies]
    if not kinds:
        return
    load = _load(judge, best)
    by_name = {name: index for index, name in enumerate(problem.devices)}
    weighed = sorted(
        ((weight, unit, device) for weight, unit, device in _weighed(judge, problem, best, load, by_name)),
        key=lambda item: (-item[0], item[1]),
    )
    for _, unit, device in weighed[:MOST_UNITS]:
        layers = problem.units[unit]
        others = sorted((name for name in judge.devices if name != device), key=lambda name: (load.get(name, 0), name))
        for count in range(1, min(len(others), MOST_WAYS, MAX_PARTS - 1) + 1):
            devices = [device, *others[:count]]
            shares = _shares(judge, problem, unit, [by_name[name] for name in devices], load)
            for kind in kinds:
                yield _sharding(kind, layers, devices, shares)


def _load(judge: Judge, best: Judged) -> dict[str, float]:
    """Return how much each device has of what the objective is about."""
    parts = best.prediction.devices
    match judge.question.objective:
        case "max_memory":
            return {name: float(part.memory.bound_bytes) for name, part in parts.items()}
        case "max_energy" | "total_energy":
            return {name: part.energy_j or 0.0 for name, part in parts.items()}
        case "throughput" | "latency":
            return {name: part.busy_s for name, part in parts.items()}


def _weighed(
    judge: Judge, problem: Problem, best: Judged, load: dict[str, float], by_name: dict[str, int]
) -> Iterator[tuple[float, int, str]]:
    """Yield the units that lie whole on one device and matter, with what they weigh there."""
    objective = judge.question.objective
    everywhere = objective in ("latency", "total_energy")
    busiest = max(load, key=lambda name: (load[name], name))
    for unit, layers in enumerate(problem.units):
        places = {best.plan.placement.get(layer) for layer in layers}
        device = places.pop() if len(places) == 1 else None
        if device is None or device not in by_name or not (everywhere or device == busiest):
            continue
        if objective == "max_memory":
            weight = float(problem.weight_bytes[unit] + 2 * problem.live_bytes[unit])
        else:
            weight = float(problem.compute_s[by_name[device], unit])
        yield weight, unit, device


def _shares(
    judge: Judge, problem: Problem, unit: int, devices: Sequence[int], load: dict[str, float]
) -> tuple[float, ...]:
    """Return the shares of a unit that level its devices: what each has to do already and its part."""
    if judge.question.objective == "max_memory":
        return (1.0,) * len(devices)
    seconds = [max(float(problem.compute_s[device, unit]), 1e-12) for device in devices]
    if judge.question.objective == "latency":
        return tuple(1 / each for each in seconds)
    busy = [load.get(problem.devices[device], 0.0) for device in devices]
    busy[0] = max(busy[0] - seconds[0], 0.0)
    if judge.question.objective != "throughput":
        busy = [0.0] * len(devices)
    # Water filling: level = (1 + sum(busy / seconds)) / sum(1 / seconds), where every part gets something.
    level = (1 + sum(b / s for b, s in zip(busy, seconds, strict=True))) / sum(1 / s for s in seconds)
    return tuple(max((level - b) / s, 0.02) for b, s in zip(busy, seconds, strict=True))
