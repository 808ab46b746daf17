"""Searches for the best plan: quick answers first, better ones as they are found, and a proof of how good any can be.

First what needs no search (a single device, the whole network everywhere), then what is found soon (runs on groups of
devices, where these are allowed), then contiguous runs, divided layers where these are allowed, any placement for the
time that is left, and at last the codecs of the best plan's cuts. Whatever finds a plan, its prediction decides.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from partition_studio.errors import ConflictError
from partition_studio.planner.errors import NoPlanError, Obstacle
from partition_studio.planner.search.answer import Answer, cost_of, notes_on, space_of
from partition_studio.planner.search.baselines import MOST_PLACES, replicated, whole_on
from partition_studio.planner.search.bounds import lower_bounds
from partition_studio.planner.search.chain.chain import search_chain
from partition_studio.planner.search.found import Found
from partition_studio.planner.search.general.cp_sat import search_general
from partition_studio.planner.search.general.improve import improve_placement
from partition_studio.planner.search.obstacles import obstacles
from partition_studio.planner.search.problem.evaluate import evaluate, keeps
from partition_studio.planner.search.problem.pose import pose
from partition_studio.planner.search.problem.problem import Integers, Problem, placement_of
from partition_studio.planner.search.question import Question, Strategy
from partition_studio.planner.search.strategies.codecs import NO_RATIOS, Ratios, with_codecs
from partition_studio.planner.search.strategies.judge import Judge, Judged
from partition_studio.planner.search.strategies.replicas import search_replicas
from partition_studio.planner.search.strategies.shards import search_shards

Stop = Callable[[], bool]
OnAnswer = Callable[[Answer], None]

DIVIDING: frozenset[Strategy] = frozenset({"spatial", "spatial_independent", "output_channels", "input_channels"})

#: Devices that are tried alone, those that look best first; more where none of them may hold the network.
MOST_SINGLES = 8

#: So many placements are gone through sooner than they are improved.
FEW_PLACEMENTS = 10_000

#: An answer that is better by less than this is no news.
_NEWS = 1e-9

#: Share of a plan's cost that stands for the bound where there is none.
_NOTHING_KNOWN = 1e-6

STOPPED = "The search was stopped, or its time was up, before it could prove more."


_ONE_RUN = Obstacle(
    "contiguous",
    "",
    None,
    None,
    "With one run of layers for each device the other limits cannot be kept: allow any placement, or loosen them.",
)


class NothingFoundError(ConflictError):
    """The search was stopped before it found any plan."""

    code = "nothing_found_yet"
    next_step = "Give the search more time, or loosen a limit."


def search(
    question: Question, *, stop: Stop, seconds: float, on_answer: OnAnswer, ratios: Ratios = NO_RATIOS
) -> Answer:
    """Return the best plan that was found until `stop`; `on_answer` is told each better one, and the last.

    `seconds` is the most that the search of any placement may take. `ratios`: see `strategies_codecs`. Raises
    BadFiguresError, ContradictionError, NoPowerError; NoPlanError where no plan keeps all limits, NothingFoundError
    where it was stopped before that is known.
    """
    problem = pose(question)
    best = _Best(question, problem, on_answer)
    best.bound(_bound_cost(problem))
    _offer_whole(best, problem)
    strategies = question.limits.strategies
    if "replicas" in strategies and not stop():
        best.method = "runs of layers on groups of devices"
        search_replicas(best.judge, problem, stop, best.offer)
    if not stop():
        best.method = "contiguous runs of layers"
        found = search_chain(problem, stop, best.offer_found)
        best.offer_found(found)
        best.start = found.assignment
        best.bound_contiguous(found)
    if strategies & DIVIDING and not stop():
        best.method = "divided layers"
        search_shards(best.judge, problem, best.judged, stop, best.offer)
    is_complete = best.is_complete or _no_placement_is_better(best, problem)
    if not (is_complete or question.limits.contiguous or stop()):
        is_complete = _search_general(best, problem, stop, seconds)
    if best.judged is None:
        raise no_plan(problem, stop, seconds, is_proved=is_complete)
    best.settle_codecs(ratios, stop)
    return best.last(is_complete=is_complete)


def _search_general(best: "_Best", problem: Problem, stop: Stop, seconds: float) -> bool:
    """Look at any placement; return whether it is known that none is better."""
    best.method = "any placement"
    if len(problem.devices) ** len(problem.units) > FEW_PLACEMENTS:
        found = improve_placement(problem, best.start, stop, best.offer_found)
        best.offer_found(found)
        best.start = found.assignment
    is_whole = best.limits.strategies <= {"layers"}
    found = search_general(
        problem, best.start, stop, best.offer_found, seconds, on_bound=best.tell_bound if is_whole else None
    )
    best.offer_found(found)
    if is_whole:
        best.bound(found.bound)
    return found.is_exact


def _no_placement_is_better(best: "_Best", problem: Problem) -> bool:
    """Return whether a plan with replicas or divided layers was found that no placement of whole layers can beat."""
    if best.judged is None or best.limits.strategies <= {"layers"}:
        return False
    whole = replace(problem.limits, strategies=frozenset({"layers"}))
    return lower_bounds(replace(problem, limits=whole)).cost(problem.objective) >= best.judged.cost


def no_plan(problem: Problem, stop: Stop, seconds: float, *, is_proved: bool = False) -> ConflictError:
    """Return what to raise where no plan was found: why there is none, or that it is not known yet."""
    if stop() and not is_proved:
        return NothingFoundError("The search was stopped before it found a plan that keeps all limits.")
    if problem.limits.contiguous and _has_placement(problem, stop, seconds):
        return NoPlanError(f"No plan keeps all limits. {_ONE_RUN.text}", (_ONE_RUN,))
    reasons = obstacles(problem, stop, seconds)
    text = " ".join(reason.text for reason in reasons[:3])
    return NoPlanError(f"No plan keeps all limits. {text}".rstrip(), tuple(reasons))


def _has_placement(problem: Problem, stop: Stop, seconds: float) -> bool:
    """Return whether a placement that keeps all limits is found, where devices may compute several runs."""
    found: list[Found] = []
    search_general(problem, None, lambda: bool(found) or stop(), found.append, seconds)
    return bool(found)


def _bound_cost(problem: Problem) -> float:
    """Return what no plan's cost is below."""
    return lower_bounds(problem).cost(problem.objective)


