"""Credit on a link: whatever is lost of it or asked for twice, no frame is lost, doubled or sent beyond the window."""

from collections import deque

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from partition_agent.data_plane.link_state import ASK_EVERY_S, ASK_MAX_S, LinkState
from partition_agent.pipeline.pipeline import Grant, Instruction, Pipeline, Refuse, Run, Send
from partition_agent.protocol import SINK, SOURCE, STUDIO_PEER, FrameRoute, LinkSpec, StageSpec, TensorSpec

X, A, B = (TensorSpec(name, "float32", (1,)) for name in "xab")
ONE = np.zeros(1, np.float32)
PLENTY = 1000


def link(
    link_id: str, producer: str, consumer: str, devices: tuple[str, str], tensor: TensorSpec, window: int
) -> LinkSpec:
    return LinkSpec(link_id, producer, consumer, devices[0], devices[1], (tensor,), window)


class TwoDevices:
    """A stage on each of two devices; what passes between them is in two queues that keep their order, as in TCP."""

    def __init__(self, window: int) -> None:
        feed = link("x", SOURCE, "a", (STUDIO_PEER, "one"), X, 64)
        between = link("a>b", "a", "b", ("one", "two"), A, window)
        drain = link("b>", "b", SINK, ("two", STUDIO_PEER), B, PLENTY)
        self.window = window
        self.producer = Pipeline("one", [StageSpec("a", "0" * 64, (X,), (A,))], [feed, between])
        self.consumer = Pipeline("two", [StageSpec("b", "0" * 64, (A,), (B,))], [between, drain])
        self.state = LinkState(between, "one")
        self.forward: deque[tuple[str, int]] = deque()
        self.back: deque[tuple[int, int | None]] = deque()
        self.computing: dict[str, int] = {}
        self.results: list[int] = []
        self.fed = 0
        self.loses = False

    # What both ends do with instructions, as `Runner` and `DataPlane` do.

    def _at_producer(self, instructions: list[Instruction]) -> None:
        for order in instructions:
            assert not isinstance(order, Refuse), order
            if isinstance(order, Run):
                (self.computing["a"],) = order.frames
            elif isinstance(order, Send):
                self.state.sent += 1
                self.state.unacknowledged.append((order.frame, order.route))
                self.forward.append(("frame", order.frame))

    def _at_consumer(self, instructions: list[Instruction]) -> None:
        for order in instructions:
            assert not isinstance(order, Refuse), order
            if isinstance(order, Run):
                (self.computing["b"],) = order.frames
            elif isinstance(order, Grant):
                self._answer(order.count, None)
            elif isinstance(order, Send):
                self.results.append(order.frame)

    def _answer(self, count: int, at: int | None) -> None:
        if not self.loses:
            self.back.append((count, at))

    # What may happen, in any order.

    def feed(self) -> None:
        if self.producer.room("x"):
            self.fed += 1
            self._at_producer(self.producer.frame_arrived("x", self.fed, FrameRoute(), {"x": ONE}, 0.0))

    def compute(self, stage: str) -> None:
        if self.computing.pop(stage, None) is None:
            return
        if stage == "a":
            self._at_producer(self.producer.stage_done("a", [{"a": ONE}], 0.0, 0.0))
        else:
            self._at_consumer(self.consumer.stage_done("b", [{"b": ONE}], 0.0, 0.0))

    def ask(self) -> None:
        self.forward.append(("open", self.state.asked(0.0)))

    def deliver(self) -> None:
        if not self.forward:
            return
        what, number = self.forward.popleft()
        if what == "open":
            self._answer(self.consumer.room("a>b"), number)
        else:
            self._at_consumer(self.consumer.frame_arrived("a>b", number, FrameRoute(), {"a": ONE}, 0.0))
        assert self.consumer.queued("a>b") <= self.window, "more was sent than there was credit for"

    def answer(self) -> None:
        if not self.back:
            return
        count, at = self.back.popleft()
        if at is None:
            assert self.state.allow(count, 0.0) == count, "it answers what was sent"
        else:
            self.state.allow_since(at, count, 0.0)
        self._at_producer(self.producer.credited("a>b", count, 0.0, at))

    def settle(self) -> None:
        """Everything that is under way arrives."""
        while self.forward or self.back or self.computing:
            self.deliver()
            self.answer()
            self.compute("a")
            self.compute("b")


ACTIONS = ["feed", "a", "b", "deliver", "deliver", "answer", "answer", "ask", "lose", "keep"]


@settings(max_examples=300, deadline=None)
@given(window=st.integers(1, 4), actions=st.lists(st.sampled_from(ACTIONS), max_size=120))
def test_whatever_credit_is_lost_or_asked_for_again_every_frame_comes_once_and_in_order(
    window: int, actions: list[str]
) -> None:
    desk = TwoDevices(window)
    desk._at_consumer(desk.consumer.credited("b>", PLENTY, 0.0, 0))
    desk.ask()
    for action in actions:
        if action in ("lose", "keep"):
            desk.loses = action == "lose"
        elif action in ("a", "b"):
            desk.compute(action)
        else:
            getattr(desk, action)()
    desk.loses = False
    desk.settle()
    while len(desk.results) < desk.fed:
        before = len(desk.results)
        assert desk.state.is_starved, "it stands and does not ask"
        desk.ask()
        desk.settle()
        assert len(desk.results) > before, "asking did not help"
    assert desk.results == list(range(1, desk.fed + 1))
    assert len(desk.state.unacknowledged) <= window


def test_a_producer_without_credit_asks_after_a_second_and_then_ever_more_rarely() -> None:
    """Questions that wait in front of a slow link must not fill it."""
    spec = link("a>b", "a", "b", ("one", "two"), A, 2)
    state = LinkState(spec, "one")
    assert state.asked(10.0) == 0
    assert state.is_starved
    assert state.ask_again_s == 10.0 + ASK_EVERY_S
    for _ in range(20):
        before_s = state.ask_again_s
        state.asked(before_s)
    assert state.ask_again_s == before_s + ASK_MAX_S
    state.allow_since(0, 2, 10.5)
    assert not state.is_starved
    state.sent = 2
    assert state.is_starved
    assert state.ask_again_s == 10.5 + ASK_EVERY_S
