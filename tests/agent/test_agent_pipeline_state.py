"""The pipeline's state machine by stimulus, and on random graphs: every frame that enters comes out once, in order."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from partition_agent.pipeline import Grant, Instruction, Pipeline, Refuse, Run, Send, SendLost, check_manifest
from partition_agent.protocol import SINK, SOURCE, STUDIO_PEER, FrameRoute, LinkSpec, StageSpec, TensorSpec

ROUTE = FrameRoute()


def spec(name: str) -> TensorSpec:
    return TensorSpec(name, "float32", (1,))


def stage(name: str, *inputs: str) -> StageSpec:
    return StageSpec(name, "0" * 64, tuple(map(spec, inputs)), (spec(name),))


def link(tensor: str, producer: str, consumer: str, devices: str, window: int = 2) -> LinkSpec:
    made, used = devices.split(">")
    return LinkSpec(f"{producer}>{consumer}", producer, consumer, made, used, (spec(tensor),), window)


def tensor(name: str, value: float = 1.0) -> dict[str, np.ndarray]:
    return {name: np.full((1,), value, np.float32)}


def kinds(instructions: Sequence[Instruction]) -> list[str]:
    return [type(instruction).__name__ for instruction in instructions]


def joining() -> Pipeline:
    """One stage with inputs from two devices."""
    return Pipeline("d", [stage("j", "a", "b")], [link("a", "a", "j", "p>d"), link("b", "b", "j", "q>d"), TO_SINK])


TO_SINK = LinkSpec("j>sink", "j", SINK, "d", STUDIO_PEER, (spec("j"),), 2)


def test_a_stage_begins_when_every_input_is_there_and_there_is_room() -> None:
    pipeline = joining()
    assert pipeline.frame_arrived("a>j", 1, ROUTE, tensor("a"), 0.0) == []
    assert pipeline.frame_arrived("b>j", 1, ROUTE, tensor("b"), 0.0) == []
    begun = pipeline.credited("j>sink", 2, 0.0, since=0)
    assert kinds(begun) == ["Grant", "Grant", "Run"]
    assert isinstance(begun[2], Run) and set(begun[2].inputs) == {"a", "b"}
    assert kinds(pipeline.stage_done(tensor("j"), 0.1, 1.0)) == ["Send"]


def test_a_stage_that_fails_reports_its_frame_lost_and_goes_on() -> None:
    pipeline = joining()
    pipeline.credited("j>sink", 2, 0.0, since=0)
    for frame in (1, 2):
        pipeline.frame_arrived("a>j", frame, ROUTE, tensor("a"), 0.0)
        pipeline.frame_arrived("b>j", frame, ROUTE, tensor("b"), 0.0)
    after = pipeline.stage_failed("broken", 1.0)
    assert after[0] == SendLost("j>sink", 1, ROUTE, "broken")
    assert kinds(after[1:]) == ["Grant", "Grant", "Run"]


def test_a_loss_on_one_input_is_passed_on_and_the_other_input_dropped() -> None:
    pipeline = joining()
    pipeline.credited("j>sink", 2, 0.0, since=0)
    assert pipeline.loss_arrived("a>j", 1, ROUTE, "gone", 0.0) == []
    out = pipeline.frame_arrived("b>j", 1, ROUTE, tensor("b"), 0.0)
    assert out == [Grant("a>j", 1), Grant("b>j", 1), SendLost("j>sink", 1, ROUTE, "gone")]


def test_a_loss_does_not_overtake_the_frame_that_is_computed() -> None:
    pipeline = joining()
    pipeline.credited("j>sink", 2, 0.0, since=0)
    pipeline.frame_arrived("a>j", 1, ROUTE, tensor("a"), 0.0)
    pipeline.frame_arrived("b>j", 1, ROUTE, tensor("b"), 0.0)
    pipeline.loss_arrived("a>j", 2, ROUTE, "gone", 0.0)
    assert pipeline.loss_arrived("b>j", 2, ROUTE, "gone", 0.0) == []
    after = pipeline.stage_done(tensor("j"), 0.1, 1.0)
    assert kinds(after) == ["Send", "Grant", "Grant", "SendLost"]


def test_a_frame_that_was_overtaken_on_a_link_is_lost_before_the_next_goes_on() -> None:
    pipeline = joining()
    pipeline.credited("j>sink", 2, 0.0, since=0)
    pipeline.frame_arrived("a>j", 1, ROUTE, tensor("a"), 0.0)
    pipeline.frame_arrived("a>j", 2, ROUTE, tensor("a"), 0.0)
    out = pipeline.frame_arrived("b>j", 2, ROUTE, tensor("b"), 0.0)
    assert kinds(out) == ["Grant", "SendLost", "Grant", "Grant", "Run"]
    assert isinstance(out[1], SendLost) and out[1].frame == 1
    # What comes after all gives its place back, and is not passed on.
    assert pipeline.frame_arrived("b>j", 1, ROUTE, tensor("b"), 0.0) == [Grant("b>j", 1), Refuse("b>j", 1, "too_late")]


def test_a_frame_that_comes_twice_is_refused_and_a_loss_of_what_came_is_nothing() -> None:
    pipeline = joining()
    pipeline.frame_arrived("a>j", 1, ROUTE, tensor("a"), 0.0)
    assert pipeline.frame_arrived("a>j", 1, ROUTE, tensor("a"), 0.0) == [Refuse("a>j", 1, "duplicate")]
    assert pipeline.loss_arrived("a>j", 1, ROUTE, "broken", 0.0) == []
    assert pipeline.queued("a>j") == 1


def test_who_sends_without_credit_is_refused() -> None:
    pipeline = joining()
    refused = [r for frame in range(10) for r in pipeline.frame_arrived("a>j", frame, ROUTE, tensor("a"), 0.0)]
    assert refused and all(isinstance(r, Refuse) and r.reason == "over_window" for r in refused)
    assert pipeline.queued("a>j") <= 4
    assert pipeline.room("a>j") == 0


def test_no_consumer_can_grant_more_than_its_window() -> None:
    pipeline = joining()
    for _ in range(9):
        pipeline.credited("j>sink", 2, 0.0)
    sent = 0
    for frame in range(2):
        pipeline.frame_arrived("a>j", frame, ROUTE, tensor("a"), 0.0)
        pipeline.frame_arrived("b>j", frame, ROUTE, tensor("b"), 0.0)
        sent += kinds(pipeline.stage_done(tensor("j"), 0.1, 1.0)).count("Send")
    assert sent == 2
    pipeline.frame_arrived("a>j", 7, ROUTE, tensor("a"), 0.0)
    assert pipeline.frame_arrived("b>j", 7, ROUTE, tensor("b"), 0.0) == []


def test_what_is_wrong_with_a_manifest_is_said() -> None:
    good = [link("a", "a", "j", "p>d"), link("b", "b", "j", "q>d"), TO_SINK]
    stages = [stage("j", "a", "b")]
    assert check_manifest("d", stages, good) is None
    assert "do not bring exactly its inputs" in str(check_manifest("d", stages, good[1:]))
    assert "unknown stage" in str(check_manifest("d", stages, [*good, link("a", "a", "k", "p>d")]))
    assert "does not concern this device" in str(check_manifest("e", stages, good))
    assert "does not make" in str(check_manifest("d", stages, [*good, link("z", "j", "q", "d>q")]))
    assert "same name" in str(check_manifest("d", stages * 2, good))
    assert "window" in str(check_manifest("d", stages, [link("a", "a", "j", "p>d", window=0)]))


# --- random graphs ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Graph:
    stages: dict[str, StageSpec]
    device: dict[str, str]
    links: list[LinkSpec]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Any acyclic graph of stages on up to three devices; windows as `LinkSpec` says."""
    count = draw(st.integers(1, 6))
    names = [f"s{n}" for n in range(count)]
    inputs: dict[str, list[str]] = {}
    for n, name in enumerate(names):
        inputs[name] = draw(st.lists(st.sampled_from(["x", *names[:n]]), min_size=1, max_size=3, unique=True))
    used = {tensor for wanted in inputs.values() for tensor in wanted}
    outputs = [name for name in names if name not in used or draw(st.booleans())]
    device = {name: draw(st.sampled_from(["one", "two", "three"])) for name in names}
    # Stages on the longest way from each stage (or the source) to each other.
    way: dict[tuple[str, str], int] = {}
    ends = [("x", inputs[name], name) for name in names]
    for start in ["x", *names]:
        for _, sources, name in ends:
            lengths = [way.get((start, s), 0 if s == start else -1) for s in sources]
            if max(lengths) >= 0:
                way[(start, name)] = max(lengths) + 1
    links = []
    for name in names:
        for source in inputs[name]:
            producer = SOURCE if source == "x" else source
            window = way[(source, name)] + 1
            made = device.get(source, STUDIO_PEER)
            ident = f"{producer}>{name}"
            links.append(LinkSpec(ident, producer, name, made, device[name], (spec(source),), window))
    for name in outputs:
        links.append(LinkSpec(f"{name}>sink", name, SINK, device[name], STUDIO_PEER, (spec(name),), 2))
    return Graph({name: stage(name, *inputs[name]) for name in names}, device, links)


