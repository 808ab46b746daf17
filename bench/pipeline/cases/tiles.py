"""VGG-16's first blocks in spatial tiles on two and four devices: the latency of one frame."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from bench.cgroups import why_not
from bench.pipeline.bench import Bench
from bench.pipeline.figures import Bar, Outcome, Skipped
from bench.pipeline.harness.deployment import Cut, Deploy, Deployed
from bench.pipeline.harness.devices import DeviceSpec
from bench.pipeline.harness.frames import latency
from bench.pipeline.harness.plans import whole_on
from partition_studio.graph.network import Network
from partition_studio.partition.plan import NetworkRef, Plan, SpatialSharding

NAME = "tiles"
LIMIT = 1.15


def measure(bench: Bench) -> Iterator[Outcome]:
    """Against one device of the same kind; the bound is the largest tile's share of the whole's multiplications."""
    network = bench.network("vgg-16-blocks")
    yield _bar(bench, network, [DeviceSpec(f"d{number}", bench.cpu(number)) for number in range(2)], [1.0, 1.0], [1.0])
    reason = why_not()
    if reason is not None:
        yield Skipped(NAME, "VGG-16's first blocks on 4 devices", reason)
        return
    quarters = [DeviceSpec(f"d{number}", bench.cpu(number), 0.5) for number in range(4)]
    yield _bar(bench, network, quarters, [1.0, 1.0], [1.0, 1.0])


def tile_plan(network: Network, devices: list[str], rows: list[float], columns: list[float]) -> Plan:
    """Return the plan that divides all layers into tiles, one for each device."""
    names = [layer.name for layer in network.layers]
    shard = SpatialSharding(layers=names, devices=devices, rows=rows, columns=columns)
    return Plan(network=NetworkRef.of(network), placement=dict.fromkeys(names, devices[0]), shards=[shard])


def largest_share(cut: Cut) -> float:
    """Return the share of the whole's multiply-accumulates that the busiest device has, its halo included."""
    parted = cut.parted
    macs = dict.fromkeys(parted.graph.devices, 0)
    for stage in parted.graph.stages:
        macs[stage.device] += sum(parted.network.layers_by_name[name].macs for name in stage.layers)
    return max(macs.values()) / parted.whole.macs


def _bar(bench: Bench, network: Network, specs: list[DeviceSpec], rows: list[float], columns: list[float]) -> Bar:
    with ExitStack() as stack:
        devices = stack.enter_context(bench.devices(specs))
        cut = Cut.of(network, tile_plan(network, [spec.name for spec in specs], rows, columns))
        whole = partial(Deployed, whole_on(network, specs[0].name), devices)
        tiled = partial(Deployed, cut, devices)
        rounds = [_round(bench, number, whole, tiled) for number in range(bench.rounds)]
    share = largest_share(cut)
    return Bar(
        case=NAME,
        name=f"VGG-16's blocks 1-3, {len(specs)} tiles on devices of {specs[0].speed:g} core",
        unit="of the bound's latency",
        values=tuple(tiled_s / (whole_s * share) for whole_s, tiled_s in rounds),
        limit=LIMIT,
        direction="at most",
        facts={
            "one device, ms": tuple(whole_s * 1e3 for whole_s, _ in rounds),
            "tiles, ms": tuple(tiled_s * 1e3 for _, tiled_s in rounds),
            "bound, ms": tuple(whole_s * share * 1e3 for whole_s, _ in rounds),
            "times faster": tuple(whole_s / tiled_s for whole_s, tiled_s in rounds),
        },
        notes=(
            f"the largest tile has {share:.3f} of the multiplications, {share - 1 / len(specs):.3f} of that its halo",
            f"{cut.crossing_bytes / 1e6:.2f} MB pass between devices",
        ),
    )


def _round(bench: Bench, number: int, whole: Deploy, tiled: Deploy) -> tuple[float, float]:
    found: dict[str, float] = {}
    sides = [("whole", whole), ("tiled", tiled)]
    for name, deploy in sides if number % 2 == 0 else sides[::-1]:
        with deploy() as deployed:
            once_s = latency(deployed, 2)
            found[name] = latency(deployed, max(int(bench.seconds / once_s), 5))
    return found["whole"], found["tiled"]
