# ruff: noqa: UP006, UP035, UP045 - this file runs on the device, on Python 3.8.
"""What the studio does on a device, run there by its Python: install, start, find, stop, read the log, remove.

Sent as text on stdin: `python -I - COMMAND JSON`. Answers one line: a mark and a JSON object, `{"error": ...}` when it
could not. Standard library only, and everything below BASE.
"""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from typing import Any, Callable, Dict, Iterator, List, Optional

MARK = "partition-studio: "
KEPT_RELEASES = 2
LOG_ROTATE_BYTES = 4 * 1024 * 1024
#: ONNX Runtime's wheels otherwise send usage events and file an identifier in the user's home, before any call of ours.
#: The first name is that of the releases, the second that of some in between.
NO_TELEMETRY = {"ORT_DISABLE_TELEMETRY": "1", "ORT_TELEMETRY_DISABLED": "1"}
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DeviceProblemError(Exception):
    """Something that the studio turns into one of its errors by `code`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@contextlib.contextmanager
def locked(base: str) -> Iterator[None]:
    """Let one command at a time change BASE."""
    os.makedirs(base, mode=0o700, exist_ok=True)
    with open(os.path.join(base, ".lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def releases(base: str) -> List[str]:
    """Return the names of the complete releases, the newest first."""
    folder = os.path.join(base, "releases")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    complete = [name for name in names if os.path.isfile(os.path.join(folder, name, "complete"))]
    return sorted(complete, key=lambda name: os.path.getmtime(os.path.join(folder, name, "complete")), reverse=True)


def look(base: str) -> Dict[str, Any]:
    """Tell what is installed and how much room there is."""
    folder = base
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    status = os.statvfs(folder)
    current = os.path.basename(os.path.realpath(os.path.join(base, "current")))
    return {"releases": releases(base), "current": current, "free_bytes": status.f_bavail * status.f_frsize}


def install(base: str, release: str, bundle: str) -> Dict[str, Any]:
    """Unpack a verified bundle into a release, make it the current one, remove the bundle and old releases."""
    with locked(base):
        target = os.path.join(base, "releases", release)
        if release not in releases(base):
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            for name in os.listdir(os.path.dirname(target)):
                if name.startswith(".new-"):
                    shutil.rmtree(os.path.join(os.path.dirname(target), name), ignore_errors=True)
            work = tempfile.mkdtemp(dir=os.path.dirname(target), prefix=".new-")
            try:
                unpack(bundle, work)
                shutil.rmtree(target, ignore_errors=True)
                os.rename(work, target)
            finally:
                shutil.rmtree(work, ignore_errors=True)
                shutil.rmtree(os.path.dirname(bundle), ignore_errors=True)
        make_current(base, release)
        prune(base, release)
    return {"release": target}


def unpack(bundle: str, work: str) -> None:
    """Let the bundle's own pip install the bundle's wheels below `work`."""
    wheels = os.path.join(work, "wheels")
    scratch = os.path.join(work, "tmp")
    os.mkdir(wheels)
    os.mkdir(scratch)
    paths = []
    with tarfile.open(bundle) as tar:
        for member in tar:
            source = tar.extractfile(member) if member.isfile() else None
            if source is None or os.path.basename(member.name) != member.name or not member.name.endswith(".whl"):
                raise DeviceProblemError("install_failed", f"the bundle holds {member.name!r}, which is no wheel")
            paths.append(os.path.join(wheels, member.name))
            with open(paths[-1], "wb") as out:
                shutil.copyfileobj(source, out, 1024 * 1024)
    remove(bundle)
    pip = [path for path in paths if os.path.basename(path).startswith("pip-")]
    if len(pip) != 1:
        raise DeviceProblemError("install_failed", "the bundle holds no pip")
    run_pip(pip[0], [path for path in paths if path != pip[0]], os.path.join(work, "site"), scratch)
    shutil.rmtree(wheels)
    shutil.rmtree(scratch)
    os.sync()
    with open(os.path.join(work, "complete"), "w") as marker:
        json.dump({"python": sys.executable, "installed_unix_s": time.time()}, marker)


def run_pip(pip: str, wheels: List[str], site: str, scratch: str) -> None:
    """Run pip from its wheel, cut off from the user's settings, the network and other folders."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "PYTHON"))}
    environment.update(
        PYTHONPATH=pip, PIP_CONFIG_FILE=os.devnull, PYTHONNOUSERSITE="1", TMPDIR=scratch, PYTHONDONTWRITEBYTECODE="1"
    )
    command = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--no-compile", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--no-warn-script-location", "--no-input", "--quiet"]
    command += ["--root-user-action=ignore"] if os.geteuid() == 0 else []
    process = subprocess.run(
        [*command, "--target", site, *wheels],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if process.returncode == 0:
        return
    said = process.stdout.decode("utf-8", "replace")[-2000:]
    full = "No space left" in said or "Errno 28" in said or "Disk quota" in said or "Errno 27" in said
    if process.returncode == -signal.SIGXFSZ:
        full = True
    raise DeviceProblemError("disk_full" if full else "install_failed", said or f"pip ended with {process.returncode}")


def make_current(base: str, release: str) -> None:
    """Point `current` at a release, without a moment in which it points nowhere."""
    temporary = os.path.join(base, f".current-{os.getpid()}")
    remove(temporary)
    os.symlink(os.path.join("releases", release), temporary)
    os.replace(temporary, os.path.join(base, "current"))


def prune(base: str, release: str) -> None:
    """Remove all but the current release and those before it that are kept."""
    others = [name for name in releases(base) if name != release]
    for name in others[KEPT_RELEASES - 1 :]:
        shutil.rmtree(os.path.join(base, "releases", name), ignore_errors=True)


def start_ticks(pid: int) -> Optional[int]:
    """Return when a living process started, in clock ticks since boot; None when it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def read_state(data_dir: str) -> Optional[Dict[str, Any]]:
    """Return the agent's state file when the process that it names is alive."""
    try:
        with open(os.path.join(data_dir, "agent.json")) as file:
            state = json.load(file)
        alive = start_ticks(int(state["pid"])) == int(state["pid_start_ticks"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return state if alive else None


def find(data_dir: str) -> Dict[str, Any]:
    """Tell how to reach the agent that runs here, if one does."""
    return {"state": read_state(data_dir)}


def start(data_dir: str, command: List[str], python_path: str, deadline_s: float) -> Dict[str, Any]:
    """Start the agent in a session of its own and wait for its state file."""
    os.makedirs(data_dir, mode=0o700, exist_ok=True)
    os.chmod(data_dir, 0o700)
    with locked(data_dir):
        running = read_state(data_dir)
        if running is not None:
            return {"state": running, "started": False}
        remove(os.path.join(data_dir, "agent.json"))
        log_path = os.path.join(data_dir, "agent.log")
        if os.path.exists(log_path) and os.path.getsize(log_path) > LOG_ROTATE_BYTES:
            os.replace(log_path, log_path + ".1")
        environment = dict(os.environ, PYTHONUNBUFFERED="1", XDG_CACHE_HOME=os.path.join(data_dir, "cache"))
        environment.update(NO_TELEMETRY)
        if python_path:
            environment.update(PYTHONPATH=python_path, PYTHONNOUSERSITE="1")
        descriptor = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        begin = os.fstat(descriptor).st_size
        try:
            process = subprocess.Popen(
                command,
                cwd=data_dir,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        return {"state": wait_for_state(process, data_dir, deadline_s, begin), "started": True}


def wait_for_state(process: "subprocess.Popen[bytes]", data_dir: str, deadline_s: float, begin: int) -> Dict[str, Any]:
    """Return the state that the started process writes; end it when it does not."""
    deadline = time.monotonic() + deadline_s
    while time.monotonic() < deadline:
        state = read_state(data_dir)
        if state is not None and state["pid"] == process.pid:
            return state
        if process.poll() is not None:
            said = log_text(data_dir, begin, 40)["text"]
            raise DeviceProblemError("agent_ended", f"status {process.returncode}\n{said}")
        time.sleep(0.02)
    kill_group(process.pid)
    process.wait()
    raise DeviceProblemError("agent_silent", log_text(data_dir, begin, 40)["text"])


def stop(data_dir: str, grace_s: float) -> Dict[str, Any]:
    """Ask the agent to end, and after `grace_s` make it; a process that only has its number is left alone."""
    state = read_state(data_dir)
    if state is None:
        return {"stopped": False}
    pid, ticks = int(state["pid"]), int(state["pid_start_ticks"])
    if grace_s > 0:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        while start_ticks(pid) == ticks and time.monotonic() < deadline:
            time.sleep(0.02)
    if start_ticks(pid) == ticks:
        kill_group(pid)
        deadline = time.monotonic() + 5
        while start_ticks(pid) == ticks and time.monotonic() < deadline:
            time.sleep(0.02)
    remove(os.path.join(data_dir, "agent.json"))
    return {"stopped": start_ticks(pid) != ticks}


def kill_group(pid: int) -> None:
    """Kill a process and what it started; the agent leads a group of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)


def log_text(data_dir: str, begin: int, lines: int) -> Dict[str, Any]:
    """Return the last lines of the agent's log, not before the offset `begin`."""
    try:
        with open(os.path.join(data_dir, "agent.log"), "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(begin, size - 256 * 1024))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        text = ""
    return {"text": "\n".join(text.splitlines()[-lines:])}


def uninstall(base: str, data_dir: str) -> Dict[str, Any]:
    """Stop the agent and leave nothing of it, nor the folders above that are empty without it."""
    stop(data_dir, 5.0)
    for folder in (data_dir, base):
        shutil.rmtree(folder, ignore_errors=True)
        if os.path.exists(folder):
            raise DeviceProblemError("device_file", f"{folder} cannot be removed completely")
    home = os.path.expanduser("~")
    parent = os.path.dirname(base)
    while parent.startswith(home + os.sep):
        try:
            os.rmdir(parent)
        except OSError:
            break
        parent = os.path.dirname(parent)
    return {"removed": True}


def remove(path: str) -> None:
    """Remove a file or link that may be gone already."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def main() -> None:
    """Carry out one command and print its answer."""
    commands: Dict[str, Callable[..., Dict[str, Any]]] = {
        "look": look,
        "install": install,
        "start": start,
        "find": find,
        "stop": stop,
        "log": log_text,
        "uninstall": uninstall,
    }
    os.umask(0o077)
    arguments = json.loads(sys.argv[2])
    try:
        answer = commands[sys.argv[1]](**arguments)
    except DeviceProblemError as problem:
        answer = {"error": problem.code, "message": str(problem)}
    except OSError as problem:
        answer = {"error": "disk_full" if problem.errno in FULL else "device_file", "message": str(problem)}
    print(MARK + json.dumps(answer))  # noqa: T201 - printing is how it answers


if __name__ == "__main__":
    main()
