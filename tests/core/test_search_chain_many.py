"""The search for contiguous runs where sets of devices are too many for tables: by bits of sets, or by prices."""

import itertools
import math
import random
from dataclasses import replace

import numpy as np
import pytest

from partition_studio.planner.search.chain.beam import chain_by_prices
from partition_studio.planner.search.chain.borders import fine_borders
from partition_studio.planner.search.chain.chain import Effort, Found, search_chain
from partition_studio.planner.search.chain.costs import RunCosts
from partition_studio.planner.search.chain.orders import FIRST_ROW, Sets
from partition_studio.planner.search.chain.prices import Market
from partition_studio.planner.search.chain.quantities import Quantities, Ways, cost_of, kinds_of
from partition_studio.planner.search.chain.reach import Reach, SetBits
from partition_studio.planner.search.chain.within import END, Figures, Within
from partition_studio.planner.search.problem.evaluate import keeps
from partition_studio.planner.search.problem.problem import Problem
from tests.core.search_problems import alike_devices, random_problem
from tests.core.test_search_chain import best_of, chains, never, nothing

BY_SETS = Effort(sets=0, fine=2_000)
BY_PRICES = Effort(sets=0, most_sets=0, fine=2_000)
FROM_FEW_BORDERS = Effort(sets=0, few_units=2, coarse=1_000, fine=2_000)

SUMS = ("latency", "total_energy")


def problem_of(seed: int) -> Problem:
    return random_problem(random.Random(20_000 + seed), most_units=5, most_devices=4)


@pytest.mark.parametrize("effort", [BY_SETS, FROM_FEW_BORDERS, BY_PRICES], ids=["sets", "few borders", "prices"])
def test_no_chain_is_below_the_bound_and_what_is_proved_is_the_best(effort: Effort) -> None:
    proved = asked = 0
    for seed in range(120):
        problem = problem_of(seed)
        found = search_chain(problem, never, nothing, effort)
        best = best_of(problem, chains(problem))
        assert found.bound <= best * (1 + 1e-9), seed
        value = math.inf
        if found.costs is not None and found.assignment is not None:
            assert keeps(problem, found.costs, found.assignment)
            value = cost_of(problem, found.costs)
        if found.is_exact:
            assert value == pytest.approx(best, rel=1e-6), seed
        if problem.objective not in SUMS:
            asked += 1
            proved += found.is_exact
            # Even without a proof little is missed.
            assert math.isinf(best) or found.bound > 0
    assert asked > 50
    assert proved == asked if effort.most_sets else proved > asked / 2


@pytest.mark.parametrize("limit", [None, 3])
def test_devices_of_one_kind_may_be_used_as_often_as_there_are(limit: int | None) -> None:
    alike = alike_devices(5, units=8)
    compute = alike.compute_s.copy()
    compute[3:] *= 0.6
    problem = replace(alike, compute_s=compute, limits=replace(alike.limits, max_devices=limit))
    one, other = search_chain(problem, never, nothing), search_chain(problem, never, nothing, BY_SETS)
    assert one.is_exact
    assert other.is_exact
    assert other.bound == pytest.approx(one.bound, rel=1e-6)
    assert search_chain(problem, never, nothing, BY_PRICES).bound <= one.bound * (1 + 1e-9)
    if limit is not None:
        assert len(set(other.order)) <= limit


def test_sixteen_unequal_devices_are_proved() -> None:
    """Some 65,000 sets: tables over them would take minutes."""
    problem = many_devices(16, units=40)
    found = search_chain(problem, never, nothing)
    assert found.is_exact
    assert len(found.order) > 4
    by_prices = search_chain(problem, never, nothing, BY_PRICES)
    assert by_prices.costs is not None
    assert found.bound >= by_prices.bound * (1 - 1e-9)
    assert cost_of(problem, by_prices.costs) <= 1.2 * found.bound


def test_a_search_may_be_stopped_at_any_time_and_says_nothing_wrong() -> None:
    problem = many_devices(8, units=16)
    best = search_chain(problem, never, nothing, BY_SETS)
    assert best.is_exact
    for effort in (BY_SETS, BY_PRICES):
        for asked in (1, 3, 30, 60, 100, 300, 600):
            left = iter(range(asked))
            found: Found = search_chain(problem, lambda left=left: next(left, None) is None, nothing, effort)  # type: ignore[misc]
            assert found.bound <= best.bound * (1 + 1e-9)
            assert found.costs is not None
            assert cost_of(problem, found.costs) >= best.bound * (1 - 1e-9)


