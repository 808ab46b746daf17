"""Frames sent through a running deployment, and what is known of them."""

import io
import itertools
import logging
import threading
import time
import zipfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from partition_studio.deployment.errors import OutputsNotKeptError
from partition_studio.deployment.front_door import FrameLostError, FrameResult, FrontDoor, NoCreditError
from partition_studio.errors import StudioError
from partition_studio.schemas import ClassScoreOut, EnergyOut, FrameResultOut, ProblemOut, RunOut, RunSource, RunState

logger = logging.getLogger(__name__)

Tensors = Mapping[str, npt.NDArray[np.generic]]

#: Tells the energy of each device, of the first and last moment (Unix time) and the number of frames in between.
EnergyMeter = Callable[[float, float, int], Mapping[str, EnergyOut]]

#: Newest results that a run shows.
KEPT_RESULTS = 24

#: Outputs of a frame that are larger are looked at at once; smaller ones wait until somebody asks.
MAX_WAITING_BYTES = 256 * 1024

#: Latencies that the percentiles are taken over.
KEPT_LATENCIES = 2000

#: Frames per second are over this window while the run goes on.
RATE_WINDOW_S = 5.0

#: Outputs of a run of files are kept up to this size.
MAX_KEPT_OUTPUT_BYTES = 256 * 1024**2

#: How long a frame that was sent may take before the run gives it up when it ends.
DRAIN_S = 60.0

#: How often a run that goes on is reported.
REPORT_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class NamedFrame:
    """An input and where it came from."""

    name: str
    inputs: Tensors


@dataclass(frozen=True, slots=True)
class _Unseen:
    """A result that nobody has looked at. `outputs` may be views of the message that brought them."""

    frame: int
    input_name: str
    latency_s: float
    outputs: Tensors


