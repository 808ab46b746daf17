"""ResNet-50 and VGG-16 in two stages on two devices of one core each, encrypted."""

from collections.abc import Iterator

from bench.pipeline.bench import Bench
from bench.pipeline.figures import Outcome
from bench.pipeline.harness.chain import chain_bar, run_chain
from bench.pipeline.harness.devices import DeviceSpec

NAME = "two-devices"
LIMIT = 0.96
NETWORKS = (("ResNet-50", "resnet-50"), ("VGG-16", "vgg-16"))


def measure(bench: Bench) -> Iterator[Outcome]:
    """The bound is the slowest stage alone on its core."""
    specs = [DeviceSpec("one", bench.cpu(0)), DeviceSpec("two", bench.cpu(1))]
    for title, name in NETWORKS[: 1 if bench.quick else None]:
        chain = run_chain(bench, bench.network(name), specs)
        yield chain_bar(NAME, f"{title}, 2 devices of 1 core, CURVE", chain, LIMIT)
