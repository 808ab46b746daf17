"""One device in use: its connection, its agent, and who needs the agent.

The agent runs as long as somebody holds it. A lost conversation is taken up again when the same agent is still there;
when it is not, `on_lost` is told once (see `search`).

What takes long (install, start, look for, end) is a transition: one at a time, carried out without the lock, so that
everything else on the device goes on meanwhile. While we talk with the agent no transition is under way.
"""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

from partition_agent.protocol import (
    AgentInfo,
    AgentState,
    End,
    Event,
    JobProgress,
    MeterSpec,
    PowerModel,
    Request,
    Result,
)
from partition_studio.errors import DeviceError
from partition_studio.fleet.check.check import DeviceCheck
from partition_studio.fleet.connection import DeviceConnection
from partition_studio.fleet.errors import (
    AgentFaultError,
    AgentUnreachableError,
    ConnectionLostError,
    DeviceHeldError,
    DeviceInUseError,
)
from partition_studio.fleet.progress import CancelCheck, ProgressCallback, never_cancelled, stop_if_cancelled
from partition_studio.fleet.session.agent_client import AgentClient, Patience
from partition_studio.fleet.session.conversation import Conversation
from partition_studio.fleet.session.device_link import DeviceLink
from partition_studio.fleet.session.device_spec import DeviceSpec, FleetFiles, SessionStep, StepCallback
from partition_studio.fleet.session.hold import Hold
from partition_studio.fleet.session.search import Search
from partition_studio.fleet.session.software import DeviceSoftware, ModelFile
from partition_studio.fleet.session.talk import CALL_S, Talk, Told
from partition_studio.fleet.session.transition import Kind, Transition
from partition_studio.fleet.stream import ByteStream, Listening, StreamCallback

