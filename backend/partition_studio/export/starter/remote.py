# ruff: noqa: UP006, UP035, UP045 - this file runs on the host, on Python 3.8.
"""The first of us on a host: looks at it, takes what it lacks, installs the agent, and then becomes the agent.

Sent over SSH and run from memory. Everything is kept below one folder in the user's home:

    ~/.partition-studio-export/<digest of the agent and its requirements>/
        releases/<kind of Python>/site   the agent's packages
        models/<sha256>.onnx             sub-models, of every package that was run here
        runs/<run>-<device>-<role>/      one process each; removed when it ends
"""

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from typing import IO, Any, Dict, List, Optional

from partition_agent.standalone_stream import Message, Stream, StreamError, own_stream
from partition_studio.fleet.on_device import device_files, device_packages

FOLDER = ".partition-studio-export"

#: While other hosts are being prepared, this one may wait.
PATIENCE_S = 1800.0
END_GRACE_S = 5.0


class HostProblemError(Exception):
    """Something that the person must be told; `code` is stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Base:
    """The folder on this host, and the lock on what is brought there."""

    def __init__(self, digest: str) -> None:
        self.path = os.path.join(os.path.expanduser("~"), FOLDER, digest)
        self._lock: Optional[IO[str]] = None

    def lock(self) -> None:
        """Wait until nobody else brings anything here: two devices may be one host."""
        if self._lock is None:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            file = open(os.path.join(self.path, ".bring-lock"), "w")  # noqa: SIM115 - held until `unlock`
            fcntl.flock(file, fcntl.LOCK_EX)
            self._lock = file

    def unlock(self) -> None:
        """Let others bring things."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def release(self, name: str) -> str:
        """Return the folder of a release of the agent."""
        return os.path.join(self.path, "releases", name)

    def model(self, digest: str) -> str:
        """Return where a sub-model lies."""
        return os.path.join(self.path, "models", digest + ".onnx")

    def incoming(self) -> str:
        """Return this connection's own folder for what comes."""
        path = os.path.join(self.path, f"incoming-{os.getpid()}")
        os.makedirs(path, mode=0o700, exist_ok=True)
        return path

    def runs(self) -> List[str]:
        """Return the folders of runs."""
        folder = os.path.join(self.path, "runs")
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder))] if os.path.isdir(folder) else []


def facts() -> Message:
    """Tell what this host is, and the address by which it was reached."""
    # "client address, client port, own address, own port": set by the SSH server.
    words = os.environ.get("SSH_CONNECTION", "").split()
    return {
        "python": list(sys.version_info[:3]),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "system": platform.system(),
        "machine": platform.machine(),
        "libc": list(platform.libc_ver()),
        "address": words[2] if len(words) == 4 else "",
        "home": os.path.expanduser("~"),
    }


def digest_of(path: str) -> str:
    """Return the SHA-256 of a file; empty when it is not there."""
    found = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for chunk in iter(lambda: file.read(1024 * 1024), b""):
                found.update(chunk)
    except FileNotFoundError:
        return ""
    return found.hexdigest()


def begin(base: Base, message: Message) -> Message:
    """Take the lock; tell what of the wanted things is not here, and how much room there is."""
    base.lock()
    for folder in base.runs():
        if process_of(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)
    for name in os.listdir(base.path):
        if name.startswith("incoming-"):
            # Of a connection that broke: whoever still brought something would hold the lock.
            shutil.rmtree(os.path.join(base.path, name), ignore_errors=True)
    status = os.statvfs(base.path)
    return {
        "installed": message["release"] in device_packages.releases(base.path),
        "missing": [digest for digest in message["models"] if digest_of(base.model(digest)) != digest],
        "free_bytes": status.f_bavail * status.f_frsize,
    }


