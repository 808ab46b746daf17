"""What a device does with the frames of one deployment: events in, instructions out. No I/O, no clock, no threads.

A stage begins a frame when all its inputs are there, in order (see `stage_order`), and every link on the frame's way
out has room. Stages of one lane take turns, the oldest frame first; those of different lanes compute at once. A stage
that may take several frames in one go takes those that are ready, and waits for none.

Every message on a link is a frame or the news that it is lost, each takes one place of the link's window, and a stage
answers each frame with exactly one message on each link on its way out: so a frame is delivered once or reported lost,
and links keep the order of frames. Room is kept as two running totals of each link: frames begun for it (`fired`), and
how many may be (`limit`).
"""

from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from partition_agent.data_plane.wire import FRAME_LIMIT, Tensors
from partition_agent.pipeline.instructions import Grant as Grant
from partition_agent.pipeline.instructions import Instruction as Instruction
from partition_agent.pipeline.instructions import Refuse as Refuse
from partition_agent.pipeline.instructions import Run as Run
from partition_agent.pipeline.instructions import Send as Send
from partition_agent.pipeline.instructions import SendLost as SendLost
from partition_agent.pipeline.manifest_check import check_manifest as check_manifest
from partition_agent.pipeline.stage_order import InLink, OutLink, Slot, StageOrder, StageTotals
from partition_agent.protocol import FrameRoute, LinkSpec, StageSpec


class _Lane:
    """Stages that take turns. `eager` are those with frames that are ready, in the order in which they became so."""

    __slots__ = ("eager", "is_touched", "running")

    def __init__(self) -> None:
        self.eager: Dict[_Stage, None] = {}
        self.running: Optional[_Stage] = None
        self.is_touched = False

    def next(self) -> "Optional[_Stage]":
        """Return the stage that may begin now, and has the oldest frame."""
        found: Optional[_Stage] = None
        for stage in self.eager:
            slot = stage.ready[0]
            if self.running is not None and (slot.lost is None or self.running is stage):
                # A loss needs no computing, but must not overtake the frames that its stage computes.
                continue
            if (found is None or slot.frame < found.ready[0].frame) and slot.has_room:
                found = stage
        return found


class _Stage(StageOrder):
    """A stage in its lane."""

    def __init__(self, spec: StageSpec, batch: int, lane: _Lane) -> None:
        super().__init__(spec, batch)
        self.lane = lane


