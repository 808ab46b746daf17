"""The agent as a wheel, made from the package that is installed beside the studio: no build tool, same bytes always."""

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

_LEFT_OUT = {"__pycache__", "requirements.lock"}
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class AgentWheel:
    """A wheel's file name and bytes."""

    name: str
    data: bytes


def build_agent_wheel() -> AgentWheel:
    """Return the agent's wheel; its version carries the digest of the sources."""
    files = dict(sorted(_files(resources.files("partition_agent"), "partition_agent")))
    sources = hashlib.sha256()
    for name, data in files.items():
        sources.update(f"{name}\0{len(data)}\0".encode() + data)
    version = f"0+{sources.hexdigest()[:12]}"
    folder = f"partition_agent-{version}.dist-info"
    files[f"{folder}/METADATA"] = f"Metadata-Version: 2.1\nName: partition-agent\nVersion: {version}\n".encode()
    files[f"{folder}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: partition-studio\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = f"{folder}/RECORD"
    files[record] = ("".join(_record_line(name, data) for name, data in files.items()) + f"{record},,\n").encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            wheel.writestr(info, data)
    return AgentWheel(f"partition_agent-{version}-py3-none-any.whl", buffer.getvalue())


def _files(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.name in _LEFT_OUT:
            continue
        if entry.is_dir():
            yield from _files(entry, f"{prefix}/{entry.name}")
        else:
            yield f"{prefix}/{entry.name}", entry.read_bytes()


def _record_line(name: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    return f"{name},sha256={digest},{len(data)}\n"
