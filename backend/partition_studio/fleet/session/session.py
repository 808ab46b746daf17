"""One device in use: its connection, its agent, and who needs the agent.

The agent runs as long as somebody holds it. A lost conversation is taken up again when the same agent is still there;
when it is not, `on_lost` is told once.

What takes long (install, start, look for, end) is a transition: one at a time, carried out without the lock, so that
everything else on the device goes on meanwhile. While we talk with the agent no transition is under way.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

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
from partition_studio.fleet.address import LocalAddress
from partition_studio.fleet.check.check import DeviceCheck, check_device, require_ready
from partition_studio.fleet.connection import DeviceConnection
from partition_studio.fleet.errors import (
    AgentFaultError,
    AgentUnreachableError,
    ConnectionLostError,
    DeviceHeldError,
    DeviceInUseError,
    DeviceLeavingError,
    is_final,
)
from partition_studio.fleet.install.agent_process import find_running, read_log, start_agent, stop_agent
from partition_studio.fleet.install.install import Installed, ensure_installed, layout_of, uninstall
from partition_studio.fleet.progress import CancelCheck, ProgressCallback, never_cancelled, stop_if_cancelled
from partition_studio.fleet.session.agent_client import AgentClient
from partition_studio.fleet.session.backoff import Backoff
from partition_studio.fleet.session.conversation import Conversation, open_conversation
from partition_studio.fleet.session.device_link import DeviceLink
from partition_studio.fleet.session.device_spec import DeviceSpec, FleetFiles, SessionStep, StepCallback
from partition_studio.fleet.session.holders import Holders
from partition_studio.fleet.session.transition import Kind, Transition, Transitions

__all__ = ["DeviceSession", "DeviceSpec", "FleetFiles", "SessionStep", "StepCallback"]

logger = logging.getLogger(__name__)

CALL_S = 20.0

#: How long a lost agent is looked for before it is given up.
REATTACH_S = 10.0


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
        self._link = DeviceLink(spec, files)
        self._on_ended = on_ended
        self._files = files
        self._on_event = on_event
        self._on_lost = on_lost
        self._on_attached = on_attached
        self._job_listeners: dict[str, Callable[[JobProgress], None]] = {}
        #: Guards what follows; never held while the device is asked anything.
        self._lock = threading.RLock()
        self._transitions = Transitions(self._lock)
        self._check: DeviceCheck | None = None
        self._installed: Installed | None = None
        self._agent: AgentClient | None = None
        self._info: AgentInfo | None = None
        self._holders = Holders()
        #: What to end once a lost agent is found again: its holder left meanwhile.
        self._late_ends: list[End] = []
        #: The conversation that counts; what breaks of an older one is of no interest.
        self._conversation: object | None = None
        self._broken: set[object] = set()
        self._backoff = Backoff()
        self._leaving = False
        self._closed = threading.Event()

    @property
    def spec(self) -> DeviceSpec:
        """The device as the person registered it."""
        return self._link.spec

    @property
    def link(self) -> DeviceLink:
        """The way to the device."""
        return self._link

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

    @property
    def release(self) -> str | None:
        """The agent's release that is installed there, as far as is known."""
        return None if self._installed is None else self._installed.release

    def connection(self) -> DeviceConnection:
        """Return the connection, made anew when there is none or it has ended."""
        return self._link.connection()

    def check(self) -> DeviceCheck:
        """Look at the device anew."""
        check = check_device(self.connection())
        self._check = check
        return check

    # --- holding the agent -------------------------------------------------------------------------------------------

    def hold_agent(
        self,
        holder: str,
        on_step: StepCallback,
        progress: ProgressCallback,
        cancelled: CancelCheck = never_cancelled,
    ) -> AgentInfo:
        """Have the agent run until `holder` (and every other) releases it; install and start it where needed.

        One brings it up, others join. Raises DeviceLeavingError at once for a device that is being removed.
        """
        what = f"the work on {self.spec.name}"
        while True:
            self._require_open()
            stop_if_cancelled(cancelled, what)
            with self._lock:
                self._require_open()
                if self._agent is not None and self._info is not None:
                    self._holders.add(holder)
                    return self._info
                current = self._transitions.current
                mine = self._transitions.begin("start") if current is None else None
            if mine is not None:
                with self._transitions.carried_out(mine), mine.watched(on_step, progress):
                    return self._start(mine, holder, cancelled)
            if current is not None:
                with current.watched(on_step, progress):
                    current.join(cancelled, what)

    def _require_open(self) -> None:
        if self._leaving:
            raise DeviceLeavingError(f"{self.spec.name} is being removed", device=self.spec.name)
        if self._closed.is_set():
            raise AgentUnreachableError(f"{self.spec.name} was let go of")

    def _start(self, transition: Transition, holder: str, cancelled: CancelCheck) -> AgentInfo:
        def given_up() -> bool:
            self._require_open()
            return cancelled()

        transition.on_step("connect", "connecting")
        connection = self.connection()
        transition.on_step("check", "looking at the device")
        check = self._check or self.check()
        require_ready(check, self.spec.name)
        stop_if_cancelled(given_up, f"the work on {self.spec.name}")
        transition.on_step("install", "looking for the agent")
        installed = ensure_installed(connection, check, self._files.wheelhouses, transition.progress, given_up)
        self._installed = installed
        transition.on_step("start", "starting the agent")
        state = start_agent(
            connection,
            installed,
            cpus=self.spec.cpus,
            memory_bytes=self.spec.memory_bytes,
            # Agents on this machine are part of the studio: they end with it, however it ends.
            parent_pid=os.getpid() if self.is_local else None,
        )
        try:
            found = self._attach(connection, state)
            try:
                for left in found.info.deployments:
                    # It serves this studio alone, and nobody here holds it: it is of a time when it was given up.
                    found.agent.call(End(deployment=left.deployment, keep=()), CALL_S)
                return self._commit(transition, found, holder)
            except BaseException:
                found.agent.close()
                raise
        except DeviceHeldError:
            raise
        except DeviceError:
            with contextlib.suppress(DeviceError):
                stop_agent(connection, installed)
            raise

    def _attach(self, connection: DeviceConnection, state: AgentState) -> Conversation:
        """Open a conversation. Raises DeviceHeldError where the agent serves another studio."""
        hello = Hello(studio=self._files.studio, studio_host=self._files.studio_host)
        return open_conversation(connection, state, hello, self._configuration(), self._event, self._agent_closed)

    def _commit(self, transition: Transition, found: Conversation, holder: str | None) -> AgentInfo:
        """Make this the conversation that counts, and end the transition."""
        with self._lock:
            if found.token in self._broken:
                raise ConnectionLostError(f"The conversation with {self.spec.name} broke as it began")
            self._require_open()
            self._agent, self._info, self._conversation = found.agent, found.info, found.token
            if holder is not None:
                self._holders.add(holder)
            self._broken.clear()
            self._transitions.leave(transition)
        self._backoff.connected()
        threading.Thread(
            target=self._on_attached, args=(self.spec.name, found.info), name=f"attached-{self.spec.name}", daemon=True
        ).start()
        return found.info

    def _detach(self) -> AgentClient | None:
        """Let go of the conversation that counts; under the lock."""
        agent, self._agent, self._conversation = self._agent, None, None
        return agent

    def reattach(self, holder: str) -> AgentInfo | None:
        """Take hold of an agent that runs there already, as after a restart of the studio; None when none does."""
        while True:
            with self._lock:
                self._require_open()
                if self._agent is not None and self._info is not None:
                    self._holders.add(holder)
                    return self._info
                current = self._transitions.current
                mine = self._transitions.begin("attach") if current is None else None
            if mine is not None:
                with self._transitions.carried_out(mine):
                    return self._find_and_attach(mine, holder)
            if current is not None:
                current.join(self._closed.is_set, f"the search on {self.spec.name}")

    def _find_and_attach(self, transition: Transition, holder: str) -> AgentInfo | None:
        connection = self.connection()
        installed = layout_of(connection, self._check or self.check())
        state = find_running(connection, installed)
        if state is None:
            return None
        self._installed = installed
        found = self._attach(connection, state)
        try:
            return self._commit(transition, found, holder)
        except BaseException:
            found.agent.close()
            raise

    def release_agent(self, holder: str, end: End) -> None:
        """End the holder's deployment on the agent, and the agent itself when nobody else holds it."""
        with self._lock:
            if not self._holders.drop(holder):
                return
            agent, current = self._agent, self._transitions.current
            if agent is None:
                if current is not None and current.kind == "look":
                    self._late_ends.append(end)
                return
            mine = None
            if not self._holders:
                mine = self._transitions.begin("end")
                self._detach()
                self._info = None
        if mine is None:
            self._end_on(agent, end)
            return
        with self._transitions.carried_out(mine):
            try:
                self._end_on(agent, end)
            finally:
                self._shut_down(agent)

    def _end_on(self, agent: AgentClient, end: End) -> None:
        self._holders.end(end, lambda request: agent.call(request, CALL_S))

    def _shut_down(self, agent: AgentClient) -> None:
        with contextlib.suppress(DeviceError):
            agent.call(Shutdown(), CALL_S)
        agent.close()
        self._on_ended(self.spec.name)
        if self._installed is not None:
            # It ends by itself; this waits until it has, and is the means when it does not.
            stop_agent(self.connection(), self._installed)

    # --- talking with the agent --------------------------------------------------------------------------------------

    def call(self, request: Request, timeout_s: float = CALL_S) -> Result:
        """Ask the agent something."""
        agent = self._agent
        if agent is None:
            raise AgentUnreachableError(f"{self.spec.name}: no agent runs there")
        try:
            return agent.call(request, timeout_s)
        except AgentFaultError as error:
            if error.code == "held":
                raise DeviceHeldError(error.message, device=self.spec.name) from error
            raise

    def _configuration(self) -> Configure:
        spec = self.spec
        return Configure(device=spec.name, power_model=spec.power_model, meter=spec.meter, shunt_ohm=spec.shunt_ohm)

    def configure(self, power_model: PowerModel | None, meter: MeterSpec | None, shunt_ohm: float | None) -> None:
        """Take other power settings; a running agent is told at once, others when they start."""
        self._link.spec = replace(self.spec, power_model=power_model, meter=meter, shunt_ohm=shunt_ohm)
        if self._agent is not None:
            self.call(self._configuration())

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
        installed = self._installed
        if installed is None or not self._holders.note_model(holder, digest):
            raise AgentUnreachableError(f"{self.spec.name}: no agent is installed there")
        return self.connection().upload(
            data,
            len(data),
            f"{installed.models_dir}/{digest}.onnx",
            sha256=digest,
            progress=progress,
            cancelled=cancelled,
        )

    def read_log(self, lines: int) -> list[str]:
        """Return the last lines of the agent's log."""
        connection = self.connection()
        layout = self._installed or layout_of(connection, self._check or self.check())
        return read_log(connection, layout, lines).splitlines()

    # --- leaving -----------------------------------------------------------------------------------------------------

    def uninstall(self) -> None:
        """End the agent and remove everything of ours from the device.

        From the first moment on nobody can hold the agent any more. Raises DeviceInUseError when somebody does, and
        DeviceHeldError, leaving everything as it is, when the agent serves another studio.
        """
        with self._lock:
            if self._holders:
                raise DeviceInUseError(f"{self.spec.name} is in use: {', '.join(self._holders.names())}")
            self._leaving = True
        mine, agent = self._begin("end")
        with self._transitions.carried_out(mine):
            if agent is not None:
                agent.close()
            self._on_ended(self.spec.name)
            connection = self.connection()
            layout = self._installed or layout_of(connection, self._check or self.check())
            if not self.is_local:
                self._require_ours(connection, layout)
            uninstall(connection, layout)
            self._installed = None

    def _begin(self, kind: Kind) -> tuple[Transition, AgentClient | None]:
        """Wait until nothing is under way, then begin, having let go of the agent."""
        while True:
            with self._lock:
                current = self._transitions.current
                if current is None:
                    self._info = None
                    return self._transitions.begin(kind), self._detach()
            with contextlib.suppress(DeviceError):
                current.join(never_cancelled, "")

    def _require_ours(self, connection: DeviceConnection, layout: Installed) -> None:
        state = find_running(connection, layout)
        if state is None:
            return
        with contextlib.suppress(AgentUnreachableError, AgentFaultError, ConnectionLostError):
            # One that cannot be asked serves nobody.
            self._attach(connection, state).agent.close()

    def close(self) -> None:
        """Let go of the device; an agent that is held goes on (a local one ends with the studio)."""
        self._closed.set()
        with self._lock:
            agent = self._detach()
        if agent is not None:
            agent.close()
            if self.is_local and self._installed is not None:
                stop_agent(self.connection(), self._installed)
        self._link.close()

    # --- the agent's own voice (called by the client's reading thread) ------------------------------------------------

    def _event(self, event: Event) -> None:
        if isinstance(event, JobProgress):
            listener = self._job_listeners.get(event.job)
            if listener is not None:
                listener(event)
            return
        self._on_event(self.spec.name, event)

    def _agent_closed(self, token: object, reason: DeviceError | None) -> None:
        if reason is None or self._closed.is_set():
            return
        self._broken.add(token)
        threading.Thread(
            target=self._look_for_agent, args=(token, reason), name=f"reattach-{self.spec.name}", daemon=True
        ).start()

    def _look_for_agent(self, token: object, reason: DeviceError) -> None:
        with self._lock:
            info, installed = self._info, self._installed
            if self._conversation is not token or info is None or installed is None or self._closed.is_set():
                return
            mine = self._transitions.begin("look")
            agent = self._detach()
        if agent is not None:
            agent.close()
        self._backoff.lost()
        with self._transitions.carried_out(mine):
            outcome = self._look(mine, installed, info, reason)
            if outcome is None:
                logger.info("agent_found_again", extra={"device": self.spec.name})
                return
            with self._lock:
                self._info = None
                self._holders.clear()
                self._late_ends.clear()
            if self._closed.is_set():
                return
            logger.warning("agent_lost", extra={"device": self.spec.name, "reason": outcome.message})
            self._on_lost(self.spec.name, outcome.message)
            if not is_final(outcome):
                with contextlib.suppress(DeviceError):
                    # It may only have been silent for too long: what is given up is not to go on unseen.
                    stop_agent(self.connection(), installed)

    def _look(
        self, transition: Transition, installed: Installed, info: AgentInfo, reason: DeviceError
    ) -> DeviceError | None:
        """Take the conversation up again; return why that cannot be done, None when it is."""
        deadline_s = time.monotonic() + REATTACH_S
        while True:
            try:
                connection = self.connection()
                state = find_running(connection, installed)
                if state is None or state.incarnation != info.incarnation:
                    return AgentUnreachableError(f"{self.spec.name}: the agent has ended ({reason.message})")
                self._take_up(transition, self._attach(connection, state))
                return None
            except DeviceError as error:
                reason = error
            left_s = deadline_s - time.monotonic()
            if is_final(reason) or left_s <= 0 or self._closed.wait(min(self._backoff.next_s(), left_s)):
                return reason

    def _take_up(self, transition: Transition, found: Conversation) -> None:
        """Commit what was found again, once all is ended whose holder left meanwhile."""
        try:
            while True:
                with self._lock:
                    ends, self._late_ends = self._late_ends, []
                    if not ends and self._holders:
                        self._commit(transition, found, None)
                        return
                for end in ends:
                    self._end_on(found.agent, end)
                with self._lock:
                    unneeded = not self._holders and not self._late_ends
                    if unneeded:
                        self._info = None
                if unneeded:
                    self._shut_down(found.agent)
                    return
        except BaseException:
            found.agent.close()
            raise
