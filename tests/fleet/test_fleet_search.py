"""An agent whose conversation broke is found again: what is ended then, and when."""

import threading
from pathlib import Path
from typing import cast

from partition_agent.protocol import PROTOCOL_VERSION, AgentInfo, AgentState, End, Request, Result
from partition_studio.errors import DeviceError
from partition_studio.fleet.address import LocalAddress
from partition_studio.fleet.errors import ConnectionLostError
from partition_studio.fleet.install.wheelhouse import WheelhouseCache
from partition_studio.fleet.session.agent_client import AgentClient
from partition_studio.fleet.session.conversation import Conversation
from partition_studio.fleet.session.device_link import DeviceLink
from partition_studio.fleet.session.device_spec import DeviceSpec, FleetFiles
from partition_studio.fleet.session.hold import Hold
from partition_studio.fleet.session.search import Search
from partition_studio.fleet.session.software import DeviceSoftware
from partition_studio.fleet.session.talk import Talk, Told
from partition_studio.fleet.ssh.auth import SshCredentials
from partition_studio.fleet.ssh.hostkeys import HostKeys

DEADLINE_S = 30.0


class Agent:
    """An agent's side of a conversation, which may break at the first thing that is asked."""

    def __init__(self, *, breaks: bool) -> None:
        self._breaks = breaks
        self.ended: list[str] = []

    def call(self, request: Request, _timeout_s: float) -> Result:
        if self._breaks:
            raise ConnectionLostError("broke")
        if isinstance(request, End):
            self.ended.append(request.deployment)
        return cast(Result, None)

    def close(self) -> None:
        return


class Device(DeviceSoftware):
    """A device on which the agent of `info` is found to run, once `left` is set."""

    def __init__(self, incarnation: str) -> None:
        self._incarnation = incarnation
        self.looked, self.left = threading.Event(), threading.Event()

    def running(self) -> AgentState | None:
        self.looked.set()
        assert self.left.wait(DEADLINE_S)
        return AgentState(
            protocol_version=PROTOCOL_VERSION,
            pid=1,
            pid_start_ticks=1,
            control_port=1,
            token="t",
            incarnation=self._incarnation,
        )


class Line(Talk):
    """Opens the given conversations, one after the other."""

    def __init__(self, folder: Path, hold: Hold, device: DeviceSoftware, told: Told, agents: list[Agent]) -> None:
        files = FleetFiles(HostKeys(folder / "known"), WheelhouseCache(folder / "wheels"), folder / "local")
        spec = DeviceSpec("here", LocalAddress(), SshCredentials(use_agent=False, ssh_dir=None))
        super().__init__(DeviceLink(spec, files), files, hold, device, told)
        self._agents = iter(agents)

    def open(self, _state: AgentState, _on_closed: object) -> Conversation:
        return conversation(next(self._agents))


def conversation(agent: Agent) -> Conversation:
    return Conversation(cast(AgentClient, agent), cast(AgentInfo, State()), object())


class State:
    incarnation = "i" * 32


def test_who_left_while_the_agent_was_lost_is_ended_even_when_the_next_conversation_breaks(tmp_path: Path) -> None:
    hold, lost, found = Hold("here"), list[str](), threading.Event()
    told = Told(
        on_event=lambda _device, _event: None,
        on_lost=lambda _device, reason: lost.append(reason),
        on_ended=lambda _device: None,
        on_attached=lambda _device, _info: found.set(),
    )
    device = Device(State.incarnation)
    first, second = Agent(breaks=True), Agent(breaks=False)
    search = Search("here", hold, device, Line(tmp_path, hold, device, told, [first, second]), told)
    before = conversation(Agent(breaks=False))
    with hold.lock:
        mine = hold.transitions.begin("start")
    hold.commit(mine, before, "stays")
    reason: DeviceError = ConnectionLostError("lost")
    search.conversation_closed(before.token, reason)
    assert device.looked.wait(DEADLINE_S)
    with hold.lock:
        hold.late_ends.append(End(deployment="gone"))
    device.left.set()
    assert found.wait(DEADLINE_S)
    assert second.ended == ["gone"]
    assert hold.late_ends == []
    assert lost == []
