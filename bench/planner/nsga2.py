"""NSGA-II as AutoDiCE uses it: each gene is the device of one unit of layers. pymoo's, which only benchmarks need."""

from collections.abc import Callable, Iterator, Sequence
from math import isfinite

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem as Pymoo
from pymoo.operators.crossover.pntx import TwoPointCrossover
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.termination import get_termination

from bench.planner.simple import fits
from partition_studio.planner.search.problem.evaluate import evaluate
from partition_studio.planner.search.problem.problem import Costs, Problem

POPULATION = 100
_SEED = 1

#: More generations than anybody waits for: time ends it.
_GENERATIONS = 10**9

_WORST = 1e15


class _Mapping(Pymoo):  # type: ignore[misc]  # pymoo has no types
    """Units to devices: three objectives, and that every device's memory suffices."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        most = len(problem.devices) - 1
        super().__init__(n_var=len(problem.units), n_obj=3, n_ieq_constr=1, xl=0, xu=most, vtype=int)

    def _evaluate(self, population: NDArray[np.int64], out: dict[str, object], *_: object, **__: object) -> None:
        costs = [evaluate(self._problem, genome.astype(np.int64)) for genome in population]
        figures = np.array([(c.period_s, max(c.energy_j), max(c.memory_bytes)) for c in costs])
        # A plan that cannot be has no finite figures: worse than any that does not fit.
        out["F"] = np.minimum(figures, _WORST)
        over = (np.array([c.memory_bytes for c in costs]) - self._problem.memory_bytes).max(axis=1)
        out["G"] = np.where(np.isfinite(figures).all(axis=1), over, _WORST)


class _AnotherDevice(Mutation):  # type: ignore[misc]  # pymoo has no types
    """Gives a unit to any device: devices have no order that a step could follow."""

    def _do(
        self, problem: Pymoo, population: NDArray[np.int64], *_: object, random_state: np.random.Generator, **__: object
    ) -> NDArray[np.int64]:
        changed = random_state.random(population.shape) < self.prob_var.get()
        devices = random_state.integers(0, int(problem.xu[0]) + 1, population.shape)
        return np.where(changed, devices, population)


def explore(problem: Problem, stop: Callable[[], bool]) -> Iterator[Sequence[Costs]]:
    """Yield, generation by generation, the costs of the best that are feasible, until it is stopped."""
    algorithm = NSGA2(
        pop_size=POPULATION,
        sampling=IntegerRandomSampling(),
        crossover=TwoPointCrossover(),
        mutation=_AnotherDevice(prob_var=1 / len(problem.units)),
        eliminate_duplicates=True,
    )
    algorithm.setup(_Mapping(problem), termination=get_termination("n_gen", _GENERATIONS), seed=_SEED)
    while not stop():
        algorithm.next()
        costs = [evaluate(problem, each.X.astype(np.int64)) for each in algorithm.opt]
        yield [each for each in costs if isfinite(each.period_s) and fits(problem, each)]
