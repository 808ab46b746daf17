"""Plans that need no search: the whole on one device, equal shares, shares by speed, shares by memory."""

from collections.abc import Sequence

import numpy as np

from partition_studio.graph.network import Network
from partition_studio.planner.search.problem.problem import Costs, Floats, Integers, Problem
from partition_studio.planner.spread import spread


def single(problem: Problem) -> Integers:
    """Everything on the device that computes it fastest, of those that it fits."""
    by_speed = np.argsort(problem.compute_s.sum(axis=1), kind="stable")
    units = len(problem.units)
    held = problem.weight_bytes.sum()
    fitting = [int(device) for device in by_speed if held <= problem.memory_bytes[device]]
    return np.full(units, fitting[0] if fitting else int(by_speed[0]), np.int64)


def uniform(problem: Problem, network: Network) -> Integers:
    """Runs of layers of about the same number of multiply-accumulates, whatever the devices: as `planner.spread`."""
    placement = spread(network, problem.devices).placement
    number = {name: place for place, name in enumerate(problem.devices)}
    return np.array([number[placement[unit[0]]] for unit in problem.units], np.int64)


def greedy(problem: Problem) -> Integers:
    """Runs of units; each device, the fastest first, takes units until it has its share of the time."""
    order = np.argsort(problem.compute_s.sum(axis=1), kind="stable")
    ideal_s = 1 / float((1 / problem.compute_s.sum(axis=1)).sum())
    return _fill(order, [np.asarray(problem.compute_s[device]) for device in order], [ideal_s] * len(order))


def memory_proportional(problem: Problem) -> Integers:
    """Runs of units whose weights and activations are in proportion to the devices' memories."""
    size = (problem.weight_bytes + problem.live_bytes).astype(np.float64)
    limits = np.minimum(problem.memory_bytes.astype(np.float64), 1e15)
    order = np.arange(len(problem.devices))
    return _fill(order, [size] * len(order), list(size.sum() * limits / limits.sum()))


def fits(problem: Problem, costs: Costs) -> bool:
    """Return whether every device stays within its memory."""
    return all(used <= limit for used, limit in zip(costs.memory_bytes, problem.memory_bytes, strict=True))


def _fill(order: Integers, weights: Sequence[Floats], shares: Sequence[float]) -> Integers:
    """Give each device in `order` units, in theirs, until they weigh its share; the last one takes what is left."""
    units = len(weights[0])
    assignment = np.full(units, order[-1], np.int64)
    place = 0
    for device, weight, share in list(zip(order, weights, shares, strict=True))[:-1]:
        taken = 0.0
        while place < units and taken + weight[place] / 2 <= share:
            taken += float(weight[place])
            assignment[place] = device
            place += 1
    return assignment
