"""Running `device_script.py` on a device, and turning what goes wrong there into the studio's errors."""

import base64
import functools
import json
import zlib
from importlib import resources
from typing import TypeVar

import msgspec

from partition_studio.errors import DeviceError
from partition_studio.fleet.connection import DeviceConnection
from partition_studio.fleet.errors import (
    AgentStartError,
    BadAnswerError,
    DeviceFileError,
    DeviceHeldError,
    DiskFullError,
    InstallFailedError,
    PythonMissingError,
)
from partition_studio.fleet.install.errors import PackagesGoneError, UnhealthyReleaseError
from partition_studio.fleet.text import clean_text, decode_clean

_MARK = b"partition-studio: "

#: What runs on a device from memory, in the order in which one needs the other.
_MODULES = (
    "device_files",
    "device_process",
    "device_packages",
    "device_trial",
    "device_autostart",
    "device_script",
)

#: Modules need no package around them when they are there by their full names.
_LOADER = """
import base64, json, sys, types, zlib
for name, source in json.loads(zlib.decompress(base64.b64decode("{sources}"))):
    sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name, "exec"), sys.modules[name].__dict__)
sys.modules[name].main()
"""

T = TypeVar("T")


class _Problem(msgspec.Struct):
    error: str
    message: str


def call_device(
    connection: DeviceConnection,
    python: str,
    command: str,
    arguments: dict[str, object],
    *,
    answer: type[T],
    timeout_s: float,
) -> T:
    """Run one command of the device script and return its answer as `answer`.

    Raises DiskFullError, DeviceFileError, DeviceHeldError, InstallFailedError or AgentStartError for what it reports,
    PythonMissingError when that Python is gone, BadAnswerError for nonsense, and what `run` raises.
    """
    script = _program()
    words = [python, "-I", "-", command, msgspec.json.encode(arguments).decode()]
    completed = connection.run(words, stdin=script, timeout_s=timeout_s)
    lines = [line for line in completed.stdout.split(b"\n") if line.startswith(_MARK)]
    if not lines:
        complaint = decode_clean(completed.stderr, limit=400) or f"status {completed.returncode}"
        if completed.returncode == 127:
            raise PythonMissingError(f"{connection.label}: its Python {python} is gone: {complaint}")
        raise BadAnswerError(f"{connection.label}: its Python did not carry out {command!r}: {complaint}")
    text = lines[-1][len(_MARK) :]
    try:
        if text.startswith(b'{"error":'):
            raise _error(connection.label, msgspec.json.decode(text, type=_Problem))
        return msgspec.json.decode(text, type=answer)
    except msgspec.DecodeError as error:
        raise BadAnswerError(f"{connection.label}: its answer to {command!r} cannot be read ({error})") from error


@functools.cache
def _program() -> bytes:
    package = "partition_studio.fleet.on_device"
    folder = resources.files(package)
    sources = [(f"{package}.{name}", folder.joinpath(f"{name}.py").read_text(encoding="utf-8")) for name in _MODULES]
    packed = base64.b64encode(zlib.compress(json.dumps(sources).encode(), 9)).decode()
    return _LOADER.format(sources=packed).encode()


def _error(label: str, problem: _Problem) -> DeviceError:
    said = clean_text(problem.message, keep_lines=True, limit=4000).strip()
    match problem.error:
        case "disk_full":
            return DiskFullError(f"{label}: the disk is full: {said}")
        case "device_file":
            return DeviceFileError(f"{label}: {said}")
        case "agent_ended":
            return AgentStartError(f"{label}: the agent ended as soon as it was started: {said}", log=said)
        case "agent_silent":
            return AgentStartError(
                f"{label}: the agent did not come up in time: {said or 'its log is empty'}", log=said
            )
        case "unhealthy":
            return UnhealthyReleaseError(f"{label}: the agent's new release does not pass its trial: {said}", log=said)
        case "device_busy":
            return DeviceHeldError(f"{label}: another studio installs or starts an agent there at this moment")
        case "packages_gone":
            return PackagesGoneError(f"{label}: packages of the agent went away while it was installed: {said}")
        case _:
            return InstallFailedError(f"{label}: the packages could not be unpacked: {said}")
