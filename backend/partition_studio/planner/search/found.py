"""What one search found."""

from dataclasses import dataclass

from partition_studio.planner.search.problem.problem import Costs, Integers


@dataclass(frozen=True, eq=False)
class Found:
    """The best assignment of the searched space so far; None where none that keeps all limits was found.

    `bound`: none of that space costs less: seconds between frames for throughput, else in the objective's unit.
    `is_exact`: nothing in the space is better; without an assignment, that none in it keeps all limits. `order` are the
    devices in the order of their runs, of a search for contiguous runs.
    """

    assignment: Integers | None
    costs: Costs | None
    bound: float
    is_exact: bool
    order: tuple[int, ...] = ()
