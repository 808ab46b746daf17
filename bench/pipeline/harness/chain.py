"""The whole on one device and a chain of stages over several, in alternation, with the bound of the same round."""

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from statistics import median

from bench.pipeline.bench import Bench
from bench.pipeline.figures import Bar
from bench.pipeline.harness.alone import Alone, AloneWorker
from bench.pipeline.harness.cuts import Cuts
from bench.pipeline.harness.deployment import PLAIN, Cut, Deploy, Deployed, Wiring
from bench.pipeline.harness.devices import DeviceSpec
from bench.pipeline.harness.frames import Flow, throughput
from bench.pipeline.harness.plans import chain_plan, whole_on
from partition_studio.graph.network import Network


@dataclass(frozen=True, slots=True)
class ChainRound:
    """One alternation. `alone` and `at_once` are of the stages in order: one at a time, and all at the same time."""

    whole: Flow
    pipeline: Flow
    alone: tuple[Alone, ...]
    at_once: tuple[Alone, ...]

    @property
    def bound_per_s(self) -> float:
        """No pipeline of these stages is faster than the slowest of them alone."""
        return min(stage.per_s for stage in self.alone)

    @property
    def of_bound(self) -> float:
        """Share of the bound that was reached."""
        return self.pipeline.per_s / self.bound_per_s

    @property
    def overhead_s(self) -> float:
        """Processor seconds of a frame in an agent beyond the stage's own: one message taken, one sent on."""
        return (self.pipeline.agents_cpu_s - sum(stage.cpu_s for stage in self.alone)) / len(self.alone)


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain that was measured."""

    cuts: Cuts
    devices: tuple[DeviceSpec, ...]
    rounds: tuple[ChainRound, ...]
    crossing_bytes: int


def run_chain(
    bench: Bench,
    network: Network,
    specs: list[DeviceSpec],
    wiring: Wiring = PLAIN,
    cuts: Cuts | None = None,
) -> Chain:
    """Measure a chain over devices; the whole is on the fastest of them. `cuts` None: they are looked for first.

    Raises NoQuotaError.
    """
    if cuts is None:
        cuts = bench.cuts(network, [spec.speed for spec in specs])
    left = list(specs)
    ordered = [left.pop(next(i for i, spec in enumerate(left) if spec.speed == speed)) for speed in cuts.speeds]
    fastest = max(specs, key=lambda spec: spec.speed).name
    with ExitStack() as stack:
        devices = stack.enter_context(bench.devices(specs))
        cut = Cut.of(network, chain_plan(network, cuts.ends, [spec.name for spec in ordered]))
        # One at a time: a deployment that only waits takes time, too.
        whole = partial(Deployed, whole_on(network, fastest), devices, wiring)
        pipeline = partial(Deployed, cut, devices, wiring)
        workers = []
        for stage in cut.parted.graph.stages:
            path = stack.enter_context(bench.written(cut.parts[stage.name]))
            device = devices[stage.device]
            workers.append(stack.enter_context(AloneWorker(path, device.spec.cpus, device.group)))
        rounds = tuple(_round(bench, number, whole, pipeline, workers) for number in range(bench.rounds))
    return Chain(cuts, tuple(ordered), rounds, cut.crossing_bytes)


def _round(bench: Bench, number: int, whole: Deploy, pipeline: Deploy, workers: list[AloneWorker]) -> ChainRound:
    """Measure everything once; every other round in the other order, for the machine's speed drifts."""
    flows: dict[str, Flow] = {}
    alone: list[Alone] = []
    at_once: list[Alone] = []

    def run_alone() -> None:
        alone.extend(worker.run(bench.seconds / 2) for worker in workers)

    def run_at_once() -> None:
        for worker in workers:
            worker.begin(bench.seconds / 2)
        at_once.extend(worker.end() for worker in workers)

    def run_whole() -> None:
        with whole() as deployed:
            flows["whole"] = throughput(deployed, bench.seconds)

    def run_pipeline() -> None:
        with pipeline() as deployed:
            flows["pipeline"] = throughput(deployed, bench.seconds)

    steps = [run_whole, run_alone, run_pipeline, run_at_once]
    for step in steps if number % 2 == 0 else steps[::-1]:
        step()
    return ChainRound(flows["whole"], flows["pipeline"], tuple(alone), tuple(at_once))


def chain_bar(case: str, name: str, chain: Chain, limit: float, notes: tuple[str, ...] = ()) -> Bar:
    """Return what a chain reached of its bound."""
    rounds = chain.rounds
    bound = [r.bound_per_s / r.whole.per_s for r in rounds]
    return Bar(
        case=case,
        name=name,
        unit="of the bound",
        values=tuple(r.of_bound for r in rounds),
        limit=limit,
        facts={
            "whole, frames/s": tuple(r.whole.per_s for r in rounds),
            "pipeline, frames/s": tuple(r.pipeline.per_s for r in rounds),
            "bound, frames/s": tuple(r.bound_per_s for r in rounds),
            "times the whole": tuple(r.pipeline.per_s / r.whole.per_s for r in rounds),
            "bound of that": tuple(bound),
            "stages at once, of the bound": tuple(min(s.per_s for s in r.at_once) / r.bound_per_s for r in rounds),
        },
        costs=chain_costs(chain),
        notes=(
            f"cuts after layers {', '.join(map(str, chain.cuts.ends))}; {chain.crossing_bytes / 1e6:.2f} MB cross them",
            *notes,
        ),
    )


def chain_costs(chain: Chain) -> dict[str, float]:
    """Return where the processors' time of one frame goes: milliseconds and counts, medians of the rounds."""
    costs: dict[str, float] = {}
    rounds = chain.rounds
    costs["stages alone, CPU ms"] = median(sum(s.cpu_s for s in r.alone) for r in rounds) * 1e3
    costs["beyond the stages per agent, CPU ms"] = median(r.overhead_s for r in rounds) * 1e3
    for name in rounds[0].pipeline.usage:
        of_it = [r.pipeline.usage[name] for r in rounds]
        costs[f"{name}, CPU ms"] = median(u.cpu_s for u in of_it) * 1e3
        costs[f"{name}, of that in the kernel"] = median(u.system_s for u in of_it) * 1e3
        costs[f"{name}, switches"] = median(u.voluntary + u.involuntary for u in of_it)
        costs[f"{name}, page faults"] = median(u.faults for u in of_it)
    return costs
