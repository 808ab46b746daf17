"""One deployment on this device, running: the pipeline's instructions carried out by sockets and one compute thread."""

import logging
import threading
import time
from typing import Callable, Dict, List, Mapping, Optional, Tuple

from partition_agent.links import DataPlane
from partition_agent.pipeline import Grant, Instruction, Pipeline, Refuse, Run, Send, SendLost
from partition_agent.protocol import Connect, Fault, FrameRoute, LinkSample, Prepare, StageSample
from partition_agent.stages import Stage
from partition_agent.wire import Tensors

logger = logging.getLogger(__name__)

#: A stage that fails for every frame is told of at most this often.
_TELL_EVERY_S = 5.0


class Runner:
    """A `LinkHandler`: the data plane's thread brings events, the compute thread runs stages, one lock orders them."""

    def __init__(self, request: Prepare, stages: Mapping[str, Stage], on_fault: Callable[[Fault], None]) -> None:
        """Open the data socket and start. Raises SocketError, CodecError."""
        self.request = request
        self._stages = dict(stages)
        self._memory = {name: stage.memory for name, stage in stages.items()}
        self._on_fault = on_fault
        self._pipeline = Pipeline(request.device, request.stages, request.links)
        self._change = threading.Condition()
        self._job: Optional[Run] = None
        self._told_s = -_TELL_EVERY_S
        self._ended = False
        self._plane = DataPlane(
            device=request.device,
            deployment=request.deployment,
            epoch=request.epoch,
            links=request.links,
            handler=self,
            bind_host=request.bind_host,
        )
        self._worker = threading.Thread(
            target=self._work, name=f"compute {request.deployment}/{request.epoch}", daemon=True
        )
        self._worker.start()

    @property
    def data_port(self) -> int:
        """Where peers connect."""
        return self._plane.port

    @property
    def public_key(self) -> str:
        """By which peers know us."""
        return self._plane.public_key

    def connect(self, request: Connect) -> None:
        """Admit exactly these peers. Raises SocketError."""
        self._plane.connect(request.peers)

    def close(self) -> None:
        """End the compute thread, close the sockets, free the stages. A stage that runs now is waited for."""
        with self._change:
            self._ended = True
            self._job = None
            self._change.notify_all()
        self._worker.join()
        self._plane.close()
        self._stages.clear()

    # --- what the data plane tells (LinkHandler) ---------------------------------------------------------------------

    def frame_arrived(self, link: str, frame: int, route: FrameRoute, tensors: Tensors) -> None:
        """A frame came."""
        with self._change:
            self._carry_out(self._pipeline.frame_arrived(link, frame, route, tensors, time.monotonic()))

    def loss_arrived(self, link: str, frame: int, route: FrameRoute, reason: str) -> None:
        """A frame will not come."""
        with self._change:
            self._carry_out(self._pipeline.loss_arrived(link, frame, route, reason, time.monotonic()))

    def credited(self, link: str, count: int, since: Optional[int]) -> None:
        """A consumer allows more."""
        with self._change:
            self._carry_out(self._pipeline.credited(link, count, time.monotonic(), since))

    def link_opened(self, link: str) -> None:
        """A producer asks for credit."""
        with self._change:
            self._plane.grant(link, self._pipeline.room(link), reset=True)

    # --- work --------------------------------------------------------------------------------------------------------

    def _carry_out(self, instructions: List[Instruction]) -> None:
        """Do what the pipeline said; called under the lock, so that links keep the order of frames."""
        for order in instructions:
            if isinstance(order, Send):
                self._plane.send(order.link, order.frame, order.route, order.tensors)
            elif isinstance(order, SendLost):
                self._plane.send_lost(order.link, order.frame, order.route, order.reason)
            elif isinstance(order, Grant):
                self._plane.grant(order.link, order.count)
            elif isinstance(order, Refuse):
                self._plane.drop(order.reason, order.link)
            else:
                self._job = order
                self._change.notify_all()

    def _work(self) -> None:
        while True:
            with self._change:
                while self._job is None and not self._ended:
                    self._change.wait()
                if self._ended or self._job is None:
                    return
                job, self._job = self._job, None
            self._compute(job)
            # Without this the frame's inputs would stay in memory until the next one comes.
            del job

    def _compute(self, job: Run) -> None:
        begin_s = time.monotonic()
        try:
            outputs = self._stages[job.stage].run(job.inputs)
        except RuntimeError as error:
            reason = f"{self.request.device}: {error}"
            self._tell(job, reason)
            with self._change:
                self._carry_out(self._pipeline.stage_failed(reason, time.monotonic()))
            return
        end_s = time.monotonic()
        with self._change:
            if not self._ended:
                self._carry_out(self._pipeline.stage_done(outputs, end_s - begin_s, end_s))

    def _tell(self, job: Run, reason: str) -> None:
        """Report a stage that fails: each frame is reported lost anyway, so once a while is enough."""
        now_s = time.monotonic()
        if now_s - self._told_s >= _TELL_EVERY_S:
            self._told_s = now_s
            logger.error("stage_failed", extra={"stage": job.stage, "frame": job.frame, "reason": reason})
            self._on_fault(Fault("stage_failed", reason, self.request.deployment, job.stage))

    # --- figures -----------------------------------------------------------------------------------------------------

    def samples(self) -> Tuple[List[StageSample], List[LinkSample]]:
        """Return the running totals of every stage, and of every link to another device."""
        name, epoch = self.request.deployment, self.request.epoch
        with self._change:
            stages = [
                StageSample(
                    name, epoch, stage, t.frames, t.lost, t.compute_s, t.queue_wait_s, queued, *self._memory[stage]
                )
                for stage, t, queued in self._pipeline.totals()
            ]
        links = [LinkSample(name, epoch, link, *totals) for link, totals in self._plane.totals().items()]
        return stages, links

    def dropped(self) -> Dict[str, int]:
        """Return how many messages were refused, by reason."""
        return self._plane.dropped()
