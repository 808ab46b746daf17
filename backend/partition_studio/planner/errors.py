"""What a planner refuses, and why there is no plan."""

from dataclasses import dataclass

from partition_studio.errors import BadInputError, ConflictError


class BadFiguresError(BadInputError):
    """A figure is negative, not a number, or a link carries nothing."""

    code = "bad_figures"
    next_step = "Profile the device, or measure the link, anew."


class ContradictionError(BadInputError):
    """Two things that a person asks for exclude each other."""

    code = "contradiction"
    next_step = "Leave one of them out."


class NoPowerError(BadInputError):
    """Energy is asked for, and a device's power is not known."""

    code = "no_power"
    next_step = "Give the device a meter, calibrate it, or type its watts when idle and when busy."


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One limit that stands in the way: what it is, what it allows, and what would be needed, in its own unit.

    `needed` is the least (or, of throughput, the most) that any plan reaches when this limit alone is lifted; None
    where lifting it alone does not help. `text` says it to a person.
    """

    limit: str
    subject: str
    allowed: float | None
    needed: float | None
    text: str


class NoPlanError(ConflictError):
    """No plan keeps all limits."""

    code = "no_feasible_plan"
    next_step = "Loosen one of the limits, or add a device."

    def __init__(self, message: str, obstacles: tuple[Obstacle, ...] = ()) -> None:
        super().__init__(message, obstacles=[obstacle.text for obstacle in obstacles])
        self.obstacles = obstacles
