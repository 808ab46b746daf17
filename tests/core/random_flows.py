"""Flows by chance: any graph of stages, on devices with lanes and links, with replicas, windows as plans have them."""

import random
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from partition_agent.protocol import STUDIO_PEER
from partition_studio.graph.network import TensorType
from partition_studio.partition.replicas import ways_of
from partition_studio.partition.stages import SINK, SOURCE, Cut, Instance, Stage, StageGraph
from partition_studio.planner.figures.figures import LinkFigures, LinkTable
from partition_studio.planner.prediction.flow import Flow, Transfer, Work


def random_graph(generator: random.Random, stages: int, devices: int, *, lanes: bool, replicas: bool) -> StageGraph:
    """Return stages that each read some stages before them (or the source), on devices by chance."""
    names = [f"s{number}" for number in range(stages)]
    groups = _groups(generator, devices) if replicas else []
    made, cuts, read = [], [], set()
    for number, name in enumerate(names):
        producers = generator.sample(names[:number], min(number, generator.choice([1, 1, 1, 2, 3]))) or [SOURCE]
        if generator.random() < 0.05:
            producers = list(dict.fromkeys([*producers, SOURCE]))
        read.update(producers)
        cuts += [Cut(producer, name, (f"t {producer} {name}",)) for producer in producers]
        if groups and generator.random() < 0.4:
            group = generator.choice(groups)
            instances = tuple(Instance(f"{name}@{place}", place, place) for place in group)
            made.append(Stage(name, "+".join(group), (), (), (), instances=instances))
        else:
            device = f"d{generator.randrange(devices)}"
            lane = generator.choice(["", "", "other"]) if lanes else ""
            made.append(Stage(name, device, (), (), (), instances=(Instance(name, device, device, lane=lane),)))
    cuts += [Cut(name, SINK, (f"t {name} {SINK}",)) for name in names if name not in read]
    tensors = {
        tensor: TensorType("float32", (1, generator.randint(1, 250_000))) for cut in cuts for tensor in cut.tensors
    }
    return StageGraph(tuple(made), tuple(cuts), MappingProxyType(tensors), (), ())


def _groups(generator: random.Random, devices: int) -> list[list[str]]:
    names = [f"d{number}" for number in range(devices)]
    return [generator.sample(names, generator.randint(2, min(3, devices)))] if devices > 1 else []


def flow_by_chance(
    seed: int,
    *,
    stages: int | None = None,
    devices: int | None = None,
    lanes: bool = True,
    replicas: bool = True,
    interfaces: bool = True,
    latency_s: tuple[float, float] = (0.0, 2e-3),
    bytes_per_s: tuple[float, float] = (20e6, 500e6),
    room: int = 0,
    batches: bool = False,
    parts: bool = False,
    cores: Sequence[float] = (1.0, 1.0, 2.0, 4.0),
) -> Flow:
    """Return a flow. `room` is added to all windows; with `parts`, some stages use one of several cores."""
    generator = random.Random(seed)
    devices = devices or generator.randint(1, 5)
    graph = random_graph(generator, stages or generator.randint(1, 10), devices, lanes=lanes, replicas=replicas)
    peers = [*(f"d{number}" for number in range(devices)), STUDIO_PEER]
    cores_of = {peer: generator.choice(cores) for peer in peers if peer != STUDIO_PEER}
    ways = {
        (a, b): LinkFigures(generator.uniform(*bytes_per_s), generator.uniform(*latency_s))
        for a in peers
        for b in peers
        if a != b
    }
    shared = {}
    if interfaces:
        for peer in peers:
            if generator.random() < 0.4:
                fastest = max(figures.bytes_per_s for way, figures in ways.items() if peer in way)
                shared[peer] = fastest * generator.uniform(1.0, 1.5)
    speed = {peer: generator.uniform(0.4, 2.0) for peer in peers}
    holds = {stage.name: generator.randint(1, 4) for stage in graph.stages} if batches else {}
    works = tuple(work for stage in graph.stages for work in _works(generator, stage, speed, cores_of, holds, parts))
    carry = {peer: (generator.uniform(0, 2e-4), generator.uniform(0, 3e-9)) for peer in peers}
    shares = {work.name: work.share for work in works}
    transfers = tuple(_transfers(graph, shares, carry, holds, room))
    return Flow(works, transfers, cores_of, LinkTable(ways, shared))


def _works(
    generator: random.Random,
    stage: Stage,
    speed: Mapping[str, float],
    cores: Mapping[str, float],
    holds: Mapping[str, int],
    parts: bool,
) -> list[Work]:
    base_s = generator.uniform(1e-3, 30e-3)
    fast = sum(speed[instance.device] for instance in stage.instances)
    works = []
    for instance in stage.instances:
        seconds = base_s / speed[instance.device]
        cpu_s = seconds * (generator.choice([1.0, cores[instance.device]]) if parts else cores[instance.device])
        share = speed[instance.device] / fast
        at_once = holds.get(stage.name, 1)
        works.append(Work(instance.name, stage.name, instance.device, instance.lane, seconds, cpu_s, share, at_once))
    return works


def _transfers(
    graph: StageGraph,
    shares: Mapping[str, float],
    carry: Mapping[str, tuple[float, float]],
    holds: Mapping[str, int],
    room: int,
) -> Sequence[Transfer]:
    found = []
    for cut in graph.cuts:
        window = graph.window(cut, holds) + room
        for way in ways_of(graph, cut):
            producer = SOURCE if way.producer is None else way.producer.name
            consumer = SINK if way.consumer is None else way.consumer.name
            source = STUDIO_PEER if way.producer is None else way.producer.device
            target = STUDIO_PEER if way.consumer is None else way.consumer.device
            size = graph.cut_bytes(cut)
            send_s, receive_s = (carry[peer][0] + carry[peer][1] * size for peer in (source, target))
            made, used = shares.get(producer, 1.0), shares.get(consumer, 1.0)
            share = min(made, used) if len(way.routes) < 2 else made * used
            wire = size if source != target else 0
            if source == target:
                send_s = receive_s = 0.0
            found.append(
                Transfer(cut.id, producer, consumer, source, target, size, wire, send_s, receive_s, window, share)
            )
    return found
