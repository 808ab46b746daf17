"""Ours against pipelines of the same sub-models by raw sockets and over gRPC: same cores, threads and options."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from statistics import median

from bench.pipeline.bench import Bench
from bench.pipeline.figures import Bar, Outcome, Skipped
from bench.pipeline.harness.deployment import Cut, Deployed, Wiring
from bench.pipeline.harness.devices import Devices, DeviceSpec
from bench.pipeline.harness.frames import throughput
from bench.pipeline.harness.plans import chain_plan
from bench.pipeline.peers.peer import PeerFlow
from bench.pipeline.peers.peer import throughput as peer_throughput
from bench.pipeline.peers.raw import RawFeed

NAME = "peers"
RAW_LIMIT, GRPC_LIMIT = 0.97, 1.0
INSTALL = "gRPC is not installed: `make bench` installs it, or `.venv/bin/pip install grpcio`"

Run = Callable[[], PeerFlow]


def measure(bench: Bench) -> Iterator[Outcome]:
    """Neither peer encrypts; ours is measured as it is, and in plaintext for a like with like."""
    network = bench.network("resnet-50")
    cuts = bench.cuts(network, [1.0, 1.0])
    cut = Cut.of(network, chain_plan(network, cuts.ends, ["one", "two"]))
    specs = [DeviceSpec("one", bench.cpu(0)), DeviceSpec("two", bench.cpu(1))]
    with ExitStack() as stack:
        devices = stack.enter_context(bench.devices(specs))
        runs: dict[str, Run] = {"ours": _ours(bench, cut, devices, Wiring())}
        runs |= _peers(bench, stack, cut, specs)
        runs["ours in plaintext"] = _ours(bench, cut, devices, Wiring(plaintext=True))
        rates: dict[str, list[PeerFlow]] = {name: [] for name in runs}
        for number in range(bench.rounds):
            for name in list(runs) if number % 2 == 0 else list(runs)[::-1]:
                rates[name].append(runs[name]())
    for ours in ("ours", "ours in plaintext"):
        for peer, limit in (("raw sockets", RAW_LIMIT), ("gRPC", GRPC_LIMIT)):
            if ours in rates and peer in rates:
                yield _bar(ours, peer, rates, limit)
    if "gRPC" not in rates:
        yield Skipped(NAME, "ours against gRPC", INSTALL)


def _bar(ours: str, peer: str, rates: Mapping[str, list[PeerFlow]], limit: float) -> Bar:
    return Bar(
        case=NAME,
        name=f"ResNet-50, {'CURVE' if ours == 'ours' else 'plaintext'}, against {peer}",
        unit=f"of {peer}",
        values=tuple(own.per_s / other.per_s for own, other in zip(rates[ours], rates[peer], strict=True)),
        limit=limit,
        facts={f"{name}, frames/s": tuple(flow.per_s for flow in rates[name]) for name in (ours, peer)},
        costs={
            f"{name}, CPU ms of {where}": median(getattr(flow, key) for flow in rates[name]) * 1e3
            for name in (ours, peer)
            for where, key in (("the stages' processes", "stages_cpu_s"), ("the feeding process", "feed_cpu_s"))
        },
        notes=() if ours == "ours" else ("plaintext is for measuring and for nothing else",),
    )


def _ours(bench: Bench, cut: Cut, devices: Devices, wiring: Wiring) -> Run:
    def run() -> PeerFlow:
        # Up only while it is measured: a deployment that waits takes time, as a peer's process that waits does not.
        with Deployed(cut, devices, wiring) as deployed:
            flow = throughput(deployed, bench.seconds)
        return PeerFlow(flow.per_s, flow.agents_cpu_s, flow.usage["studio"].cpu_s)

    return run


def _peers(bench: Bench, stack: ExitStack, cut: Cut, specs: list[DeviceSpec]) -> dict[str, Run]:
    stages = cut.parted.graph.stages
    models = [stack.enter_context(bench.written(cut.parts[stage.name])) for stage in stages]
    cpus = [spec.cpus for spec in specs]
    (shape,) = [tuple(kind.shape) for kind in cut.parted.network.inputs.values()]
    raw = stack.enter_context(closing(RawFeed(models, cpus)))
    runs: dict[str, Run] = {"raw sockets": lambda: peer_throughput(raw, shape, bench.seconds)}
    try:
        from bench.pipeline.peers.grpc_stream import GrpcFeed
    except ImportError:
        return runs
    grpc_feed = stack.enter_context(closing(GrpcFeed(models, cpus)))
    runs["gRPC"] = lambda: peer_throughput(grpc_feed, shape, bench.seconds)
    return runs
