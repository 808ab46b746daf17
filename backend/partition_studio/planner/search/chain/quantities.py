"""What a question wants of a chain, run by run: quantities that add up along it, or whose largest counts."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from partition_studio.planner.search.chain.costs import RunCosts
from partition_studio.planner.search.problem.problem import Costs, Floats, Problem
from partition_studio.planner.search.problem.series import twins_of

#: Limits are kept but for the rounding of sums (see `evaluate`), and a little more where sums are in another order.
_ROUNDING = 1 + 2e-9

#: The way to a kind of which nothing is known.
ANY_WAY = -1


@dataclass(frozen=True)
class Kinds:
    """Devices that are alike are of one kind. `members` by kind; kinds in the order of their first."""

    members: tuple[tuple[int, ...], ...]

    def pair(self, source: int | None, kind: int) -> tuple[int | None, int]:
        """Return two devices of these kinds, different ones; None: there is no previous run."""
        if source is None:
            return None, self.members[kind][0]
        if source != kind:
            return self.members[source][0], self.members[kind][0]
        return self.members[kind][0], self.members[kind][1]


def kinds_of(problem: Problem) -> Kinds:
    """Return the kinds of a problem's devices. Where memory alone is asked for, it alone makes them differ."""
    limits = problem.limits
    asked = (limits.min_throughput_per_s, limits.max_latency_s, limits.max_energy_j, limits.max_total_energy_j)
    if problem.objective == "max_memory" and all(limit is None for limit in asked):
        alike: dict[tuple[int, bytes], list[int]] = {}
        for device in range(len(problem.devices)):
            key = int(problem.memory_bytes[device]), problem.allowed[device].tobytes()
            alike.setdefault(key, []).append(device)
        return Kinds(tuple(map(tuple, alike.values())))
    twins = twins_of(problem)
    others = {device for group in twins for device in group[1:]}
    of = {group[0]: tuple(group) for group in twins}
    return Kinds(tuple(of.get(d, (d,)) for d in range(len(problem.devices)) if d not in others))


@dataclass(frozen=True)
class Quantity:
    """One figure of a chain: `is_sum`, or else a maximum over runs; `most`: what it may be at most.

    `cost(group, kind)` is the table of what a run costs, `group` being a way to reach a kind (see `Ways`), or ANY_WAY:
    what it costs at least, whichever device the run before has.
    """

    is_sum: bool
    most: float
    cost: Callable[[int, int], Floats]

    def join(self, left: Floats | float, right: Floats) -> Floats:
        """Return the figure of what two parts of a chain have."""
        return np.asarray(left + right if self.is_sum else np.maximum(left, right))


class Ways:
    """For each kind the groups of previous kinds from which the way there costs the same."""

    def __init__(self, problem: Problem, kinds: Kinds) -> None:
        self.sources: list[list[list[int]]] = []
        self.examples: list[list[int | None]] = []
        for kind, members in enumerate(kinds.members):
            groups: dict[tuple[float, ...], list[int]] = {}
            for source in range(len(kinds.members)):
                if source == kind and len(members) == 1:
                    continue
                one, other = kinds.pair(source, kind)
                key = (
                    float(problem.link_bytes_per_s[one, other]),
                    float(problem.link_latency_s[one, other]),
                    float(problem.message_s[one]),
                    float(problem.way_byte_s[one]),
                )
                groups.setdefault(key, []).append(source)
            self.sources.append([[], *groups.values()])
            self.examples.append([None, *(group[0] for group in groups.values())])

    def group_of(self, source: int | None, kind: int) -> int:
        """Return the group of a previous kind; 0 where there is no previous run."""
        if source is None:
            return 0
        return next(number for number, group in enumerate(self.sources[kind]) if source in group)


