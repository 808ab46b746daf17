"""Talking with a device's agent: conversations are opened, it is asked, and what it says is passed on."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

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
from partition_studio.fleet.errors import AgentFaultError, AgentUnreachableError, DeviceHeldError
from partition_studio.fleet.session.agent_client import AgentClient, Patience
from partition_studio.fleet.session.backoff import Backoff
from partition_studio.fleet.session.conversation import Conversation, open_conversation
from partition_studio.fleet.session.device_link import DeviceLink
from partition_studio.fleet.session.device_spec import FleetFiles
from partition_studio.fleet.session.hold import Hold
from partition_studio.fleet.session.software import DeviceSoftware
from partition_studio.fleet.session.transition import Transition

CALL_S = 20.0


@dataclass(frozen=True, slots=True)
class Told:
    """Who is told what the agent says, that it is gone (once), that we ended it, that a conversation was opened."""

    on_event: Callable[[str, Event], None]
    on_lost: Callable[[str, str], None]
    on_ended: Callable[[str], None]
    on_attached: Callable[[str, AgentInfo], None]


class Talk:
    """The conversations with one device's agent. Thread-safe; calls block and raise DeviceError."""

    def __init__(self, link: DeviceLink, files: FleetFiles, hold: Hold, software: DeviceSoftware, told: Told) -> None:
        self._link = link
        self._files = files
        self._hold = hold
        self._software = software
        self._told = told
        self._job_listeners: dict[str, Callable[[JobProgress], None]] = {}
        self.backoff = Backoff()

    @property
    def _device(self) -> str:
        return self._link.spec.name

    def open(self, state: AgentState, on_closed: Callable[[object, DeviceError | None], None]) -> Conversation:
        """Open a conversation. Raises DeviceHeldError where the agent serves another studio."""
        hello = Hello(studio=self._files.studio, studio_host=self._files.studio_host)
        return open_conversation(self._link.connection(), state, hello, self._configuration(), self._event, on_closed)

    def commit(self, transition: Transition, found: Conversation, holder: str | None) -> AgentInfo:
        """Make this the conversation that counts, and end the transition."""
        self._hold.commit(transition, found, holder)
        self.backoff.connected()
        threading.Thread(
            target=self._told.on_attached, args=(self._device, found.info), name=f"attached-{self._device}", daemon=True
        ).start()
        return found.info

    def call(self, request: Request, timeout_s: float, patience: Patience | None = None) -> Result:
        """Ask the agent something; `patience` as for `AgentClient.call`."""
        agent = self._hold.agent
        if agent is None:
            raise AgentUnreachableError(f"{self._device}: no agent runs there")
        try:
            return agent.call(request, timeout_s, patience)
        except AgentFaultError as error:
            if error.code == "held":
                raise DeviceHeldError(error.message, device=self._device) from error
            raise

    def _configuration(self) -> Configure:
        spec = self._link.spec
        return Configure(device=spec.name, power_model=spec.power_model, meter=spec.meter, shunt_ohm=spec.shunt_ohm)

    def configure(self, power_model: PowerModel | None, meter: MeterSpec | None, shunt_ohm: float | None) -> None:
        """Take other power settings; a running agent is told at once, others when they start."""
        self._link.spec = replace(self._link.spec, power_model=power_model, meter=meter, shunt_ohm=shunt_ohm)
        if self._hold.agent is not None:
            self.call(self._configuration(), CALL_S)

    def end(self, agent: AgentClient, end: End) -> None:
        """End a deployment; the sub-models that others need stay."""
        self._hold.holders.end(end, lambda request: agent.call(request, CALL_S))

    def shut_down(self, agent: AgentClient) -> None:
        """End the agent itself, and wait until it has."""
        with contextlib.suppress(DeviceError):
            agent.call(Shutdown(), CALL_S)
        agent.close()
        self._told.on_ended(self._device)
        self._software.stop()

    @contextlib.contextmanager
    def listening(self, job: str, on_progress: Callable[[JobProgress], None]) -> Iterator[None]:
        """Hand the agent's reports of a job to `on_progress` meanwhile; it is called by the reading thread."""
        self._job_listeners[job] = on_progress
        try:
            yield
        finally:
            self._job_listeners.pop(job, None)

    def _event(self, event: Event) -> None:
        if isinstance(event, JobProgress):
            listener = self._job_listeners.get(event.job)
            if listener is not None:
                listener(event)
            return
        self._told.on_event(self._device, event)
