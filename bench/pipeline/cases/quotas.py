"""ResNet-50 on three and four devices that each have half a core or less, by the control group's quota."""

from collections.abc import Iterator

from bench.cgroups import why_not
from bench.pipeline.bench import Bench
from bench.pipeline.figures import Outcome, Skipped
from bench.pipeline.harness.chain import chain_bar, run_chain
from bench.pipeline.harness.devices import DeviceSpec

NAME = "quotas"
LIMIT = 0.93
FLEETS = ((3, 0.5), (4, 0.4))


def measure(bench: Bench) -> Iterator[Outcome]:
    """The bound is the slowest stage alone under the same quota."""
    reason = why_not()
    if reason is not None:
        yield Skipped(NAME, "ResNet-50 on 3 and 4 devices", reason)
        return
    for count, quota in FLEETS:
        specs = [DeviceSpec(f"d{number}", bench.cpu(number), quota) for number in range(count)]
        chain = run_chain(bench, bench.network("resnet-50"), specs)
        yield chain_bar(
            NAME,
            f"ResNet-50, {count} devices of {quota:g} core",
            chain,
            LIMIT,
            (f"of the cores' time {count * quota:g} is the devices'; the rest is all that the studio has",),
        )
