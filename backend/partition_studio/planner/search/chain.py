"""The best contiguous runs."""

from collections.abc import Callable

from partition_studio.planner.search.found import Found as Found
from partition_studio.planner.search.problem import Problem


def search_chain(problem: Problem, stop: Callable[[], bool], on_better: Callable[[Found], None]) -> Found:
    """Return the best assignment whose devices each have one contiguous run of units, as far as found until `stop`."""
    return Found(None, None, 0.0, False)
