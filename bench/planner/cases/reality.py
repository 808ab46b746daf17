"""Plans on real devices, by the whole studio: what was predicted beside what was measured.

The devices are those of `--boards` (as the API takes them), else one of this machine on each core. They are profiled,
their links are measured, figures are gathered as for a person's plan, and plans come from searches and from rules.
"""

import json
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.planner.bench import Bench, Cell, Table, within
from bench.planner.running import Measured, RunError, ended, median_and_worst, run_plan
from bench.planner.simple import greedy, memory_proportional, single, uniform
from partition_studio.partition.memory import AHEAD_FROM_BYTES, MemoryBound, stage_need
from partition_studio.partition.partition import Partition, partition
from partition_studio.partition.plan import NetworkRef, Plan
from partition_studio.planner.prediction.predict import predict
from partition_studio.planner.prediction.prediction import Prediction
from partition_studio.planner.search.answer import Answer
from partition_studio.planner.search.problem.pose import pose
from partition_studio.planner.search.problem.problem import Integers, Problem, placement_of
from partition_studio.planner.search.question import Objective, Question
from partition_studio.planner.search.search import search
from partition_studio.schemas import DeviceIn, LinksIn, ProfileIn
from partition_studio.services import Services
from partition_studio.services.figures import FigureService
from partition_studio.settings import open_data_dir

NAME = "reality"

_NETWORKS = ("squeezenet", "resnet-50", "inception-v1")
_SEARCH_S = 10.0

_SHARES_NOTE = (
    "'a ms' is for how long a frame is predicted to keep all cores of a busy that it shows, 'a cpu ms' the processor "
    "time that its agent took for one. Under a quota that cannot be seen from inside, the second is the quota's share "
    "of the first wherever the prediction is right"
)


class _Row(NamedTuple):
    """A plan's row in the table of errors, and in that of what each device has to do."""

    errors: dict[str, Cell]
    shares: dict[str, Cell]


