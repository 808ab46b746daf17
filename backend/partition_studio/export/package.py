"""The standalone package: everything that runs a plan by SSH without the studio, in one folder."""

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from partition_agent.protocol import TensorSpec
from partition_studio.deployment.manifest import Manifest, build_manifest, tensor_spec
from partition_studio.deployment.probe import allowed
from partition_studio.export.errors import NotExportableError
from partition_studio.export.readme import readme
from partition_studio.export.starter.arrays import is_storable
from partition_studio.export.starter.package import EXPECTED, HOSTS, SUMS, VERSION
from partition_studio.fleet.install.agent_wheel import build_agent_wheel
from partition_studio.fleet.install.lock import Target, oldest_runtime, read_agent_lock
from partition_studio.fleet.install.wheelhouse import WheelhouseCache
from partition_studio.fleet.progress import Progress, never_cancelled
from partition_studio.graph.frames import Frame, random_frame
from partition_studio.graph.load import load_network, original_model
from partition_studio.graph.network import Network
from partition_studio.partition.check import require_valid
from partition_studio.partition.codecs import auto_tensors, settled_codecs
from partition_studio.partition.extract import MANIFEST, write_submodels
from partition_studio.partition.folder import whole_folder
from partition_studio.partition.micro_batch import free_batches
from partition_studio.partition.partition import Partition
from partition_studio.partition.plan import Plan
from partition_studio.partition.runtimes import for_runtimes
from partition_studio.partition.submodel import Contents, require_deployable, submodels
from partition_studio.partition.verify import Verification, verify

#: The package's own description; its presence marks a folder as one of ours.
DESCRIPTION = "package.json"

#: What runs on the person's machine, and on a host before the agent does: copied into the package's `lib`.
_STUDIO_MODULES = ("fleet/on_device/device_files.py", "fleet/on_device/device_packages.py")
_AGENT_MODULES = ("__init__.py", "standalone_stream.py")

_START = '''#!/usr/bin/env python3
"""Runs this package's network on the hosts of hosts.json, by SSH: see README.md."""

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
if sys.version_info < (3, 8):
    sys.exit("start needs Python 3.8 or newer")
sys.dont_write_bytecode = True
sys.path.insert(0, str(FOLDER / "lib"))

from partition_studio.export.starter.main import main  # noqa: E402 - found by the line above

sys.exit(main(FOLDER))
'''

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. `digest` is the package's: that of everything but the hosts file."""

    out: Path
    digest: str
    devices: tuple[str, ...]
    stages: int
    size_bytes: int
    platforms: tuple[str, ...]
    seed: int
    verification: Verification


def export_package(
    model: Path,
    plan: Plan,
    out: Path,
    *,
    targets: Sequence[Target],
    wheelhouses: WheelhouseCache,
    seed: int,
    say: Say,
) -> Exported:
    """Write the package of a plan, proven equal to the whole on a random frame: all of it or nothing.

    The sub-models are written for the oldest ONNX Runtime that one of the targets gets.
    Raises StudioError: of the network, of the plan, RuntimeTooOldError, WheelhouseError, PartsDifferError,
    OutputFolderError.
    """
    network = load_network(model, form=plan.network.form)
    _, partition = require_valid(network, plan)
    _require_storable(network)
    _require_settled(partition, plan)
    codecs = settled_codecs(partition.graph, plan)
    # The folder is looked at before what takes long.
    with whole_folder(out, _foreign) as work:
        say("proving that the parts equal the whole")
        whole_parts = submodels(partition.network, partition.graph)
        require_deployable(whole_parts)
        freed = free_batches(partition, whole_parts, plan.micro_batch)
        for stage, why in freed.refused.items():
            say(f"{stage} computes its frames one by one: {why}")
        parts = freed.parts
        # Any of its devices may turn out to be of any of these kinds.
        oldest = oldest_runtime(targets)
        if oldest is not None:
            parts = for_runtimes(parts, partition.graph, dict.fromkeys(partition.graph.devices, oldest))
        frame = random_frame(network.inputs, seed)
        whole = original_model(model, form=plan.network.form)
        verification = verify(whole, partition, Contents(parts), frame, codecs=codecs)
        verification.require_equal()
        write_submodels(partition.network, partition.graph, work / "models", parts)
        (work / "plan.json").write_text(plan.to_json(), encoding="utf-8")
        _write_expected(work / EXPECTED, network, frame, verification)
        digests = {name: part.digest for name, part in parts.items()}
        manifest = build_manifest(partition.graph, digests, {}, codecs=codecs, batches=freed.batches)
        document = _document(work, partition, manifest)
        document["tolerances"] = _tolerances(document, verification)
        document["approximate"] = verification.approximate
        document["agent"] = _write_agent(work)
        document["wheels"] = [_write_wheels(work, target, wheelhouses, say) for target in targets]
        _write_json(work / DESCRIPTION, document)
        hosts = {"devices": {name: _host(name) for name in partition.graph.devices}}
        _write_json(work / HOSTS, hosts)
        _write_lib(work)
        platforms = [target.key for target in targets]
        text = readme(network.name, partition.graph.devices, platforms, list(network.inputs))
        (work / "README.md").write_text(text, encoding="utf-8")
        digest = _write_sums(work)
        size = sum(path.stat().st_size for path in work.rglob("*") if path.is_file())
    return Exported(
        out=out,
        digest=digest,
        devices=partition.graph.devices,
        stages=len(partition.graph.stages),
        size_bytes=size,
        platforms=tuple(target.key for target in targets),
        seed=seed,
        verification=verification,
    )


