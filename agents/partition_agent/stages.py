"""Load and run the sub-models of a device."""

import logging
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from partition_agent.codecs import CodecError, byte_size, dtype_of
from partition_agent.cores import bound_to, missing_cores
from partition_agent.data_plane.wire import Tensors
from partition_agent.loading.ahead import MemoryRanOutError, NotOptimisedError, Optimised, forget, optimised_model
from partition_agent.loading.batches import best_batch
from partition_agent.loading.growth import Growth, StageMemory, stage_memory
from partition_agent.loading.growth import give_back_memory as give_back_memory
from partition_agent.loading.model_file import ModelFileError, ModelMemory, read_model_memory
from partition_agent.loading.model_store import delete_models as delete_models
from partition_agent.loading.model_store import model_digests as model_digests
from partition_agent.loading.model_store import model_path as model_path
from partition_agent.loading.model_store import verified_model as verified_model
from partition_agent.loading.session import CPU, Opened, open_on_processor, open_session, wants_processor_first
from partition_agent.loading.stage_errors import CancelledError as CancelledError
from partition_agent.loading.stage_errors import StageError as StageError
from partition_agent.loading.stage_errors import first_line, is_out_of_memory, out_of_memory
from partition_agent.protocol import StageSpec, TensorSpec
from partition_agent.system import ROOT, anonymous_bytes, mapped_bytes, memory_limit_bytes

logger = logging.getLogger(__name__)

#: Sub-models with fewer weights are loaded as they come: a process of its own would take more than it saves.
AHEAD_FROM_BYTES = 16 * 2**20

#: ONNX Runtime's names of element types, as numpy's.
_DTYPES = {"float": "float32", "double": "float64", "float16": "float16"}


