"""ResNet-50 on a device of one core, one of a half and one of a quarter: the stages must be as unequal."""

from collections.abc import Iterator
from dataclasses import replace

from bench.cgroups import why_not
from bench.pipeline.bench import Bench
from bench.pipeline.figures import Outcome, Skipped
from bench.pipeline.harness.chain import chain_bar, run_chain
from bench.pipeline.harness.devices import DeviceSpec

NAME = "unequal"
LIMIT = 0.92


def measure(bench: Bench) -> Iterator[Outcome]:
    """The sum of the speeds is what a perfect balance would give; the bound is the slowest stage alone."""
    reason = why_not()
    if reason is not None:
        yield Skipped(NAME, "unequal devices", reason)
        return
    specs = [
        DeviceSpec("full", bench.cpu(0)),
        DeviceSpec("half", bench.cpu(1), 0.5),
        DeviceSpec("quarter", bench.cpu(1), 0.25),
    ]
    chain = run_chain(bench, bench.network("resnet-50"), specs)
    bar = chain_bar(NAME, "ResNet-50, devices of 1, 0.5 and 0.25 core", chain, LIMIT)
    # A stage alone that takes s on a device of speed v does v / sum(v) of the work of all where the balance is perfect.
    cuts = chain.cuts
    perfect = sum(spec.speed for spec in specs) / sum(cuts.seconds)
    slowest_s = max(s / speed for s, speed in zip(cuts.seconds, cuts.speeds, strict=True))
    order = ", ".join(spec.name for spec in chain.devices)
    allowed = 1 / slowest_s / perfect
    yield replace(
        bar,
        facts={**bar.facts, "of the sum of the speeds": tuple(r.pipeline.per_s / perfect for r in chain.rounds)},
        notes=(*bar.notes, f"in the order {order}; the cuts allow {allowed:.2f} of the sum of the speeds"),
    )
