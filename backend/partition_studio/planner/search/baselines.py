"""What there is to compare with: the best single device, and the whole network on every device at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from partition_studio.partition.plan import Plan, ReplicaGroup
from partition_studio.planner.prediction.prediction import Prediction
from partition_studio.planner.search.question import Question
from partition_studio.planner.search.strategies.judge import Judge, Judged

SINGLE = "best single device"
EVERYWHERE = "whole network on every device"

#: A group of replicas has no more.
MOST_PLACES = 64


@dataclass(frozen=True, slots=True)
class Baseline:
    """A plan that needs no search. `notes` say which devices cannot hold the network."""

    name: str
    plan: Plan
    prediction: Prediction
    notes: tuple[str, ...] = ()


def baselines(question: Question) -> tuple[Baseline, ...]:
    """Return the baselines that there are: none where no device holds the whole network.

    Of the question's limits they keep those that say which devices there are and what fits.
    """
    return baselines_of(Judge(question))


def baselines_of(judge: Judge) -> tuple[Baseline, ...]:
    """Return the baselines of a question that is being judged already."""
    singles = [(device, judged) for device in judge.devices if (judged := judge.judge(whole_on(judge, device)))]
    fitting = [(device, judged) for device, judged in singles if _fits(judged)]
    if not fitting:
        return ()
    notes = tuple(f"{device!r} cannot hold the whole network." for device, judged in singles if not _fits(judged))
    best = min((judged for _, judged in fitting), key=lambda judged: judged.cost)
    found = [Baseline(SINGLE, best.plan, best.prediction, notes)]
    if len(fitting) > 1:
        fastest = sorted(fitting, key=lambda found: found[1].cost)[:MOST_PLACES]
        places = [device for device, _ in fitting if any(device == other for other, _ in fastest)]
        everywhere = judge.judge(replicated(judge, places))
        if everywhere is not None and _fits(everywhere):
            found.append(Baseline(EVERYWHERE, everywhere.plan, everywhere.prediction, notes))
    return tuple(found)


def whole_on(judge: Judge, device: str) -> Plan:
    """Return the plan with the whole network on one device."""
    return judge.plan_of({layer.name: device for layer in judge.question.network.layers})


def replicated(judge: Judge, devices: Sequence[str]) -> Plan:
    """Return the plan with the whole network on each of several devices, which share the frames."""
    group = group_name(judge.question.devices, 0)
    placed = judge.plan_of({layer.name: group for layer in judge.question.network.layers})
    return placed.model_copy(update={"replicas": {group: ReplicaGroup(places=list(devices))}})


def group_name(taken: Sequence[str], number: int) -> str:
    """Return a name for a group of replicas that no device has."""
    name = "all" if number == 0 else f"group{number}"
    while name in taken:
        name += "-replicas"
    return name


def _fits(judged: Judged) -> bool:
    return all(device.fits for device in judged.prediction.devices.values())
