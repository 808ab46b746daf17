"""What a search answers: the best plan so far, and how good any plan can be at most."""

from dataclasses import dataclass

from partition_studio.partition.plan import Plan
from partition_studio.planner.prediction.prediction import Prediction
from partition_studio.planner.search.question import Limits, Objective, Strategy

#: Gaps below this are the rounding of solvers.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Answer:
    """One plan, with its proof as far as it goes.

    `value` is the plan's, `bound` what no plan of the searched space beats, both in the objective's unit (frames/s,
    seconds, joules, bytes). `space` says in a phrase which plans were searched; `notes` what the person should know:
    coarsening and what it can cost, estimates, why it was stopped. `contiguous_bound` is what no plan beats in which
    each device computes one run of layers; None where it is not known yet.
    """

    plan: Plan
    prediction: Prediction
    objective: Objective
    value: float
    bound: float
    space: str
    method: str
    notes: tuple[str, ...] = ()
    contiguous_bound: float | None = None

    @property
    def gap(self) -> float:
        """How much better than this plan a plan could be at most, as a share: of its value, or of its cost; 0: none."""
        if self.bound == self.value:
            return 0.0
        better = self.bound / self.value - 1 if self.objective == "throughput" else 1 - self.bound / self.value
        return max(better, 0.0)

    @property
    def is_proved(self) -> bool:
        """Whether no plan of the searched space is better, but for `TOLERANCE`."""
        return self.gap <= TOLERANCE


def value_of(prediction: Prediction, objective: Objective) -> float | None:
    """Return the figure of a prediction that an objective speaks of, in its unit; None where it is not known."""
    match objective:
        case "throughput":
            return prediction.throughput_per_s
        case "latency":
            return prediction.latency_s
        case "max_energy":
            return prediction.max_energy_j
        case "total_energy":
            return prediction.total_energy_j
        case "max_memory":
            return float(prediction.max_memory_bytes)


def cost_of(objective: Objective, value: float) -> float:
    """Return what is to be as small as can be: of throughput the seconds between two frames; of others the value.

    It is its own inverse: the value that belongs to a cost is `cost_of(objective, cost)`.
    """
    if objective != "throughput":
        return value
    return 1 / value if value > 0 else float("inf")


_DIVISIONS: dict[Strategy, str] = {
    "spatial": "tiles",
    "spatial_independent": "independent tiles",
    "output_channels": "output channels",
    "input_channels": "input channels",
}


def space_of(limits: Limits) -> str:
    """Say which plans a search looks at: the ones that its bound is about. Codecs are only chosen for its best."""
    as_they_are = " whose tensors travel as they are" if limits.codecs - {"none"} else ""
    return plans_of(limits) + as_they_are


def plans_of(limits: Limits) -> str:
    """Say which plans a question allows, codecs apart."""
    strategies = limits.strategies
    if limits.contiguous:
        return "one run of layers per device"
    more = ["replicas"] if "replicas" in strategies else []
    divided = [word for strategy, word in _DIVISIONS.items() if strategy in strategies]
    if divided:
        more.append(
            f"layers divided by {' and '.join([', '.join(divided[:-1]), divided[-1]] if divided[1:] else divided)}"
        )
    return "any placement" + (f", with {' and '.join(more)}" if more else "")


def notes_on(prediction: Prediction, *, is_approximate: bool = False) -> tuple[str, ...]:
    """Say what a prediction rests on that was not measured, and whether the plan changes the network's outputs."""
    notes = [
        f"Of {name!r}, {' and '.join(device.estimated)} {'are' if device.estimated[1:] else 'is'} estimated: "
        "profile it first."
        for name, device in prediction.devices.items()
        if device.estimated
    ]
    links = [f"{source!r} to {target!r}" for (source, target), link in prediction.links.items() if link.estimated]
    if links:
        others = f" and {len(links) - 1} more" if len(links) > 1 else ""
        notes.append(f"The link from {links[0]}{others} was not measured: measure the links first.")
    if is_approximate:
        notes.append("The outputs are approximate: tiles do not see their neighbours. `verify` tells by how much.")
    return tuple(notes)
