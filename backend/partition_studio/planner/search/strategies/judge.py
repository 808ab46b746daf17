"""Judges plans, however they divide the work: what is predicted of them, and which of a question's limits they break.

Whatever finds a plan (a search of placements, a rewrite of its layers), the plan's prediction is what counts. So every
strategy only proposes plans, and is as simple as that allows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from partition_studio.partition.codecs import NOTHING, OnCut, Settled
from partition_studio.partition.draft import ShardError
from partition_studio.partition.partition import Partition, divide, partition
from partition_studio.partition.partition import place as placed
from partition_studio.partition.plan import NetworkRef, Plan, Sharding
from partition_studio.partition.stages import SINK, CutTypeError
from partition_studio.planner.figures.figures import Figures
from partition_studio.planner.prediction.predict import predict
from partition_studio.planner.prediction.prediction import Prediction
from partition_studio.planner.search.answer import cost_of, value_of
from partition_studio.planner.search.question import Question
from partition_studio.sizes import size_text

#: Limits are kept but for the rounding of sums.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Judged:
    """A plan, what it makes of the network, what is predicted of it, and the limits that it breaks (in words).

    `cost` is what is minimised (see `answer.cost_of`); infinite where the objective's figure is not known.
    """

    plan: Plan
    partition: Partition
    prediction: Prediction
    cost: float
    broken: tuple[str, ...]

    @property
    def keeps_limits(self) -> bool:
        """Whether it is an answer at all."""
        return not self.broken and self.cost != float("inf")

    @property
    def is_approximate(self) -> bool:
        """Whether the network's outputs change by how it is divided."""
        return bool(self.partition.division.approximate)


class Judge:
    """Judges the plans of one question."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.figures = figures_within(question)
        self.devices = usable_devices(question)

    def plan_of(self, placement: Mapping[str, str]) -> Plan:
        """Return the plan of a placement."""
        return Plan(network=NetworkRef.of(self.question.network), placement=dict(placement))

    def judge(
        self, plan: Plan, codecs: Settled = NOTHING, wire_bytes: Mapping[OnCut, int] | None = None
    ) -> Judged | None:
        """Return what becomes of a plan; None where the network cannot be divided so."""
        try:
            made = partition(self.question.network, plan)
        except (ShardError, CutTypeError):
            return None
        return self._judged(plan, made, codecs, wire_bytes)

    def judge_divided(self, plan: Plan, sharding: Sharding) -> Judged | None:
        """Return what becomes of a plan with one more entry in `shards`; None where the layers cannot be divided so."""
        network = self.question.network
        longer = plan.model_copy(update={"shards": [*plan.shards, sharding]})
        try:
            division = divide(network, longer)
            gone = set(sharding.layers) - set(division.network.layers_by_name)
            placement = {layer: place for layer, place in plan.placement.items() if layer not in gone}
            divided = longer.model_copy(update={"placement": placement})
            return self._judged(divided, placed(network, division, divided))
        except (ShardError, CutTypeError):
            return None

    def _judged(
        self, plan: Plan, made: Partition, codecs: Settled = NOTHING, wire_bytes: Mapping[OnCut, int] | None = None
    ) -> Judged:
        prediction = predict(made, plan, self.figures, codecs, wire_bytes or {})
        value = value_of(prediction, self.question.objective)
        cost = float("inf") if value is None else cost_of(self.question.objective, value)
        return Judged(plan, made, prediction, cost, tuple(_broken(self.question, made, prediction)))

    def memory_limit_bytes(self, device: str) -> int | None:
        """Return what a device's agent may take at most."""
        return self.figures.devices[device].memory_bytes


def usable_devices(question: Question) -> tuple[str, ...]:
    """Return the devices that may get something, in the question's order."""
    return tuple(dict.fromkeys(name for name in question.devices if name not in question.limits.excluded))


def figures_within(question: Question) -> Figures:
    """Return the figures with the question's own memory limits, so that what is predicted tells those."""
    own = question.limits.memory_bytes
    devices = {
        name: replace(device, memory_bytes=own[name]) if name in own else device
        for name, device in question.figures.devices.items()
    }
    return replace(question.figures, devices=devices)


def _broken(question: Question, made: Partition, prediction: Prediction) -> Iterator[str]:
    limits = question.limits
    used = {device for stage in made.graph.stages for device in stage.devices}
    for device in sorted(used - set(usable_devices(question))):
        yield f"{device!r} must be left out"
    if limits.max_devices is not None and len(used) > limits.max_devices:
        yield f"{len(used)} devices are used; {limits.max_devices} may be"
    for device, part in prediction.devices.items():
        if not part.fits:
            yield f"{device!r} needs {size_text(part.memory.bound_bytes)} of memory"
    yield from _broken_figures(question, prediction)
    yield from _broken_pins(made, limits.pins)
    if limits.input_on is not None and _shows_input(made, limits.input_on):
        yield f"the network's inputs reach other devices than {limits.input_on!r}"


def _broken_figures(question: Question, prediction: Prediction) -> Iterator[str]:
    limits, more = question.limits, 1 + ROUNDING
    if limits.min_throughput_per_s is not None and prediction.throughput_per_s * more < limits.min_throughput_per_s:
        yield f"{prediction.throughput_per_s:.4g} frames/s are too few"
    for what, found, limit in (
        ("the latency (s)", prediction.latency_s, limits.max_latency_s),
        ("the largest energy of a device (J)", prediction.max_energy_j, limits.max_energy_j),
        ("the energy of all devices (J)", prediction.total_energy_j, limits.max_total_energy_j),
    ):
        if limit is not None and (found is None or found > limit * more):
            yield f"{what} is too large" if found is not None else f"{what} is not known"


def _broken_pins(made: Partition, pins: Mapping[str, str]) -> Iterator[str]:
    if not pins:
        return
    sources = made.division.sources
    for stage in made.graph.stages:
        for layer in stage.layers:
            device = pins.get(sources.get(layer, layer))
            if device is not None and stage.devices != (device,):
                yield f"{layer!r} must lie on {device!r}"


def _shows_input(made: Partition, device: str) -> bool:
    """Whether a network's input, or a piece of one, reaches another device than the given one."""
    inputs, origins = set(made.whole.inputs), made.division.origins
    for cut in made.graph.cuts:
        if cut.consumer == SINK or made.graph.stage(cut.consumer).devices == (device,):
            continue
        if any(tensor in inputs or (tensor in origins and origins[tensor].whole in inputs) for tensor in cut.tensors):
            return True
    return False
