"""What is known of a device's agent, and who needs it: the one place that the lock of a session guards."""

import threading

from partition_agent.protocol import AgentInfo, End
from partition_studio.fleet.errors import AgentUnreachableError, ConnectionLostError, DeviceLeavingError
from partition_studio.fleet.session.agent_client import AgentClient
from partition_studio.fleet.session.conversation import Conversation
from partition_studio.fleet.session.holders import Holders
from partition_studio.fleet.session.transition import Transition, Transitions


class Hold:
    """The conversation that counts, its holders, and what is under way.

    `lock` guards everything here; it is never held while the device is asked anything.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self.lock = threading.RLock()
        self.transitions = Transitions(self.lock)
        self.holders = Holders()
        self.agent: AgentClient | None = None
        #: Kept while a lost agent is looked for.
        self.info: AgentInfo | None = None
        #: What to end once a lost agent is found again: its holder left meanwhile.
        self.late_ends: list[End] = []
        #: The conversation that counts; what breaks of an older one is of no interest.
        self.conversation: object | None = None
        #: Conversations that broke, of which one may be about to count.
        self.broken: set[object] = set()
        #: Whether the device is being removed, and whether the studio has let go of it.
        self.leaving = False
        self.closed = threading.Event()

    def require_open(self) -> None:
        """Raise DeviceLeavingError or AgentUnreachableError where nobody can hold the agent any more."""
        if self.leaving:
            raise DeviceLeavingError(f"{self._device} is being removed", device=self._device)
        if self.closed.is_set():
            raise AgentUnreachableError(f"{self._device} was let go of")

    def join(self, holder: str) -> AgentInfo | None:
        """Hold the agent that we talk with; None when there is none. Under the lock."""
        self.require_open()
        if self.agent is None or self.info is None:
            return None
        self.holders.add(holder)
        return self.info

    def commit(self, transition: Transition, found: Conversation, holder: str | None) -> None:
        """Make this the conversation that counts, and end the transition. Raises ConnectionLostError."""
        with self.lock:
            if found.token in self.broken:
                raise ConnectionLostError(f"The conversation with {self._device} broke as it began")
            self.require_open()
            self.agent, self.info, self.conversation = found.agent, found.info, found.token
            if holder is not None:
                self.holders.add(holder)
            self.broken.clear()
            self.transitions.leave(transition)

    def detach(self) -> AgentClient | None:
        """Let go of the conversation that counts. Under the lock."""
        agent, self.agent, self.conversation = self.agent, None, None
        return agent

    def give_up(self) -> None:
        """Forget the agent, and everybody who held it."""
        with self.lock:
            self.info = None
            self.holders.clear()
            self.late_ends.clear()
