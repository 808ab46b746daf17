"""One device in use: its connection, its agent, and who needs the agent.

The agent runs as long as somebody holds it. A lost conversation is taken up again when the same agent is still there;
when it is not, `on_lost` is told once.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec

from partition_agent.protocol import (
    AgentInfo,
    AgentState,
    Configure,
    End,
    Event,
    Hello,
    JobProgress,
    MeterSpec,
    PowerModel,
    Request,
    Result,
    Shutdown,
)
from partition_studio.errors import DeviceError
from partition_studio.fleet.address import LocalAddress, SshAddress
from partition_studio.fleet.agent_client import AgentClient
from partition_studio.fleet.agent_process import find_running, read_log, start_agent, stop_agent
from partition_studio.fleet.check import DeviceCheck, check_device, require_ready
from partition_studio.fleet.connection import DeviceConnection
from partition_studio.fleet.errors import (
    AgentUnreachableError,
    AuthFailedError,
    BadAnswerError,
    ChangedHostKeyError,
    ConnectionLostError,
)
from partition_studio.fleet.hostkeys import HostKeys
from partition_studio.fleet.install import Installed, ensure_installed, layout_of, uninstall
from partition_studio.fleet.local import LocalConnection
from partition_studio.fleet.progress import CancelCheck, ProgressCallback, never_cancelled, stop_if_cancelled
from partition_studio.fleet.ssh import connect_ssh
from partition_studio.fleet.ssh_auth import SshCredentials
from partition_studio.fleet.wheelhouse import WheelhouseCache

logger = logging.getLogger(__name__)

SessionStep = Literal["connect", "check", "install", "start"]
StepCallback = Callable[[SessionStep, str], None]

CALL_S = 20.0

#: How long, and how often, a lost agent is looked for before it is given up.
REATTACH_S = 10.0
REATTACH_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """A device as the person registered it. The password, when there is one, is kept in memory only."""

    name: str
    address: SshAddress | LocalAddress
    credentials: SshCredentials
    cpus: tuple[int, ...] = ()
    power_model: PowerModel | None = None
    meter: MeterSpec | None = None
    shunt_ohm: float | None = None


@dataclass(frozen=True, slots=True)
class FleetFiles:
    """What the sessions of one studio share."""

    host_keys: HostKeys
    wheelhouses: WheelhouseCache
    local_devices: Path


class DeviceSession:
    """The studio's hold on one device. Every call blocks and raises DeviceError; thread-safe."""

    def __init__(
        self,
        spec: DeviceSpec,
        files: FleetFiles,
        *,
        on_event: Callable[[str, Event], None],
        on_lost: Callable[[str, str], None],
        on_ended: Callable[[str], None],
        on_attached: Callable[[str, AgentInfo], None] = lambda _device, _info: None,
    ) -> None:
        """Take hold of a device.

        `on_event` is told what the agent says, `on_lost` once that the agent is gone, `on_ended` that we ended it,
        `on_attached` (soon, in a thread of its own) that a conversation was opened.
        """
        self.spec = spec
        self._on_ended = on_ended
        self._files = files
        self._on_event = on_event
        self._on_lost = on_lost
        self._on_attached = on_attached
        self._job_listeners: dict[str, Callable[[JobProgress], None]] = {}
        self._lock = threading.RLock()
        self._connection: DeviceConnection | None = None
        self._check: DeviceCheck | None = None
        self._installed: Installed | None = None
        self._agent: AgentClient | None = None
        self._info: AgentInfo | None = None
        #: Who needs the agent, and the digests of the sub-models that each has sent.
        self._holders: dict[str, set[str]] = {}
        #: The conversation that counts; what breaks of an older one is of no interest.
        self._conversation: object | None = None
        self._broken: set[object] = set()
        self._closed = False

    @property
    def is_local(self) -> bool:
        """Whether it is a process on the studio's own machine."""
        return isinstance(self.spec.address, LocalAddress)

    @property
    def data_host(self) -> str:
        """The address by which its peers reach it."""
        return self.connection().own_ip

    @property
    def agent_running(self) -> bool:
        """Whether we talk with its agent."""
        return self._agent is not None

    def connection(self) -> DeviceConnection:
        """Return the connection, made anew when there is none or it has ended."""
        with self._lock:
            if self._connection is not None and self._connection.is_alive:
                return self._connection
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            address = self.spec.address
            if isinstance(address, LocalAddress):
                folder = self._files.local_devices / self.spec.name
                self._connection = LocalConnection(folder, self.spec.name)
            else:
                self._connection = connect_ssh(address, self.spec.credentials, self._files.host_keys)
            return self._connection

    def _require_open(self) -> None:
        if self._closed:
            raise AgentUnreachableError(f"{self.spec.name} was removed")

    def check(self) -> DeviceCheck:
        """Look at the device anew."""
        check = check_device(self.connection())
        with self._lock:
            self._check = check
        return check

    def hold_agent(
        self,
        holder: str,
        on_step: StepCallback,
        progress: ProgressCallback,
        cancelled: CancelCheck = never_cancelled,
    ) -> AgentInfo:
        """Have the agent run until `holder` (and every other) releases it; install and start it where needed."""
        with self._lock:
            stop_if_cancelled(cancelled, "the deployment")
            self._require_open()
            if self._agent is None or self._info is None:
                self._start(on_step, progress, cancelled)
            if self._info is None:
                raise AssertionError("started")
            self._holders.setdefault(holder, set())
            return self._info

    def _start(self, on_step: StepCallback, progress: ProgressCallback, cancelled: CancelCheck) -> None:
        on_step("connect", "connecting")
        connection = self.connection()
        on_step("check", "looking at the device")
        check = self._check or self.check()
        require_ready(check, self.spec.name)
        stop_if_cancelled(cancelled, "the deployment")
        on_step("install", "looking for the agent")
        self._installed = ensure_installed(connection, check, self._files.wheelhouses, progress, cancelled)
        on_step("start", "starting the agent")
        state = start_agent(
            connection,
            self._installed,
            cpus=self.spec.cpus,
            # Agents on this machine are part of the studio: they end with it, however it ends.
            parent_pid=os.getpid() if self.is_local else None,
        )
        try:
            info = self._attach(connection, state)
            for left in info.deployments:
                # Nobody holds it any more: it is of a time when the device was given up, or of another studio's life.
                self.call(End(deployment=left.deployment, keep=()))
        except DeviceError:
            self._let_go()
            with contextlib.suppress(DeviceError):
                stop_agent(connection, self._installed)
            raise
        self._info = info

    def _attach(self, connection: DeviceConnection, state: AgentState) -> AgentInfo:
        """Open the conversation that counts from now on."""
        conversation = object()
        agent = AgentClient(connection, state, self._event, lambda reason: self._agent_closed(conversation, reason))
        try:
            info = agent.call(Hello(), CALL_S)
            if not isinstance(info, AgentInfo):
                raise BadAnswerError(f"{connection.label}: the agent does not say who it is")
            agent.call(self._configuration(), CALL_S)
        except BaseException:
            agent.close()
            raise
        self._agent, self._conversation = agent, conversation
        if conversation in self._broken:
            self._let_go()
            raise ConnectionLostError(f"the conversation with {connection.label} broke as it began")
        threading.Thread(
            target=self._on_attached, args=(self.spec.name, info), name=f"attached-{self.spec.name}", daemon=True
        ).start()
        return info

    def _configuration(self) -> Configure:
        spec = self.spec
        return Configure(device=spec.name, power_model=spec.power_model, meter=spec.meter, shunt_ohm=spec.shunt_ohm)

    def configure(self, power_model: PowerModel | None, meter: MeterSpec | None, shunt_ohm: float | None) -> None:
        """Take other power settings; a running agent is told at once, others when they start."""
        self.spec = replace(self.spec, power_model=power_model, meter=meter, shunt_ohm=shunt_ohm)
        if self._agent is not None:
            self.call(self._configuration())

    def _let_go(self) -> None:
        """Close the conversation that counts."""
        agent, self._agent, self._conversation = self._agent, None, None
        self._broken.clear()
        if agent is not None:
            agent.close()

    def call(self, request: Request, timeout_s: float = CALL_S) -> Result:
        """Ask the agent something."""
        agent = self._agent
        if agent is None:
            raise AgentUnreachableError(f"{self.spec.name}: no agent runs there")
        return agent.call(request, timeout_s)

    @contextlib.contextmanager
    def listening(self, job: str, on_progress: Callable[[JobProgress], None]) -> Iterator[None]:
        """Hand the agent's reports of a job to `on_progress` meanwhile; it is called by the reading thread."""
        self._job_listeners[job] = on_progress
        try:
            yield
        finally:
            self._job_listeners.pop(job, None)

    def push_model(
        self, holder: str, data: bytes, digest: str, progress: Callable[[int], None], cancelled: CancelCheck
    ) -> bool:
        """Put a sub-model where the agent looks for it; return False when it was there already."""
        sent = self._holders.get(holder)
        if sent is not None:
            # Noted before it is looked for, so that no other holder's end deletes it in between.
            sent.add(digest)
        if self._installed is None or sent is None:
            raise AgentUnreachableError(f"{self.spec.name}: no agent is installed there")
        return self.connection().upload(
            data,
            len(data),
            f"{self._installed.models_dir}/{digest}.onnx",
            sha256=digest,
            progress=progress,
            cancelled=cancelled,
        )

    def release_agent(self, holder: str, end: End) -> None:
        """End the holder's deployment on the agent, and the agent itself when nobody else holds it."""
        with self._lock:
            if self._holders.pop(holder, None) is None:
                return
            agent = self._agent
            if agent is None:
                return
            keep = {digest for digests in self._holders.values() for digest in digests}
            try:
                agent.call(msgspec.structs.replace(end, keep=tuple(sorted(keep))), CALL_S)
            finally:
                if not self._holders:
                    self._shut_down(agent)

    def _shut_down(self, agent: AgentClient) -> None:
        self._info = None
        self._conversation = None
        with contextlib.suppress(DeviceError):
            agent.call(Shutdown(), CALL_S)
        self._let_go()
        self._on_ended(self.spec.name)
        if self._installed is not None:
            # It ends by itself; this waits until it has, and is the means when it does not.
            stop_agent(self.connection(), self._installed)

    def reattach(self, holder: str) -> AgentInfo | None:
        """Take hold of an agent that runs there already, as after a restart of the studio; None when none does."""
        with self._lock:
            self._require_open()
            if self._agent is None:
                connection = self.connection()
                installed = layout_of(connection, self._check or self.check())
                state = find_running(connection, installed)
                if state is None:
                    return None
                self._installed = installed
                self._info = self._attach(connection, state)
            self._holders.setdefault(holder, set())
            return self._info

    def read_log(self, lines: int) -> list[str]:
        """Return the last lines of the agent's log."""
        connection = self.connection()
        layout = self._installed or layout_of(connection, self._check or self.check())
        return read_log(connection, layout, lines).splitlines()

    def uninstall(self) -> None:
        """End the agent and remove everything of ours from the device."""
        self._closed = True
        with self._lock:
            self._info = None
            self._let_go()
            self._holders.clear()
            self._on_ended(self.spec.name)
            connection = self.connection()
            layout = self._installed or layout_of(connection, self._check or self.check())
            uninstall(connection, layout)
            self._installed = None

    def close(self) -> None:
        """Let go of the device; an agent that is held goes on (a local one ends with the studio)."""
        self._closed = True
        with self._lock:
            running = self._agent is not None
            self._let_go()
            if running and self.is_local and self._installed is not None and self._connection is not None:
                stop_agent(self._connection, self._installed)
            if self._connection is not None:
                self._connection.close()

    # --- the agent's own voice (called by the client's reading thread) ------------------------------------------------

    def _event(self, event: Event) -> None:
        if isinstance(event, JobProgress):
            listener = self._job_listeners.get(event.job)
            if listener is not None:
                listener(event)
            return
        self._on_event(self.spec.name, event)

    def _agent_closed(self, conversation: object, reason: DeviceError | None) -> None:
        if reason is None or self._closed:
            return
        self._broken.add(conversation)
        threading.Thread(
            target=self._look_for_agent, args=(conversation, reason), name=f"reattach-{self.spec.name}", daemon=True
        ).start()

    def _look_for_agent(self, conversation: object, reason: DeviceError) -> None:
        with self._lock:
            info, installed = self._info, self._installed
            if self._conversation is not conversation or info is None or installed is None or self._closed:
                return
            self._let_go()
            deadline_s = time.monotonic() + REATTACH_S
            while time.monotonic() < deadline_s and not self._closed:
                try:
                    connection = self.connection()
                    state = find_running(connection, installed)
                    if state is None or state.incarnation != info.incarnation:
                        reason = AgentUnreachableError(f"{self.spec.name}: the agent has ended ({reason.message})")
                        break
                    self._info = self._attach(connection, state)
                    logger.info("agent_found_again", extra={"device": self.spec.name})
                    return
                except DeviceError as error:
                    reason = error
                    if isinstance(error, AuthFailedError | ChangedHostKeyError):
                        break
                    time.sleep(REATTACH_EVERY_S)
            self._info = None
            self._holders.clear()
            with contextlib.suppress(DeviceError):
                # It may only have been silent for too long: what is given up is not to go on unseen.
                stop_agent(self.connection(), installed)
        logger.warning("agent_lost", extra={"device": self.spec.name, "reason": reason.message})
        self._on_lost(self.spec.name, reason.message)