class Quantities:
    """All quantities that a question speaks of: the objective's first, then those of limits.

    `least_s`, `most_s`: only chains whose period lies between them are looked for; what idling takes of energy is
    reckoned with `least_s`.
    """

    def __init__(self, costs: RunCosts, kinds: Kinds, ways: Ways) -> None:
        self.costs, self.kinds, self.ways = costs, kinds, ways
        problem = costs.problem
        firsts = [members[0] for members in kinds.members]
        memory = costs.memory_bytes
        self.fits = [costs.is_allowed(d) & (memory <= problem.memory_bytes[d]) for d in firsts]
        self._made: dict[tuple[str, int], Floats] = {}

    def of(self, least_s: float, most_s: float, best: float) -> list[Quantity]:
        """Return the quantities of a range of periods; `best`: what the objective must be below."""
        problem = self.costs.problem
        limits = problem.limits
        if limits.min_throughput_per_s is not None and limits.min_throughput_per_s > 0:
            most_s = min(most_s, _ROUNDING / limits.min_throughput_per_s)
        tables: dict[tuple[str, float, int], Floats] = {}

        def cost(name: str) -> Callable[[int, int], Floats]:
            def of(group: int, kind: int) -> Floats:
                # But for the latency, only how fast the link is matters of a way.
                way = float(group) if name == "latency" else self._speed(group, kind)
                key = name, way, kind
                if key not in tables:
                    tables[key] = self._table(name, group, kind, least_s, most_s)
                return tables[key]

            return of

        target = problem.objective
        wanted = {"throughput": "period", "max_energy": "energy", "total_energy": "energy"}.get(target, target)
        wanted = "memory" if wanted == "max_memory" else wanted
        found = [Quantity(target in ("latency", "total_energy"), best, cost(wanted))]
        for limit, name, is_sum in (
            (limits.max_latency_s, "latency", True),
            (limits.max_energy_j, "energy", False),
            (limits.max_total_energy_j, "energy", True),
        ):
            if limit is not None:
                found.append(Quantity(is_sum, limit * _ROUNDING, cost(name)))
        return found

    def _speed(self, group: int, kind: int) -> float:
        """Return the bytes a second of the link from the previous run's device, at most."""
        problem = self.costs.problem
        if group == ANY_WAY:
            device = self.kinds.members[kind][0]
            others = [float(problem.link_bytes_per_s[d, device]) for d in range(len(problem.devices)) if d != device]
            return max(others, default=math.inf)
        source, device = self.kinds.pair(self.ways.examples[kind][group], kind)
        return math.inf if source is None else float(problem.link_bytes_per_s[source, device])

    def _own(self, name: str, kind: int) -> Floats:
        """Return a table of runs that hangs on no other run."""
        key = name, kind
        if key not in self._made:
            make = {"period": self.costs.period_s, "cpu": self.costs.cpu_s, "latency": self.costs.latency_s}[name]
            self._made[key] = make(self.kinds.members[kind][0])
        return self._made[key]

    def _table(self, name: str, group: int, kind: int, least_s: float, most_s: float) -> Floats:
        problem, device = self.costs.problem, self.kinds.members[kind][0]
        period_s = np.maximum(self._own("period", kind), self.costs.previous / self._speed(group, kind))
        may_be = self.fits[kind] & (period_s <= most_s)
        match name:
            case "period":
                table = period_s
            case "latency":
                source = None if group == ANY_WAY else self.ways.examples[kind][group]
                table = self._own("latency", kind)
                if source is not None:
                    table = table + self.costs.way_s(*self._pair(source, kind))
            case "memory":
                table = self.costs.memory_bytes
            case _:
                idle_j = problem.idle_w[device] * np.maximum(least_s, period_s)
                table = idle_j + problem.active_w[device] * self._own("cpu", kind)
        return np.where(may_be, table, math.inf)

    def _pair(self, source: int, kind: int) -> tuple[int, int]:
        """Return devices of two kinds that are neighbours."""
        one, other = self.kinds.pair(source, kind)
        assert one is not None
        return one, other


def cost_of(problem: Problem, costs: Costs) -> float:
    """Return what is minimised: of throughput the seconds between frames."""
    return costs.period_s if problem.objective == "throughput" else costs.value(problem.objective)
