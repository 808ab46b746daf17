"""Have a device measure a network: piece by piece where it does not fit, merged into one profile."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from partition_agent.protocol import AgentInfo, End, JobProgress, Profiled
from partition_agent.protocol import Profile as Request
from partition_studio.fleet.errors import AgentFaultError, BadAnswerError
from partition_studio.fleet.profiling.merge import merge
from partition_studio.fleet.profiling.model import Piece, build_piece, largest_bytes, piece_ranges, safe_bytes
from partition_studio.fleet.progress import CancelCheck, stop_if_cancelled
from partition_studio.fleet.session.cancelling import cancelling
from partition_studio.fleet.session.session import DeviceSession
from partition_studio.fleet.session.software import ModelFile
from partition_studio.graph.network import Network
from partition_studio.partition.runtimes import limits_of
from partition_studio.planner.figures.profile import Profile

#: Seconds of measuring for a whole network, and at least for each of its pieces.
BUDGET_S = 20.0
LEAST_BUDGET_S = 4.0

#: An agent that measures gives up by itself; this is when it is no longer believed to.
_CALL_GRACE_S = 400.0

#: How often a network is tried that turns out not to fit, each time in pieces of half the size.
_TRIES = 5

#: Told as (what, done, total).
Report = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Measurement:
    """What is asked of a device. `job` names the job, and who holds the agent meanwhile.

    `onnxruntime` is the version of the device's runtime: the network is written as that one takes it.
    """

    job: str
    network: Network
    threads: int
    memory_bytes: int
    onnxruntime: str
    provider: str = "CPUExecutionProvider"
    budget_s: float = BUDGET_S


def threads_on(info: AgentInfo, threads: int) -> int:
    """Return the threads that a profile will have: those asked for, else as many as there are usable cores."""
    return threads or max(int(info.usable_cores), 1)


def measure(session: DeviceSession, wanted: Measurement, report: Report, cancelled: CancelCheck) -> Profile:
    """Measure on a device whose agent is held under the job's name. Raises DeviceError, RuntimeTooOldError.

    A network that turns out not to fit (not every device can tell its limit) is tried again in smaller pieces. What was
    sent is the agent's to delete when it is released (`release`).
    """
    begin_s = time.monotonic()
    limit_bytes = safe_bytes(wanted.memory_bytes)
    for left in reversed(range(_TRIES)):
        try:
            parts = _measure_pieces(session, wanted, limit_bytes, report, cancelled)
        except AgentFaultError as error:
            if error.code != "out_of_memory" or not left:
                raise
            limit_bytes = min(limit_bytes, largest_bytes(wanted.network, limit_bytes)) // 2
            continue
        return merge(wanted.network, session.spec.name, parts, time.monotonic() - begin_s)
    raise AssertionError("the last try returns or raises")


def _measure_pieces(
    session: DeviceSession, wanted: Measurement, limit_bytes: int, report: Report, cancelled: CancelCheck
) -> list[tuple[Piece, Profiled]]:
    """Measure a network in pieces of at most so much memory. Raises DeviceError."""
    network = wanted.network
    ranges = piece_ranges(network, limit_bytes)
    budget_s = max(wanted.budget_s / len(ranges), LEAST_BUDGET_S)
    parts: list[tuple[Piece, Profiled]] = []
    for number, (start, stop) in enumerate(ranges):
        stop_if_cancelled(cancelled, "the profile")
        runtime = limits_of(wanted.onnxruntime)
        piece = build_piece(network, start, stop, limit_bytes, device=session.spec.name, runtime=runtime)
        place = f" (piece {number + 1} of {len(ranges)})" if len(ranges) > 1 else ""
        told = _Told(report, number, len(ranges), place)
        told.say("sending the layers", 0, 1)
        digest = piece.digest
        session.push_model(wanted.job, ModelFile(piece.data, len(piece.data), digest), lambda _done: None, cancelled)
        stop_if_cancelled(cancelled, "the profile")
        request = Request(
            job=wanted.job,
            digest=digest,
            inputs=piece.inputs,
            fills=piece.fills,
            threads=wanted.threads,
            provider=wanted.provider,
            budget_s=budget_s,
        )
        with session.listening(wanted.job, told.take), cancelling(session, wanted.job, cancelled):
            profiled = session.call(request, budget_s * 3 + _CALL_GRACE_S)
        if not isinstance(profiled, Profiled):
            raise BadAnswerError(f"{session.spec.name}: the agent does not say what it measured")
        parts.append((piece, profiled))
    return parts


def release(session: DeviceSession, job: str) -> None:
    """Let go of the agent; what was sent for the job is deleted. Raises DeviceError."""
    session.release_agent(job, End(deployment=job))


class _Told:
    """Turns an agent's steps on one piece into steps of the whole."""

    def __init__(self, report: Report, number: int, pieces: int, place: str) -> None:
        self._report, self._number, self._pieces, self._place = report, number, pieces, place
        self._total = 8

    def take(self, progress: JobProgress) -> None:
        self.say(progress.text[:100], progress.done, progress.total)

    def say(self, text: str, done: int, total: int) -> None:
        share = min(max(done / total if total else 0.0, 0.0), 1.0)
        done_of_all = self._number * self._total + round(share * self._total)
        self._report(text + self._place, done_of_all, self._pieces * self._total)
