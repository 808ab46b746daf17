"""The whole network on each of two devices, frames dealt between them: what partitioning must be compared with."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from bench.pipeline.bench import Bench
from bench.pipeline.figures import Bar, Outcome
from bench.pipeline.harness.deployment import Cut, Deploy, Deployed
from bench.pipeline.harness.devices import DeviceSpec
from bench.pipeline.harness.frames import Flow, throughput
from bench.pipeline.harness.plans import whole_on
from partition_studio.partition.plan import NetworkRef, Plan, ReplicaGroup

NAME = "replicas"
LIMIT = 0.97


def measure(bench: Bench) -> Iterator[Outcome]:
    """The bound is the sum of the whole's throughput on each device alone."""
    network = bench.network("resnet-50")
    with ExitStack() as stack:
        devices = stack.enter_context(bench.devices([DeviceSpec("one", bench.cpu(0)), DeviceSpec("two", bench.cpu(1))]))
        plan = Plan(
            network=NetworkRef.of(network),
            placement={layer.name: "both" for layer in network.layers},
            replicas={"both": ReplicaGroup(places=["one", "two"])},
        )
        alone: list[Deploy] = [partial(Deployed, whole_on(network, name), devices) for name in ("one", "two")]
        both = partial(Deployed, Cut.of(network, plan), devices)
        rounds = [_round(bench, number, alone, both) for number in range(bench.rounds)]
    yield Bar(
        case=NAME,
        name="ResNet-50 whole on each of 2 devices",
        unit="of the sum of both alone",
        values=tuple(flow.per_s / (one.per_s + two.per_s) for one, two, flow in rounds),
        limit=LIMIT,
        facts={
            "first alone, frames/s": tuple(one.per_s for one, _, _ in rounds),
            "second alone, frames/s": tuple(two.per_s for _, two, _ in rounds),
            "both, frames/s": tuple(flow.per_s for _, _, flow in rounds),
            "times the first": tuple(flow.per_s / one.per_s for one, _, flow in rounds),
        },
    )


def _round(bench: Bench, number: int, alone: list[Deploy], both: Deploy) -> tuple[Flow, Flow, Flow]:
    order = [*alone, both]
    flows = []
    for deploy in order if number % 2 == 0 else order[::-1]:
        with deploy() as deployed:
            flows.append(throughput(deployed, bench.seconds))
    one, two, flow = flows if number % 2 == 0 else flows[::-1]
    return one, two, flow
