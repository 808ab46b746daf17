"""Load and run the sub-models of a device."""

import ctypes
import gc
import hashlib
import logging
import os
import re
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Set

import numpy as np

from partition_agent.codecs import CodecError, byte_size, dtype_of
from partition_agent.cores import bound_to, missing_cores
from partition_agent.model_file import ModelFileError, ModelMemory, read_model_memory
from partition_agent.protocol import StageSpec, TensorSpec
from partition_agent.system import anonymous_bytes
from partition_agent.wire import Tensors

logger = logging.getLogger(__name__)

_DIGEST = re.compile(r"[0-9a-f]{64}")
_CHUNK_BYTES = 4 * 1024 * 1024

#: ONNX Runtime's names of element types, as numpy's.
_DTYPES = {"float": "float32", "double": "float64", "float16": "float16"}


class StageError(Exception):
    """A stage cannot be loaded. `code` is stable; the message names the stage and is for the person."""

    def __init__(self, code: str, stage: str, message: str) -> None:
        super().__init__(message)
        self.code, self.stage, self.message = code, stage, message


class CancelledError(Exception):
    """The deployment was ended while it was prepared."""


class StageMemory(NamedTuple):
    """A stage's own share of the agent's memory; see `StageSample`."""

    weight_bytes: int
    activation_bytes: Optional[int]
    arena_bytes: Optional[int]


class _Growth:
    """How much memory loading takes: what the process has more after it than before, if nothing else was loaded."""

    _lock = threading.Lock()
    _under_way = 0
    _begun = 0

    def __init__(self) -> None:
        give_back_memory()
        with _Growth._lock:
            _Growth._under_way += 1
            _Growth._begun += 1
            self._alone, self._number = _Growth._under_way == 1, _Growth._begun
        self._before = anonymous_bytes()

    def end(self) -> Optional[int]:
        """Return the bytes; None where the kernel does not say, or two loads cannot be told apart."""
        give_back_memory()
        after = anonymous_bytes()
        with _Growth._lock:
            _Growth._under_way -= 1
            alone = self._alone and _Growth._begun == self._number
        return after - self._before if alone and after is not None and self._before is not None else None


def stage_memory(file: ModelMemory, growth_bytes: Optional[int]) -> StageMemory:
    """Return what of the growth is weights, activations, and neither."""
    rest = None
    if growth_bytes is not None:
        rest = max(growth_bytes - file.weight_bytes - (file.activation_bytes or 0), 0)
    return StageMemory(file.weight_bytes, file.activation_bytes, rest)


def _file_memory(path: Path, stage: str) -> ModelMemory:
    try:
        return read_model_memory(path)
    except (ModelFileError, OSError) as error:
        # The runtime has loaded it: only the figures are missing.
        logger.warning("model_memory_unknown", extra={"stage": stage, "reason": str(error)})
        return ModelMemory(0, None)


def _no_check() -> None:
    return


def model_path(models_dir: Path, digest: str) -> Path:
    """Return where the sub-model of that digest lies. Raises ValueError for what is no digest."""
    if not _DIGEST.fullmatch(digest):
        raise ValueError("not a SHA-256 digest")
    return models_dir / (digest + ".onnx")


def verified_model(models_dir: Path, spec: StageSpec, check: Callable[[], None] = _no_check) -> Path:
    """Return the path of a stage's sub-model whose bytes are those of its digest. Raises StageError.

    `check` is called between reads and may raise to give up.
    """
    try:
        path = model_path(models_dir, spec.digest)
        digest = hashlib.sha256()
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW)) as file:
            for chunk in iter(lambda: file.read(_CHUNK_BYTES), b""):
                digest.update(chunk)
                check()
    except FileNotFoundError:
        raise StageError("model_missing", spec.name, f"the sub-model of {spec.name!r} is not on the device") from None
    except (OSError, ValueError) as error:
        raise StageError(
            "model_unreadable", spec.name, f"the sub-model of {spec.name!r} cannot be read: {error}"
        ) from error
    if digest.hexdigest() != spec.digest:
        raise StageError(
            "digest_mismatch", spec.name, f"the sub-model of {spec.name!r} on the device is not the one that was sent"
        )
    return path


