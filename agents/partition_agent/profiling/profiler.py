"""Measure the layers of a sub-model on this device, in a process of its own that can be ended."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Callable, Optional

import msgspec

from partition_agent.codecs import CodecError, byte_size, dtype_of
from partition_agent.deployments import RefusedError
from partition_agent.profiling.child import MODEL, STEPS, Order, Outcome, Refused, Step, Told
from partition_agent.profiling.watch import Watch
from partition_agent.protocol import Event, JobProgress, Profile, Profiled, StageSpec, Telemetry
from partition_agent.stages import StageError, verified_model
from partition_agent.system import cpu_quota_cores, memory_limit_bytes, usable_cores

logger = logging.getLogger(__name__)

#: Room on the disk that is left to others, and memory that the process takes before it has any weights.
_DISK_RESERVE_BYTES = 32 * 2**20
_RUNTIME_BYTES = 64 * 2**20

#: Loading and making weights come on top of the budget for measuring; what takes longer than this hangs.
_GRACE_S = 240.0
_GRACE_BUDGETS = 3

#: A process that has told its result has so long to end.
_LAST_WORD_S = 2.0

#: Whole runs go on for so long where there is a source of power figures, which come once a second.
_POWER_SUSTAIN_S = 3.2


class Profiler:
    """One profile at a time; `profile` blocks and may be cancelled from another thread."""

    def __init__(self, models_dir: Path, publish: Callable[[Event], None]) -> None:
        self._models_dir, self._publish = models_dir, publish
        self._folder = models_dir.parent / "profiling"
        # What an agent left that was killed.
        shutil.rmtree(str(self._folder), ignore_errors=True)
        self._busy = threading.Lock()
        self._lock = threading.Lock()
        self._job: Optional[str] = None
        self._cancelled = threading.Event()
        self._child: Optional[subprocess.Popen] = None  # type: ignore[type-arg] # not generic in Python 3.8
        self._watch = Watch()

    def note(self, sample: Telemetry) -> None:
        """Take a sample that was just made: power and heat are taken from these."""
        self._watch.note(sample)

    def profile(self, request: Profile) -> Profiled:
        """Measure. Raises RefusedError; then, as after the end, nothing of it is left on the disk."""
        if not self._busy.acquire(blocking=False):
            raise RefusedError("busy", "another profile is being measured on the device")
        try:
            with self._lock:
                self._job = request.job
                self._cancelled.clear()
            return self._measure(request)
        except StageError as error:
            raise RefusedError(error.code, error.message) from error
        finally:
            with self._lock:
                self._job = self._child = None
            shutil.rmtree(str(self._folder), ignore_errors=True)
            self._busy.release()

    def cancel(self, job: str) -> None:
        """End that job if it is under way; from any thread."""
        with self._lock:
            if self._job == job:
                self._end_child()

    def close(self) -> None:
        """End whatever is under way, and wait until nothing of it is left."""
        with self._lock:
            self._end_child()
        with self._busy:
            pass

    def _end_child(self) -> None:
        self._cancelled.set()
        if self._child is not None:
            self._child.kill()

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise RefusedError("cancelled", "the profile was cancelled")

    def _measure(self, request: Profile) -> Profiled:
        path = verified_model(self._models_dir, StageSpec("the profiled network", request.digest, (), ()))
        threads = request.threads or max(int(usable_cores(sorted(os.sched_getaffinity(0)))), 1)
        self._check_room(request)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        try:
            os.link(str(path), str(self._folder / MODEL))
        except OSError:
            shutil.copyfile(str(path), str(self._folder / MODEL))
        self._say(request, "waiting for the device to cool down", 0)
        warnings = self._watch.settle(self._cancelled)
        self._check_cancelled()
        has_power = self._watch.has_power
        idle = self._watch.idle(self._cancelled) if has_power else None
        self._check_cancelled()
        quota = cpu_quota_cores()
        order = Order(
            inputs=request.inputs,
            fills=request.fills,
            threads=threads,
            provider=request.provider,
            budget_s=request.budget_s,
            limited=quota is not None and quota < len(os.sched_getaffinity(0)),
            sustain_s=_POWER_SUSTAIN_S if has_power else 0.0,
        )
        outcome = self._run_child(request, order)
        power = self._watch.power(outcome.busy, idle) if has_power else None
        temperature_c, throttled = self._watch.heat()
        if throttled:
            warnings += (f"the device was held back at the end ({', '.join(throttled)})",)
        return Profiled(
            layers=outcome.layers,
            kernels=outcome.kernels,
            run_s=outcome.run_s,
            run_spread_s=outcome.run_spread_s,
            runs=outcome.runs,
            session_s=outcome.session_s,
            load_s=outcome.load_s,
            weight_bytes=outcome.weight_bytes,
            peak_bytes=outcome.peak_bytes,
            load_peak_bytes=outcome.load_peak_bytes,
            power=power,
            threads=threads,
            provider=outcome.provider,
            onnxruntime_version=outcome.onnxruntime_version,
            temperature_c=temperature_c,
            throttled=throttled,
            warnings=warnings,
            codecs=outcome.codecs,
            carry=outcome.carry,
        )

    def _check_room(self, request: Profile) -> None:
        """Raise RefusedError where the weights find no room on the disk or in memory, or are no weights at all."""
        try:
            sizes = [fill.count * dtype_of(fill.dtype).itemsize for fill in request.fills]
            for tensor in request.inputs:
                byte_size(tensor)
        except CodecError as error:
            raise RefusedError("bad_profile", str(error)) from error
        if any(fill.offset < 0 or fill.count < 0 for fill in request.fills):
            raise RefusedError("bad_profile", "the weights lie before the beginning of their file")
        total = max((fill.offset + sizes[place] for place, fill in enumerate(request.fills)), default=0)
        free = shutil.disk_usage(str(self._models_dir)).free
        if total + _DISK_RESERVE_BYTES > free:
            raise RefusedError(
                "disk_full", f"the network's weights take {_mb(total)} on the disk, and {_mb(free)} are free there"
            )
        limit = memory_limit_bytes()
        if total + _RUNTIME_BYTES > limit:
            raise RefusedError(
                "out_of_memory", f"the network's weights take {_mb(total)}, and the device has {_mb(limit)} of memory"
            )

    def _run_child(self, request: Profile, order: Order) -> Outcome:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
        with open(str(self._folder / "errors"), "w+b") as errors:
            with self._lock:
                self._check_cancelled()
                child = self._child = subprocess.Popen(
                    [sys.executable, "-m", "partition_agent.profiling.child"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    cwd=str(self._folder),
                    env=environment,
                )
            overdue = threading.Event()

            def give_up() -> None:
                overdue.set()
                child.kill()

            late = threading.Timer(request.budget_s * _GRACE_BUDGETS + _GRACE_S, give_up)
            late.daemon = True
            late.start()
            try:
                told = self._listen(request, order, child)
            finally:
                late.cancel()
                status = _end(child)
                for pipe in (child.stdin, child.stdout):
                    if pipe is not None:
                        _close(pipe)
            self._check_cancelled()
            if isinstance(told, Outcome):
                return told
            if isinstance(told, Refused):
                raise RefusedError(told.code, told.message)
            errors.seek(0)
            said = errors.read(65536).decode("utf-8", "replace").strip().splitlines()[-1:]
        logger.warning("profiler_ended", extra={"status": status, "said": said})
        if overdue.is_set():
            raise RefusedError("profiler_failed", "the measuring process did not come to its end")
        if status == -signal.SIGKILL:
            raise RefusedError(
                "out_of_memory", "the measuring process was ended by the system, most likely for want of memory"
            )
        raise RefusedError("profiler_failed", f"the measuring process ended by itself ({' '.join(said) or status})")

    def _listen(self, request: Profile, order: Order, child: "subprocess.Popen[bytes]") -> Optional[Told]:
        """Hand the child's steps on; return its last word, or None when it ended without."""
        if child.stdin is None or child.stdout is None:
            raise AssertionError("pipes")
        decoder = msgspec.json.Decoder(Told)  # type: msgspec.json.Decoder[Told]
        try:
            child.stdin.write(msgspec.json.encode(order) + b"\n")
            child.stdin.flush()
            for line in child.stdout:
                told = decoder.decode(line)
                if not isinstance(told, Step):
                    return told
                self._say(request, STEPS[told.number], told.number + 1)
        except (OSError, msgspec.DecodeError) as error:
            logger.warning("profiler_broke_off", extra={"reason": str(error)})
        return None

    def _say(self, request: Profile, text: str, done: int) -> None:
        self._publish(JobProgress(request.job, text, done, len(STEPS) + 1))


def _end(child: "subprocess.Popen[bytes]") -> int:
    """Wait for a child that has said its last word, a moment; else end it. Return its status."""
    try:
        return child.wait(_LAST_WORD_S)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def _close(pipe: "IO[bytes]") -> None:
    try:
        pipe.close()
    except OSError:
        return


def _mb(size: int) -> str:
    return f"{size / 2**20:.0f} MB"
