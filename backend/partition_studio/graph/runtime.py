"""ONNX Runtime on this machine: the evaluator of constants and the oracle of every split."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

Arrays = dict[str, np.ndarray[Any, Any]]

_ERRORS_ONLY = 3

#: In a model's metadata: the folder of its external data. Only what this studio made itself bears it.
_FOLDER = "partition-studio/weights-folder"


def set_weights_folder(model: onnx.ModelProto, folder: Path | None) -> None:
    """Note in a model where its external data lies, for `open_session`; or remove such a note, for None."""
    kept = [entry for entry in model.metadata_props if entry.key != _FOLDER]
    if len(kept) < len(model.metadata_props):
        del model.metadata_props[:]
        model.metadata_props.extend(kept)
    if folder is not None:
        model.metadata_props.add(key=_FOLDER, value=str(folder.absolute()))


def open_session(model: onnx.ModelProto | bytes | Path, *, threads: int = 1, optimise: bool = True) -> Any:
    """Open a CPU session. `threads` is the number of intra-op threads. Raises what ONNX Runtime raises.

    External data of a message is looked for where `set_weights_folder` says, that of a file beside it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        # Weights that are computed as the session runs are never packed: without this, folding them would change sums.
        options.add_session_config_entry("session.disable_prepacking", "1")
    data: bytes | str
    if isinstance(model, onnx.ModelProto):
        folder = next((entry.value for entry in model.metadata_props if entry.key == _FOLDER), None)
        if folder is not None:
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
        data = model.SerializeToString()
    else:
        data = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def run_model(
    model: onnx.ModelProto | bytes | Path,
    feeds: Mapping[str, np.ndarray[Any, Any]],
    outputs: Sequence[str] | None = None,
    *,
    threads: int = 1,
    optimise: bool = True,
) -> Arrays:
    """Run a model once and return its outputs (all, or those named) by name."""
    session = open_session(model, threads=threads, optimise=optimise)
    names = list(outputs) if outputs is not None else [value.name for value in session.get_outputs()]
    values = session.run(names, dict(feeds))
    return dict(zip(names, values, strict=True))


def runtime_error_types() -> tuple[type[Exception], ...]:
    """Return what ONNX Runtime raises when it refuses or fails a model."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented", "RuntimeException")
    found = [getattr(state, name) for name in (*names, "EPFail", "NoSuchFile", "NoModel") if hasattr(state, name)]
    return (*found, RuntimeError, ValueError)


def error_sentence(error: Exception) -> str:
    """Return the first line of an error of ONNX Runtime, without its prefix of codes."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    sentence = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", lines[0])
    # What is the matter comes after the place in the runtime's own source.
    return re.sub(r"^/\S+:\d+ .*?\) (?=[A-Z\[])", "", sentence)[:300]


@lru_cache(maxsize=1)
def newest_versions() -> tuple[int, int]:
    """Return the newest format (IR) version and the newest standard operator set that this ONNX Runtime takes."""
    formats = range(onnx.IR_VERSION, 2, -1)
    opsets = range(onnx.defs.onnx_opset_version(), 6, -1)
    newest_format = next((version for version in formats if _opens(version, 13)), 3)
    return newest_format, next((version for version in opsets if _opens(newest_format, version)), 7)


def _opens(ir_version: int, opset: int) -> bool:
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "ab"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["a"], ["b"])], "g", value[:1], value[1:])
    imports = [onnx.helper.make_opsetid("", opset)]
    try:
        open_session(onnx.helper.make_model(graph, ir_version=ir_version, opset_imports=imports))
    except runtime_error_types():
        return False
    return True


@lru_cache(maxsize=1)
def contributed_operators() -> frozenset[str]:
    """Return the operators of ONNX Runtime's own domain. Asking takes 20 MB, so ask only for a network with such."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return frozenset(s.name for s in state.get_all_operator_schema() if s.domain == "com.microsoft")
