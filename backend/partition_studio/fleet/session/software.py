"""What is ours on one device: found by a check, installed, started, read, removed."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from partition_agent.protocol import AgentState
from partition_studio.fleet.check.check import DeviceCheck, check_device, require_ready
from partition_studio.fleet.errors import AgentUnreachableError
from partition_studio.fleet.install.agent_process import find_running, read_log, start_agent, stop_agent
from partition_studio.fleet.install.install import Installed, ensure_installed, layout_of, uninstall
from partition_studio.fleet.progress import CancelCheck, stop_if_cancelled
from partition_studio.fleet.session.device_link import DeviceLink
from partition_studio.fleet.session.device_spec import FleetFiles
from partition_studio.fleet.session.transition import Transition


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A sub-model on its way to a device; `digest` is its SHA-256."""

    source: BinaryIO | bytes
    size_bytes: int
    digest: str


class DeviceSoftware:
    """The agent's files and its process. Every call blocks and raises DeviceError.

    Whoever changes something is alone (see `transition`); the rest may be asked at any time.
    """

    def __init__(self, link: DeviceLink, files: FleetFiles) -> None:
        self._link = link
        self._files = files
        self._check: DeviceCheck | None = None
        self._installed: Installed | None = None

    @property
    def release(self) -> str | None:
        """The agent's release that is installed, as far as is known."""
        return None if self._installed is None else self._installed.release

    def check(self) -> DeviceCheck:
        """Look at the device anew."""
        self._check = check_device(self._link.connection())
        return self._check

    def layout(self) -> Installed:
        """Return where everything of ours is, or would be."""
        return self._installed or layout_of(self._link.connection(), self._check or self.check())

    def start(self, transition: Transition, cancelled: CancelCheck) -> AgentState:
        """Bring the agent up: connect, check, install and start it where that is needed."""
        spec = self._link.spec
        transition.on_step("connect", "connecting")
        connection = self._link.connection()
        transition.on_step("check", "looking at the device")
        check = self._check
        if check is None or check.verdict == "cannot":
            # What was wrong may have been mended since.
            check = self.check()
        require_ready(check, spec.name)
        stop_if_cancelled(cancelled, f"the work on {spec.name}")
        transition.on_step("install", "looking for the agent")
        self._installed = ensure_installed(connection, check, self._files.wheelhouses, transition.progress, cancelled)
        transition.on_step("start", "starting the agent")
        return start_agent(
            connection,
            self._installed,
            cpus=spec.cpus,
            memory_bytes=spec.memory_bytes,
            # Agents on this machine are part of the studio: they end with it, however it ends.
            parent_pid=os.getpid() if self._link.is_local else None,
        )

    def find(self) -> AgentState | None:
        """Return the agent that runs there already, if one does."""
        layout = layout_of(self._link.connection(), self._check or self.check())
        state = find_running(self._link.connection(), layout)
        if state is not None:
            self._installed = layout
        return state

    def running(self) -> AgentState | None:
        """Return the agent that runs where it was found or started before."""
        return find_running(self._link.connection(), self.layout())

    def stop(self) -> None:
        """Wait until the agent has ended, and end it where it does not; nothing was installed: nothing is done."""
        if self._installed is not None:
            stop_agent(self._link.connection(), self._installed)

    def upload_model(self, model: ModelFile, progress: Callable[[int], None], cancelled: CancelCheck) -> bool:
        """Put a sub-model where the agent looks for it; return False when it was there already."""
        if self._installed is None:
            raise AgentUnreachableError(f"{self._link.spec.name}: no agent is installed there")
        return self._link.connection().upload(
            model.source,
            model.size_bytes,
            f"{self._installed.models_dir}/{model.digest}.onnx",
            sha256=model.digest,
            progress=progress,
            cancelled=cancelled,
        )

    def read_log(self, lines: int) -> list[str]:
        """Return the last lines of the agent's log."""
        return read_log(self._link.connection(), self.layout(), lines).splitlines()

    def remove(self) -> None:
        """End the agent and delete everything of ours."""
        uninstall(self._link.connection(), self.layout())
        self._installed = None
