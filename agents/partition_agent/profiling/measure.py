"""Sessions of ONNX Runtime as stages have them, and how long their runs take."""

import json
import os
import time
from operator import sub
from pathlib import Path
from statistics import median
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from partition_agent.codecs import dtype_of
from partition_agent.profiling.graph import Graph, read_graph
from partition_agent.profiling.kernels import Times, kernel_times, quartiles, undisturbed
from partition_agent.profiling.pauses import PauseWatch
from partition_agent.protocol import TensorSpec

#: An ONNX model that hands one number on: what a run of it takes is what the runtime itself takes.
ALMOST_EMPTY = (
    b'\x08\x07\x12\x00:7\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04'
    b"\n\x02\x08\x01b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r"
)

#: Where a quota stops the process now and then, only windows much longer than its period (0.1 s) tell.
WINDOW_S = 0.5
MIN_WINDOWS = 3
MIN_RUNS = 5

#: A trace of more tells nothing new, and takes long to be read.
_MOST_EVENTS = 30_000
_MOST_RUNS = 300

#: A thread that gets less of its core than this is stopped, by a quota or by others.
_WHOLE_CORE = 0.9

#: Runs that waited hardly more than the best are as good as it.
_SAME = 1.02

_SEED = 20240501


class NotRunnableError(Exception):
    """The runtime does not take the model; the text is the runtime's own, for the person."""


class Measured(NamedTuple):
    """Seconds of one run: median, distance between the quartiles, and of how many runs.

    `paused`: a quota stops the process now and then.
    """

    median_s: float
    spread_s: float
    runs: int
    paused: bool = False


class Session:
    """A model in the runtime, with the options of a stage, and inputs for it."""

    def __init__(
        self,
        model: "str | bytes",
        inputs: Sequence[TensorSpec],
        threads: int,
        provider: str,
        *,
        optimised: bool = True,
        trace: Optional[Path] = None,
        optimised_model: Optional[Path] = None,
    ) -> None:
        """Load it. With `trace`, the runtime's profiler writes there. Raises NotRunnableError."""
        import onnxruntime

        level = onnxruntime.GraphOptimizationLevel
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = level.ORT_ENABLE_ALL if optimised else level.ORT_DISABLE_ALL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Made-up weights may let activations die away, and numbers next to zero are slow on some processors.
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        options.log_severity_level = 4
        if trace is not None:
            options.enable_profiling = True
            options.profile_file_prefix = str(trace)
        if optimised_model is not None:
            _keep_graph(options, optimised_model)
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=[provider])
        except Exception as error:  # ONNX Runtime has no common base of its errors
            raise NotRunnableError(_first_line(error)) from error
        self.provider: str = self._session.get_providers()[0]
        generator = np.random.default_rng(_SEED)
        self._feeds = {spec.name: _values(spec, generator) for spec in inputs}

    def run(self) -> float:
        """Run once; return the seconds. Raises NotRunnableError."""
        begin_s = time.perf_counter()
        try:
            self._session.run(None, self._feeds)
        except Exception as error:  # ONNX Runtime has no common base of its errors
            raise NotRunnableError(_first_line(error)) from error
        return time.perf_counter() - begin_s

    def end_trace(self) -> List[Dict[str, Any]]:
        """Return the profiler's events and delete its file; runs after this are not traced."""
        path = Path(self._session.end_profiling())
        events: List[Dict[str, Any]] = json.loads(path.read_bytes())
        path.unlink()
        return events


def _keep_graph(options: Any, path: Path) -> None:
    """Have the optimised graph written to `path`, without its weights: those go nowhere."""
    nowhere = path.with_name("nowhere")
    if not nowhere.is_symlink():
        os.symlink(os.devnull, str(nowhere))
    options.optimized_model_filepath = str(path)
    prefix = "session.optimized_model_external_initializers_"
    options.add_session_config_entry(prefix + "file_name", nowhere.name)
    options.add_session_config_entry(prefix + "min_size_in_bytes", "256")


def _values(spec: TensorSpec, generator: np.random.Generator) -> "np.ndarray[Any, Any]":
    dtype = dtype_of(spec.dtype)
    if dtype.kind == "f":
        return generator.standard_normal(spec.shape, dtype=np.float32).astype(dtype)
    if dtype.kind == "b":
        return np.zeros(spec.shape, dtype)
    # Indices and sizes are small numbers; 1 is valid where 0 or a random one may not be.
    return np.ones(spec.shape, dtype)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:600] if lines else type(error).__name__


def warm_up(run: Callable[[], float], limit_s: float) -> float:
    """Run until the runs take about the same; return the seconds of one."""
    spent_s = 0.0
    times: List[float] = []
    while len(times) < 2 or (spent_s < limit_s and len(times) < 50):
        times.append(run())
        spent_s += times[-1]
        if len(times) >= 3 and max(times[-2:]) < min(times) * 1.1 and spent_s > 0.05:
            break
    return median(times[1:])


class Run(NamedTuple):
    """One run: its time, and the processor time that this process got meanwhile."""

    seconds: float
    cpu_s: float


