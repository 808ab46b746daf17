"""What a search answers: the best plan so far, and how good any plan can be at most."""

from dataclasses import dataclass

from partition_studio.partition.plan import Plan
from partition_studio.planner.prediction import Prediction
from partition_studio.planner.search.question import Objective


@dataclass(frozen=True)
class Answer:
    """One plan, with its proof as far as it goes.

    `value` is the plan's, `bound` what no plan of the searched space beats, both in the objective's unit (frames/s,
    seconds, joules, bytes). `space` says in a phrase which plans were searched; `notes` what the person should know:
    coarsening and what it can cost, estimates, why it was stopped.
    """

    plan: Plan
    prediction: Prediction
    objective: Objective
    value: float
    bound: float
    space: str
    method: str
    notes: tuple[str, ...] = ()

    @property
    def gap(self) -> float:
        """How much better than this plan a plan could be at most, as a share of the bound; 0: none."""
        if self.bound == self.value:
            return 0.0
        better = self.bound / self.value - 1 if self.objective == "throughput" else 1 - self.bound / self.value
        return max(better, 0.0)

    @property
    def is_proved(self) -> bool:
        """Whether no plan of the searched space is better, but for `TOLERANCE`."""
        return self.gap <= TOLERANCE


#: Gaps below this are the rounding of solvers.
TOLERANCE = 1e-4
