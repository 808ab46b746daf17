"""Opening a conversation with an agent that runs: it is greeted, asked whom it serves, and configured."""

from collections.abc import Callable
from dataclasses import dataclass

from partition_agent.protocol import AgentInfo, AgentState, Configure, Event, Hello
from partition_studio.errors import DeviceError
from partition_studio.fleet.connection import DeviceConnection
from partition_studio.fleet.errors import BadAnswerError, DeviceHeldError
from partition_studio.fleet.session.agent_client import AgentClient

_CALL_S = 20.0


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was opened with an agent. `token` tells it from older ones."""

    agent: AgentClient
    info: AgentInfo
    token: object


def open_conversation(
    connection: DeviceConnection,
    state: AgentState,
    hello: Hello,
    configuration: Configure,
    on_event: Callable[[Event], None],
    on_closed: Callable[[object, DeviceError | None], None],
) -> Conversation:
    """Talk with the agent that `state` describes; `on_closed` gets the conversation's token.

    Raises DeviceHeldError where the agent serves another studio, and what `AgentClient` raises.
    """
    token = object()
    agent = AgentClient(connection, state, on_event, lambda reason: on_closed(token, reason))
    try:
        info = agent.call(hello, _CALL_S)
        if not isinstance(info, AgentInfo):
            raise BadAnswerError(f"{connection.label}: the agent does not say who it is")
        if info.held_by:
            raise _held(configuration.device, info)
        agent.call(configuration, _CALL_S)
    except BaseException:
        agent.close()
        raise
    return Conversation(agent, info, token)


def _held(device: str, info: AgentInfo) -> DeviceHeldError:
    return DeviceHeldError(
        f"{device} is in use by the studio on {info.held_by}",
        next_step="Stop the deployment or remove the device there. If that studio is gone for good, end its agent on "
        f"the device: kill {info.pid}",
        device=device,
        held_by=info.held_by,
    )
