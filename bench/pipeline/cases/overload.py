"""A fast source against a slow stage for minutes: no agent grows, latency stays, nothing is lost."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median

from bench.cgroups import why_not
from bench.pipeline.bench import Bench
from bench.pipeline.figures import Bar, Outcome, Skipped, slope
from bench.pipeline.harness.deployment import Cut, Deployed
from bench.pipeline.harness.devices import Devices, DeviceSpec
from bench.pipeline.harness.frames import throughput
from bench.pipeline.harness.plans import chain_plan
from bench.pipeline.harness.usage import pss_bytes
from partition_studio.partition.check import check_plan
from partition_studio.partition.plan import Plan

NAME = "overload"

#: MiB a minute that an agent may grow by, measured after the first fifth: what a sampler's noise makes of nothing.
GROWTH_LIMIT = 1.0

#: The later half's latency against the earlier half's.
LATENCY_LIMIT = 1.2
_SAMPLE_S = 1.0
_MIB = 2**20


@dataclass
class Watch:
    """Memory of the agents, each second."""

    pids: dict[str, int]
    at_s: list[float] = field(default_factory=list)
    pss: dict[str, list[int]] = field(default_factory=dict)

    def look(self) -> None:
        """Take a sample, if it is time."""
        now_s = time.monotonic()
        if not self.at_s or now_s - self.at_s[-1] >= _SAMPLE_S:
            self.at_s.append(now_s)
            for name, pid in self.pids.items():
                self.pss.setdefault(name, []).append(pss_bytes(pid))

    def growth(self, name: str) -> float:
        """Return by how many MiB a minute an agent grew, after the first fifth of the time."""
        skip = len(self.at_s) // 5
        return slope(self.at_s[skip:], [value / _MIB for value in self.pss[name][skip:]]) * 60


def measure(bench: Bench) -> Iterator[Outcome]:
    """ResNet-50's first third at full speed, the rest on a quarter of a core (or, without quotas, on the same core)."""
    network = bench.network("resnet-50")
    reason = why_not()
    if reason is not None:
        yield Skipped(NAME, "a fast source against a slow stage", reason)
        return
    cuts = bench.cuts(network, [1.0, 1.0])
    plan = chain_plan(network, cuts.ends, ["fast", "slow"])
    specs = [DeviceSpec("fast", bench.cpu(0)), DeviceSpec("slow", bench.cpu(1), 0.25)]
    with ExitStack() as stack:
        devices = stack.enter_context(bench.devices(specs))
        deployed = stack.enter_context(Deployed(Cut.of(network, plan), devices))
        yield from _overload(bench, plan, devices, deployed)


def _overload(bench: Bench, plan: Plan, devices: Devices, deployed: Deployed) -> Iterator[Outcome]:
    watch = Watch(deployed.pids)
    flow = throughput(deployed, bench.minutes * 60, between=watch.look)
    assert deployed.door is not None
    stats = deployed.door.stats()
    bounds = _bounds(deployed, plan)
    for name in deployed.pids:
        pss = watch.pss[name]
        facts = {
            "first, MiB": (pss[0] / _MIB,),
            "largest, MiB": (max(pss) / _MIB,),
            "last, MiB": (pss[-1] / _MIB,),
        }
        facts["bound by plan, MiB"] = (bounds[name] / _MIB,)
        yield Bar(NAME, f"{name}: largest PSS", "of the bound by plan", (max(pss) / bounds[name],), 1.0, "at most")
        yield Bar(
            case=NAME,
            name=f"{name}: growth in {bench.minutes:g} minutes of overload",
            unit="MiB a minute",
            values=(watch.growth(name),),
            limit=GROWTH_LIMIT,
            direction="at most",
            facts=facts,
            notes=(f"{flow.frames} frames, {flow.per_s:.1f} a second, {stats.lost} lost, all {stats.delivered} came",),
        )
    yield _latency_bar(flow.latencies_s)


def _latency_bar(latencies_s: tuple[float, ...]) -> Bar:
    half = len(latencies_s) // 2
    early, late = latencies_s[: max(half, 1)], latencies_s[half:]
    return Bar(
        case=NAME,
        name="latency under overload: later half against earlier",
        unit="times",
        values=(median(late) / median(early),),
        limit=LATENCY_LIMIT,
        direction="at most",
        facts={
            "earlier, ms": (median(early) * 1e3,),
            "later, ms": (median(late) * 1e3,),
            "worst, ms": (max(latencies_s) * 1e3,),
        },
    )


def _bounds(deployed: Deployed, plan: Plan) -> dict[str, int]:
    """Return the most memory that each device's agent may take, as the studio tells beforehand."""
    costs = check_plan(deployed.cut.parted.whole, plan).costs
    return {cost.device: cost.bound.bound_bytes for cost in costs}