def put(base: Base, stream: Stream, message: Message, length: int) -> Message:
    """Take a file: it is there under its name only when it is whole and the one that was announced."""
    kind, digest = message["kind"], message["sha256"]
    name = os.path.basename(message["name"])
    target = base.model(digest) if kind == "model" else os.path.join(base.incoming(), name)
    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    found = hashlib.sha256()
    failure: List[OSError] = []
    with open(target + ".part", "wb") as file:

        def write(chunk: bytes) -> None:
            found.update(chunk)
            if not failure:
                try:
                    file.write(chunk)
                except OSError as error:
                    # What is on its way must be read all the same, to answer.
                    failure.append(error)

        try:
            stream.take(length, write)
        except BaseException:
            device_files.remove(target + ".part")
            raise
    if failure or found.hexdigest() != digest:
        device_files.remove(target + ".part")
        raise failure[0] if failure else HostProblemError("bad_transfer", f"{name} did not arrive as it was sent")
    os.replace(target + ".part", target)
    return {}


def install(base: Base, message: Message) -> Message:
    """Unpack the agent's packages: from the bundle that was sent, or from this host's own package index."""
    release = message["release"]
    if message.get("bundle"):
        device_packages.install_bundle(base.path, release, os.path.join(base.incoming(), message["bundle"]))
    else:
        from_index(base, release, message["wheel"], message["requirements"])
    return {}


