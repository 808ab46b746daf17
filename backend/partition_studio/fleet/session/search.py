"""The search for an agent whose conversation broke: it is taken up again, or given up."""

import contextlib
import logging
import threading
import time

from partition_agent.protocol import AgentInfo
from partition_studio.errors import DeviceError
from partition_studio.fleet.errors import AgentUnreachableError, is_final
from partition_studio.fleet.session.conversation import Conversation
from partition_studio.fleet.session.hold import Hold
from partition_studio.fleet.session.software import DeviceSoftware
from partition_studio.fleet.session.talk import Talk, Told
from partition_studio.fleet.session.transition import Transition

logger = logging.getLogger(__name__)

#: How long a lost agent is looked for before it is given up.
REATTACH_S = 10.0


class Search:
    """Looks for one device's agent whenever its conversation breaks, in a thread of its own."""

    def __init__(self, device: str, hold: Hold, software: DeviceSoftware, talk: Talk, told: Told) -> None:
        self._device = device
        self._hold = hold
        self._software = software
        self._talk = talk
        self._told = told

    def conversation_closed(self, token: object, reason: DeviceError | None) -> None:
        """Begin to look when it broke; called by the client's reading thread."""
        if reason is None or self._hold.closed.is_set():
            return
        self._hold.broken.add(token)
        threading.Thread(
            target=self._look_for_agent, args=(token, reason), name=f"reattach-{self._device}", daemon=True
        ).start()

    def _look_for_agent(self, token: object, reason: DeviceError) -> None:
        hold = self._hold
        with hold.lock:
            info = hold.info
            if hold.conversation is not token or info is None or hold.closed.is_set():
                return
            mine = hold.transitions.begin("look")
            agent = hold.detach()
        if agent is not None:
            agent.close()
        self._talk.backoff.lost()
        with hold.transitions.carried_out(mine):
            outcome = self._look(mine, info, reason)
            if outcome is None:
                logger.info("agent_found_again", extra={"device": self._device})
                return
            hold.give_up()
            if hold.closed.is_set():
                return
            logger.warning("agent_lost", extra={"device": self._device, "reason": outcome.message})
            self._told.on_lost(self._device, outcome.message)
            if not is_final(outcome):
                with contextlib.suppress(DeviceError):
                    # It may only have been silent for too long: what is given up is not to go on unseen.
                    self._software.stop()

    def _look(self, transition: Transition, info: AgentInfo, reason: DeviceError) -> DeviceError | None:
        """Take the conversation up again; return why that cannot be done, None when it is."""
        deadline_s = time.monotonic() + REATTACH_S
        while True:
            try:
                state = self._software.running()
                if state is None or state.incarnation != info.incarnation:
                    return AgentUnreachableError(f"{self._device}: the agent has ended ({reason.message})")
                self._take_up(transition, self._talk.open(state, self.conversation_closed))
                return None
            except DeviceError as error:
                reason = error
            left_s = deadline_s - time.monotonic()
            if is_final(reason) or left_s <= 0:
                return reason
            if self._hold.closed.wait(min(self._talk.backoff.next_s(), left_s)):
                return reason

    def _take_up(self, transition: Transition, found: Conversation) -> None:
        """Commit what was found again, once all is ended whose holder left meanwhile."""
        hold = self._hold
        try:
            while True:
                with hold.lock:
                    ends = list(hold.late_ends)
                    if not ends and hold.holders:
                        self._talk.commit(transition, found, None)
                        return
                for end in ends:
                    self._talk.end(found.agent, end)
                    # Only now: what breaks meanwhile is ended in the next conversation.
                    with hold.lock:
                        hold.late_ends.remove(end)
                with hold.lock:
                    unneeded = not hold.holders and not hold.late_ends
                    if unneeded:
                        hold.info = None
                if unneeded:
                    self._talk.shut_down(found.agent)
                    return
        except BaseException:
            found.agent.close()
            raise
