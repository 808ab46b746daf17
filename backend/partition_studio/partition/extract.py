"""From stages to files: the sub-model of each, and a manifest, in a folder that appears complete or not at all."""

import hashlib
import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import onnx
from onnx import StringStringEntryProto, TensorProto

from partition_studio.graph.network import Network
from partition_studio.graph.weights import Weight
from partition_studio.partition.folder import OutputFolderError, whole_folder
from partition_studio.partition.stages import Stage, StageGraph
from partition_studio.partition.submodel import Contents, SubModel, extract, require_deployable, submodel, submodels

__all__ = [
    "MANIFEST",
    "Contents",
    "OutputFolderError",
    "SubModel",
    "extract",
    "require_deployable",
    "submodel",
    "submodels",
    "write_submodels",
]

MANIFEST = "manifest.json"

#: What a sub-model's external weights are called after it.
DATA_SUFFIX = ".data"

_CONSTANT = re.compile(r"constant-\d+-.*\.pb", re.DOTALL)

#: Weights in a file of their own begin at such multiples, so that a runtime may map them into memory.
_ALIGNMENT_BYTES = 4096

#: Stages that are written at the same time: hashing and writing leave the interpreter to each other.
_WRITERS = 2


def write_submodels(
    network: Network, graph: StageGraph, out_dir: Path, parts: Mapping[str, SubModel] | None = None
) -> dict[str, Path]:
    """Write every stage as `<stage>.onnx`, and a manifest, into `out_dir`: all of it or nothing.

    `parts` are the sub-models where they were made (and, for older runtimes, rewritten) already.
    A stage that one ONNX file cannot hold has its weights beside it, in `<stage>.onnx.data`. A folder that an earlier
    split wrote is replaced; one that holds anything else is refused (OutputFolderError). Returns the file of each
    stage. Raises NetworkChangedError where the network's file is not what it was.
    """
    with whole_folder(out_dir, _foreign) as folder:
        files = _write_files(network, graph, folder, parts)
        folder.chmod(0o755)
    return {stage: out_dir / name for stage, name in files.items()}


def _write_files(
    network: Network, graph: StageGraph, folder: Path, parts: Mapping[str, SubModel] | None
) -> dict[str, str]:
    # A stage is named after its device, whose name a person chose: what no file may be called is left out.
    files = {stage.name: f"{index:02d}-{_safe(stage.name)}.onnx" for index, stage in enumerate(graph.stages)}

    def write(stage: Stage) -> dict[str, object]:
        part = submodel(network, stage, graph) if parts is None else parts[stage.name]
        return {**asdict(stage), **_write_stage(part, folder / files[stage.name])}

    with ThreadPoolExecutor(_WRITERS, thread_name_prefix="write") as pool:
        entries = list(pool.map(write, graph.stages))
    manifest = {
        "version": 1,
        "network": {"sha256": network.digest, "name": network.name},
        "stages": entries,
        "cuts": [{**asdict(cut), "bytes": graph.cut_bytes(cut), "window": graph.window(cut)} for cut in graph.cuts],
        "tensors": {
            name: {"dtype": kind.dtype, "shape": list(kind.shape), "bytes": kind.size_bytes}
            for name, kind in graph.tensors.items()
        },
        "constant_outputs": [
            _write_constant(weight, f"constant-{index:02d}-{_safe(name)}.pb", folder)
            for index, (name, weight) in enumerate(network.constant_outputs.items())
        ],
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return files


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name).lstrip(".")


def _write_stage(part: SubModel, file: Path) -> dict[str, object]:
    """Write a sub-model and return what the manifest says of it."""
    if part.fits_one_file:
        with file.open("wb") as stream:
            digest = part.write_to(stream)
        return {"file": file.name, "sha256": digest, "bytes": part.size_bytes}
    model = onnx.ModelProto()
    model.CopyFrom(part.model)
    data_file = file.with_name(file.name + DATA_SUFFIX)
    hashed, position = hashlib.sha256(), 0
    with data_file.open("wb") as stream:

        def put(data: bytes) -> None:
            nonlocal position
            stream.write(data)
            hashed.update(data)
            position += len(data)

        for weight in part.streamed:
            put(bytes(-position % _ALIGNMENT_BYTES))
            tensor = model.graph.initializer.add(
                name=weight.name, data_type=weight.data_type, dims=weight.dims, data_location=TensorProto.EXTERNAL
            )
            place = {"location": data_file.name, "offset": str(position), "length": str(weight.size_bytes)}
            tensor.external_data.extend(StringStringEntryProto(key=key, value=text) for key, text in place.items())
            for chunk in weight.chunks():
                put(chunk)
    content = model.SerializeToString(deterministic=True)
    file.write_bytes(content)
    return {
        "file": file.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "data": {"file": data_file.name, "sha256": hashed.hexdigest(), "bytes": position},
    }


def _write_constant(weight: Weight, name: str, folder: Path) -> dict[str, object]:
    """Write an output that is a constant as an ONNX tensor, and return what the manifest says of it."""
    data = weight.tensor().SerializeToString(deterministic=True)
    (folder / name).write_bytes(data)
    return {"tensor": weight.name, "file": name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def _foreign(folder: Path) -> str | None:
    """Return something in a folder that no split wrote there."""
    names = sorted(path.name for path in folder.iterdir())
    models = [name for name in names if name.endswith((".onnx", ".onnx" + DATA_SUFFIX)) or _CONSTANT.fullmatch(name)]
    others = [name for name in names if name != MANIFEST and name not in models]
    if others or (models and MANIFEST not in names):
        return (others or models)[0]
    return None
