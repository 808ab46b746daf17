# ruff: noqa: UP006, UP035, UP045 - this file runs on Python 3.8.
"""One SSH connection to a host, made by the person's own `ssh`: it knows their keys, aliases and known hosts."""

import contextlib
import json
import queue
import shlex
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO, Any, Callable, Deque, List, Optional, Sequence, Tuple

from partition_agent.standalone_stream import Message, Stream, StreamError
from partition_studio.export.starter.errors import InterruptedRunError, StartError
from partition_studio.export.starter.hosts import Host

OLDEST_PYTHON = (3, 8)
CONNECT_S = 10
ALIVE_EVERY_S = 5
GREETING_S = 60.0
REPLY_S = 60.0
END_S = 15.0

#: What runs on a host from memory, in the order in which one needs the other.
MODULES = (
    "partition_agent.standalone_stream",
    "partition_studio.fleet.on_device.device_files",
    "partition_studio.fleet.on_device.device_packages",
    "partition_studio.export.starter.remote",
)
NO_PYTHON = "partition-studio: no python"

OnEvent = Callable[[Message, bytes], None]


def program(digest: str) -> bytes:
    """Return the program that is sent to a host: a few modules, which need no file there."""
    root = Path(__file__).resolve().parents[3]
    sources = []
    for name in MODULES:
        path = root.joinpath(*name.split(".")).with_suffix(".py")
        if not path.is_file():
            # In the repository the agent is another distribution beside the backend.
            path = Path(str(sys.modules["partition_agent"].__file__)).parent / path.name
        sources.append((name, path.read_text(encoding="utf-8")))
    return _LOADER.format(sources=json.dumps(json.dumps(sources)), digest=digest).encode()


_LOADER = """
import json, sys, types
def module(name):
    if name not in sys.modules:
        sys.modules[name] = types.ModuleType(name)
        if "." in name:
            parent, _, last = name.rpartition(".")
            setattr(module(parent), last, sys.modules[name])
    return sys.modules[name]
for name, source in json.loads({sources}):
    exec(compile(source, name, "exec"), module(name).__dict__)
sys.modules["partition_studio.export.starter.remote"].main("{digest}")
"""


def ssh_command(host: Host, pythons: Sequence[str], config: Optional[str]) -> List[str]:
    """Return the command that connects to a host and starts the first Python there that is new enough."""
    version = f"import sys; sys.exit(sys.version_info < {OLDEST_PYTHON})"
    receive = "import sys; b = sys.stdin.buffer; exec(b.read(int(b.readline())))"
    tries = " ".join(shlex.quote(python) for python in pythons)
    # Not a line break and no exclamation mark: the login shell may be any.
    script = (
        f"for p in {tries}; do "
        f'if "$p" -I -c {shlex.quote(version)} </dev/null >/dev/null 2>&1; '
        f'then exec "$p" -I -u -c {shlex.quote(receive)}; fi; done; echo {shlex.quote(NO_PYTHON)} >&2; exit 127'
    )
    command = ["ssh", "-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_S}"]
    command += [
        "-o",
        f"ServerAliveInterval={ALIVE_EVERY_S}",
        "-o",
        "ServerAliveCountMax=3",
        "-o",
        "ClearAllForwardings=yes",
    ]
    command += ["-F", config] if config else []
    command += ["-p", str(host.port)] if host.port is not None else []
    return [*command, "--", host.ssh, "sh -c " + shlex.quote(script)]