def _offer_whole(best: "_Best", problem: Problem) -> None:
    """Offer the network whole on the best device that may hold it, and where that is allowed on several."""
    watts = np.ones(len(problem.devices))
    if problem.objective in ("max_energy", "total_energy"):
        watts = problem.idle_w + problem.active_w * problem.cpu_per_s
    order = np.argsort(watts * (problem.compute_s.sum(axis=1) + problem.session_s), kind="stable")
    singles: list[tuple[float, int]] = []
    for tried, device in enumerate(map(int, order)):
        if tried >= MOST_SINGLES and singles:
            break
        assignment = [device] * len(problem.units)
        costs = evaluate(problem, assignment)
        if keeps(problem, costs, assignment):
            singles.append((cost_of(problem.objective, costs.value(problem.objective)), device))
            needed = costs.memory_bytes[device]
    best.method = "a single device"
    for _, device in sorted(singles)[:1]:
        best.offer(best.judge.judge(whole_on(best.judge, problem.devices[device])))
    if singles and "replicas" in best.limits.strategies:
        able = [int(d) for d in order if problem.allowed[d].all() and problem.memory_bytes[d] >= needed]
        group = able[: min(best.limits.max_devices or MOST_PLACES, MOST_PLACES)]
        best.method = "the whole network on several devices"
        if len(group) > 1:
            best.offer(best.judge.judge(replicated(best.judge, [problem.devices[device] for device in group])))


class _Best:
    """The best plan so far. `method`: where the plans that are offered come from."""

    def __init__(self, question: Question, problem: Problem, on_answer: OnAnswer) -> None:
        self.judge = Judge(question)
        self.judged: Judged | None = None
        self.start: Integers | None = None
        self.method = ""
        self.limits = question.limits
        self._question, self._problem, self._on_answer = question, problem, on_answer
        self._bound_cost = 0.0
        self._contiguous_cost: float | None = None
        self._is_searched = False
        self._found_by = ""
        self._codec_notes: tuple[str, ...] = ()
        self._told: Answer | None = None

    def bound(self, cost: float) -> None:
        """Take a cost that no plan is below."""
        self._bound_cost = max(self._bound_cost, cost)

    def bound_contiguous(self, found: Found) -> None:
        """Take what the search of contiguous runs proved."""
        self._contiguous_cost = max(self._bound_cost, found.bound)
        if self.limits.contiguous:
            self.bound(found.bound)
            self._is_searched = found.is_exact

    def tell_bound(self, cost: float) -> None:
        """Take a cost that no plan is below, and tell the best plan again with it."""
        self.bound(cost)
        if self.judged is not None:
            self._tell(self._answer())

    @property
    def is_complete(self) -> bool:
        """Whether no plan is better, or there is none."""
        return self._is_searched or (self.judged is not None and self._answer().is_proved)

    def offer(self, judged: Judged | None) -> bool:
        """Take a plan if it is better than the best one; return whether it is."""
        if judged is None or not judged.keeps_limits:
            return False
        if self.judged is not None and judged.cost >= self.judged.cost * (1 - _NEWS):
            return False
        self.judged, self._found_by = judged, self.method
        self._tell(self._answer())
        return True

    def offer_found(self, found: Found) -> None:
        """Take what a search of assignments has found."""
        if found.assignment is not None:
            self.offer(self.judge.judge(self.judge.plan_of(placement_of(self._problem, found.assignment))))

    def settle_codecs(self, ratios: Ratios, stop: Stop) -> None:
        """Choose the codecs of the best plan, as far as they are allowed."""
        assert self.judged is not None
        self.judged, self._codec_notes = with_codecs(self.judge, self.judged, ratios, stop)

    def last(self, *, is_complete: bool) -> Answer:
        """Return the answer, and tell it where it says more than what was told before."""
        answer = self._answer(() if is_complete or self.is_complete else (STOPPED,))
        if answer != self._told:
            self._tell(answer)
        return answer

    def _tell(self, answer: Answer) -> None:
        self._told = answer
        self._on_answer(answer)

    def _answer(self, notes: tuple[str, ...] = ()) -> Answer:
        judged, objective = self.judged, self._question.objective
        assert judged is not None
        # Rounding apart, no plan is below the bound; and one of which nothing is known is no infinite figure.
        bound = cost_of(objective, min(max(self._bound_cost, judged.cost * _NOTHING_KNOWN), judged.cost))
        return Answer(
            plan=judged.plan,
            prediction=judged.prediction,
            objective=objective,
            value=cost_of(objective, judged.cost),
            bound=bound,
            space=space_of(self.limits),
            method=self._found_by,
            notes=(*notes_on(judged.prediction, is_approximate=judged.is_approximate), *self._codec_notes, *notes),
            contiguous_bound=None if self._contiguous_cost is None else cost_of(objective, self._contiguous_cost),
        )