def test_a_chain_within_a_figure_is_possible_where_some_order_of_devices_has_one() -> None:
    answers = set()
    for seed in range(60):
        figures, sets = figures_of(problem_of(seed))
        for most in levels(figures):
            within = figures.within(most, never)
            reach = Reach(within, SetBits(sets), figures.quantities.costs.target, never)
            wanted = is_possible(figures, sets, most)
            assert reach.is_possible == wanted, seed
            answers.add(wanted)
    assert answers == {True, False}


def test_prices_exclude_nothing_that_is_possible_and_chains_by_prices_are_chains() -> None:
    excluded = chained = 0
    for seed in range(60):
        figures, sets = figures_of(problem_of(seed))
        for most in levels(figures):
            within = figures.within(most, never)
            if within.start < 0:
                continue
            prices = Market(within, sets).clear(None, 40, never)
            if prices.is_too_dear(within.start):
                excluded += 1
                assert not is_possible(figures, sets, most), seed
                continue
            runs = chain_by_prices(within, sets, prices.of_kind, never)
            if runs is not None:
                chained += 1
                assert_within(figures, sets, runs, most)
    assert excluded > 20
    assert chained > 20


def test_a_run_leads_on_and_the_end_is_reached() -> None:
    for seed in range(20):
        figures, _ = figures_of(problem_of(seed))
        within: Within = figures.within(math.inf, never)
        for node, (targets, possible) in enumerate(zip(within.targets, within.possible, strict=True)):
            assert (targets < node).all()
            assert node == END or possible.any(axis=0).all()
            assert all(within.border_of[target] > within.border_of[node] for target in targets)


def many_devices(devices: int, *, units: int) -> Problem:
    """Return a chain of units on devices no two of which are alike, for throughput."""
    alike = alike_devices(devices, units=units)
    generator = np.random.default_rng(devices)
    speeds = generator.uniform(0.5, 2.0, (devices, 1)) * generator.uniform(0.9, 1.1, alike.compute_s.shape)
    return replace(alike, compute_s=alike.compute_s / speeds)


def figures_of(problem: Problem) -> tuple[Figures, Sets]:
    kinds = kinds_of(problem)
    borders = fine_borders(problem)
    quantities = Quantities(RunCosts(problem, borders, len(borders) - 1), kinds, Ways(problem, kinds))
    wanted = quantities.of(0.0, math.inf, math.inf)
    most = min(problem.limits.max_devices or len(problem.devices), len(problem.devices))
    return Figures(quantities, wanted, never), Sets(kinds, most)


def levels(figures: Figures) -> list[float]:
    """Return figures between what few runs and what many keep."""
    values = np.unique(np.concatenate([table[np.isfinite(table)] for table in figures.tables] or [np.ones(1)]))
    return [float(values[int(len(values) * part)]) for part in (0.3, 0.5, 0.7, 0.9)] if len(values) else []


def is_possible(figures: Figures, sets: Sets, most: float) -> bool:
    """Try all orders of kinds."""
    kinds = [kind for kind, count in enumerate(sets.counts) for _ in range(count)]
    costs = figures.quantities.costs
    for order in set(itertools.permutations(kinds, min(sets.most, len(kinds)))):
        rows = {FIRST_ROW}
        for kind in order:
            columns = {row: np.flatnonzero(figures.tables[kind][row] < most) for row in rows}
            rows |= {int(costs.target[row, column]) for row in rows for column in columns[row]}
        if any(costs.begin[row] == costs.last for row in rows):
            return True
    return False


def assert_within(figures: Figures, sets: Sets, runs: list[tuple[int, int]], most: float) -> None:
    costs, row = figures.quantities.costs, FIRST_ROW
    for kind, end in runs:
        column = end - int(costs.begin[row]) - 1
        assert figures.tables[kind][row, column] < most
        row = int(costs.target[row, column])
    assert costs.begin[row] == costs.last
    used = [sum(kind == of for of, _ in runs) for kind in range(len(sets.counts))]
    assert len(runs) <= sets.most
    assert all(number <= count for number, count in zip(used, sets.counts, strict=True))
