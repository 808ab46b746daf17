# ruff: noqa: UP006, UP035, UP045 - this file runs on Python 3.8.
"""The folder that was exported: what is in it, and that nothing of it was damaged on the way."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from partition_agent.standalone_stream import Message
from partition_studio.export.starter.arrays import Spec, spec_of
from partition_studio.export.starter.errors import StartError

SUMS = "SHA256SUMS"
HOSTS = "hosts.json"
EXPECTED = "expected.npz"
VERSION = 1

#: The processors' names as uname gives them, and as wheels do.
ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}


@dataclass(frozen=True)
class File:
    """A file of the package."""

    path: Path
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Package:
    """What `package.json` says. `digest` is that of everything in the folder but the hosts file."""

    folder: Path
    digest: str
    document: Dict[str, Any]

    @property
    def devices(self) -> Tuple[str, ...]:
        """The devices of the plan, in the order of their first stage."""
        return tuple(share["device"] for share in self.document["shares"])

    def share(self, device: str) -> Dict[str, Any]:
        """Return the stages and links of a device."""
        found: Dict[str, Any] = next(share for share in self.document["shares"] if share["device"] == device)
        return found

    def models(self, device: str) -> List[File]:
        """Return the sub-models of a device."""
        digests = dict.fromkeys(stage["digest"] for stage in self.share(device)["stages"])
        return [self._file(self.document["models"][digest]) for digest in digests]

    @property
    def all_inputs(self) -> List[Spec]:
        """What a frame consists of."""
        return [spec_of(spec) for spec in self.document["all_inputs"]]

    @property
    def passthrough(self) -> List[Spec]:
        """Outputs that are inputs of the network: no device sees them."""
        return [spec_of(spec) for spec in self.document["passthrough"]]

    @property
    def constants(self) -> List[Spec]:
        """Outputs that are the same for every frame: they lie beside the recorded one."""
        return [spec_of(spec) for spec in self.document["constants"]]

    @property
    def inputs(self) -> List[Spec]:
        """The inputs that a device reads."""
        return [spec_of(spec) for spec in self.document["inputs"]]

    @property
    def outputs(self) -> List[Spec]:
        """What comes back from the devices."""
        return [spec_of(spec) for spec in self.document["outputs"]]

    @property
    def agent_digest(self) -> str:
        """Name of the folder on a host."""
        return str(self.document["agent"]["digest"])

    @property
    def agent_wheel(self) -> File:
        """The agent's own wheel."""
        return self._file(self.document["agent"]["wheel"])

    @property
    def requirements(self) -> File:
        """What the agent needs, with hashes."""
        return self._file(self.document["agent"]["requirements"])

    def bundle(self, facts: Message) -> Optional[File]:
        """Return the wheels for a host, if the package has them."""
        family, version = facts["libc"]
        if family != "glibc" or facts["implementation"] != "CPython":
            return None
        glibc = [int(part) for part in version.split(".")[:2]]
        fitting = [
            entry
            for entry in self.document["wheels"]
            if entry["python"] == facts["python"][:2]
            and entry["architecture"] == ARCHITECTURES.get(facts["machine"].lower())
            and entry["glibc"] <= glibc
        ]
        best = max(fitting, key=lambda entry: list(entry["glibc"]), default=None)
        return self._file(best) if best is not None else None

    def pythons(self) -> List[str]:
        """Return the Pythons to look for on a host, those first for which there are wheels."""
        packed = ["python" + ".".join(str(part) for part in entry["python"]) for entry in self.document["wheels"]]
        others = [f"python3.{minor}" for minor in range(14, 7, -1)]
        return list(dict.fromkeys([*packed, "python3", *others, "/usr/local/bin/python3"]))

    def _file(self, entry: Dict[str, Any]) -> File:
        return File(self.folder / entry["file"], entry["sha256"], entry["bytes"])


def open_package(folder: Path) -> Package:
    """Read a package and compare every file with its sum. Raises StartError."""
    step = "Copy the folder again, or export it again."
    try:
        sums = (folder / SUMS).read_bytes()
        for line in sums.decode().splitlines():
            digest, _, name = line.partition("  ")
            if _sha256(folder / name) != digest:
                raise StartError(f"{name} is not the file that was exported", step, "damaged")
        document = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StartError(f"the package in {folder} is not complete: {error}", step, "damaged") from error
    if document["version"] != VERSION:
        raise StartError(f"the package is of version {document['version']}, not {VERSION}", step, "damaged")
    return Package(folder, hashlib.sha256(sums).hexdigest(), document)


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(1024 * 1024), b""):
            found.update(chunk)
    return found.hexdigest()