class Channel:
    """A conversation with one host. `request` may be called by one thread at a time; events come by another."""

    def __init__(self, host: Host, command: Sequence[str], on_line: Callable[[str], None]) -> None:
        """Start `ssh`; `on_line` is told each line that it and the host say beside the conversation."""
        self.host = host
        self._on_line = on_line
        #: Whether the agent is at the other end, which ends when it hears nothing for a while.
        self.is_agent = False
        self.on_event: OnEvent = lambda message, payload: None
        #: Told once, by the reading thread, when the conversation ends that nobody ended.
        self.on_lost: Callable[[Channel], None] = lambda channel: None
        self._said: Deque[str] = deque(maxlen=40)
        self._replies: queue.Queue[Optional[Message]] = queue.Queue()
        self._ending = False
        try:
            # In a session of its own: Ctrl+C is for us, who end the others in order.
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise StartError(f"ssh cannot be started: {error}", "Install OpenSSH's client.", "no_ssh") from error
        self._stdin: IO[bytes] = _there(self._process.stdin)
        self._stream = Stream(_there(self._process.stdout).fileno(), self._stdin.fileno())
        self._errors = threading.Thread(target=self._listen_to_errors, daemon=True)
        self._errors.start()
        self._reader = threading.Thread(target=self._listen, daemon=True)

    def greet(self, text: bytes) -> Message:
        """Send the program and return what the host says of itself. Raises StartError."""
        watch = threading.Timer(GREETING_S, self._process.kill)
        watch.daemon = True
        watch.start()
        try:
            self._stdin.write(b"%d\n" % len(text) + text)
            self._stdin.flush()
            return self._hello()
        except (OSError, StreamError) as error:
            raise self._ended() from error
        finally:
            watch.cancel()

    def request(self, message: Message, parts: Sequence[Any] = (), timeout_s: float = REPLY_S) -> Message:
        """Ask something and return the answer. Raises StartError."""
        self._write(lambda: self._stream.write(message, parts))
        return self._reply(str(message["op"]), timeout_s)

    def send_file(self, message: Message, path: Path) -> None:
        """Send a file and hear that it is there. Raises StartError."""
        with path.open("rb") as file:
            self._write(lambda: self._stream.write_from(message, file, path.stat().st_size))
        self._reply("put", REPLY_S)

    def tell(self, message: Message, parts: Sequence[Any] = ()) -> None:
        """Say something that is not answered. Raises StartError."""
        self._write(lambda: self._stream.write(message, parts))

    def become(self, message: Message) -> Message:
        """Have the agent take the place of the program that is there, and return what it says of itself."""
        self._write(lambda: self._stream.write(message))
        answer = self._reply("become", GREETING_S)
        self.is_agent = True
        return answer

    def hang_up(self) -> None:
        """Say that it is over; does not wait."""
        self._ending = True
        with contextlib.suppress(OSError):
            self._stdin.close()

    def wait(self, deadline_s: float) -> None:
        """Wait until ssh has ended, by `deadline_s` (monotonic); then end it."""
        try:
            self._process.wait(max(deadline_s - time.monotonic(), 0.0))
        except subprocess.TimeoutExpired:
            self._process.terminate()
            try:
                self._process.wait(2.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._errors.join(2.0)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None and not self._errors.is_alive() and not self._reader.is_alive():
                pipe.close()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _hello(self) -> Message:
        self._stream.skip_to_mark()
        received = self._stream.read()
        if received is None:
            raise StreamError("it ended before it said who it is")
        self._reader.start()
        return received[0]

    def _write(self, write: Callable[[], None]) -> None:
        try:
            write()
        except (OSError, ValueError) as error:
            raise self._ended() from error

    def _reply(self, what: str, timeout_s: float) -> Message:
        try:
            answer = self._replies.get(timeout=timeout_s)
        except queue.Empty:
            raise StartError(
                f"{self.host.name} did not answer {what!r} within {timeout_s:.0f} s",
                "Look whether the host is overloaded, and try again.",
                "no_answer",
            ) from None
        if answer is None:
            # Whoever asks next hears it too.
            self._replies.put(None)
            raise self._ended()
        if "error" in answer:
            raise StartError(
                f"{self.host.name}: {answer.get('message')}", _ADVICE.get(answer["error"], _TRY_AGAIN), answer["error"]
            )
        return answer

    def _listen(self) -> None:
        try:
            while True:
                received = self._stream.read()
                if received is None:
                    break
                message, length = received
                payload = self._stream.take_bytes(length)
                if "event" in message:
                    self.on_event(message, payload)
                else:
                    self._replies.put(message)
        except (StreamError, OSError, ValueError) as error:
            self._said.append(str(error))
        self._replies.put(None)
        if not self._ending:
            self.on_lost(self)

    def _listen_to_errors(self) -> None:
        for line in _there(self._process.stderr):
            text = "".join(c if c.isprintable() else " " for c in line.decode("utf-8", "replace")).rstrip()
            self._said.append(text)
            self._on_line(f"{self.host.name}: {text}")

    def _ended(self) -> StartError:
        """Say why the conversation ended."""
        if self._ending:
            return InterruptedRunError(f"{self.host.name}: the connection was ended", "", "interrupted")
        try:
            status = self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            status = None
        self._errors.join(2.0)
        return explain(self.host, status, list(self._said))

    def lost(self) -> StartError:
        """Return why this host was lost."""
        return self._ended()


_TRY_AGAIN = "Correct that and start again; ./start --verbose shows what the host's agent says."
_ADVICE = {
    "disk_full": "Make room on that host: the agent takes about 150 MB. --uninstall of an old package removes its own.",
    "no_packages": "Export again with --wheels for that kind of host, or let it reach a package index.",
    "bad_transfer": "Start again: the network may have damaged it.",
    "in_use": "End that one first.",
    "model_missing": "Start again.",
}

#: What ssh says, what it means, and what to do: (words, text, next step, code).
_SSH_SAYS: Tuple[Tuple[str, str, str, str], ...] = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "shows another host key than the one that is known for it",
        "If you set that host up anew, remove the old key (`ssh-keygen -R HOST`); otherwise do not connect.",
        "host_key",
    ),
    (
        "Host key verification failed",
        "is not known: nobody has confirmed its host key",
        "Connect once by hand (`ssh HOST`), compare the fingerprint, and confirm it.",
        "host_key",
    ),
    (
        "Permission denied",
        "does not let you in",
        "`ssh HOST` must work without a password: add your key to its authorized_keys, or load it into ssh-agent.",
        "auth",
    ),
    ("Could not resolve", "has no address", "Correct `ssh` of that device in hosts.json.", "unreachable"),
    ("Connection refused", "takes no SSH connections", "Start its SSH server, or correct the port.", "unreachable"),
    ("No route to host", "cannot be reached", "Check that it is switched on and on this network.", "unreachable"),
    ("timed out", "does not answer", "Check that it is switched on and on this network.", "unreachable"),
    ("not responding", "no longer answers", "Check its power and its network.", "lost"),
    (
        NO_PYTHON,
        "has no Python 3.8 or newer",
        "Install python3 there, or name it as `python` of that device in hosts.json.",
        "no_python",
    ),
)


def explain(host: Host, status: Optional[int], said: Sequence[str]) -> StartError:
    """Return what an ssh connection that ended means."""
    text = "\n".join(said)
    shown = host.name if host.ssh == host.name else f"{host.name} ({host.ssh})"
    for words, meaning, step, code in _SSH_SAYS:
        if words in text:
            return StartError(f"{shown} {meaning}", step.replace("HOST", host.ssh), code)
    lines = [line for line in said if line.strip()]
    last = "; ".join(lines[-3:])[-600:] if lines else "it said nothing"
    return StartError(f"{shown}: its connection or its agent ended (status {status}): {last}", _TRY_AGAIN, "lost")


def _there(pipe: Optional[IO[bytes]]) -> IO[bytes]:
    assert pipe is not None
    return pipe
