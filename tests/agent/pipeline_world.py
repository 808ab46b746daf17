"""Every device of a random pipeline and its source and sink, as pure state machines with channels between them."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from random import Random

import numpy as np
from hypothesis import strategies as st

from partition_agent.pipeline.pipeline import Grant, Instruction, Pipeline, Refuse, Run, Send, SendLost, check_manifest
from partition_agent.protocol import SINK, SOURCE, STUDIO_PEER, FrameRoute, LinkSpec, StageSpec, TensorSpec


def spec(name: str) -> TensorSpec:
    return TensorSpec(name, "float32", (1,))


def tensor(name: str, value: float = 1.0) -> dict[str, np.ndarray]:
    return {name: np.full((1,), value, np.float32)}


@dataclass(frozen=True)
class Graph:
    """`replicas` is the number of replicas of each group; the tensor that an instance makes is that of its stage."""

    stages: dict[str, StageSpec]
    device: dict[str, str]
    links: list[LinkSpec]
    replicas: tuple[int, ...]


@dataclass(frozen=True)
class Instance:
    name: str
    device: str
    routes: tuple[tuple[int, int], ...]


@st.composite
def graphs(draw: st.DrawFn, max_groups: int = 2, max_batch: int = 3) -> Graph:
    """Any acyclic graph of stages on up to three devices, some of them replicated; windows as `LinkSpec` says."""
    names = [f"s{n}" for n in range(draw(st.integers(1, 6)))]
    inputs = {
        name: draw(st.lists(st.sampled_from(["x", *names[:n]]), min_size=1, max_size=3, unique=True))
        for n, name in enumerate(names)
    }
    used = {tensor for wanted in inputs.values() for tensor in wanted}
    outputs = [name for name in names if name not in used or draw(st.booleans())]
    devices = st.sampled_from(["one", "two", "three"])
    replicas = tuple(draw(st.lists(st.integers(2, 3), max_size=max_groups)))
    homes = {(group, index): draw(devices) for group, count in enumerate(replicas) for index in range(count)}
    instances: dict[str, list[Instance]] = {"x": [Instance(SOURCE, STUDIO_PEER, ())]}
    stages, device = {}, {}
    for name in names:
        group = draw(st.one_of(st.none(), st.sampled_from(range(len(replicas))))) if replicas else None
        if group is None:
            instances[name] = [Instance(name, draw(devices), ())]
        else:
            instances[name] = [
                Instance(f"{name}@{index}", homes[group, index], ((group, index),)) for index in range(replicas[group])
            ]
        for one in instances[name]:
            device[one.name] = one.device
            stages[one.name] = StageSpec(
                one.name,
                "0" * 64,
                tuple(map(spec, inputs[name])),
                (spec(name),),
                lane=draw(st.sampled_from(["", "gpu"])),
                max_batch=draw(st.integers(1, max_batch)),
                replica=one.routes[0] if one.routes else None,
            )
    way = _ways(names, inputs)
    links: list[LinkSpec] = []
    for name in names:
        for source in inputs[name]:
            links += _links(source, instances[source], instances[name], way[source, name] + 1)
    for name in outputs:
        links += _links(name, instances[name], [Instance(SINK, STUDIO_PEER, ())], 2)
    return Graph(stages, device, links, replicas)


def _ways(names: Sequence[str], inputs: dict[str, list[str]]) -> dict[tuple[str, str], int]:
    """Return how many stages are on the longest way from each stage (or the source) to each other."""
    way: dict[tuple[str, str], int] = {}
    for start in ["x", *names]:
        for name in names:
            longest = max(way.get((start, source), 0 if source == start else -1) for source in inputs[name])
            if longest >= 0:
                way[start, name] = longest + 1
    return way


def _links(tensor: str, producers: Sequence[Instance], consumers: Sequence[Instance], window: int) -> list[LinkSpec]:
    links = []
    for one, other in product(producers, consumers):
        routes = tuple(sorted({*one.routes, *other.routes}))
        if len({group for group, _ in routes}) == len(routes):
            ends = (one.name, other.name, one.device, other.device)
            links.append(LinkSpec(f"{one.name}>{other.name}", *ends, (spec(tensor),), window, routes=routes))
    return links


def leads_over(route: FrameRoute, link: LinkSpec) -> bool:
    return all(route.replicas[group] == index for group, index in link.routes)


@dataclass(frozen=True)
class Open:
    """A producer asks for credit, having sent `at` messages."""

    at: int


@dataclass(frozen=True)
class Credit:
    """The answer: `count` beyond the first `at`."""

    count: int
    at: int


@dataclass
class LinkEnds:
    """A link between two peers as their data planes see it; see `LinkState`."""

    spec: LinkSpec
    forward: deque[Send | SendLost | Open] = field(default_factory=deque)
    back: deque[Grant | Credit] = field(default_factory=deque)
    sent: int = 0
    unacknowledged: deque[tuple[int, FrameRoute]] = field(default_factory=deque)
    #: At the studio: how many may be sent.
    limit: int = 0


class World:
    """All peers; `random` decides what happens next. With `asks`, a producer asks again for credit when all stands."""

    def __init__(self, graph: Graph, random: Random, *, fails: float = 0.0, asks: bool = False) -> None:
        self.graph, self.random, self.fails, self._may_ask = graph, random, fails, asks
        self._has_asked = False
        self.pipelines: dict[str, Pipeline] = {}
        self.computing: dict[tuple[str, str], Run] = {}
        self.routes: dict[int, FrameRoute] = {}
        self.results: dict[str, list[tuple[int, float | None]]] = {}
        #: Frames that may be lost, because a stage failed or a connection broke.
        self.suspect: set[int] = set()
        #: Frames of the source's present life begin here.
        self.birth = self._next = 0
        self._last = -1
        self._last_there: dict[tuple[int, int], int] = {}
        self._route: FrameRoute | None = None
        for device in sorted(set(graph.device.values())):
            stages = [s for name, s in graph.stages.items() if graph.device[name] == device]
            links = [k for k in graph.links if device in (k.producer_device, k.consumer_device)]
            assert check_manifest(device, stages, links) is None
            self.pipelines[device] = Pipeline(device, stages, links, {s.name: s.max_batch for s in stages})
        self.ends = {k.id: LinkEnds(k) for k in graph.links if k.producer_device != k.consumer_device}
        self.sources = [ends for ends in self.ends.values() if ends.spec.producer == SOURCE]
        self.sinks = [ends for ends in self.ends.values() if ends.spec.consumer == SINK]
        for ends in self.ends.values():
            if ends.spec.consumer == SINK:
                self.results[ends.spec.id] = []
                ends.back.append(Credit(ends.spec.window, 0))
            else:
                ends.forward.append(Open(0))

    # --- what may happen ---------------------------------------------------------------------------------------------

    def step(self, *, may_submit: bool) -> bool:
        """Let one thing happen; return whether anything could."""
        acts: list[tuple[str, LinkEnds | tuple[str, str] | None]] = []
        acts += [("forward", ends) for ends in self.ends.values() if ends.forward]
        acts += [("back", ends) for ends in self.ends.values() if ends.back]
        acts += [("compute", lane) for lane in self.computing]
        acts += [("submit", None)] if may_submit and self._has_room() else []
        if not acts:
            return self._ask(may_submit=may_submit)
        kind, what = self.random.choice(acts)
        self._has_asked = self._has_asked and kind in ("forward", "back")
        if isinstance(what, tuple):
            self._compute(what)
        elif what is None:
            self._submit()
        elif kind == "forward":
            self._deliver(what)
        else:
            self._answer(what)
        return True

    def _ask(self, *, may_submit: bool) -> bool:
        """Let every producer ask how much credit there is; return whether that is new."""
        waits = may_submit or any(held for pipeline in self.pipelines.values() for _, _, held in pipeline.totals())
        if self._has_asked or not self._may_ask or not waits:
            return False
        self._has_asked = True
        for ends in self.ends.values():
            if ends.spec.consumer != SINK:
                ends.forward.append(Open(ends.sent))
        return True

    def _has_room(self) -> bool:
        if self._route is None:
            chosen = tuple(self.random.randrange(count) for count in self.graph.replicas)
            there = tuple(self._last_there.get(entry, -1) for entry in enumerate(chosen))
            self._route = FrameRoute(self._last, chosen, there)
        return all(e.sent < e.limit for e in self.sources if leads_over(self._route, e.spec))

    def _submit(self) -> None:
        route, frame = self._route, self._next
        assert route is not None
        self.routes[frame], self._last, self._route = route, frame, None
        self._last_there.update(dict.fromkeys(enumerate(route.replicas), frame))
        self._next += self.random.choice([1, 1, 7])
        for ends in self.sources:
            if leads_over(route, ends.spec):
                self._send(ends, Send(ends.spec.id, frame, route, tensor("x", float(frame))))

    def break_connection(self, ends: LinkEnds) -> None:
        """Lose what was on the wire, and all that is said of credit; frames that waited to be sent may still be.

        It does not break before all is told of the last time: what was lost then is only told in its order.
        """
        if any(isinstance(message, Open) for message in ends.forward):
            return
        self.suspect |= {frame for frame, _ in ends.unacknowledged}
        for _ in range(self.random.randint(0, len(ends.forward))):
            ends.forward.popleft()
        ends.back.clear()
        ends.forward.extend(SendLost(ends.spec.id, frame, route, "broken") for frame, route in ends.unacknowledged)
        ends.forward.append(Open(ends.sent))

    def restart_source(self) -> None:
        """The studio begins anew, with higher numbers. What it had not sent is gone; nobody waits for its frames."""
        self._next = self.birth = self._next + 1000
        self._last, self._last_there, self._route = -1, {}, None
        for device, pipeline in self.pipelines.items():
            self._carry_out(device, pipeline.source_began_anew(0.0))
        for ends in self.sources:
            for _ in range(self.random.randint(0, len(ends.forward))):
                ends.forward.pop()
            ends.sent = ends.limit = 0
            ends.unacknowledged.clear()
            ends.back.clear()
            ends.forward.append(Open(0))
        for ends in self.sinks:
            ends.unacknowledged.clear()
            ends.back.clear()
            ends.back.append(Credit(ends.spec.window, ends.sent))

    # --- between devices ---------------------------------------------------------------------------------------------

    def _send(self, ends: LinkEnds, message: Send | SendLost) -> None:
        ends.sent += 1
        ends.unacknowledged.append((message.frame, message.route))
        ends.forward.append(message)

    def _deliver(self, ends: LinkEnds) -> None:
        message, link, device = ends.forward.popleft(), ends.spec, ends.spec.consumer_device
        if device == STUDIO_PEER:
            assert not isinstance(message, Open)
            value = float(message.tensors[link.tensors[0].name][0]) if isinstance(message, Send) else None
            self.results[link.id].append((message.frame, value))
            ends.back.append(Grant(link.id, 1))
            return
        pipeline = self.pipelines[device]
        if isinstance(message, Open):
            ends.back.append(Credit(pipeline.room(link.id), message.at))
        elif isinstance(message, Send):
            self._carry_out(device, pipeline.frame_arrived(link.id, message.frame, message.route, message.tensors, 0.0))
        else:
            self._carry_out(device, pipeline.loss_arrived(link.id, message.frame, message.route, message.reason, 0.0))
        self._check_bounds(device)

    def _answer(self, ends: LinkEnds) -> None:
        message, device = ends.back.popleft(), ends.spec.producer_device
        at = message.at if isinstance(message, Credit) else None
        keep = len(ends.unacknowledged) - message.count if at is None else ends.spec.window - message.count
        keep += 0 if at is None else ends.sent - at
        while len(ends.unacknowledged) > max(keep, 0):
            ends.unacknowledged.popleft()
        if device == STUDIO_PEER:
            limit = (ends.limit if at is None else at) + message.count
            ends.limit = min(limit, ends.sent + ends.spec.window)
        else:
            self._carry_out(device, self.pipelines[device].credited(ends.spec.id, message.count, 0.0, at))

    def _check_bounds(self, device: str) -> None:
        for link in self.graph.links:
            if link.consumer_device == device:
                assert self.pipelines[device].queued(link.id) <= link.window, "every queue is bounded by its window"

    # --- on a device -------------------------------------------------------------------------------------------------

    def _carry_out(self, device: str, instructions: Sequence[Instruction]) -> None:
        for order in instructions:
            if isinstance(order, Run):
                lane = (device, self.graph.stages[order.stage].lane)
                assert lane not in self.computing, "the stages of a lane take turns"
                assert 1 <= len(order.frames) <= self.graph.stages[order.stage].max_batch
                self.computing[lane] = order
            elif isinstance(order, Grant):
                self.ends[order.link].back.append(order)
            else:
                assert not isinstance(order, Refuse) or order.frame < self.birth or order.frame in self.suspect, order
                if not isinstance(order, Refuse):
                    assert leads_over(order.route, self.ends[order.link].spec)
                    self._send(self.ends[order.link], order)

    def _compute(self, lane: tuple[str, str]) -> None:
        """End all the frames that a lane computes, or only the first of them."""
        device, job = lane[0], self.computing.pop(lane)
        count = len(job.frames) if self.random.random() < 0.5 else 1
        if count < len(job.frames):
            self.computing[lane] = Run(job.stage, job.frames[count:], job.inputs[count:])
        stage, pipeline = self.graph.stages[job.stage], self.pipelines[device]
        for frame, inputs in zip(job.frames, job.inputs, strict=True):
            assert set(inputs) == {wanted.name for wanted in stage.inputs}
            assert {float(array[0]) for array in inputs.values()} == {float(frame)}, "inputs of frames were mixed up"
        if count == 1 and self.random.random() < self.fails:
            self.suspect.add(job.frames[0])
            self._carry_out(device, pipeline.stage_failed(job.stage, "failed", 0.0))
        else:
            outputs = [tensor(stage.outputs[0].name, float(frame)) for frame in job.frames[:count]]
            self._carry_out(device, pipeline.stage_done(job.stage, outputs, 0.0, 0.0))

    # --- what must be so in the end ----------------------------------------------------------------------------------

    def check_results(self) -> None:
        """Every frame of the source's present life came once and in order on each sink link, or may be lost."""
        for name, results in self.results.items():
            frames = [frame for frame, _ in results]
            assert len(frames) == len(set(frames)), "a frame was answered twice"
            whole = [frame for frame, value in results if value is not None]
            assert whole == sorted(whole), "results are out of order"
            due = {f for f, route in self.routes.items() if leads_over(route, self.ends[name].spec) and f >= self.birth}
            assert due - self.suspect <= set(frames), "a frame was lost in silence"
            assert {frame for frame in frames if frame >= self.birth} <= due, "a frame took a way that is not its own"
            for frame, value in results:
                assert value == frame if value is not None else frame in self.suspect or frame < self.birth

    def check_nothing_waits(self) -> None:
        """Everything has left."""
        for pipeline in self.pipelines.values():
            assert all(queued == 0 for _, _, queued in pipeline.totals())