__all__ = ["DeviceSession", "DeviceSpec", "FleetFiles", "SessionStep", "StepCallback"]


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
        self._told = Told(on_event, on_lost, on_ended, on_attached)
        self._link = DeviceLink(spec, files)
        self._hold = Hold(spec.name)
        self._software = DeviceSoftware(self._link, files)
        self._talk = Talk(self._link, files, self._hold, self._software, self._told)
        self._search = Search(spec.name, self._hold, self._software, self._talk, self._told)

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
        return self._link.is_local

    @property
    def data_host(self) -> str:
        """The address by which its peers reach it; a link-local one with the zone that it has on the device."""
        return self.connection().own_ip

    @property
    def studio_host(self) -> str:
        """The address by which the studio itself reaches it, or its jump host; a link-local one with our zone."""
        return self.connection().peer_ip

    @property
    def agent_running(self) -> bool:
        """Whether we talk with its agent."""
        return self._hold.agent is not None

    @property
    def release(self) -> str | None:
        """The agent's release that is installed there, as far as is known."""
        return self._software.release

    def connection(self) -> DeviceConnection:
        """Return the connection, made anew when there is none or it has ended."""
        return self._link.connection()

    def forward_to(self, host: str, port: int) -> ByteStream:
        """Return a stream to `host` as the device reaches it, over a connection that is made anew where it is lost."""
        return self.connection().open_pipe(host, port)

    def listen_on_device(self, on_stream: StreamCallback, port: int = 0) -> Listening:
        """Listen on the device's own loopback address, for as long as the present connection lives."""
        return self.connection().listen(on_stream, port)

    def check(self) -> DeviceCheck:
        """Look at the device anew."""
        return self._software.check()

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
        hold = self._hold
        while True:
            hold.require_open()
            stop_if_cancelled(cancelled, what)
            with hold.lock:
                joined = hold.join(holder)
                if joined is not None:
                    return joined
                current = hold.transitions.current
                mine = hold.transitions.begin("start") if current is None else None
            if mine is not None:
                with hold.transitions.carried_out(mine), mine.watched(on_step, progress):
                    return self._start(mine, holder, cancelled)
            if current is not None:
                with current.watched(on_step, progress):
                    current.join(cancelled, what)

    def _start(self, transition: Transition, holder: str, cancelled: CancelCheck) -> AgentInfo:
        def given_up() -> bool:
            self._hold.require_open()
            return cancelled()

        state = self._software.start(transition, given_up)
        try:
            found = self._open(state)
            try:
                for left in found.info.deployments:
                    # It serves this studio alone, and nobody here holds it: it is of a time when it was given up.
                    found.agent.call(End(deployment=left.deployment, keep=()), CALL_S)
                return self._talk.commit(transition, found, holder)
            except BaseException:
                found.agent.close()
                raise
        except DeviceHeldError:
            raise
        except DeviceError:
            with contextlib.suppress(DeviceError):
                self._software.stop()
            raise

    def _open(self, state: AgentState) -> Conversation:
        return self._talk.open(state, self._search.conversation_closed)

    def reattach(self, holder: str) -> AgentInfo | None:
        """Take hold of an agent that runs there already, as after a restart of the studio; None when none does."""
        hold = self._hold
        while True:
            with hold.lock:
                joined = hold.join(holder)
                if joined is not None:
                    return joined
                current = hold.transitions.current
                mine = hold.transitions.begin("attach") if current is None else None
            if mine is not None:
                with hold.transitions.carried_out(mine):
                    return self._find_and_attach(mine, holder)
            if current is not None:
                current.join(hold.closed.is_set, f"the search on {self.spec.name}")

    def _find_and_attach(self, transition: Transition, holder: str) -> AgentInfo | None:
        state = self._software.find()
        if state is None:
            return None
        found = self._open(state)
        try:
            return self._talk.commit(transition, found, holder)
        except BaseException:
            found.agent.close()
            raise

    def release_agent(self, holder: str, end: End) -> None:
        """End the holder's deployment on the agent, and the agent itself when nobody else holds it."""
        hold = self._hold
        with hold.lock:
            if not hold.holders.drop(holder):
                return
            agent, current = hold.agent, hold.transitions.current
            if agent is None:
                if current is not None and current.kind == "look":
                    hold.late_ends.append(end)
                return
            mine = None
            if not hold.holders:
                mine = hold.transitions.begin("end")
                hold.detach()
                hold.info = None
        if mine is None:
            self._talk.end(agent, end)
            return
        with hold.transitions.carried_out(mine):
            try:
                self._talk.end(agent, end)
            finally:
                self._talk.shut_down(agent)

    # --- using the agent ---------------------------------------------------------------------------------------------

    def call(self, request: Request, timeout_s: float = CALL_S, patience: Patience | None = None) -> Result:
        """Ask the agent something; with `patience`, `timeout_s` counts from its last sign of progress."""
        return self._talk.call(request, timeout_s, patience)

    def configure(self, power_model: PowerModel | None, meter: MeterSpec | None, shunt_ohm: float | None) -> None:
        """Take other power settings; a running agent is told at once, others when they start."""
        self._talk.configure(power_model, meter, shunt_ohm)

    def listening(self, job: str, on_progress: Callable[[JobProgress], None]) -> AbstractContextManager[None]:
        """Hand the agent's reports of a job to `on_progress` meanwhile; it is called by the reading thread."""
        return self._talk.listening(job, on_progress)

    def holds(self, holder: str) -> bool:
        """Whether the agent runs for a holder, as far as is known."""
        return holder in self._hold.holders.names()

    def keep_model(self, holder: str, digest: str) -> bool:
        """Have a sub-model that may be there already stay for a holder, whoever else leaves; False when he is none."""
        return self._hold.holders.note_model(holder, digest)

    def push_model(
        self, holder: str, model: ModelFile, progress: Callable[[int], None], cancelled: CancelCheck
    ) -> bool:
        """Put a sub-model where the agent looks for it; return False when it was there already."""
        if not self.keep_model(holder, model.digest):
            raise AgentUnreachableError(f"{self.spec.name}: no agent is installed there")
        return self._software.upload_model(model, progress, cancelled)

    def read_log(self, lines: int) -> list[str]:
        """Return the last lines of the agent's log."""
        return self._software.read_log(lines)

    # --- leaving -----------------------------------------------------------------------------------------------------

    def uninstall(self) -> None:
        """End the agent and remove everything of ours from the device.

        From the first moment on nobody can hold the agent any more. Raises DeviceInUseError when somebody does, and
        DeviceHeldError, leaving everything as it is, when the agent serves another studio.
        """
        hold = self._hold
        with hold.lock:
            if hold.holders:
                raise DeviceInUseError(f"{self.spec.name} is in use: {', '.join(hold.holders.names())}")
            hold.leaving = True
        mine, agent = self._begin("end")
        with hold.transitions.carried_out(mine):
            if agent is not None:
                agent.close()
            self._told.on_ended(self.spec.name)
            if not self.is_local:
                self._require_ours()
            self._software.remove()

    def _begin(self, kind: Kind) -> tuple[Transition, AgentClient | None]:
        """Wait until nothing is under way, then begin, having let go of the agent."""
        hold = self._hold
        while True:
            with hold.lock:
                current = hold.transitions.current
                if current is None:
                    hold.info = None
                    return hold.transitions.begin(kind), hold.detach()
            with contextlib.suppress(DeviceError):
                current.join(never_cancelled, "")

    def _require_ours(self) -> None:
        state = self._software.running()
        if state is None:
            return
        with contextlib.suppress(AgentUnreachableError, AgentFaultError, ConnectionLostError):
            # One that cannot be asked serves nobody.
            self._open(state).agent.close()

    def close(self) -> None:
        """Let go of the device; an agent that is held goes on (a local one ends with the studio)."""
        self._hold.closed.set()
        with self._hold.lock:
            agent = self._hold.detach()
        if agent is not None:
            agent.close()
            if self.is_local:
                self._software.stop()
        self._link.close()
