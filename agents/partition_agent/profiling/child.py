"""The process that measures: told what by one line of JSON on its input, it tells steps and result on its output.

It ends when its input does, so that it never outlives whoever started it.
"""

import gc
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO, Callable, Optional, Tuple, Union

import msgspec
import numpy as np

from partition_agent.codecs import dtype_of
from partition_agent.profiling.carry_speed import carry_speed
from partition_agent.profiling.codec_speeds import codec_speeds
from partition_agent.profiling.kernels import fused_times, layer_times, sum_of_medians
from partition_agent.profiling.measure import (
    ALMOST_EMPTY,
    Measured,
    NotRunnableError,
    Session,
    graph_of,
    sustained,
    traced,
    warm_up,
)
from partition_agent.protocol import CarryFigures, CodecFigures, LayerTime, TensorSpec, WeightFill
from partition_agent.system import process_memory

MODEL, WEIGHTS = "model.onnx", "weights.bin"

#: What is told while measuring, in this order.
STEPS = ("making weights", "loading", "warming up", "whole runs", "fused kernels", "single layers", "codecs")

#: Shares of the budget. What they leave is for the single layers' own whole runs.
_WARM_UP, _WHOLE, _KERNELS, _LAYERS = 0.1, 0.3, 0.2, 0.2

#: Codecs are measured beside that, for such a share of the budget and no longer than that.
_CODECS, _MOST_CODECS_S = 0.1, 1.0

#: And with them what messages between devices cost.
_CARRY, _MOST_CARRY_S = 0.03, 0.3

#: A kernel's share of the time is never stretched or squeezed more than this.
_CLOSE_TO_EMPTY = 0.3

_NORMALS = 1 << 18
_CHUNK = 1 << 20


class Order(msgspec.Struct, frozen=True):
    """What to measure, in the working folder, where the model lies as `MODEL`.

    `limited`: a quota stops the process now and then. `sustain_s`: whole runs go on for at least so long.
    """

    inputs: Tuple[TensorSpec, ...]
    fills: Tuple[WeightFill, ...]
    threads: int
    provider: str
    budget_s: float
    limited: bool
    sustain_s: float


class Step(msgspec.Struct, frozen=True, tag="step"):
    """A step begins."""

    number: int


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """It cannot be measured."""

    code: str
    message: str


class Outcome(msgspec.Struct, frozen=True, tag="outcome"):
    """Everything that was measured; `busy` is when the whole runs began and ended, by the monotonic clock."""

    layers: Tuple[LayerTime, ...]
    kernels: Tuple[LayerTime, ...]
    run_s: float
    run_spread_s: float
    runs: int
    session_s: float
    load_s: float
    weight_bytes: int
    peak_bytes: int
    load_peak_bytes: int
    busy: Tuple[float, float]
    provider: str
    onnxruntime_version: str
    codecs: Tuple[CodecFigures, ...]
    carry: Optional[CarryFigures]


Told = Union[Step, Refused, Outcome]


def make_weights(path: Path, fills: Tuple[WeightFill, ...]) -> int:
    """Write made-up weights; return their bytes. Raises OSError."""
    normals = np.random.default_rng(7).standard_normal(_NORMALS, dtype=np.float32)
    total = 0
    with open(path, "wb") as file:
        for fill in fills:
            dtype = dtype_of(fill.dtype)
            file.seek(fill.offset)
            values = normals * np.float32(fill.std)
            values = np.rint(np.clip(values, *_range(dtype))) if dtype.kind in "iu" else values
            block = np.resize(values.astype(dtype), _CHUNK)
            for start in range(0, fill.count, _CHUNK):
                file.write(block[: min(_CHUNK, fill.count - start)].tobytes())
            total += fill.count * dtype.itemsize
    return total


def _range(dtype: "np.dtype[Any]") -> Tuple[int, int]:
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