def _foreign(folder: Path) -> str | None:
    """Return something in a folder that no export wrote there."""
    names = sorted(path.name for path in folder.iterdir())
    return names[0] if names and DESCRIPTION not in names else None


def _require_storable(network: Network) -> None:
    for name, kind in {**network.inputs, **network.outputs}.items():
        if not is_storable(kind.dtype):
            raise NotExportableError(
                f"The tensor {name!r} is of type {kind.dtype}, which .npy files do not have.", tensor=name
            )


def _require_settled(partition: Partition, plan: Plan) -> None:
    """Refuse codecs that are still to be chosen: that takes measurements of the devices and of the links."""
    open_yet = auto_tensors(partition.graph, plan)
    if open_yet:
        cut, tensor = next(iter(open_yet))
        raise NotExportableError(
            f"The plan leaves the codec of {tensor!r} on {cut} to `auto`, which is decided by what the studio has "
            "measured of the devices and links: a package knows nothing of them.",
            next_step="Have the codecs chosen first (`partition-studio plan codecs auto`), or name one.",
            tensor=tensor,
        )


def _document(work: Path, partition: Partition, manifest: Manifest) -> dict[str, Any]:
    network, graph = partition.whole, partition.graph
    constants = [
        TensorSpec(name, weight.array().dtype.name, weight.dims) for name, weight in network.constant_outputs.items()
    ]
    stages = json.loads((work / "models" / MANIFEST).read_text(encoding="utf-8"))["stages"]
    names = {entry["name"]: entry["file"] for entry in stages}
    files = {instance: work / "models" / names[stage] for instance, stage in manifest.stage_of.items()}
    return {
        "version": VERSION,
        "network": {"name": network.name, "sha256": network.digest},
        "stages": list(graph.order),
        "all_inputs": _plain(tensor_spec(name, kind) for name, kind in network.inputs.items()),
        "inputs": _plain(manifest.inputs.values()),
        "outputs": _plain(manifest.outputs.values()),
        "passthrough": _plain(tensor_spec(name, network.inputs[name]) for name in manifest.passthrough),
        "constants": _plain(constants),
        "shares": [
            {"device": share.device, "stages": _plain(share.stages), "links": _plain(share.links)}
            for share in manifest.shares
        ],
        "door_links": _plain(manifest.studio_links),
        "replicas": [len(group) for group in manifest.replicas],
        "models": {
            stage.digest: _file(work, files[stage.name], stage.digest)
            for share in manifest.shares
            for stage in share.stages
        },
    }


def _plain(structs: Any) -> list[Any]:
    built: list[Any] = msgspec.to_builtins(list(structs))
    return built


def _file(work: Path, path: Path, sha256: str) -> dict[str, object]:
    return {"file": str(path.relative_to(work)), "sha256": sha256, "bytes": path.stat().st_size}


