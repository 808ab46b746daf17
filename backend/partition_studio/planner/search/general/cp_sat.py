"""The best of all placements, with a proof: CP-SAT over a relaxed model, and `evaluate` over what it finds.

The model (`relaxed`) never says more than a placement costs. So what it proves of all placements holds; and a placement
that it thinks better than it is gets judged by `evaluate`, is ruled out by name, and the search goes on. It ends when
the model has nothing left that would be better than the best that was found.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ortools.sat.python import cp_model

from partition_studio.planner.search.found import Found
from partition_studio.planner.search.general.relaxed_costs import Goal, Relaxed, least_value
from partition_studio.planner.search.packing import packing_bound
from partition_studio.planner.search.problem.evaluate import evaluate, keeps
from partition_studio.planner.search.problem.problem import Costs, Integers, Problem
from partition_studio.planner.search.problem.series import in_order, twins_of
from partition_studio.planner.search.stopping import Stop, interrupting

#: A plan counts as better where it is so by this part: below lies the rounding of the model.
BETTER = 2e-5

#: The search goes in parts, and asks between them whether to stop, besides whenever CP-SAT has news. Each part begins
#: anew but for what was found, so they grow. In CP-SAT's deterministic time: about two seconds of a processor for one.
FIRST_PART = 0.15
LONGEST_PART = 1.5
PART_OF_PLACE = 1e-4

#: Above this many devices times units the model would take longer to set up than there is time.
MOST_PLACES = 30_000

#: Above this many devices times units CP-SAT's first part is a long one: what may come sooner, comes before it.
MANY_PLACES = round(FIRST_PART / PART_OF_PLACE)

#: A bound that is better by less than this part is no news.
_NEWS = 1e-3

#: Rounds of `packing_bound`, which ends by itself where more would bring little.
ROUNDS = 400

Assignment = tuple[int, ...]
OnBound = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Least:
    """The best placement by a goal's figure, or None where none was found; `bound`: none has less.

    `is_exact`: none is better, but for `BETTER`; without a placement, that none keeps all limits.
    """

    assignment: Assignment | None
    costs: Costs | None
    value: float
    bound: float
    is_exact: bool


class Search:
    """One search for the placement that has least of a goal."""

    def __init__(
        self,
        problem: Problem,
        goal: Goal,
        stop: Stop,
        on_better: Callable[[Least], None],
        on_bound: OnBound | None = None,
    ) -> None:
        self._problem, self._goal, self._stop = problem, goal, stop
        self._on_better, self._on_bound = on_better, on_bound
        self._best: Assignment | None = None
        self._costs: Costs | None = None
        self._value, self._bound = math.inf, least_value(problem, goal)
        self._told_bound = self._bound
        self._judged: dict[Assignment, float] = {}
        self._twins = twins_of(problem)

    def judge(self, assignment: Sequence[int] | Integers) -> None:
        """Take a placement for the best one, where it keeps all limits and is better."""
        key = tuple(int(device) for device in assignment)
        if key in self._judged:
            return
        costs = evaluate(self._problem, key)
        value = self._goal.value(costs, key) if keeps(self._problem, costs, key) else math.inf
        self._judged[key] = value
        if value < self._value:
            self._best, self._costs, self._value = key, costs, value
            self._on_better(self._found(is_exact=False))

    def raise_bound(self, bound: float) -> None:
        """Take what no placement has less of, but for those that are as good as the best one."""
        self._bound = max(self._bound, min(bound, self._value * (1 - BETTER)))
        if self._on_bound is not None and self._bound > self._told_bound * (1 + _NEWS):
            self._told_bound = self._bound
            self._on_bound(self._bound)

    def run(self, seconds: float, workers: int) -> Least:
        """Search for so many seconds at most."""
        if self._bound == math.inf:
            return self._found(is_exact=True)
        # What is large takes long before it is searched at all.
        places = self._problem.allowed.size
        if is_packed := places > MANY_PLACES:
            self._pack()
        if places > MOST_PLACES or self._stop():
            return self._found(is_exact=self._is_settled)
        spent_s, part, seed = 0.0, max(FIRST_PART, places * PART_OF_PLACE), 1
        longest = max(LONGEST_PART, 4 * part)
        while spent_s < seconds and not self._stop() and not self._is_settled:
            # What CP-SAT changes step by step, it begins with the best; what it proves, without.
            keeps_best = self._best is not None and seed % 2 == 0
            relaxed = self._model(keeps_best=keeps_best)
            solver = _solver(seconds - spent_s, part, workers, seed)
            part, seed = min(1.5 * part, longest), seed + 1
            status = _Watch(self, relaxed, self._stop).solve(solver)
            spent_s += max(solver.wall_time, 1e-3)
            if status == cp_model.MODEL_INVALID:
                raise AssertionError(relaxed.model.validate())
            if status == cp_model.INFEASIBLE:
                self._bound = max(self._bound, self._value * (1 - BETTER))
                return self._found(is_exact=True)
            # What the model lacks is no better than the best one but for `BETTER`.
            self.raise_bound(solver.best_objective_bound * relaxed.unit)
            if not is_packed:
                is_packed = True
                self._pack()
        return self._found(is_exact=self._is_settled)

    @property
    def _is_settled(self) -> bool:
        """Whether nothing is better than the best one, but for `BETTER`."""
        return self._bound >= self._value * (1 - BETTER)

    def _pack(self) -> None:
        """Raise the bound by what CP-SAT's linear programs do not see, where the question is not an easy one."""
        if self._goal.of == "throughput" and self._value < math.inf and not self._is_settled:
            self.raise_bound(packing_bound(self._problem, self._value, self._stop, ROUNDS, on_bound=self.raise_bound))

    def _model(self, *, keeps_best: bool) -> Relaxed:
        """Return a model of all that may be better than the best, without what was judged.

        `keeps_best`: the best one is in it, as a solution to begin with.
        """
        least_s = self._bound if self._goal.of == "throughput" else 0.0
        most = self._value * (1 + BETTER if keeps_best else 1 - BETTER)
        relaxed = Relaxed(self._problem, self._goal, least_s, most)
        x, model = relaxed.placed.x, relaxed.model
        model.minimize(relaxed.target)
        for assignment in self._judged:
            in_model = all((device, unit) in x for unit, device in enumerate(assignment))
            if in_model and not (keeps_best and assignment == self._best):
                model.add_bool_or([x[device, unit].negated() for unit, device in enumerate(assignment)])
        if self._best is not None:
            hint = in_order(self._twins, self._best)
            for (device, unit), variable in x.items():
                model.add_hint(variable, hint[unit] == device)
        return relaxed

    def _found(self, *, is_exact: bool) -> Least:
        return Least(self._best, self._costs, self._value, min(self._bound, self._value), is_exact)


