"""What the planner found, in the form that people and programs are told."""

from collections.abc import Sequence

from partition_studio.planner.prediction.flow import Resource
from partition_studio.planner.prediction.next_move import NextMove
from partition_studio.planner.prediction.prediction import Prediction
from partition_studio.planner.search.answer import Answer, notes_on
from partition_studio.planner.search.baselines import Baseline
from partition_studio.planner.simulation.trace import Trace
from partition_studio.schemas import (
    AnswerOut,
    BarOut,
    BaselineOut,
    DevicePredictionOut,
    GanttOut,
    NextMoveOut,
    PlannedLinkOut,
    PlannedStageOut,
    PredictionOut,
    ResourceOut,
)


def prediction_out(found: Prediction, warnings: Sequence[str] = ()) -> PredictionOut:
    """Describe a prediction; `warnings` are of what it is made of."""
    busiest = sorted(found.busy_s, key=lambda resource: -found.busy_s[resource])
    return PredictionOut(
        throughput_per_s=found.throughput_per_s,
        period_s=found.period_s,
        latency_s=found.latency_s,
        bottleneck=_resource_out(found, found.bottleneck),
        resources=[_resource_out(found, resource) for resource in busiest],
        stages=[
            PlannedStageOut(
                stage=name,
                device=stage.device,
                seconds=stage.seconds,
                begin_s=stage.begin_s,
                end_s=stage.end_s,
                warnings=list(stage.warnings),
            )
            for name, stage in found.stages.items()
        ],
        devices=[
            DevicePredictionOut(
                device=name,
                busy_s=device.busy_s,
                compute_s=device.compute_s,
                carry_s=device.carry_s,
                coding_s=device.coding_s,
                utilisation=device.utilisation,
                energy_j=device.energy_j,
                active_j=device.active_j,
                memory_bytes=device.memory.bound_bytes,
                memory_limit_bytes=device.memory_limit_bytes,
                sent_bytes=device.sent_bytes,
                received_bytes=device.received_bytes,
                estimated=list(device.estimated),
            )
            for name, device in found.devices.items()
        ],
        links=[
            PlannedLinkOut(
                source=source,
                target=target,
                wire_bytes=link.wire_bytes,
                busy_s=link.busy_s,
                utilisation=link.utilisation,
                estimated=link.estimated,
            )
            for (source, target), link in found.links.items()
        ],
        max_energy_j=found.max_energy_j,
        total_energy_j=found.total_energy_j,
        max_memory_bytes=found.max_memory_bytes,
        estimated=found.is_estimated,
        warnings=[*warnings, *found.warnings],
    )


def _resource_out(found: Prediction, resource: Resource) -> ResourceOut:
    busy_s = found.busy_s.get(resource, 0.0)
    share = busy_s / found.period_s if found.period_s > 0 else 0.0
    return ResourceOut(kind=resource.kind, name=resource.name, busy_s=busy_s, utilisation=min(share, 1.0))


def answer_out(found: Answer, notes: Sequence[str] = ()) -> AnswerOut:
    """Describe an answer; `notes` are of what it is made of.

    What is estimated is said of each device and link of its prediction, and why by whoever knows: not here again.
    """
    said = notes_on(found.prediction)
    return AnswerOut(
        plan=found.plan,
        prediction=prediction_out(found.prediction),
        objective=found.objective,
        value=found.value,
        bound=found.bound,
        gap=found.gap,
        proved=found.is_proved,
        space=found.space,
        method=found.method,
        notes=[note for note in (*found.notes, *notes) if note not in said],
        contiguous_bound=found.contiguous_bound,
    )


def baseline_out(found: Baseline) -> BaselineOut:
    """Describe a baseline."""
    return BaselineOut(
        name=found.name, plan=found.plan, prediction=prediction_out(found.prediction), notes=list(found.notes)
    )


def next_move_out(found: NextMove) -> NextMoveOut:
    """Describe the change that brings most."""
    return NextMoveOut(text=found.text, plan=found.plan, throughput_per_s=found.throughput_per_s, gain=found.gain)


def gantt_out(trace: Trace) -> GanttOut:
    """Describe what was simulated."""
    return GanttOut(
        bars=[
            BarOut(resource=bar.resource, what=bar.what, frame=bar.frame, begin_s=bar.begin_s, end_s=bar.end_s)
            for bar in trace.bars
        ],
        throughput_per_s=trace.throughput_per_s,
        fill_s=trace.fill_s,
        drain_s=trace.drain_s,
        queues=dict(trace.queues),
    )