def measure(bench: Bench) -> Iterator[Table]:
    """Predicted against measured throughput, latency and memory of at least a dozen plans."""
    networks = [name for name in _NETWORKS if name in bench.networks] or list(bench.networks)
    services = Services(open_data_dir(bench.folder / "studio"))
    try:
        names = _devices(bench, services)
        plans: list[_Row] = []
        for name in networks:
            plans += _rows(bench, services, name, names, -(-bench.plans // len(networks)))
        errors = [plan.errors for plan in plans]
        yield Table(NAME, f"{len(plans)} plans on {', '.join(names)}", errors, _summary(errors))
        yield Table(NAME, "processor milliseconds for a frame", [plan.shares for plan in plans], [_SHARES_NOTE])
    finally:
        services.close()


def _devices(bench: Bench, services: Services) -> list[str]:
    if bench.boards is not None:
        requests = [DeviceIn.model_validate(each) for each in json.loads(bench.boards.read_text())]
    else:
        cpus = sorted(os.sched_getaffinity(0))[:4]
        requests = [DeviceIn(name=f"core{cpu}", address="local:", cpus=[cpu]) for cpu in cpus]
    for request in requests:
        services.devices.add(request)
    return [request.name for request in requests]


def _rows(bench: Bench, services: Services, name: str, devices: list[str], most: int) -> Iterator[_Row]:
    model = services.models.add_example(name)
    network = services.models.network(model.id)
    for device in devices:
        ended(services, services.profiles.start(device, ProfileIn(model_id=model.id)))
    ended(services, services.links.measure(LinksIn()))
    known = FigureService(services.models, services.devices, services.profiles, services.links).of(model.id, devices)
    for text in known.warnings:
        print(f"   {text}")
    question = Question(network, known.figures, tuple(devices))
    for label, plan in _plans(question)[:most]:
        made = partition(network, plan)
        predicted = predict(made, plan, known.figures)
        row = _row(name, label, predicted)
        shares = {"network": name, "plan": label, "bottleneck": row["bottleneck"]}
        try:
            measured = run_plan(services, model.id, plan, min(bench.seconds, 10.0))
            row |= _compared(made, predicted, measured)
            shares |= _shares(predicted, measured)
        except RunError as error:
            row["failed"] = str(error)
        print(f"   {row}\n   {shares}", flush=True)
        yield _Row(row, shares)


def _plans(question: Question) -> list[tuple[str, Plan]]:
    """Return plans of different kinds, each once."""
    problem = pose(question)
    found = [
        ("most throughput", _searched(question, "throughput")),
        ("uniform", _plan(question, problem, uniform(problem, question.network))),
        ("least memory", _searched(question, "max_memory")),
        ("least latency", _searched(question, "latency")),
        ("greedy", _plan(question, problem, greedy(problem))),
        ("single", _plan(question, problem, single(problem))),
        ("by memory", _plan(question, problem, memory_proportional(problem))),
    ]
    plans: dict[tuple[str, ...], tuple[str, Plan]] = {}
    for label, plan in found:
        plans.setdefault(tuple(plan.placement[layer.name] for layer in question.network.layers), (label, plan))
    return list(plans.values())


def _searched(question: Question, objective: Objective) -> Plan:
    def nothing(_: Answer) -> None:
        return

    asked = Question(question.network, question.figures, question.devices, objective)
    return search(asked, stop=within(_SEARCH_S), seconds=_SEARCH_S, on_answer=nothing).plan


def _plan(question: Question, problem: Problem, assignment: Integers) -> Plan:
    return Plan(network=NetworkRef.of(question.network), placement=placement_of(problem, assignment))


def _row(network: str, label: str, predicted: Prediction) -> dict[str, Cell]:
    return {
        "network": network,
        "plan": label,
        "stages": len(predicted.stages),
        "devices": sum(1 for device in predicted.devices.values() if device.busy_s > 0),
        "bottleneck": f"{predicted.bottleneck.kind} {predicted.bottleneck.name}",
    }


def _compared(made: Partition, predicted: Prediction, measured: Measured) -> dict[str, Cell]:
    memory = {name: device.memory for name, device in predicted.devices.items()}
    worst = max(measured.memory_bytes, key=lambda name: memory[name].bound_bytes, default=None)
    row: dict[str, Cell] = {
        "frames/s": predicted.throughput_per_s,
        "measured": measured.per_s,
        "error %": 100 * (predicted.throughput_per_s / measured.per_s - 1),
        "latency ms": 1e3 * predicted.latency_s,
        "measured ms": 1e3 * measured.latency_s,
        "latency error %": 100 * (predicted.latency_s / measured.latency_s - 1),
    }
    if worst is not None and measured.memory_bytes[worst]:
        agent = _agent_bytes(made, worst, memory[worst])
        row["bound MB"] = memory[worst].bound_bytes / 1e6
        row["agent MB"] = agent / 1e6
        row["measured MB"] = measured.memory_bytes[worst] / 1e6
        row["memory error %"] = 100 * (agent / measured.memory_bytes[worst] - 1)
    return row


def _shares(predicted: Prediction, measured: Measured) -> dict[str, Cell]:
    row: dict[str, Cell] = {}
    for name, device in sorted(predicted.devices.items()):
        row[f"{name} ms"] = 1e3 * device.busy_s
        row[f"{name} cpu ms"] = 1e3 * measured.cpu_s[name] if name in measured.cpu_s else None
    return row


def _agent_bytes(made: Partition, device: str, memory: MemoryBound) -> int:
    """Return what of the bound is the agent's own: large stages are optimised in another process before."""
    needs = [stage_need(made.network, stage) for stage in made.graph.stages if device in stage.devices]
    is_ahead = any(need.weight_bytes >= AHEAD_FROM_BYTES for need in needs)
    return memory.bound_bytes - (memory.load_bytes if is_ahead else 0)


def _summary(rows: Sequence[dict[str, Cell]]) -> list[str]:
    lines = [
        "memory: of the device that needs most; 'agent' is the bound without what another process takes to load large "
        "stages; measured is the agent's highest resident size"
    ]
    for column in ("error %", "latency error %", "memory error %"):
        errors = [value for row in rows if isinstance(value := row.get(column), float)]
        if errors:
            median, worst = median_and_worst(errors)
            lines.append(f"{column}: median {median:.1f}, worst {worst:.1f}, of {len(errors)} plans")
    return lines