@dataclass
class World:
    """All devices and the studio, with channels between them that keep order; `draw` decides what happens next."""

    graph: Graph
    pipelines: dict[str, Pipeline] = field(default_factory=dict)
    channels: dict[tuple[str, str], deque[Instruction]] = field(default_factory=dict)
    computing: dict[str, Run] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    limit: dict[str, int] = field(default_factory=dict)
    results: dict[str, list[tuple[int, float | None]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for device in sorted(set(self.graph.device.values())):
            stages = [s for name, s in self.graph.stages.items() if self.graph.device[name] == device]
            links = [k for k in self.graph.links if device in (k.producer_device, k.consumer_device)]
            assert check_manifest(device, stages, links) is None
            self.pipelines[device] = Pipeline(device, stages, links)
        self.by_id = {k.id: k for k in self.graph.links}
        for k in self.graph.links:
            if k.producer_device == STUDIO_PEER:
                self.sent[k.id], self.limit[k.id] = 0, k.window
            if k.consumer_device == STUDIO_PEER:
                self.results[k.id] = []
            if k.producer_device not in (STUDIO_PEER, k.consumer_device):
                self.take(k.producer_device, self.pipelines[k.producer_device].credited(k.id, k.window, 0.0, since=0))

    def take(self, device: str, instructions: Sequence[Instruction]) -> None:
        for order in instructions:
            if isinstance(order, Run):
                assert device not in self.computing, "one stage at a time"
                self.computing[device] = order
                continue
            assert not isinstance(order, Refuse), order
            k = self.by_id[order.link]
            other = k.producer_device if isinstance(order, Grant) else k.consumer_device
            self.channels.setdefault((device, other), deque()).append(order)

    def can_submit(self) -> bool:
        return all(self.sent[name] < self.limit[name] for name in self.sent)

    def submit(self, frame: int) -> None:
        for name in self.sent:
            self.sent[name] += 1
            source: Instruction = Send(name, frame, ROUTE, tensor("x", float(frame)))
            self.channels.setdefault((STUDIO_PEER, self.by_id[name].consumer_device), deque()).append(source)

    def deliver(self, channel: tuple[str, str]) -> None:
        order, device = self.channels[channel].popleft(), channel[1]
        assert not isinstance(order, (Run, Refuse))
        if device == STUDIO_PEER:
            if isinstance(order, Grant):
                self.limit[order.link] += order.count
                return
            value = float(order.tensors[order.link.partition(">")[0]][0]) if isinstance(order, Send) else None
            self.results[order.link].append((order.frame, value))
            self.channels.setdefault((STUDIO_PEER, channel[0]), deque()).append(Grant(order.link, 1))
            return
        pipeline = self.pipelines[device]
        if isinstance(order, Send):
            self.take(device, pipeline.frame_arrived(order.link, order.frame, ROUTE, order.tensors, 0.0))
        elif isinstance(order, SendLost):
            self.take(device, pipeline.loss_arrived(order.link, order.frame, ROUTE, order.reason, 0.0))
        else:
            self.take(device, pipeline.credited(order.link, order.count, 0.0))
        for name, k in self.by_id.items():
            if k.consumer_device == device:
                assert pipeline.queued(name) <= k.window, "every queue is bounded by its window"

    def finish(self, device: str, fails: bool) -> None:
        job, pipeline = self.computing.pop(device), self.pipelines[device]
        if fails:
            self.take(device, pipeline.stage_failed("failed", 0.0))
            return
        values = {float(array[0]) for array in job.inputs.values()}
        assert set(job.inputs) == {s.name for s in self.graph.stages[job.stage].inputs}
        assert values == {float(job.frame)}, "inputs of different frames were mixed up"
        self.take(device, pipeline.stage_done(tensor(job.stage, float(job.frame)), 0.0, 0.0))


@settings(max_examples=150, deadline=None)
@given(graphs(), st.data())
def test_on_any_graph_every_frame_that_enters_comes_out_once_in_order(graph: Graph, data: st.DataObject) -> None:
    world = World(graph)
    count = data.draw(st.integers(1, 8), label="frames")
    random = data.draw(st.randoms(use_true_random=False))
    failing = data.draw(st.sampled_from([0.0, 0.2]))
    failed: set[int] = set()
    submitted = 0
    while True:
        acts: list[tuple[str, object]] = [
            ("deliver", channel) for channel, waiting in world.channels.items() if waiting
        ]
        acts += [("finish", device) for device in world.computing]
        acts += [("submit", None)] if submitted < count and world.can_submit() else []
        if not acts:
            break
        kind, what = random.choice(acts)
        if kind == "submit":
            world.submit(submitted)
            submitted += 1
        elif kind == "finish":
            fails = random.random() < failing
            if fails:
                failed.add(world.computing[str(what)].frame)
            world.finish(str(what), fails)
        else:
            assert isinstance(what, tuple)
            world.deliver(what)
    assert submitted == count, "the pipeline stalled"
    for results in world.results.values():
        assert [frame for frame, _ in results] == list(range(count))
        for frame, value in results:
            assert value == frame if value is not None else frame in failed
    for pipeline in world.pipelines.values():
        assert all(queued == 0 for _, _, queued in pipeline.totals())