def from_index(base: Base, release: str, wheel: str, requirements: str) -> None:
    """Have this Python's own pip fetch what the lock names, by its hashes."""
    work = os.path.join(base.path, "releases", ".new-" + release)
    shutil.rmtree(work, ignore_errors=True)
    site = os.path.join(work, "site")
    os.makedirs(site, mode=0o700)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    pip += ["--no-compile", "--no-warn-script-location", "--target", site]
    pip += ["--root-user-action=ignore"] if os.geteuid() == 0 else []
    if subprocess.call([*pip[:3], "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) != 0:
        raise HostProblemError("no_packages", "its Python has no pip")
    incoming = base.incoming()
    try:
        steps = [
            ["--require-hashes", "--only-binary=:all:", "-r", os.path.join(incoming, requirements)],
            ["--no-index", "--no-deps", os.path.join(incoming, wheel)],
        ]
        for words in steps:
            run_pip(pip + words)
        with open(os.path.join(work, "complete"), "w") as marker:
            json.dump({"python": sys.executable}, marker)
        shutil.rmtree(base.release(release), ignore_errors=True)
        os.rename(work, base.release(release))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def run_pip(command: List[str]) -> None:
    """Run pip, with the settings of this host."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode != 0:
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        errors = [line for line in lines if line.startswith("ERROR")] or lines[-3:]
        full = any("No space left" in line for line in lines)
        raise HostProblemError("disk_full" if full else "no_packages", "; ".join(errors)[:600])


def process_of(folder: str) -> Optional[Dict[str, Any]]:
    """Return the record of a run's process, when that very process is alive."""
    try:
        with open(os.path.join(folder, "process.json")) as file:
            record: Dict[str, Any] = json.load(file)
        alive = device_files.start_ticks(int(record["pid"])) == int(record["start_ticks"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if alive else None


def stop(base: Base, package: str) -> Message:
    """End every process of a package's runs; return how many there were."""
    ended = 0
    for folder in base.runs():
        record = process_of(folder)
        if record is not None and record["package"] != package:
            continue
        if record is not None:
            end_process(int(record["pid"]), int(record["start_ticks"]))
            ended += 1
        shutil.rmtree(folder, ignore_errors=True)
    return {"ended": ended}


def end_process(pid: int, ticks: int) -> None:
    """Ask one process to end, then make it."""
    for number, patience_s in ((signal.SIGTERM, END_GRACE_S), (signal.SIGKILL, END_GRACE_S)):
        if device_files.start_ticks(pid) != ticks:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + patience_s
        while device_files.start_ticks(pid) == ticks and time.monotonic() < deadline:
            time.sleep(0.02)


def uninstall(base: Base, package: str) -> Message:
    """Remove everything of ours from this host, unless another package runs here."""
    stopped = stop(base, package)
    if not os.path.isdir(base.path):
        return {"ended": 0, "removed": False}
    others = [folder for folder in base.runs() if process_of(folder) is not None]
    if others:
        raise HostProblemError("in_use", f"another package runs in {base.path}")
    shutil.rmtree(base.path, ignore_errors=True)
    deadline = time.monotonic() + END_GRACE_S
    while os.path.exists(base.path) and time.monotonic() < deadline:
        # Another device of the package may be this host too, and remove the same folder now.
        time.sleep(0.05)
        shutil.rmtree(base.path, ignore_errors=True)
    if os.path.exists(base.path):
        raise HostProblemError("host_file", f"{base.path} cannot be removed completely")
    with contextlib.suppress(OSError):
        # Packages of other versions may have theirs beside it.
        os.rmdir(os.path.dirname(base.path))
    return {"ended": stopped["ended"], "removed": True}


def become(base: Base, message: Message, stream: Stream) -> None:
    """Let the agent take this process's place; the channel is its own from then on."""
    base.lock()
    folder = os.path.join(base.path, "runs", os.path.basename(message["run"]))
    os.makedirs(os.path.join(folder, "models"), mode=0o700)
    # The process stays the same one. Without the lock, another connection might take the folder for one that is left.
    record = {"pid": os.getpid(), "start_ticks": device_files.start_ticks(os.getpid()), "package": message["package"]}
    with open(os.path.join(folder, "process.json"), "w") as file:
        json.dump(record, file)
    shutil.rmtree(base.incoming(), ignore_errors=True)
    for digest in message["models"]:
        # The agent deletes what it no longer needs: it gets a name of its own for each file.
        place = os.path.join(folder, "models", digest + ".onnx")
        try:
            os.link(base.model(digest), place)
        except OSError:
            shutil.copyfile(base.model(digest), place)
    base.unlock()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment.update(device_files.NO_TELEMETRY)
    environment.update(
        PYTHONPATH=os.path.join(base.release(message["release"]), "site"),
        PYTHONNOUSERSITE="1",
        XDG_CACHE_HOME=os.path.join(folder, "cache"),
    )
    command = [sys.executable, "-m", "partition_agent.standalone", message["role"], "--folder", folder]
    if message["cores"]:
        command += ["--cpus", ",".join(str(core) for core in message["cores"])]
    os.chdir(folder)
    stream.give_back()
    os.execve(sys.executable, command, environment)  # noqa: S606 - the command is built here


def carry_out(base: Base, stream: Stream, message: Message, length: int) -> Message:
    """Carry out one request. Raises HostProblemError, OSError."""
    operation = message["op"]
    if operation == "begin":
        return begin(base, message)
    if operation == "put":
        return put(base, stream, message, length)
    if operation == "install":
        return install(base, message)
    if operation == "stop":
        return stop(base, message["package"])
    if operation == "uninstall":
        return uninstall(base, message["package"])
    if operation == "become":
        become(base, message, stream)
    raise HostProblemError("no_such_request", f"no such request: {operation}")


def main(digest: str) -> None:
    """Serve one channel."""
    os.umask(0o077)
    stream = own_stream(PATIENCE_S)
    base = Base(digest)
    stream.mark()
    stream.write(facts())
    try:
        while True:
            received = stream.read()
            if received is None or received[0].get("op") == "end":
                break
            try:
                answer = carry_out(base, stream, *received)
            except (HostProblemError, device_files.DeviceProblemError) as problem:
                answer = {"error": problem.code, "message": str(problem)}
            except OSError as problem:
                code = "disk_full" if problem.errno in device_files.FULL else "host_file"
                answer = {"error": code, "message": device_files.file_trouble(problem)}
            stream.write(answer)
    except (StreamError, BrokenPipeError) as error:
        sys.stderr.write(f"{error}\n")
    finally:
        shutil.rmtree(os.path.join(base.path, f"incoming-{os.getpid()}"), ignore_errors=True)
        base.unlock()
