"""One frame at a time over two devices, against the whole on one: what the way between them adds."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from bench.pipeline.bench import Bench
from bench.pipeline.figures import Bar, Outcome
from bench.pipeline.harness.deployment import Cut, Deploy, Deployed
from bench.pipeline.harness.devices import DeviceSpec
from bench.pipeline.harness.frames import latency
from bench.pipeline.harness.loopback import loopback_bytes_per_s
from bench.pipeline.harness.plans import chain_plan, whole_on

NAME = "latency"
SHARE, EXTRA_S = 1.05, 0.002


@dataclass(frozen=True, slots=True)
class _Round:
    whole_s: float
    pipeline_s: float
    bytes_per_s: float

    def allowed_s(self, crossing_bytes: int) -> float:
        return SHARE * self.whole_s + EXTRA_S + crossing_bytes / self.bytes_per_s


def measure(bench: Bench) -> Iterator[Outcome]:
    """The bar: 1.05 times the whole on one device, plus 2 ms, plus the cut's bytes over the loopback's bandwidth."""
    network = bench.network("resnet-50")
    cuts = bench.cuts(network, [1.0, 1.0])
    with ExitStack() as stack:
        devices = stack.enter_context(bench.devices([DeviceSpec("one", bench.cpu(0)), DeviceSpec("two", bench.cpu(1))]))
        cut = Cut.of(network, chain_plan(network, cuts.ends, ["one", "two"]))
        whole = partial(Deployed, whole_on(network, "one"), devices)
        pipeline = partial(Deployed, cut, devices)
        rounds = [_round(bench, number, whole, pipeline) for number in range(bench.rounds)]
    allowed = [r.allowed_s(cut.crossing_bytes) for r in rounds]
    yield Bar(
        case=NAME,
        name="ResNet-50, one frame over 2 devices",
        unit="of the latency allowed",
        values=tuple(r.pipeline_s / limit_s for r, limit_s in zip(rounds, allowed, strict=True)),
        limit=1.0,
        direction="at most",
        facts={
            "whole, ms": tuple(r.whole_s * 1e3 for r in rounds),
            "2 devices, ms": tuple(r.pipeline_s * 1e3 for r in rounds),
            "allowed, ms": tuple(limit_s * 1e3 for limit_s in allowed),
            "loopback, MB/s": tuple(r.bytes_per_s / 1e6 for r in rounds),
        },
        notes=(f"{cut.crossing_bytes / 1e6:.2f} MB cross the cut",),
    )


def _round(bench: Bench, number: int, whole: Deploy, pipeline: Deploy) -> _Round:
    found: dict[str, float] = {}
    sides = [("whole", whole), ("pipeline", pipeline)]
    for name, deploy in sides if number % 2 == 0 else sides[::-1]:
        with deploy() as deployed:
            once_s = latency(deployed, 3)
            found[name] = latency(deployed, max(int(bench.seconds / once_s), 5))
    return _Round(found["whole"], found["pipeline"], loopback_bytes_per_s())
