"""Devices that do not exist: unequal boards, and what a network takes on each, by a roofline.

Four kinds of boards are dealt in turn, and each is a bit faster or slower than its kind, in arithmetic and in memory
apart, so that no two are alike: nothing that a search finds rests on symmetry. Seeded: the same question each time.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.synthetic import skip_chain
from partition_agent.protocol import STUDIO_PEER
from partition_studio.graph.examples import EXAMPLES, build_example
from partition_studio.graph.load import load_network
from partition_studio.graph.network import Network
from partition_studio.planner.figures.estimate import Roofline, estimate_profile
from partition_studio.planner.figures.figures import DeviceFigures, DevicePower, Figures, LinkFigures, LinkTable
from partition_studio.planner.figures.speeds import CarrySpeed
from partition_studio.planner.search.question import Objective, Question

#: The architectures that come with the `onnx` package.
ARCHITECTURES = tuple(example.id for example in EXAMPLES if example.kind == "architecture")

#: A chain of Conv, Relu and Add with skips, of so many layers.
CHAIN = "chain-"

MIB = 2**20

#: PipeEdge tells as many devices apart; there is one set for each choice among them.
_ALL_UNEQUAL = 8

_STUDIO_BYTES_PER_S = 117e6
_LATENCY_S = 3e-4


@dataclass(frozen=True, slots=True)
class Board:
    """A kind of device, made up."""

    name: str
    roofline: Roofline
    memory_bytes: int
    interface_bytes_per_s: float
    carry: CarrySpeed
    power: DevicePower


BOARDS = (
    Board(
        "large", Roofline(9e9, 5e9, 12e-6, 120e-6, 4), 8192 * MIB, 117e6, CarrySpeed(2e-4, 1.4e-9), DevicePower(3, 1.4)
    ),
    Board(
        "wide", Roofline(6e9, 6e9, 15e-6, 150e-6, 6), 8192 * MIB, 117e6, CarrySpeed(3e-4, 1.6e-9), DevicePower(5, 1.2)
    ),
    Board(
        "middle",
        Roofline(3.5e9, 2.5e9, 25e-6, 250e-6, 4),
        4096 * MIB,
        117e6,
        CarrySpeed(4e-4, 2.5e-9),
        DevicePower(2.5, 1),
    ),
    Board(
        "small",
        Roofline(1.5e9, 1.2e9, 50e-6, 500e-6, 4),
        1024 * MIB,
        11.7e6,
        CarrySpeed(8e-4, 5e-9),
        DevicePower(1.6, 0.8),
    ),
)


def network_of(name: str, folder: Path) -> Network:
    """Return one of the architectures, with random weights, or a chain; its file stays in the folder."""
    path = folder / f"{name}.onnx"
    if not path.exists():
        if name.startswith(CHAIN):
            path.write_bytes(skip_chain(int(name.removeprefix(CHAIN))).SerializeToString())
        else:
            path.write_bytes(build_example(name))
    return load_network(path)


def question_of(network: Network, devices: int, objective: Objective = "throughput") -> Question:
    """Return what is asked of that many unequal boards."""
    figures = figures_of(network, devices)
    return Question(network, figures, tuple(figures.devices), objective)


def figures_of(network: Network, count: int, seed: int = 0) -> Figures:
    """Return the figures of `count` boards for a network: links are as fast as the slower end's interface."""
    generator = random.Random(seed)
    devices: dict[str, DeviceFigures] = {}
    interfaces: dict[str, float] = {}
    for number in range(count):
        board = BOARDS[number % len(BOARDS)]
        name = f"{board.name}-{number // len(BOARDS) + 1}"
        devices[name] = _device(network, board, name, generator.uniform(0.8, 1.2), generator.uniform(0.8, 1.2))
        interfaces[name] = board.interface_bytes_per_s
    ends = {**interfaces, STUDIO_PEER: _STUDIO_BYTES_PER_S}
    ways = {(a, b): LinkFigures(min(ends[a], ends[b]), _LATENCY_S) for a in ends for b in ends if a != b}
    return Figures(devices, LinkTable(ways, interfaces), studio=CarrySpeed(1.7e-4, 1.1e-9))


def kinds_of(devices: Sequence[str]) -> list[list[int]]:
    """Return the devices of each kind of board; each is a kind of its own where there are at most eight."""
    if len(devices) <= _ALL_UNEQUAL:
        return [[number] for number in range(len(devices))]
    names = list(dict.fromkeys(name.partition("-")[0] for name in devices))
    return [[place for place, name in enumerate(devices) if name.partition("-")[0] == kind] for kind in names]


def _device(network: Network, board: Board, name: str, arithmetic: float, memory: float) -> DeviceFigures:
    roofline = replace(
        board.roofline,
        macs_per_s=board.roofline.macs_per_s * arithmetic,
        bytes_per_s=board.roofline.bytes_per_s * memory,
    )
    threads = int(roofline.cores)
    return DeviceFigures(
        name=name,
        cores=roofline.cores,
        threads=threads,
        memory_bytes=board.memory_bytes,
        profile=estimate_profile(network, name, roofline, threads),
        carry=board.carry,
        power=board.power,
    )