class Stage:
    """A sub-model that is loaded and can be run by one thread at a time."""

    def __init__(self, spec: StageSpec, path: Path, threads: int) -> None:
        """Load it with that many intra-op threads. Raises StageError."""
        # Loaded with the first stage: an agent that waits stays small.
        import onnxruntime

        self.spec = spec
        self.memory = StageMemory(0, None, None)
        self._outputs = [output.name for output in spec.outputs]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        # Threads that spin while they wait take the core from the network threads, and from other stages.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        missing = missing_cores(spec.cores)
        if missing:
            raise StageError(
                "cores_missing",
                spec.name,
                f"the plan puts the stage {spec.name!r} on cores {', '.join(map(str, missing))} of the device, which "
                "the agent may not use there: change the plan's `resources`",
            )
        try:
            # The session's own threads start here, and stay where this one is.
            with bound_to(spec.cores):
                self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has no common base of its errors
            raise StageError(
                "stage_not_loaded", spec.name, f"the stage {spec.name!r} cannot be loaded: {_first_line(error)}"
            ) from error
        self._check_signature("input", self._session.get_inputs(), spec.inputs)
        self._check_signature("output", self._session.get_outputs(), spec.outputs)

    def warm_up(self) -> None:
        """Run once on zeros: memory is taken now, and a stage that cannot run is found. Raises StageError."""
        zeros = {t.name: np.zeros(t.shape, dtype_of(t.dtype)) for t in self.spec.inputs}
        try:
            self.run(zeros)
        except RuntimeError as error:
            raise StageError(
                "stage_not_loaded", self.spec.name, f"the stage {self.spec.name!r} does not run: {error}"
            ) from error

    def run(self, inputs: Tensors) -> Dict[str, "np.ndarray[Any, Any]"]:
        """Return the outputs for one frame. Raises RuntimeError, with a text for the person."""
        try:
            with bound_to(self.spec.cores):
                arrays = self._session.run(self._outputs, dict(inputs))
        except Exception as error:  # ONNX Runtime has no common base of its errors
            raise RuntimeError(f"the stage {self.spec.name!r} failed: {_first_line(error)}") from error
        outputs = {}
        for position, spec in enumerate(self.spec.outputs):
            array = arrays[position]
            if array.shape != spec.shape or array.dtype.name != spec.dtype:
                raise RuntimeError(
                    f"the stage {self.spec.name!r} made {spec.name!r} as {array.dtype.name}{list(array.shape)}, "
                    f"not as {spec.dtype}{list(spec.shape)}"
                )
            outputs[spec.name] = array
        return outputs

    def _check_signature(self, kind: str, found: List[Any], expected: "tuple[TensorSpec, ...]") -> None:
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


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:400] if lines else type(error).__name__


def check_tensors(spec: StageSpec) -> None:
    """Raise StageError when a tensor of the stage cannot be handled."""
    try:
        for tensor in (*spec.inputs, *spec.outputs):
            byte_size(tensor)
    except CodecError as error:
        raise StageError("bad_tensor", spec.name, f"the stage {spec.name!r} cannot be run: {error}") from error


def load_stages(
    models_dir: Path,
    specs: "tuple[StageSpec, ...]",
    default_threads: int,
    report: Callable[[str, str], None],
    check: Callable[[], None],
) -> "tuple[Dict[str, Stage], Dict[str, float]]":
    """Verify, load and warm up stages; return them and the seconds that each took.

    `report(stage, step)` tells each step; `check` may raise to give up between them. Raises StageError.
    """
    stages: Dict[str, Stage] = {}
    load_s: Dict[str, float] = {}
    for spec in specs:
        check()
        check_tensors(spec)
        begin_s = time.monotonic()
        report(spec.name, "verify")
        path = verified_model(models_dir, spec, check)
        report(spec.name, "load")
        # The runtime's own libraries are nobody's weights.
        import onnxruntime  # noqa: F401

        growth = _Growth()
        growth_bytes: Optional[int] = None
        try:
            stage = Stage(spec, path, spec.threads or default_threads)
            check()
            report(spec.name, "warm_up")
            stage.warm_up()
        finally:
            growth_bytes = growth.end()
        stage.memory = stage_memory(_file_memory(path, spec.name), growth_bytes)
        stages[spec.name] = stage
        load_s[spec.name] = time.monotonic() - begin_s
        report(spec.name, "ready")
    return stages, load_s


def give_back_memory() -> None:
    """Return freed memory to the system, where the C library can."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def model_digests(models_dir: Path) -> Set[str]:
    """Return the digests of the sub-models that are here, those that have come in part among them."""
    return {path.name.split(".")[0] for path in models_dir.glob("*.onnx*")}


def delete_models(models_dir: Path, digests: Iterable[str]) -> None:
    """Delete the sub-models of these digests, and what has come of them in part; one that is gone is no fault."""
    for digest in digests:
        try:
            path = model_path(models_dir, digest)
            for file in (path, path.with_name(path.name + ".part")):
                if file.exists():
                    file.unlink()
        except (OSError, ValueError) as error:
            logger.warning("model_not_deleted", extra={"digest": digest[:64], "reason": str(error)})
