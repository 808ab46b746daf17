"""From a stage to its sub-model: an ONNX file with the stage's layers and only the weights that they need."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

import onnx

from partition_studio.errors import ConflictError
from partition_studio.graph.network import Network, value_info
from partition_studio.graph.walk import node_reads
from partition_studio.partition.stages import Stage, StageGraph

MANIFEST = "manifest.json"


class OutputFolderError(ConflictError):
    """The folder for the sub-models cannot be written, or holds something else."""

    code = "output_folder"
    next_step = "Choose a new or empty folder, or one that an earlier split wrote."


@dataclass(frozen=True, slots=True)
class SubModel:
    """One stage as a file's content. `digest` is the SHA-256 (hex) of `data`."""

    stage: str
    data: bytes
    digest: str


def extract(network: Network, stage: Stage) -> onnx.ModelProto:
    """Return the sub-model of a stage; its inputs and outputs are the stage's, in the stage's order."""
    nodes = [network.nodes_by_layer[name] for name in stage.layers]
    helpers = _weight_nodes(network, nodes)
    everything = [*helpers, *nodes]
    reads = {name for node in everything for name in node_reads(node)}
    model = onnx.ModelProto(ir_version=network.ir_version, producer_name="partition-studio")
    model.opset_import.extend(onnx.helper.make_opsetid(*opset) for opset in network.opsets.items())
    graph = model.graph
    graph.name = stage.name
    graph.node.extend(everything)
    graph.initializer.extend(weight.tensor() for name, weight in network.weights.items() if name in reads)
    graph.input.extend(value_info(name, network.tensors[name]) for name in stage.inputs)
    graph.output.extend(value_info(name, network.tensors[name]) for name in stage.outputs)
    outputs = set(stage.outputs)
    inner = [tensor for node in nodes for tensor in node.output if tensor and tensor not in outputs]
    graph.value_info.extend(value_info(name, network.tensors[name]) for name in inner)
    return model


def _weight_nodes(network: Network, nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Return the weight-making nodes that `nodes` need, in the network's order."""
    needed: set[int] = set()
    pending = [name for node in nodes for name in node_reads(node)]
    while pending:
        node = network.weight_nodes.get(pending.pop())
        if node is not None and id(node) not in needed:
            needed.add(id(node))
            pending.extend(node_reads(node))
    makers = dict.fromkeys(id(node) for node in network.weight_nodes.values())
    by_id = {id(node): node for node in network.weight_nodes.values()}
    return [by_id[number] for number in makers if number in needed]


def serialise(network: Network, stage: Stage) -> SubModel:
    """Return a stage's sub-model as bytes; the same network and stage always give the same bytes."""
    data = extract(network, stage).SerializeToString(deterministic=True)
    return SubModel(stage.name, data, hashlib.sha256(data).hexdigest())


def submodels(network: Network, graph: StageGraph) -> Mapping[str, SubModel]:
    """Return the sub-model of every stage, by the stage's name."""
    return MappingProxyType({stage.name: serialise(network, stage) for stage in graph.stages})


def write_submodels(network: Network, graph: StageGraph, out_dir: Path) -> dict[str, Path]:
    """Write every stage as `<stage>.onnx`, and a manifest, into `out_dir`: all of it or nothing.

    A folder that an earlier split wrote is replaced; one that holds anything else is refused (OutputFolderError).
    Returns the file of each stage.
    """
    _check_replaceable(out_dir)
    try:
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.", dir=out_dir.parent))
    except OSError as error:
        raise OutputFolderError(f"{out_dir} cannot be written: {error.strerror}.", folder=str(out_dir)) from error
    try:
        files = _write_files(network, graph, work)
        work.chmod(0o755)
        _swap(work, out_dir)
    except OSError as error:
        raise OutputFolderError(f"{out_dir} cannot be written: {error.strerror}.", folder=str(out_dir)) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return {stage: out_dir / name for stage, name in files.items()}


def _write_files(network: Network, graph: StageGraph, folder: Path) -> dict[str, str]:
    files: dict[str, str] = {}
    entries = []
    for index, stage in enumerate(graph.stages):
        part = serialise(network, stage)
        # A stage is named after its device, whose name a person chose: what no file may be called is left out.
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in stage.name).lstrip(".")
        files[stage.name] = f"{index:02d}-{safe}.onnx"
        (folder / files[stage.name]).write_bytes(part.data)
        entries.append({**asdict(stage), "file": files[stage.name], "sha256": part.digest, "bytes": len(part.data)})
    manifest = {
        "version": 1,
        "network": {"sha256": network.digest, "name": network.name},
        "stages": entries,
        "cuts": [{**asdict(cut), "bytes": graph.cut_bytes(cut), "window": graph.window(cut)} for cut in graph.cuts],
        "tensors": {
            name: {"dtype": kind.dtype, "shape": list(kind.shape), "bytes": kind.size_bytes}
            for name, kind in graph.tensors.items()
        },
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return files


def _swap(new: Path, out_dir: Path) -> None:
    """Put `new` in the place of `out_dir`; what was there is gone only once the new folder stands."""
    if not out_dir.exists():
        os.replace(new, out_dir)
        return
    old = new.with_name(new.name + ".old")
    os.replace(out_dir, old)
    try:
        os.replace(new, out_dir)
    except OSError:
        os.replace(old, out_dir)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _check_replaceable(out_dir: Path) -> None:
    if not out_dir.exists():
        return
    if not out_dir.is_dir() or out_dir.is_symlink():
        raise OutputFolderError(f"{out_dir} is not a folder.", folder=str(out_dir))
    foreign = [p.name for p in out_dir.iterdir() if p.name != MANIFEST and p.suffix != ".onnx"]
    models = [p.name for p in out_dir.iterdir() if p.suffix == ".onnx"]
    if foreign or (models and not (out_dir / MANIFEST).is_file()):
        raise OutputFolderError(
            f"{out_dir} holds something that is not of an earlier split: {(foreign or models)[0]!r}.",
            folder=str(out_dir),
        )