class Stage:
    """A sub-model that is loaded and can be run by one thread at a time.

    `provider` is the execution provider that computes it, `batch` how many frames it takes in one go, `notes` are
    sentences on what was wished for and is not so.
    """

    def __init__(self, spec: StageSpec, path: Path, threads: int, ahead: Optional[Optimised] = None) -> None:
        """Load it with that many intra-op threads, from its optimised form where there is one. Raises StageError."""
        self.spec = spec
        self.memory = StageMemory(0, None, None)
        self.batch = 1
        self.notes: List[str] = []
        self._outputs = [output.name for output in spec.outputs]
        # Names of dtypes are made anew whenever one asks.
        self._dtypes = [dtype_of(output.dtype) for output in spec.outputs]
        missing = missing_cores(spec.cores)
        if missing:
            raise StageError(
                "cores_missing",
                spec.name,
                f"the plan puts the stage {spec.name!r} on cores {', '.join(map(str, missing))} of the device, which "
                "the agent may not use there: change the plan's `resources`",
            )
        # The session's own threads start here, and stay where this one is.
        with bound_to(spec.cores):
            opened = self._open(path, threads, ahead)
        self._session, self.provider = opened.session, opened.provider
        self.notes += opened.notes
        self._check_signature("input", self._session.get_inputs(), spec.inputs)
        self._check_signature("output", self._session.get_outputs(), spec.outputs)

    def warm_up(self, check: Callable[[], None] = lambda: None) -> None:
        """Run on zeros: memory is taken now, a stage that cannot run is found, and the best batch. Raises StageError.

        `check` may raise to give up.
        """
        zeros = {t.name: np.zeros(t.shape, dtype_of(t.dtype)) for t in self.spec.inputs}
        try:
            self.run(zeros)
            if self.spec.max_batch > 1 and self._takes_batches():
                self.batch = best_batch(
                    lambda frames: self._warm(zeros, frames), self.spec.max_batch, check, self._note_batch
                )
        except RuntimeError as error:
            raise StageError(
                "stage_not_loaded", self.spec.name, f"the stage {self.spec.name!r} does not run: {error}"
            ) from error

    def run(self, inputs: Tensors) -> "Dict[str, np.ndarray[Any, Any]]":
        """Return the outputs for one frame. Raises RuntimeError, with a text for the person.

        Outputs lie where the runtime computed them, and inputs are read where they are: nothing is copied. (Measured:
        27 microseconds for one output of 0.8 MB, 36 with an IO binding to arrays of our own.)
        """
        return self._named(self._compute(dict(inputs)), 1)

    def run_batch(self, inputs: Sequence[Tensors]) -> "List[Dict[str, np.ndarray[Any, Any]]]":
        """Return the outputs for each of several frames, computed in one go. Raises RuntimeError."""
        if len(inputs) == 1:
            return [self.run(inputs[0])]
        try:
            together = {spec.name: np.concatenate([frame[spec.name] for frame in inputs]) for spec in self.spec.inputs}
        except MemoryError as error:
            raise RuntimeError(f"no memory for {len(inputs)} frames of {self.spec.name!r} at once") from error
        outputs = self._named(self._compute(together), len(inputs))
        extents = {spec.name: spec.shape[0] for spec in self.spec.outputs}
        return [
            {name: array[index * extents[name] : (index + 1) * extents[name]] for name, array in outputs.items()}
            for index in range(len(inputs))
        ]

    def _open(self, path: Path, threads: int, ahead: Optional[Optimised]) -> Opened:
        spec = self.spec
        try:
            if ahead is not None:
                return Opened(open_on_processor(ahead.model, threads, optimised=True), CPU, ())
            return open_session(path, spec.name, spec.providers, threads)
        except Exception as error:  # ONNX Runtime has no common base of its errors
            if is_out_of_memory(str(error)):
                raise out_of_memory(spec.name) from error
            raise StageError(
                "stage_not_loaded", spec.name, f"the stage {spec.name!r} cannot be loaded: {first_line(error)}"
            ) from error

    def _compute(self, inputs: "Dict[str, np.ndarray[Any, Any]]") -> "List[np.ndarray[Any, Any]]":
        try:
            with bound_to(self.spec.cores):
                arrays: List[np.ndarray[Any, Any]] = self._session.run(self._outputs, inputs)
                return arrays
        except Exception as error:  # ONNX Runtime has no common base of its errors
            raise RuntimeError(f"the stage {self.spec.name!r} failed: {first_line(error)}") from error

    def _named(self, arrays: "List[np.ndarray[Any, Any]]", frames: int) -> "Dict[str, np.ndarray[Any, Any]]":
        outputs = {}
        for position, spec in enumerate(self.spec.outputs):
            array = arrays[position]
            shape = spec.shape if frames == 1 else (spec.shape[0] * frames, *spec.shape[1:])
            if array.shape != shape or array.dtype != self._dtypes[position]:
                raise RuntimeError(
                    f"the stage {self.spec.name!r} made {spec.name!r} as {array.dtype.name}{list(array.shape)}, "
                    f"not as {spec.dtype}{list(shape)}"
                )
            outputs[spec.name] = array
        return outputs

    def _warm(self, zeros: Tensors, frames: int) -> None:
        # What is made of them in between is not known here, but the next larger batch is tried only after this one.
        tensors = (*self.spec.inputs, *self.spec.outputs)
        needed = frames * sum(byte_size(spec) for spec in tensors)
        if frames > 1 and needed + (anonymous_bytes() or 0) > memory_limit_bytes():
            raise RuntimeError(f"their tensors alone take {needed / 1e6:.0f} MB, for which there is no room")
        self.run_batch([zeros] * frames)

    def _note_batch(self, frames: int, reason: str) -> None:
        self.notes.append(f"the stage {self.spec.name!r} does not compute {frames} frames in one go: {reason}")

    def _takes_batches(self) -> bool:
        """Return whether the first extent of every tensor is free; where not, say that it takes one at a time."""
        nodes = [*self._session.get_inputs(), *self._session.get_outputs()]
        free = all(node.shape and not isinstance(node.shape[0], int) for node in nodes)
        if not free:
            self.notes.append(
                f"the stage {self.spec.name!r} takes one frame at a time: the first extent of its tensors is fixed"
            )
        return free

    def _check_signature(self, kind: str, found: List[Any], expected: "Tuple[TensorSpec, ...]") -> None:
        by_name = {node.name: node for node in found}
        wanted = {spec.name for spec in expected}
        if (kind == "input" and set(by_name) != wanted) or not wanted <= set(by_name):
            raise StageError(
                "stage_differs",
                self.spec.name,
                f"the {kind}s of the stage {self.spec.name!r} are {sorted(by_name)}, not {sorted(wanted)}",
            )
        for spec in expected:
            node = by_name[spec.name]
            element = node.type[len("tensor(") : -1] if node.type.startswith("tensor(") else node.type
            shape = list(node.shape)
            fits = len(shape) == len(spec.shape) and all(
                not isinstance(extent, int) or extent == spec.shape[axis] for axis, extent in enumerate(shape)
            )
            if _DTYPES.get(element, element) != spec.dtype or not fits:
                raise StageError(
                    "stage_differs",
                    self.spec.name,
                    f"{kind} {spec.name!r} of the stage {self.spec.name!r} is {element}{shape}, "
                    f"not {spec.dtype}{list(spec.shape)}",
                )


class LoadedStages(NamedTuple):
    """Stages by name, the seconds that each took to load, and sentences for the person."""

    stages: Dict[str, Stage]
    load_s: Dict[str, float]
    notes: Tuple[str, ...]


