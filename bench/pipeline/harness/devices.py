"""Devices of this machine: an agent each, on certain cores, with a share of them where a quota says so."""

import hashlib
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from websockets.sync.client import ClientConnection, connect

from bench.cgroups import QuotaGroup
from partition_agent.protocol import AgentState, Call, Failed, FromAgent, Reply, Request, Result

_START_S = 30.0
_CALL_S = 180.0
_POLL_S = 0.01


class AgentError(Exception):
    """An agent does not start, or refuses what it is told."""


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """A device: its cores, and how many cores' worth of time it gets of them (None: all)."""

    name: str
    cpus: tuple[int, ...]
    quota: float | None = None

    @property
    def speed(self) -> float:
        """Cores' worth of time."""
        return float(len(self.cpus)) if self.quota is None else self.quota


class Device:
    """One agent process, and what is asked of it."""

    def __init__(self, spec: DeviceSpec, folder: Path) -> None:
        """Start the agent in a folder of its own. Raises AgentError, NoQuotaError."""
        self.spec = spec
        self.group = None if spec.quota is None else QuotaGroup(spec.name, spec.quota)
        self.data_dir = folder / spec.name
        self.data_dir.mkdir(parents=True)
        self._log = (folder / f"{spec.name}.log").open("ab")
        self._calls = 0
        self._open = ExitStack()
        self._control: ClientConnection | None = None
        argv = [sys.executable, "-m", "partition_agent", "--data-dir", str(self.data_dir)]
        argv += ["--cpus", ",".join(map(str, spec.cpus)), "--parent-pid", str(os.getpid())]
        self._process = subprocess.Popen(self.command(argv), stdout=self._log, stderr=self._log)
        try:
            self.state = self._await_state()
            self._control = self._open.enter_context(
                connect(
                    f"ws://127.0.0.1:{self.state.control_port}/",
                    additional_headers={"Authorization": f"Bearer {self.state.token}"},
                    compression=None,
                    proxy=None,
                    ping_interval=None,
                    max_queue=None,
                )
            )
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """The device's name in plans."""
        return self.spec.name

    @property
    def pid(self) -> int:
        """The agent's process."""
        return self.state.pid

    def command(self, argv: list[str]) -> list[str]:
        """Return the command that runs something with this device's share of time."""
        return argv if self.group is None else self.group.command(argv)

    def push(self, data: bytes) -> str:
        """Put a sub-model where the agent finds it; return its digest."""
        digest = hashlib.sha256(data).hexdigest()
        path = self.data_dir / "models" / f"{digest}.onnx"
        if not path.exists():
            path.write_bytes(data)
        return digest

    def call(self, request: Request) -> Result:
        """Return the answer to a request; events before it are left out. Raises AgentError for a refusal."""
        assert self._control is not None
        self._calls += 1
        self._control.send(msgspec.json.encode(Call(self._calls, request)).decode())
        deadline_s = time.monotonic() + _CALL_S
        while True:
            data = self._control.recv(timeout=max(deadline_s - time.monotonic(), 0.001))
            message: FromAgent = msgspec.json.decode(data, type=FromAgent)
            if isinstance(message, Reply) and message.id == self._calls:
                if isinstance(message.result, Failed):
                    raise AgentError(f"{self.name}: {message.result.message}")
                return message.result

    def close(self) -> None:
        """End the agent. May be called again."""
        self._open.close()
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(_START_S)
        self._log.close()
        if self.group is not None:
            self.group.close()

    def _await_state(self) -> AgentState:
        path = self.data_dir / "agent.json"
        deadline_s = time.monotonic() + _START_S
        while not path.exists():
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise AgentError(f"the agent of {self.name} does not start: see {self._log.name}")
            time.sleep(_POLL_S)
        return msgspec.json.decode(path.read_bytes(), type=AgentState)


class Devices:
    """Several devices; ended together."""

    def __init__(self, specs: list[DeviceSpec], folder: Path) -> None:
        """Start them. Raises AgentError, NoQuotaError."""
        self._by_name: dict[str, Device] = {}
        try:
            for spec in specs:
                self._by_name[spec.name] = Device(spec, folder)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getitem__(self, name: str) -> Device:
        return self._by_name[name]

    def close(self) -> None:
        """End them all."""
        for device in self._by_name.values():
            device.close()