def timed(run: Callable[[], float]) -> Run:
    """Run once."""
    before_s = time.process_time()
    seconds = run()
    return Run(seconds, time.process_time() - before_s)


def calm(runs: Sequence[Run]) -> List[int]:
    """Return the numbers of the runs that others disturbed least: a quarter of them at least, and some in any case.

    A run that others take the cores from lasts longer than the processor time that it gets.
    """
    waits = [run.seconds / max(run.cpu_s, 1e-9) for run in runs]
    best = sorted(waits)
    bound = max(best[min(max(len(runs) // 4, MIN_RUNS), len(runs)) - 1], best[0] * _SAME)
    return [number for number, wait in enumerate(waits) if wait <= bound]


def sustained(run: Callable[[], float], seconds_s: float, *, limited: Optional[bool], threads: int = 1) -> Measured:
    """Measure runs one after the other for about `seconds_s`.

    Where a quota limits the processor time (`limited`), what counts is the mean of windows, the pauses in them
    included; else runs that others did not disturb. None: see whether one thread gets a core all the time, for not
    every quota can be read from inside.
    """
    begin_s = time.perf_counter()
    runs: List[Run] = []
    while len(runs) < MIN_RUNS or time.perf_counter() - begin_s < seconds_s:
        runs.append(timed(run))
    if limited is None:
        got = sum(each.cpu_s for each in runs) / sum(each.seconds for each in runs)
        limited = threads == 1 and got < _WHOLE_CORE
    if limited:
        while time.perf_counter() - begin_s < WINDOW_S * MIN_WINDOWS:
            runs.append(timed(run))
        values = _windows(runs)
    else:
        values = undisturbed([runs[n].seconds for n in calm(runs)])
    lower, upper = quartiles(values)
    return Measured(median(values), upper - lower, len(runs), limited)


def _windows(runs: Sequence[Run]) -> List[float]:
    """Return the mean seconds of a run in each window of some time."""
    means: List[float] = []
    spent_s, count = 0.0, 0
    for each in runs:
        spent_s, count = spent_s + each.seconds, count + 1
        if spent_s >= WINDOW_S:
            means.append(spent_s / count)
            spent_s, count = 0.0, 0
    return means or [spent_s / count]


def traced(session: Session, kernels: int, budget_s: float, *, paused: bool) -> Dict[str, Times]:
    """Return the times of all kernels in some runs under the profiler that others disturbed least.

    `kernels` is about the number of kernels: the trace grows with it. `paused`: a quota stops the process now and then;
    kernels are measured by a clock that stands still then, in all runs.
    """
    # The first run takes memory, and finds no weights in the caches.
    session.run()
    if paused:
        return _traced_with_pauses(session, kernels, budget_s)
    runs, _ = _runs(session, kernels, budget_s)
    kept = [number + 1 for number in calm(runs)]
    return {
        name: value._replace(seconds=tuple(value.seconds[n] for n in kept)) if len(value.seconds) > len(runs) else value
        for name, value in kernel_times(session.end_trace(), len(runs) + 1).items()
    }


def _traced_with_pauses(session: Session, kernels: int, budget_s: float) -> Dict[str, Times]:
    with PauseWatch() as watch:
        runs, begins_s = _runs(session, kernels, budget_s)
    clock, events = watch.clock(), session.end_trace()
    shift_s = clocks_apart_s(events, begins_s)

    def lasted(begin_us: int, end_us: int) -> float:
        # A short kernel may seem to lie in a pause as a whole; it ran none the less.
        return max(clock.between(begin_us / 1e6 + shift_s, end_us / 1e6 + shift_s), 1e-7)

    # The first run was before the watch.
    return {
        name: value._replace(seconds=value.seconds[1:]) if len(value.seconds) > len(runs) else value
        for name, value in kernel_times(events, len(runs) + 1, lasted).items()
    }


def _runs(session: Session, kernels: int, budget_s: float) -> Tuple[List[Run], List[float]]:
    """Run for about so long, as often as the trace may grow; return the runs, and when each began."""
    start_s = time.perf_counter()
    runs: List[Run] = []
    begins_s: List[float] = []
    most = min(max(_MOST_EVENTS // max(kernels, 1), MIN_RUNS), _MOST_RUNS)
    while len(runs) < MIN_RUNS or (len(runs) < most and time.perf_counter() - start_s < budget_s):
        begins_s.append(time.perf_counter())
        runs.append(timed(session.run))
    return runs, begins_s


def clocks_apart_s(events: Sequence[Dict[str, Any]], begins_s: Sequence[float]) -> float:
    """Return what is to be added to the profiler's clock to get ours.

    `begins_s` is when the last runs of the trace began, by ours. The profiler notes a run a little later, or a pause
    later; what came between is least where the difference is largest.
    """
    noted_s = sorted(int(e["ts"]) / 1e6 for e in events if e.get("name") == "model_run")[-len(begins_s) :]
    return max(map(sub, begins_s, noted_s), default=0.0)


def graph_of(path: Path) -> Graph:
    """Return the graph of a model's file. Raises NotRunnableError."""
    try:
        return read_graph(path.read_bytes())
    except ValueError as error:
        raise NotRunnableError(f"{path.name}: {error}") from error
