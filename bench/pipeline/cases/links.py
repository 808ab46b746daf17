"""ResNet-50 in two stages over links of 100 and 10 Mbit/s, with every codec, and with the one that `auto` takes."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from bench.pipeline.auto_codec import AutoChoice, auto_codec
from bench.pipeline.bench import Bench
from bench.pipeline.figures import Bar, Outcome
from bench.pipeline.harness.alone import AloneWorker, random_inputs, session_of
from bench.pipeline.harness.deployment import Cut, Deployed, Wiring
from bench.pipeline.harness.devices import Devices, DeviceSpec
from bench.pipeline.harness.frames import Flow, throughput
from bench.pipeline.harness.plans import chain_plan
from partition_agent.codecs import CODECS, encode
from partition_agent.protocol import LinkCodec
from partition_studio.partition.plan import Plan

NAME = "links"
LIMIT = 0.9
AUTO_LIMIT = 0.95
RATES_MBIT = (100, 10)

#: Every codec at every rate takes its time: never more rounds than this.
_MOST_ROUNDS = 3

#: A run has at least so many frames, however slow the link is.
_FRAMES = 12

#: A lossy codec is measured for speed here; `bench/codecs.py` tells what it changes.
_CHANGES = (0.0, 0.05)


@dataclass(frozen=True)
class _Setting:
    """What is the same for every rate: the cut, its plan, devices, stages alone, the tensor that crosses."""

    bench: Bench
    plan: Plan
    cut: Cut
    devices: Devices
    workers: list[AloneWorker]
    array: np.ndarray[Any, Any]
    sizes: dict[str, int]


def measure(bench: Bench) -> Iterator[Outcome]:
    """The bound of a codec is the slower of the slowest stage alone and the link with that codec's bytes."""
    network = bench.network("resnet-50")
    cuts = bench.cuts(network, [1.0, 1.0])
    plan = chain_plan(network, cuts.ends, ["one", "two"])
    cut = Cut.of(network, plan)
    with ExitStack() as stack:
        devices = stack.enter_context(bench.devices([DeviceSpec("one", bench.cpu(0)), DeviceSpec("two", bench.cpu(1))]))
        workers = []
        for stage in cut.parted.graph.stages:
            path = stack.enter_context(bench.written(cut.parts[stage.name]))
            workers.append(stack.enter_context(AloneWorker(path, devices[stage.device].spec.cpus)))
        array = _crossing(bench, cut)
        # What crosses is one tensor; the codec's bytes are those of a real one.
        sizes = {codec: encode(array, LinkCodec(codec))[1].nbytes for codec in CODECS}
        setting = _Setting(bench, plan, cut, devices, workers, array, sizes)
        for rate in RATES_MBIT[: 1 if bench.quick else None]:
            yield from _at_rate(setting, rate)


def _crossing(bench: Bench, cut: Cut) -> np.ndarray[Any, Any]:
    """Return the tensor that crosses the cut, of a random frame."""
    graph = cut.parted.graph
    first = graph.stages[0]
    (link,) = [link for link in graph.cuts if link.producer == first.name and graph.device_of(link.consumer)]
    with bench.written(cut.parts[first.name]) as path:
        session = session_of(str(path))
        return np.asarray(session.run(list(link.tensors), random_inputs(session))[0])


def _at_rate(setting: _Setting, rate_mbit: int) -> Iterator[Outcome]:
    bench, sizes, bytes_per_s = setting.bench, setting.sizes, rate_mbit * 1e6 / 8
    flows: dict[str, list[Flow]] = {codec: [] for codec in sizes}
    bounds: dict[str, list[float]] = {codec: [] for codec in sizes}
    stage_s: dict[str, float] = {}
    order = list(sizes)
    for number in range(min(bench.rounds, _MOST_ROUNDS)):
        alone = [worker.run(bench.seconds / 2) for worker in setting.workers]
        stages = setting.cut.parted.graph.stages
        stage_s = {stage.name: 1 / one.per_s for stage, one in zip(stages, alone, strict=True)}
        compute = min(one.per_s for one in alone)
        for codec in order if number % 2 == 0 else order[::-1]:
            bounds[codec].append(min(compute, bytes_per_s / sizes[codec]))
            flows[codec].append(_flow(setting, Wiring(codec=codec, bytes_per_s=bytes_per_s)))
    for codec in order:
        yield Bar(
            case=NAME,
            name=f"ResNet-50, {rate_mbit} Mbit/s, {codec}",
            unit="of min(compute, link)",
            values=tuple(flow.per_s / bound for flow, bound in zip(flows[codec], bounds[codec], strict=True)),
            limit=LIMIT,
            facts={
                "pipeline, frames/s": tuple(flow.per_s for flow in flows[codec]),
                "bound, frames/s": tuple(bounds[codec]),
            },
            costs={f"{name}, CPU ms": usage.cpu_s * 1e3 for name, usage in flows[codec][-1].usage.items()},
            notes=(f"{sizes[codec] / 1e6:.3f} MB a frame, of {sizes['none'] / 1e6:.3f}",),
        )
    for change in _CHANGES:
        choice = auto_codec(setting.cut, setting.plan, setting.array, bytes_per_s, stage_s, change)
        yield _auto(f"ResNet-50, {rate_mbit} Mbit/s, auto, at most {change:.0%} change", choice, flows)


def _flow(setting: _Setting, wiring: Wiring) -> Flow:
    bench = setting.bench
    with Deployed(setting.cut, setting.devices, wiring) as deployed:
        return throughput(deployed, bench.seconds, warm_up=3 if bench.quick else 6, least=4 if bench.quick else _FRAMES)


def _auto(name: str, choice: AutoChoice, flows: dict[str, list[Flow]]) -> Bar:
    """Compare what `auto` takes with the best codec that it may take, by the runs that were made with each."""
    rates = {codec: [flow.per_s for flow in flows[codec]] for codec in choice.allowed}
    best = max(rates, key=lambda codec: median(rates[codec]))
    return Bar(
        case=NAME,
        name=name,
        unit="of the best fixed codec",
        values=tuple(ours / theirs for ours, theirs in zip(rates[choice.codec], rates[best], strict=True)),
        limit=AUTO_LIMIT,
        facts={"auto, frames/s": tuple(rates[choice.codec]), "best, frames/s": tuple(rates[best])},
        notes=(
            f"auto takes {choice.codec}: {choice.why}",
            f"the best of {', '.join(choice.allowed)} is {best}",
        ),
    )
