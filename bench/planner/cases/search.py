"""The search for most throughput beside plans that need none, and beside PipeEdge's dynamic programming."""

import time
from collections.abc import Iterator

from bench.planner.bench import Bench, Cell, Table, within
from bench.planner.pipeedge import pipeedge
from bench.planner.simple import fits, greedy, memory_proportional, single, uniform
from bench.planner.worlds import kinds_of, question_of
from partition_studio.planner.search.answer import Answer
from partition_studio.planner.search.problem.evaluate import evaluate
from partition_studio.planner.search.problem.pose import pose
from partition_studio.planner.search.problem.problem import Integers, Problem
from partition_studio.planner.search.question import Question
from partition_studio.planner.search.search import search

NAME = "search"

_NOTES = (
    "frames/s of each plan by the same costs; 'over': of plans that do not fit some device's memory",
    "first and best: seconds until the first answer, and until the last that was better; bound: no plan exceeds it",
    "one run each: what no plan exceeds in which each board computes one run of layers",
)


def measure(bench: Bench) -> Iterator[Table]:
    """Each architecture on 2 to 16 unequal boards: seconds, value, bound, and other plans beside it."""
    for network in bench.networks:
        rows = [_row(bench, network, devices) for devices in bench.devices]
        yield Table(NAME, f"{network}: frames/s, searched for at most {bench.seconds:g} s", rows, _NOTES)


def _row(bench: Bench, name: str, devices: int) -> dict[str, Cell]:
    network = bench.network(name)
    question = question_of(network, devices)
    problem = pose(question)
    row: dict[str, Cell] = {"devices": devices, "units": len(problem.units)}
    row |= searched(question, bench.seconds)
    row["single"] = _per_s(problem, single(problem))
    row["uniform"] = _per_s(problem, uniform(problem, network))
    row["greedy"] = _per_s(problem, greedy(problem))
    row["by memory"] = _per_s(problem, memory_proportional(problem))
    begin_s = time.monotonic()
    found = pipeedge(problem, kinds_of(problem.devices), within(3 * bench.seconds))
    row["PipeEdge"] = None if found is None else _per_s(problem, found.assignment)
    row["PipeEdge s"] = time.monotonic() - begin_s
    return row


def searched(question: Question, seconds: float) -> dict[str, Cell]:
    """Search, and return when answers came and how good the last one is."""
    begin_s = time.monotonic()
    came: list[tuple[float, float]] = []

    def take(answer: Answer) -> None:
        came.append((time.monotonic() - begin_s, answer.value))

    answer = search(question, stop=within(seconds), seconds=seconds, on_answer=take)
    took_s = time.monotonic() - begin_s
    best_s = next((at_s for at_s, value in came if value == answer.value), took_s)
    return {
        "first s": came[0][0] if came else took_s,
        "best s": best_s,
        "all s": took_s,
        "found": answer.value,
        "bound": answer.bound,
        "gap %": 100 * answer.gap,
        "proved": answer.is_proved,
        "one run each": answer.contiguous_bound,
    }


def _per_s(problem: Problem, assignment: Integers) -> Cell:
    """Return the frames/s of a plan, or how many it would have if it fitted."""
    costs = evaluate(problem, assignment)
    per_s = 1 / costs.period_s
    return per_s if fits(problem, costs) else f"over ({per_s:.3g})"