def _host(name: str) -> dict[str, object]:
    return {"ssh": name, "port": None, "address": None, "python": None, "cores": []}


def _write_expected(path: Path, network: Network, frame: Frame, verification: Verification) -> None:
    """Record the frame, and the answer to it: the whole's, or that of the parts where they differ on purpose."""
    answers = {
        found.tensor: verification.part_outputs[found.tensor]
        for found in verification.per_tensor
        if found.is_output and (found.approximate or verification.device_slack)
    }
    arrays = {f"in:{name}": array for name, array in frame.items()}
    arrays.update({f"out:{name}": answers.get(name, array) for name, array in verification.outputs.items()})
    arrays.update({f"out:{name}": weight.array() for name, weight in network.constant_outputs.items()})
    # numpy's own would tell when it was made: the same export gives the same package.
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.ascontiguousarray(array).reshape(array.shape), allow_pickle=False)


def _tolerances(document: Mapping[str, Any], verification: Verification) -> dict[str, float]:
    names = [spec["name"] for spec in (*document["outputs"], *document["passthrough"])]
    return {name: allowed(verification.part_outputs[name], verification.device_slack) for name in names}


def _write_agent(work: Path) -> dict[str, Any]:
    folder = work / "agent"
    folder.mkdir()
    wheel, requirements = build_agent_wheel(), read_agent_lock().text
    (folder / wheel.name).write_bytes(wheel.data)
    (folder / "requirements.lock").write_text(requirements, encoding="utf-8")
    wheel_digest = hashlib.sha256(wheel.data).hexdigest()
    lock_digest = hashlib.sha256(requirements.encode()).hexdigest()
    return {
        "digest": hashlib.sha256(f"{wheel_digest} {lock_digest}".encode()).hexdigest()[:16],
        "wheel": _file(work, folder / wheel.name, wheel_digest),
        "requirements": _file(work, folder / "requirements.lock", lock_digest),
    }


def _write_wheels(work: Path, target: Target, wheelhouses: WheelhouseCache, say: Say) -> dict[str, Any]:
    def progress(report: Progress) -> None:
        say(report.text)

    bundle = wheelhouses.bundle(wheelhouses.get(target, progress, never_cancelled))
    path = work / "wheels" / f"{target.key}.tar"
    path.parent.mkdir(exist_ok=True)
    shutil.copyfile(bundle.path, path)
    return {
        **_file(work, path, bundle.sha256),
        "python": list(target.python[:2]),
        "architecture": target.architecture,
        "glibc": list(target.glibc),
    }


def _write_lib(work: Path) -> None:
    studio, agent = resources.files("partition_studio"), resources.files("partition_agent")
    starter = studio.joinpath("export", "starter")
    sources = {f"partition_studio/{name}": studio.joinpath(name).read_bytes() for name in _STUDIO_MODULES}
    sources.update({f"partition_agent/{name}": agent.joinpath(name).read_bytes() for name in _AGENT_MODULES})
    for entry in starter.iterdir():
        if entry.name.endswith(".py"):
            sources[f"partition_studio/export/starter/{entry.name}"] = entry.read_bytes()
    for name in ("", "/export", "/fleet", "/fleet/on_device"):
        sources[f"partition_studio{name}/__init__.py"] = b""
    for name, data in sources.items():
        path = work / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    start = work / "start"
    start.write_text(_START, encoding="utf-8")
    start.chmod(0o755)
    (work / "LICENSE").write_bytes(resources.files("partition_studio.export").joinpath("LICENSE").read_bytes())


def _write_json(path: Path, document: object) -> None:
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _write_sums(work: Path) -> str:
    """Write the sums of all files but the one that the person edits; return the digest of the whole."""
    lines = []
    for path in sorted(work.rglob("*")):
        if path.is_file() and path.name != HOSTS:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            lines.append(f"{digest}  {path.relative_to(work).as_posix()}\n")
    text = "".join(lines).encode()
    (work / SUMS).write_bytes(text)
    os.chmod(work, 0o755)  # noqa: S103 - a person copies it; it holds no secret
    return hashlib.sha256(text).hexdigest()
