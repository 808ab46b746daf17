"""What devices report: newest figures, and their history."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from partition_agent.protocol import AgentInfo, History, HistoryChunk, Telemetry
from partition_studio.errors import StudioError
from partition_studio.fleet.errors import BadAnswerError
from partition_studio.schemas import DeviceLiveMessage, DeviceLiveOut, EnergyOut, HistoryOut
from partition_studio.services.devices import DeviceService
from partition_studio.store.database import Database
from partition_studio.store.samples import SampleStore, SampleWriter, StoredSample
from partition_studio.telemetry.clean import MAX_COUNT, clean_sample
from partition_studio.telemetry.device import ReportingDevice
from partition_studio.telemetry.history import (
    FULL_S,
    KEPT_S,
    THIN_EVERY,
    KeptSample,
    frames_of,
    history_of,
    kept_figures,
    step_of,
    stride_of,
)
from partition_studio.telemetry.live import LiveHub

logger = logging.getLogger(__name__)

#: Samples fetched by one call, and at most after one interruption (more than a device's ring holds).
CHUNK = 500
MAX_FETCHED = 200_000

FETCH_S = 30.0

#: How long the first sample of a conversation is waited for: only it tells how the clocks lie.
FIRST_SAMPLE_S = 5.0

#: The energy of a run needs the sample after its last frame; it comes within a second or two.
LAST_SAMPLE_S = 3.0

#: How often what is old is thinned and deleted.
TIDY_EVERY_S = 3600.0

CLOSE_S = 5.0


class TelemetryService:
    """Take samples, keep them, publish the newest figures. Thread-safe."""

    def __init__(self, database: Database, hub: LiveHub) -> None:
        self._hub = hub
        self._store = SampleStore(database)
        self._writer = SampleWriter(self._store)
        self._heard = threading.Condition()
        self._reporting: dict[str, ReportingDevice] = {}
        #: For a device whose history is being fetched: its ring, and the oldest sample that is still there.
        self._oldest: dict[str, tuple[str, int]] = {}
        #: The start of the agent with which there is a conversation.
        self._talking: dict[str, str] = {}
        self._fetching: dict[str, threading.Lock] = {}
        self._closed = threading.Event()
        self._tidying = threading.Thread(target=self._tidy, name="samples-tidy", daemon=True)

    def attach(self, devices: DeviceService, job_of: Callable[[str], str | None]) -> None:
        """Take the devices and their jobs; apart from construction because each asks the other."""
        self._devices = devices
        self._job_of = job_of
        self._tidying.start()

    def close(self) -> None:
        """Write down what waits."""
        self._closed.set()
        with self._heard:
            self._heard.notify_all()
        self._writer.close()
        self._tidying.join(CLOSE_S)

    # --- from the devices --------------------------------------------------------------------------------------------

    def take(self, device: str, sample: Telemetry) -> None:
        """Take a sample that just came; called by the thread that reads the conversation, which never waits here."""
        now_s = time.time()
        clean = clean_sample(sample)
        busy = self._job_of(device) is not None
        with self._heard:
            known = self._device(device)
            if clean is None or not known.may_speak(now_s):
                return
            at_s = known.take(clean, now_s, busy=busy)
            live = known.live
            self._heard.notify_all()
        if clean.ring:
            self._writer.put(_stored(device, clean, at_s))
        if live is not None:
            self._hub.publish(DeviceLiveMessage(live=live))

    def attached(self, device: str, info: AgentInfo) -> None:
        """Fetch what the agent sampled while nobody listened; called when a conversation was opened."""
        self.power_changed(device)
        if not info.ring or len(info.ring) > 32:
            return
        with self._heard:
            fetching = self._fetching.setdefault(device, threading.Lock())
            self._talking[device] = info.incarnation
            self._heard.wait_for(lambda: self._knows_clock(device, info.incarnation), FIRST_SAMPLE_S)
            if self._closed.is_set() or self._talking.get(device) != info.incarnation:
                return
        with fetching:
            try:
                self._fetch(device, info.ring)
            except StudioError as error:
                # The conversation broke again; the next one asks for the same.
                logger.info("history_not_fetched", extra={"device": device, "reason": error.message})

    def _knows_clock(self, device: str, incarnation: str) -> bool:
        """Whether the clock of that agent is known, or nobody needs it any more."""
        if self._closed.is_set() or self._talking.get(device) != incarnation:
            return True
        clock = self._device(device).clock
        return clock is not None and clock.incarnation == incarnation and clock.is_set

    def _fetch(self, device: str, ring: str) -> None:
        """Fetch what is missing, oldest first. What was answered may be gone from the device: it is filed at once."""
        session = self._devices.session(device)
        self._writer.flush(CLOSE_S)
        chunk = _chunk(session.call(History(ring=ring, after=0, limit=1), FETCH_S), ring)
        after = self._known_until(device, ring, max(chunk.oldest, 1))
        for _ in range(MAX_FETCHED // CHUNK):
            if after >= chunk.newest or self._closed.is_set():
                break
            chunk = _chunk(session.call(History(ring=ring, after=after, limit=CHUNK), FETCH_S), ring)
            # What is older is lost for good.
            self._oldest[device] = (ring, chunk.oldest)
            samples = self._in_order(chunk, after)
            if not samples:
                break
            self._store.add([_stored(device, sample, self._time_of(device, sample)) for sample in samples])
            after = self._known_until(device, ring, samples[-1].sequence + 1)
        self._oldest.pop(device, None)

    def _known_until(self, device: str, ring: str, first: int) -> int:
        """Return the last sequence number before the first, from `first` on, that is not filed."""
        return self._store.first_missing(device, ring, first) - 1

    @staticmethod
    def _in_order(chunk: HistoryChunk, after: int) -> list[Telemetry]:
        """Return those samples of a chunk that are what was asked for, each newer than the one before."""
        found: list[Telemetry] = []
        for sample in chunk.samples[:CHUNK]:
            clean = clean_sample(sample)
            if clean is not None and clean.ring == chunk.ring and clean.sequence > after:
                found.append(clean)
                after = clean.sequence
        return found

    def _time_of(self, device: str, sample: Telemetry) -> float:
        """Return when a sample of the ring was taken: by the clock that was heard, else by the device's own."""
        now_s = time.time()
        with self._heard:
            clock = self._device(device).clock
            if clock is None:
                at_s = sample.unix_s
            elif clock.incarnation == sample.incarnation:
                at_s = clock.at(sample.monotonic_s)
            else:
                at_s = sample.unix_s + clock.wall_offset_s
        return min(max(at_s, now_s - KEPT_S), now_s)

    def forget_live(self, device: str) -> None:
        """Forget the newest figures: the device reports no more."""
        with self._heard:
            self._reporting.pop(device, None)
            self._talking.pop(device, None)
            self._heard.notify_all()

    def forget(self, device: str) -> None:
        """Forget everything of a device that is removed; its agent is silent already."""
        self.forget_live(device)
        with self._heard:
            fetching = self._fetching.setdefault(device, threading.Lock())
        with fetching:
            self._oldest.pop(device, None)
            self._writer.flush(CLOSE_S)
            self._store.forget(device)

    def power_changed(self, device: str) -> None:
        """Take the idle power of the device's model as it is now."""
        try:
            model = self._devices.power(device).get("model")
        except StudioError:
            return
        with self._heard:
            self._device(device).model_idle_w = None if model is None else float(model["idle_w"])

    def _device(self, device: str) -> ReportingDevice:
        """The caller holds the lock."""
        if device not in self._reporting:
            self._reporting[device] = ReportingDevice(device)
        return self._reporting[device]

    # --- for people --------------------------------------------------------------------------------------------------

    def live(self) -> list[DeviceLiveOut]:
        """Return the newest figures of every device that reports."""
        with self._heard:
            return [known.live for known in self._reporting.values() if known.live is not None]

    def history(self, device: str, seconds: float, points: int, until_s: float | None = None) -> HistoryOut:
        """Return what a device did over the `seconds` before a moment (now). Raises DeviceNotFoundError."""
        self._devices.power(device)
        now_s = time.time() if until_s is None else min(until_s, time.time())
        samples = [
            KeptSample(row.ring, row.sequence, row.at_s, row.incarnation, row.figures)
            for row in self._store.between(
                device, now_s - seconds, now_s + 1, every=stride_of(step_of(seconds, points))
            )
        ]
        known = self._oldest.get(device)
        missing = self._store.missing(
            device, now_s - min(seconds, FULL_S - TIDY_EVERY_S), {} if known is None else {known[0]: known[1]}
        )
        return history_of(device, samples, end_s=now_s, seconds=seconds, points=points, missing=missing)

    def frames(self, device: str, begin_s: float, end_s: float) -> int | None:
        """Return how many frames left a device's last stage between two moments, as far as is known."""
        self._writer.flush(LAST_SAMPLE_S)
        return frames_of(
            KeptSample(row.ring, row.sequence, row.at_s, row.incarnation, row.figures)
            for row in self._store.each(device, begin_s, end_s)
        )

    def energy(self, devices: Sequence[str], begin_s: float, end_s: float, frames: int) -> dict[str, EnergyOut]:
        """Return the energy of each device between two moments; those of which nothing is known are left out.

        Waits until the devices have told of the end.
        """
        with self._heard:
            self._heard.wait_for(
                lambda: all(self._reporting[d].heard_until(end_s) for d in devices if d in self._reporting),
                LAST_SAMPLE_S,
            )
            found = {d: self._reporting[d].energy(begin_s, end_s, frames) for d in devices if d in self._reporting}
        return {device: energy for device, energy in found.items() if energy is not None}

    def _tidy(self) -> None:
        while True:
            now_s = time.time()
            try:
                self._store.delete_before(now_s - KEPT_S)
                self._store.thin(now_s - FULL_S, keep_every=THIN_EVERY)
                self._store.keep_devices(self._devices.names())
            except Exception:  # the boundary of a task that goes on for as long as the studio
                logger.exception("samples_not_tidied")
            if self._closed.wait(TIDY_EVERY_S):
                return


def _chunk(answer: object, ring: str) -> HistoryChunk:
    """Return an answer that can be. Raises BadAnswerError."""
    if isinstance(answer, HistoryChunk) and answer.ring == ring and 0 <= answer.oldest <= answer.newest <= MAX_COUNT:
        return answer
    raise BadAnswerError("The agent sent no history of its ring")


def _stored(device: str, sample: Telemetry, at_s: float) -> StoredSample:
    return StoredSample(device, sample.ring, sample.sequence, at_s, sample.incarnation, kept_figures(sample))
