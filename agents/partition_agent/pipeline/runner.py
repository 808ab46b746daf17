"""One deployment on this device, running: the pipeline's instructions carried out by sockets and compute threads."""

import logging
import threading
import time
from queue import SimpleQueue
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from partition_agent.data_plane.links import DataPlane
from partition_agent.data_plane.wire import Tensors
from partition_agent.pipeline.pipeline import Grant, Instruction, Pipeline, Refuse, Run, Send
from partition_agent.protocol import STUDIO_PEER, Connect, Fault, FrameRoute, LinkSample, Prepare, StageSample
from partition_agent.stages import Stage

logger = logging.getLogger(__name__)

#: A stage that fails for every frame is told of at most this often.
_TELL_EVERY_S = 5.0


class Runner:
    """A `LinkHandler`: the data plane's thread brings events, each lane's thread runs stages, one lock orders them.

    What goes out is handed to the data plane's thread before the next frame is computed, so that no lane waits for the
    network.
    """

    def __init__(self, request: Prepare, stages: Mapping[str, Stage], on_fault: Callable[[Fault], None]) -> None:
        """Open the data socket and start. Raises SocketError, CodecError."""
        self.request = request
        self._stages = dict(stages)
        #: Told also when the stages are freed.
        self._figures = {name: (*stage.memory, stage.provider) for name, stage in stages.items()}
        self._batches = {name: stage.batch for name, stage in stages.items()}
        self._on_fault = on_fault
        self._pipeline = Pipeline(request.device, request.stages, request.links, self._batches)
        self._lock = threading.Lock()
        #: The next job of each lane; None ends it.
        self._lanes: Dict[str, SimpleQueue[Optional[Run]]] = {spec.lane: SimpleQueue() for spec in request.stages}
        self._jobs = {spec.name: self._lanes[spec.lane] for spec in request.stages}
        self._told_s = -_TELL_EVERY_S
        #: The key of the peer that frames come from.
        self._sources: List[str] = []
        self._ended = False
        self._plane = DataPlane(
            device=request.device,
            deployment=request.deployment,
            epoch=request.epoch,
            links=request.links,
            handler=self,
            bind_host=request.bind_host,
            plaintext=request.plaintext,
        )
        name = f"compute {request.deployment}/{request.epoch}"
        self._workers = [
            threading.Thread(target=self._work, args=(jobs,), name=f"{name} {lane}".rstrip(), daemon=True)
            for lane, jobs in self._lanes.items()
        ]
        for worker in self._workers:
            worker.start()

    @property
    def data_port(self) -> int:
        """Where peers connect."""
        return self._plane.port

    @property
    def public_key(self) -> str:
        """By which peers know us."""
        return self._plane.public_key

    @property
    def last_frame(self) -> int:
        """The latest frame that came; -1: none."""
        with self._lock:
            return self._pipeline.last_frame

    def connect(self, request: Connect) -> None:
        """Admit exactly these peers. Raises SocketError."""
        sources = [peer.public_key for peer in request.peers if peer.device == STUDIO_PEER]
        with self._lock:
            if self._sources not in ([], sources):
                self._carry_out(self._pipeline.source_began_anew(time.monotonic()))
            self._sources = sources
        self._plane.connect(request.peers)

    def close(self) -> None:
        """End the compute threads, close the sockets, free the stages. Stages that run now are waited for."""
        with self._lock:
            self._ended = True
        for jobs in self._lanes.values():
            jobs.put(None)
        for worker in self._workers:
            worker.join()
        self._plane.close()
        self._stages.clear()

    # --- what the data plane tells (LinkHandler) ---------------------------------------------------------------------

    def frame_arrived(self, link: str, frame: int, route: FrameRoute, tensors: Tensors) -> None:
        """A frame came."""
        with self._lock:
            self._carry_out(self._pipeline.frame_arrived(link, frame, route, tensors, time.monotonic()))

    def loss_arrived(self, link: str, frame: int, route: FrameRoute, reason: str) -> None:
        """A frame will not come."""
        with self._lock:
            self._carry_out(self._pipeline.loss_arrived(link, frame, route, reason, time.monotonic()))

    def credited(self, link: str, count: int, since: Optional[int]) -> None:
        """A consumer allows more."""
        with self._lock:
            self._carry_out(self._pipeline.credited(link, count, time.monotonic(), since))

    def link_opened(self, link: str) -> None:
        """A producer asks for credit."""
        with self._lock:
            self._plane.grant(link, self._pipeline.room(link), reset=True)

    # --- work --------------------------------------------------------------------------------------------------------

    def _carry_out(self, instructions: List[Instruction]) -> None:
        """Do what the pipeline said; called under the lock, so that links keep the order of frames."""
        for order in instructions:
            try:
                if isinstance(order, Run):
                    self._jobs[order.stage].put(order)
                elif isinstance(order, Send):
                    self._plane.send(order.link, order.frame, order.route, order.tensors)
                elif isinstance(order, Grant):
                    self._plane.grant(order.link, order.count)
                elif isinstance(order, Refuse):
                    self._plane.drop(order.reason, order.link)
                else:
                    self._plane.send_lost(order.link, order.frame, order.route, order.reason)
            except Exception:
                # The others have to be done all the same: they are what lets the pipeline go on.
                logger.exception("instruction_failed", extra={"instruction": type(order).__name__})

    def _work(self, jobs: "SimpleQueue[Optional[Run]]") -> None:
        while True:
            job = jobs.get()
            if job is None or self._ended:
                return
            try:
                self._compute(job)
            except Exception as error:
                # Nobody else takes the next job of this lane: whatever it was, it costs these frames and no more.
                logger.exception("compute_failed", extra={"stage": job.stage, "frames": len(job.frames)})
                self._give_up(job.stage, job.frames, str(error) or type(error).__name__)
            # Without this the frame's inputs would stay in memory until the next one comes.
            del job

    def _compute(self, job: Run) -> None:
        if len(job.frames) == 1 or not self._compute_at_once(job):
            done = [self._compute_one(job.stage, frame, job.inputs[n]) for n, frame in enumerate(job.frames)]
            if len(done) > 1 and all(done):
                # No frame is at fault: it is that they are several.
                with self._lock:
                    self._pipeline.run_singly(job.stage)
                    self._batches[job.stage] = 1

    def _compute_one(self, stage: str, frame: int, inputs: Tensors) -> bool:
        """Compute a frame; return whether that could be done. If not, it is lost."""
        begin_s = time.monotonic()
        try:
            outputs = self._stages[stage].run(inputs)
        except Exception as error:  # of whatever library, besides RuntimeError
            reason = f"{self.request.device}: {error or type(error).__name__}"
            with self._lock:
                if not self._ended:
                    self._carry_out(self._pipeline.stage_failed(stage, reason, time.monotonic()))
            self._tell(stage, frame, reason)
            return False
        self._done(stage, (outputs,), begin_s)
        return True

    def _compute_at_once(self, job: Run) -> bool:
        """Compute several frames in one go; return whether that could be done. If not, nothing of them is lost yet."""
        begin_s = time.monotonic()
        try:
            outputs = self._stages[job.stage].run_batch(job.inputs)
        except Exception as error:  # of whatever library, besides RuntimeError
            logger.warning("batch_failed", extra={"stage": job.stage, "frames": len(job.frames), "reason": repr(error)})
            return False
        self._done(job.stage, outputs, begin_s)
        return True

    def _give_up(self, stage: str, frames: Sequence[int], reason: str) -> None:
        """Lose those frames of a job that have not ended."""
        reason = f"{self.request.device}: the stage {stage!r} failed: {reason}"
        try:
            with self._lock:
                for frame in self._pipeline.running(stage):
                    if frame in frames and not self._ended:
                        self._carry_out(self._pipeline.stage_failed(stage, reason, time.monotonic()))
            self._tell(stage, frames[0], reason)
        except Exception:
            logger.exception("frames_not_given_up", extra={"stage": stage})

    def _done(self, stage: str, outputs: Sequence[Tensors], begin_s: float) -> None:
        end_s = time.monotonic()
        with self._lock:
            if not self._ended:
                self._carry_out(self._pipeline.stage_done(stage, outputs, end_s - begin_s, end_s))

    def _tell(self, stage: str, frame: int, reason: str) -> None:
        """Report a stage that fails: each frame is reported lost anyway, so once a while is enough."""
        now_s = time.monotonic()
        with self._lock:
            if now_s - self._told_s < _TELL_EVERY_S:
                return
            self._told_s = now_s
        logger.error("stage_failed", extra={"stage": stage, "frame": frame, "reason": reason})
        try:
            self._on_fault(Fault("stage_failed", reason, self.request.deployment, stage))
        except Exception:
            # The frames go on, and their losses are told of over the links.
            logger.exception("fault_not_told", extra={"stage": stage})

    # --- figures -----------------------------------------------------------------------------------------------------

    def samples(self) -> Tuple[List[StageSample], List[LinkSample]]:
        """Return the running totals of every stage, and of every link to another device."""
        name, epoch = self.request.deployment, self.request.epoch
        with self._lock:
            stages = [
                StageSample(
                    name,
                    epoch,
                    stage,
                    t.frames,
                    t.lost,
                    t.compute_s,
                    t.queue_wait_s,
                    queued,
                    *self._figures[stage],
                    self._batches[stage],
                )
                for stage, t, queued in self._pipeline.totals()
            ]
        links = [LinkSample(name, epoch, link, *totals) for link, totals in self._plane.totals().items()]
        return stages, links

    def dropped(self) -> Dict[str, int]:
        """Return how many messages were refused, by reason."""
        return self._plane.dropped()