class _Measuring:
    """One measurement, step by step."""

    def __init__(self, order: Order, tell: Callable[[Told], None]) -> None:
        self._order, self._tell = order, tell
        self._step = 0

    def measure(self) -> Outcome:
        """Measure everything. Raises NotRunnableError, OSError, MemoryError."""
        order = self._order
        self._next()
        weight_bytes = make_weights(Path(WEIGHTS), order.fills)
        self._next()
        import onnxruntime

        begin_s = time.perf_counter()
        whole = self._session()
        load_s = time.perf_counter() - begin_s
        load_peak_bytes = process_memory().peak_bytes
        _forget_peak()
        self._next()
        run_s = warm_up(whole.run, order.budget_s * _WARM_UP)
        self._next()
        seconds_s = min(max(1.0, 20 * run_s), order.budget_s * _WHOLE)
        busy_s = time.monotonic()
        measured = sustained(
            whole.run, max(seconds_s, order.sustain_s), limited=order.limited or None, threads=order.threads
        )
        busy = (busy_s, time.monotonic())
        peak_bytes = process_memory().peak_bytes
        provider = whole.provider
        del whole
        gc.collect()
        session_s = self._session_s()
        self._next()
        kernels = self._kernels(measured, session_s)
        self._next()
        layers = self._layers(session_s, paused=measured.paused)
        gc.collect()
        self._next()
        codecs = codec_speeds(min(order.budget_s * _CODECS, _MOST_CODECS_S))
        # Of a quota that nobody can read, nobody knows that the device has less than the cores it shows.
        share = 1.0 if order.limited else codecs.share
        return Outcome(
            layers,
            kernels,
            measured.median_s,
            measured.spread_s,
            measured.runs,
            session_s,
            load_s,
            weight_bytes,
            peak_bytes,
            load_peak_bytes,
            busy,
            provider,
            str(onnxruntime.__version__),
            codecs.figures,
            carry_speed(min(order.budget_s * _CARRY, _MOST_CARRY_S), share),
        )

    def _next(self) -> None:
        self._tell(Step(self._step))
        self._step += 1

    def _session(self, *, optimised: bool = True, trace: Optional[str] = None, kept: Optional[Path] = None) -> Session:
        order = self._order
        return Session(
            MODEL,
            order.inputs,
            order.threads,
            order.provider,
            optimised=optimised,
            trace=None if trace is None else Path(trace).absolute(),
            optimised_model=kept,
        )

    def _session_s(self) -> float:
        order = self._order
        empty = Session(ALMOST_EMPTY, (TensorSpec("x", "float32", (1,)),), order.threads, "CPUExecutionProvider")
        warm_up(empty.run, 0.05)
        # So short that a quota rarely falls into it: the median of single runs is right.
        return sustained(empty.run, 0.1, limited=False).median_s

    def _kernels(self, measured: Measured, session_s: float) -> Tuple[LayerTime, ...]:
        kept = Path("optimised.onnx").absolute()
        session = self._session(trace="kernels", kept=kept)
        optimised = graph_of(kept)
        kept.unlink()
        times = traced(session, len(optimised.nodes), self._order.budget_s * _KERNELS, paused=measured.paused)
        del session
        factor = _factor(measured.median_s, session_s, sum_of_medians(times))
        return fused_times(graph_of(Path(MODEL)), optimised, times, factor)

    def _layers(self, session_s: float, *, paused: bool) -> Tuple[LayerTime, ...]:
        order = self._order
        graph = graph_of(Path(MODEL))
        session = self._session(optimised=False, trace="layers")
        times = traced(session, len(graph.nodes), order.budget_s * _LAYERS, paused=paused)
        alone = sustained(
            session.run, min(order.budget_s * 0.15, 1.0), limited=order.limited or None, threads=order.threads
        )
        return layer_times(graph, times, _factor(alone.median_s, session_s, sum_of_medians(times)))


def _factor(run_s: float, session_s: float, sum_s: float) -> float:
    """Return what the profiler's seconds are to be multiplied with, so that their sum is that of a run without it.

    The profiler itself takes time, and a quota stops a run as a whole but hardly the median of a kernel.
    """
    return max(run_s - session_s, run_s * _CLOSE_TO_EMPTY) / sum_s if sum_s > 0 else 1.0


def _forget_peak() -> None:
    """Begin the count of the highest resident size anew, where the kernel lets us."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def _give_way() -> None:
    """Be the first to be ended when memory runs out: better this process than the agent."""
    try:
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    except OSError:
        return


def _end_with(stream: BinaryIO) -> None:
    """End this process when `stream` does."""
    while stream.read(1):
        pass
    os._exit(3)


def run(order: Order, tell: Callable[[Told], None]) -> None:
    """Measure in the working folder and tell about it; errors are told, not raised."""
    try:
        tell(_Measuring(order, tell).measure())
    except NotRunnableError as error:
        tell(Refused("stage_not_loaded", f"the runtime does not take the network: {error}"))
    except MemoryError:
        tell(Refused("out_of_memory", "the device has not enough memory to run the network"))
    except OSError as error:
        tell(Refused("device_file", f"the weights could not be made: {error.strerror or error}"))


def main() -> int:
    """Read the order, measure, and tell."""
    # Libraries may print: what we tell goes to the pipe, everything else to standard error.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    source = sys.stdin.buffer
    order = msgspec.json.decode(source.readline(), type=Order)
    threading.Thread(target=_end_with, args=(source,), daemon=True).start()
    _give_way()

    def tell(told: Told) -> None:
        out.write(msgspec.json.encode(told) + b"\n")
        out.flush()

    run(order, tell)
    return 0


if __name__ == "__main__":
    sys.exit(main())