def check_tensors(spec: StageSpec) -> None:
    """Raise StageError when a tensor of the stage cannot be handled."""
    try:
        for tensor in (*spec.inputs, *spec.outputs):
            byte_size(tensor)
    except CodecError as error:
        raise StageError("bad_tensor", spec.name, f"the stage {spec.name!r} cannot be run: {error}") from error


def load_stages(
    models_dir: Path,
    specs: "Tuple[StageSpec, ...]",
    default_threads: int,
    report: Callable[[str, str], None],
    check: Callable[[], None],
) -> LoadedStages:
    """Verify, load and warm up stages.

    `report(stage, step)` tells each step; `check` may raise to give up between them. Raises StageError.
    """
    loaded = LoadedStages({}, {}, ())
    for spec in specs:
        check()
        check_tensors(spec)
        begin_s = time.monotonic()
        report(spec.name, "verify")
        path = verified_model(models_dir, spec, check)
        report(spec.name, "load")
        stage = _load(models_dir, spec, path, spec.threads or default_threads, report, check)
        loaded.stages[spec.name] = stage
        loaded.load_s[spec.name] = time.monotonic() - begin_s
        loaded = loaded._replace(notes=(*loaded.notes, *stage.notes))
        report(spec.name, "ready")
    return loaded


def _load(
    models_dir: Path,
    spec: StageSpec,
    path: Path,
    threads: int,
    report: Callable[[str, str], None],
    check: Callable[[], None],
) -> Stage:
    # The runtime's own libraries are nobody's weights.
    import onnxruntime  # noqa: F401

    file = _file_memory(path, spec.name)
    check_room(spec.name, file.weight_bytes)
    ahead, notes = _optimised_ahead(models_dir, spec, path, file, check)
    growth = Growth()
    growth_bytes: Optional[int] = None
    try:
        stage = _open(models_dir, spec, path, threads, ahead, notes)
        check()
        report(spec.name, "warm_up")
        stage.warm_up(check)
    finally:
        growth_bytes = growth.end()
    if growth_bytes is not None and ahead is not None:
        growth_bytes += mapped_bytes(ahead.weights)
    stage.memory = stage_memory(file, growth_bytes)
    stage.notes[:0] = notes
    return stage


def _optimised_ahead(
    models_dir: Path, spec: StageSpec, path: Path, file: ModelMemory, check: Callable[[], None]
) -> "Tuple[Optional[Optimised], List[str]]":
    """Return the optimised form of a sub-model; None, and why, where it has to be loaded as it came."""
    if file.weight_bytes < AHEAD_FROM_BYTES or not wants_processor_first(spec.providers):
        return None, []
    try:
        return optimised_model(models_dir, spec.digest, path, check), []
    except MemoryRanOutError:
        # As it came it would take even more.
        raise out_of_memory(spec.name) from None
    except NotOptimisedError as error:
        return None, [_plain_note(spec, str(error))]


def _open(
    models_dir: Path, spec: StageSpec, path: Path, threads: int, ahead: Optional[Optimised], notes: List[str]
) -> Stage:
    if ahead is not None:
        try:
            return Stage(spec, path, threads, ahead)
        except StageError as error:
            if error.code == "cores_missing" or error.code == "out_of_memory":
                raise
            logger.warning("optimised_model_not_loaded", extra={"stage": spec.name, "reason": error.message})
            forget(models_dir, spec.digest)
            stage = Stage(spec, path, threads)
            notes.append(_plain_note(spec, "ONNX Runtime does not load what it saved"))
            return stage
    return Stage(spec, path, threads)


def _plain_note(spec: StageSpec, reason: str) -> str:
    return f"the stage {spec.name!r} was not optimised ahead, and takes more memory while it is loaded: {reason}"


def check_room(stage: str, weight_bytes: int, root: Path = ROOT) -> None:
    """Raise StageError where not even the weights find room: better than being ended by the system."""
    limit, held = memory_limit_bytes(root), anonymous_bytes(root) or 0
    if held + weight_bytes > limit:
        raise StageError(
            "out_of_memory",
            stage,
            f"the weights of the stage {stage!r} take {weight_bytes / 1e6:.0f} MB; of the {limit / 1e6:.0f} MB "
            f"that the agent may use, it holds {held / 1e6:.0f} MB already",
        )


def _file_memory(path: Path, stage: str) -> ModelMemory:
    try:
        return read_model_memory(path)
    except (ModelFileError, OSError) as error:
        # The runtime has to say whether it can be loaded; here only the figures are missing.
        logger.warning("model_memory_unknown", extra={"stage": stage, "reason": str(error)})
        return ModelMemory(0, None)