class Pipeline:
    """The state of the stages of one deployment on one device. Every event returns what is to be done now, in order."""

    def __init__(
        self,
        device: str,
        stages: Sequence[StageSpec],
        links: Sequence[LinkSpec],
        batches: Optional[Mapping[str, int]] = None,
    ) -> None:
        """Take the stages of `device` and every link that begins or ends there; `check_manifest` finds them right.

        `batches` says of stages how many frames they take in one go at most; 1 where left out.
        """
        lanes = {spec.lane: _Lane() for spec in stages}
        batches = batches or {}
        self._stages = {
            spec.name: _Stage(spec, min(batches.get(spec.name, 1), spec.max_batch), lanes[spec.lane]) for spec in stages
        }
        self._in: Dict[str, InLink] = {}
        self._out: Dict[str, OutLink] = {}
        #: Lanes in which something may have become possible.
        self._touched: List[_Lane] = []
        inputs: Dict[str, List[InLink]] = {name: [] for name in self._stages}
        outputs: Dict[str, List[OutLink]] = {name: [] for name in self._stages}
        for spec in links:
            out: Optional[OutLink] = None
            if spec.producer_device == device:
                out = self._out[spec.id] = OutLink(spec, self._stages[spec.producer].spec)
                outputs[spec.producer].append(out)
            if spec.consumer_device == device:
                link = self._in[spec.id] = InLink(spec, out)
                inputs[spec.consumer].append(link)
                if out is not None:
                    out.consumer, out.limit = link, spec.window
        for name, stage in self._stages.items():
            stage.set_links(inputs[name], outputs[name])

    # --- events ------------------------------------------------------------------------------------------------------

    def frame_arrived(
        self, link: str, frame: int, route: FrameRoute, tensors: Tensors, now_s: float
    ) -> List[Instruction]:
        """A frame came from another device."""
        out: List[Instruction] = []
        self._put(self._in[link], frame, route, tensors, None, now_s, out)
        return self._advance(out, now_s)

    def loss_arrived(self, link: str, frame: int, route: FrameRoute, reason: str, now_s: float) -> List[Instruction]:
        """Another device says that a frame will not come on this link."""
        out: List[Instruction] = []
        self._put(self._in[link], frame, route, None, reason, now_s, out)
        return self._advance(out, now_s)

    def credited(self, link: str, count: int, now_s: float, since: Optional[int] = None) -> List[Instruction]:
        """The consumer allows `count` more frames; with `since`, that many beyond the first `since` of this link."""
        target = self._out[link]
        limit = (target.limit if since is None else since) + count
        target.limit = min(limit, target.fired + target.spec.window)
        self._touch(self._stages[target.spec.producer])
        return self._advance([], now_s)

    def stage_done(self, stage: str, outputs: Sequence[Tensors], compute_s: float, now_s: float) -> List[Instruction]:
        """A stage computed the first, or the next, of the frames that it was to run; `outputs` of each in turn."""
        state = self._stages[stage]
        state.totals.frames += len(outputs)
        state.totals.compute_s += compute_s
        out: List[Instruction] = []
        for tensors in outputs:
            self._emit(self._ended(state), tensors, None, now_s, out)
        return self._advance(out, now_s)

    def stage_failed(self, stage: str, reason: str, now_s: float) -> List[Instruction]:
        """A stage could not compute the next of the frames that it was to run: that one is lost."""
        state = self._stages[stage]
        state.totals.lost += 1
        out: List[Instruction] = []
        self._emit(self._ended(state), None, reason, now_s, out)
        return self._advance(out, now_s)

    def source_began_anew(self, now_s: float) -> List[Instruction]:
        """Another source takes the place of the one before: frames that wait for inputs may never get them.

        They would keep the places in the windows that its frames need.
        """
        for stage in self._stages.values():
            stage.give_up(FRAME_LIMIT, now_s)
            if stage.ready:
                stage.lane.eager[stage] = None
                self._touch(stage)
        return self._advance([], now_s)

    def run_singly(self, stage: str) -> None:
        """Take the frames of a stage one by one from now on: it fails for several."""
        self._stages[stage].batch = 1

    # --- questions ---------------------------------------------------------------------------------------------------

    def room(self, link: str) -> int:
        """Return how many frames the producer of a link may send now."""
        target = self._in[link]
        return max(target.spec.window - target.queued, 0)

    def queued(self, link: str) -> int:
        """Return how many frames of a link wait here."""
        return self._in[link].queued

    @property
    def last_frame(self) -> int:
        """The latest frame that any link brought; -1: none."""
        return max([link.last for link in self._in.values()], default=-1)

    def running(self, stage: str) -> List[int]:
        """Return the frames that a stage was told to run, and that have not ended."""
        return [slot.frame for slot in self._stages[stage].running]

    def totals(self) -> Iterable[Tuple[str, StageTotals, int]]:
        """Return each stage's name, running totals, and number of frames that wait for it."""
        return [(name, stage.totals, stage.held) for name, stage in self._stages.items()]

    # --- arriving ----------------------------------------------------------------------------------------------------

    def _put(
        self,
        link: InLink,
        frame: int,
        route: FrameRoute,
        tensors: Optional[Tensors],
        reason: Optional[str],
        now_s: float,
        out: List[Instruction],
    ) -> None:
        if frame <= link.last and tensors is not None:
            out.append(Refuse(link.spec.id, frame, "duplicate" if frame == link.last else "out_of_order"))
            return
        stage = self._stages[link.spec.consumer]
        queued = link.queued
        refusal = stage.take(link, frame, route, tensors, reason, now_s)
        if refusal == "too_late" or (link.producer is not None and link.queued == queued):
            # On a link from elsewhere what is told twice takes no place; whoever lacks credit asks how much there is.
            self._grant(link, 1, out)
        if refusal:
            out.append(Refuse(link.spec.id, frame, refusal))
        if stage.ready:
            stage.lane.eager[stage] = None
            self._touch(stage)

    def _touch(self, stage: _Stage) -> None:
        lane = stage.lane
        if not lane.is_touched:
            lane.is_touched = True
            self._touched.append(lane)

    # --- going on ----------------------------------------------------------------------------------------------------

    def _advance(self, out: List[Instruction], now_s: float) -> List[Instruction]:
        while self._touched:
            lane = self._touched.pop()
            lane.is_touched = False
            stage = lane.next() if lane.eager else None
            while stage is not None:
                self._begin(stage, now_s, out)
                stage = lane.next()
        return out

    def _begin(self, stage: _Stage, now_s: float, out: List[Instruction]) -> None:
        """Begin the frame that is ready; with it those behind it, where the stage takes several and they have room."""
        ready = stage.ready
        slots = [ready.popleft()]
        self._fire(slots[0])
        if slots[0].lost is None:
            while len(slots) < stage.batch and ready and ready[0].lost is None and ready[0].has_room:
                slots.append(ready.popleft())
                self._fire(slots[-1])
        if not ready:
            del stage.lane.eager[stage]
        begun: Dict[InLink, int] = {}
        for slot in slots:
            stage.totals.queue_wait_s += now_s - slot.ready_s
            for link in slot.arrived:
                begun[link] = begun.get(link, 0) + 1
        for link, count in begun.items():
            link.queued -= count
            self._grant(link, count, out)
        if slots[0].lost is not None:
            stage.totals.lost += 1
            self._emit(slots[0], None, slots[0].lost, now_s, out)
            return
        stage.lane.running = stage
        stage.running.extend(slots)
        inputs = tuple(slot.tensors or {} for slot in slots)
        for slot in slots:
            # Whoever computes it holds its inputs from now on, no longer than needed.
            slot.tensors = None
        out.append(Run(stage.spec.name, tuple(slot.frame for slot in slots), inputs))

    @staticmethod
    def _fire(slot: Slot) -> None:
        for link in slot.way.outputs:
            link.fired += 1

    def _ended(self, stage: _Stage) -> Slot:
        """Take the frame that a stage was to compute next; the lane is free after the last."""
        if not stage.running:
            raise AssertionError(f"the stage {stage.spec.name} was not to run")
        slot = stage.running.popleft()
        if not stage.running:
            stage.lane.running = None
            self._touch(stage)
        return slot

    def _emit(
        self, slot: Slot, outputs: Optional[Tensors], reason: Optional[str], now_s: float, out: List[Instruction]
    ) -> None:
        for link in slot.way.outputs:
            tensors = None if outputs is None else link.pick(outputs)
            if link.consumer is not None:
                self._put(link.consumer, slot.frame, slot.route, tensors, reason, now_s, out)
            elif tensors is not None:
                out.append(Send(link.spec.id, slot.frame, slot.route, tensors))
            else:
                out.append(SendLost(link.spec.id, slot.frame, slot.route, reason or ""))

    def _grant(self, link: InLink, count: int, out: List[Instruction]) -> None:
        producer = link.producer
        if producer is None:
            out.append(Grant(link.spec.id, count))
            return
        producer.limit += count
        self._touch(self._stages[producer.spec.producer])