class Run:
    """One run: a thread that submits, results that come back by the front door's thread, a thread that reports."""

    def __init__(
        self,
        *,
        run_id: str,
        deployment_id: str,
        source: RunSource,
        frames: Sequence[NamedFrame],
        repeat: bool,
        seconds: float | None,
        in_flight: int | None,
        front_door: FrontDoor,
        passthrough: Mapping[str, str],
        constants: Tensors,
        classify: Callable[[Tensors], list[ClassScoreOut]],
        on_change: Callable[["Run"], None],
        energy: EnergyMeter = lambda _begin_s, _end_s, _frames: {},
    ) -> None:
        """Prepare a run.

        `in_flight` is how many frames may be under way at once: 1 runs the parts one after the other, None lets the
        pipeline take what it can. `passthrough` names the outputs that are inputs of the network, with that input's
        name; `constants` are the outputs that are the same for every frame. `energy` may take a moment: the devices
        have to tell of the end first.
        """
        self.id = run_id
        self.deployment_id = deployment_id
        #: Whether its figures were written down for good.
        self.is_kept = False
        self.started_at = datetime.now(UTC)
        self._source: RunSource = source
        self._frames = frames
        self._repeat = repeat
        self._seconds = seconds
        self._in_flight = in_flight
        self._room = threading.Semaphore(in_flight) if in_flight is not None else None
        #: Where its frames go in.
        self.front_door = front_door
        self._passthrough = passthrough
        self._constants = constants
        self._classify = classify
        self._on_change = on_change
        self._measure_energy = energy
        self._energy: Mapping[str, EnergyOut] = {}
        #: When the first frame went in and the last came out (Unix time).
        self._first_in_s: float | None = None
        self._last_out_s: float | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._state: RunState = "running"
        self._problem: ProblemOut | None = None
        self._begin_s = time.monotonic()
        self._end_s: float | None = None
        self._submitted = self._delivered = self._lost = 0
        self._latencies_s: deque[float] = deque(maxlen=KEPT_LATENCIES)
        self._arrivals_s: deque[float] = deque(maxlen=20_000)
        #: The newest results, newest first; those that nobody has asked for yet are not classified.
        self._recent: deque[FrameResultOut | _Unseen] = deque(maxlen=KEPT_RESULTS)
        self._keep_outputs = source == "files" and not repeat
        self._kept: dict[int, Tensors] = {}
        self._kept_bytes = 0
        self._pending: set[Future[FrameResult]] = set()

    def start(self) -> None:
        """Begin to send."""
        threading.Thread(target=self._send, name=f"run-{self.id}", daemon=True).start()
        threading.Thread(target=self._report, name=f"run-report-{self.id}", daemon=True).start()

    def stop(self) -> None:
        """Send no more; what is on its way still arrives."""
        self._stop.set()

    def fail(self, problem: ProblemOut) -> None:
        """End because the deployment failed."""
        with self._lock:
            if self._state == "running":
                self._problem = problem
        self._stop.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait until the run has ended; return whether it has."""
        return self._ended.wait(timeout_s)

    @property
    def is_running(self) -> bool:
        """Whether frames may still come."""
        return not self._ended.is_set()

    def _planned(self) -> Iterator[NamedFrame]:
        return itertools.cycle(self._frames) if self._repeat else iter(self._frames)

    def _time_is_up(self) -> bool:
        return self._seconds is not None and time.monotonic() - self._begin_s >= self._seconds

    def _send(self) -> None:
        try:
            for number, frame in enumerate(self._planned()):
                if not self._submit(number, frame):
                    break
            self._drain()
        except StudioError as error:
            with self._lock:
                self._problem = ProblemOut.of(error)
        except Exception as error:
            logger.exception("run_failed", extra={"run_id": self.id})
            with self._lock:
                self._problem = ProblemOut.of(error)
        finally:
            self._finish()

    def _submit(self, number: int, frame: NamedFrame) -> bool:
        """Send one frame as soon as there is room; return False when the run is to end."""
        while not self._stop.is_set() and not self._time_is_up():
            if self._room is not None and not self._room.acquire(timeout=0.2):
                continue
            begun_s = time.time()
            try:
                # The run's frames are its own, and never change.
                future = self.front_door.submit(frame.inputs, timeout_s=0.2, keep=False)
            except NoCreditError:
                self._make_room()
                continue
            with self._lock:
                self._submitted += 1
                self._first_in_s = begun_s if self._first_in_s is None else self._first_in_s
                self._pending.add(future)
            future.add_done_callback(lambda done: self._arrived(number, frame, done))
            return True
        return False

    def _make_room(self) -> None:
        if self._room is not None:
            self._room.release()

    def _drain(self) -> None:
        deadline = time.monotonic() + DRAIN_S
        while time.monotonic() < deadline:
            with self._lock:
                if not self._pending or self._problem is not None:
                    return
            time.sleep(0.01)

    def _arrived(self, number: int, frame: NamedFrame, future: Future[FrameResult]) -> None:
        """Take a frame's end; one that was counted as lost when the run ended is not counted again."""
        self._make_room()
        with self._lock:
            if future not in self._pending:
                return
            self._pending.discard(future)
            error = future.exception()
            if error is not None:
                self._lost += 1
                if not isinstance(error, FrameLostError):
                    logger.error("frame_failed", exc_info=error, extra={"run_id": self.id})
                return
            self._delivered += 1
            self._latencies_s.append(future.result().latency_s)
            self._arrivals_s.append(time.monotonic())
            self._last_out_s = time.time()
        try:
            self._note(number, frame, future.result())
        except Exception as failure:
            # A callback's exception would be swallowed by the future, and the run would go on as if nothing were wrong.
            self._cannot_show(failure)

    def _cannot_show(self, failure: Exception) -> None:
        logger.exception("result_failed", extra={"run_id": self.id})
        self._problem = ProblemOut.of(failure)
        self._stop.set()

    def _note(self, number: int, frame: NamedFrame, result: FrameResult) -> None:
        """Keep a result to show it. Most are followed by so many others before anybody looks that nobody sees them."""
        straight = {out: frame.inputs[source] for out, source in self._passthrough.items()}
        outputs = {**result.outputs, **straight, **self._constants}
        noted: FrameResultOut | _Unseen = _Unseen(number, frame.name, result.latency_s, outputs)
        if sum(array.nbytes for array in result.outputs.values()) > MAX_WAITING_BYTES:
            noted = self._shown(noted)
        with self._lock:
            self._recent.appendleft(noted)
            if self._keep_outputs:
                self._keep(number, outputs)

    def _shown(self, noted: FrameResultOut | _Unseen) -> FrameResultOut:
        if isinstance(noted, FrameResultOut):
            return noted
        classes: list[ClassScoreOut] = []
        try:
            classes = self._classify(noted.outputs)
        except Exception as failure:  # whoever asks for the run's figures is to get them, and this among them
            self._cannot_show(failure)
        return FrameResultOut(
            frame=noted.frame,
            input_name=noted.input_name,
            latency_s=noted.latency_s,
            classes=classes,
            outputs={name: list(array.shape) for name, array in noted.outputs.items()},
        )

    def _look_at_recent(self) -> list[FrameResultOut]:
        """Classify the newest results; called under the lock, at most some times a second."""
        shown = [self._shown(noted) for noted in self._recent]
        self._recent = deque(shown, maxlen=KEPT_RESULTS)
        return shown

    def _keep(self, number: int, outputs: Tensors) -> None:
        self._kept_bytes += sum(array.nbytes for array in outputs.values())
        if self._kept_bytes > MAX_KEPT_OUTPUT_BYTES:
            self._keep_outputs = False
            self._kept.clear()
        else:
            # The arrays are views of the message that brought them; a copy lets the message go.
            self._kept[number] = {name: np.array(array) for name, array in outputs.items()}

    def _finish(self) -> None:
        with self._lock:
            # What has not come back by now is lost, and is said to be.
            self._lost += len(self._pending)
            self._pending.clear()
            # The inputs are as large as all else together, and nobody needs them any more.
            self._frames = ()
            self._end_s = time.monotonic()
        energy = self._energy_of_it()
        with self._lock:
            self._energy = energy
            if self._problem is not None:
                self._state = "failed"
            elif self._stop.is_set():
                self._state = "stopped"
            else:
                self._state = "finished"
        self._ended.set()
        self._on_change(self)

    def _energy_of_it(self) -> Mapping[str, EnergyOut]:
        if self._problem is not None or self._first_in_s is None or self._last_out_s is None:
            return {}
        try:
            return self._measure_energy(self._first_in_s, self._last_out_s, self._delivered)
        except Exception:  # the run's own figures are worth more than this one
            logger.exception("energy_failed", extra={"run_id": self.id})
            return {}

    def _report(self) -> None:
        while not self._ended.wait(REPORT_EVERY_S):
            self._on_change(self)

    def _frames_per_s(self, now_s: float) -> float | None:
        if self._end_s is not None:
            span_s = (self._arrivals_s[-1] if self._arrivals_s else self._end_s) - self._begin_s
            return self._delivered / span_s if self._delivered and span_s > 0 else None
        window_s = min(RATE_WINDOW_S, now_s - self._begin_s)
        newest = itertools.takewhile(lambda arrival_s: arrival_s >= now_s - window_s, reversed(self._arrivals_s))
        recent = sum(1 for _ in newest)
        return recent / window_s if window_s > 0.2 else None

    def snapshot(self) -> RunOut:
        """Return the run's figures and newest results as they are now."""
        with self._lock:
            now_s = time.monotonic()
            latencies_s = np.asarray(self._latencies_s) if self._latencies_s else None
            return RunOut(
                id=self.id,
                deployment_id=self.deployment_id,
                state=self._state,
                source=self._source,
                started_at=self.started_at,
                elapsed_s=(self._end_s or now_s) - self._begin_s,
                in_flight=self._in_flight,
                submitted=self._submitted,
                delivered=self._delivered,
                lost=self._lost,
                frames_per_s=self._frames_per_s(now_s),
                latency_p50_s=None if latencies_s is None else float(np.percentile(latencies_s, 50)),
                latency_p95_s=None if latencies_s is None else float(np.percentile(latencies_s, 95)),
                problem=self._problem,
                energy=dict(self._energy),
                recent=self._look_at_recent(),
            )

    def outputs_npz(self) -> bytes:
        """Return every output as `<frame>:<name>` arrays of an `.npz` file. Raises OutputsNotKeptError."""
        with self._lock:
            if not self._keep_outputs or self._state == "running":
                raise OutputsNotKeptError(f"The outputs of run {self.id} are not kept (or it has not ended)")
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w") as archive:
                for number in sorted(self._kept):
                    for name, array in self._kept[number].items():
                        with archive.open(f"{number}:{name}.npy", "w") as entry:
                            np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)
            return buffer.getvalue()