class _Watch(cp_model.CpSolverSolutionCallback):
    """Judges what CP-SAT finds while it searches, and stops it when asked to."""

    def __init__(self, search: Search, relaxed: Relaxed, stop: Stop) -> None:
        super().__init__()
        self._search, self._relaxed, self._stop = search, relaxed, stop

    def solve(self, solver: cp_model.CpSolver) -> "cp_model.CpSolverStatus":
        """Solve the model, asking whether to stop whenever there is news, and stopping when told to."""

        def on_bound(bound: float) -> None:
            if math.isfinite(bound):
                self._search.raise_bound(bound * self._relaxed.unit)
            if self._stop():
                solver.stop_search()

        solver.best_bound_callback = on_bound
        with interrupting(self._stop, solver.stop_search):
            return solver.solve(self._relaxed.model, self)

    def on_solution_callback(self) -> None:
        """Judge a solution."""
        self._search.judge(self._relaxed.placed.assignment_of(self))
        if self._stop():
            self.stop_search()


def _solver(seconds: float, part: float, workers: int, seed: int) -> cp_model.CpSolver:
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = workers
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.max_deterministic_time = part
    solver.parameters.random_seed = seed
    solver.parameters.linearization_level = 2
    # Looking for linear constraints inside others, OR-Tools 9.15 loses solutions of those that hold only sometimes.
    solver.parameters.presolve_inclusion_work_limit = 0
    return solver


def search_general(
    problem: Problem,
    start: Integers | None,
    stop: Stop,
    on_better: Callable[[Found], None],
    seconds: float,
    workers: int = 2,
    on_bound: OnBound | None = None,
) -> Found:
    """Return the best of all assignments, as far as found in so many seconds or until `stop`.

    `start` is an assignment to begin with. `on_better` gets each better one, and `on_bound` each bound (see `Found`)
    that is notably better, as soon as it is known, from a thread of CP-SAT. With one worker, and where neither time nor
    `stop` ends it, the same question gets the same answer.
    """
    goal = Goal(problem.objective)
    best = least(problem, goal, start, stop, lambda better: on_better(_found(better)), seconds, workers, on_bound)
    return _found(best)


def _found(best: Least) -> Found:
    assignment = None if best.assignment is None else np.array(best.assignment, dtype=np.int64)
    return Found(assignment, best.costs, best.bound, best.is_exact)


def least(
    problem: Problem,
    goal: Goal,
    start: Sequence[int] | Integers | None,
    stop: Stop,
    on_better: Callable[[Least], None],
    seconds: float,
    workers: int = 2,
    on_bound: OnBound | None = None,
) -> Least:
    """Return the placement with the least of a goal, searching for so many seconds at most."""
    search = Search(problem, goal, stop, on_better, on_bound)
    if start is not None:
        search.judge(start)
    return search.run(seconds, workers)
