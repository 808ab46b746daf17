"""The live fan-out: everything that changes, to every open browser, each at his own pace.

A message replaces the one of the same key that a slow browser has not fetched yet, so what waits is bounded by the
number of things that there are, and nobody slows anybody.
"""

import asyncio
import threading
from collections.abc import AsyncIterator

from partition_studio.schemas import (
    BatchMessage,
    DeploymentMessage,
    DeviceLiveMessage,
    DeviceMessage,
    DeviceRemovedMessage,
    JobMessage,
    LinksMessage,
    LiveEnvelope,
    ModelsMessage,
    OneMessage,
    PlansMessage,
    ProfilesMessage,
    RunMessage,
    SearchMessage,
)

#: At most this many batches a second go to one browser.
MAX_BATCHES_PER_S = 10


def message_key(message: OneMessage) -> tuple[str, str]:
    """Return what a message is about: a newer one with the same key makes it worthless."""
    match message:
        case DeviceLiveMessage(live=live):
            return ("live", live.device)
        case DeviceMessage(device=device):
            return ("device", device.name)
        case DeviceRemovedMessage(name=name):
            return ("device", name)
        case DeploymentMessage(deployment=deployment):
            return ("deployment", deployment.id)
        case RunMessage(run=run):
            return ("run", run.id)
        case ModelsMessage():
            return ("models", "")
        case PlansMessage(model_id=model_id):
            return ("plans", model_id)
        case JobMessage(job=job):
            return ("job", job.id)
        case LinksMessage():
            return ("links", "")
        case ProfilesMessage(device=device):
            return ("profiles", device)
        case SearchMessage(job=job_id):
            return ("search", job_id)


class Subscription:
    """One browser's waiting messages. Made and read on the event loop; fed from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str], OneMessage] = {}
        self._wake = asyncio.Event()
        self._sequence = 0

    def offer(self, message: OneMessage) -> None:
        """Keep `message` for this browser in place of an older one with the same key."""
        with self._lock:
            key = message_key(message)
            self._waiting.pop(key, None)
            self._waiting[key] = message
        try:
            self._loop.call_soon_threadsafe(self._wake.set)
        except RuntimeError:
            # The loop has ended: the studio is going down, and so is this browser's connection.
            return

    async def envelopes(self) -> AsyncIterator[LiveEnvelope]:
        """Yield what is waiting, in order of arrival, as one message; forever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            with self._lock:
                batch = list(self._waiting.values())
                self._waiting.clear()
            if batch:
                self._sequence += 1
                message = batch[0] if len(batch) == 1 else BatchMessage(messages=batch)
                yield LiveEnvelope(sequence=self._sequence, message=message)
            await asyncio.sleep(1 / MAX_BATCHES_PER_S)


class LiveHub:
    """Hands every published message to every subscription."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: set[Subscription] = set()

    def publish(self, message: OneMessage) -> None:
        """Hand `message` to every browser. Never blocks; callable from any thread."""
        with self._lock:
            subscriptions = list(self._subscriptions)
        for subscription in subscriptions:
            subscription.offer(message)

    def subscribe(self) -> Subscription:
        """Open a subscription for the running event loop."""
        subscription = Subscription(asyncio.get_running_loop())
        with self._lock:
            self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription."""
        with self._lock:
            self._subscriptions.discard(subscription)

    @property
    def subscriber_count(self) -> int:
        """Number of open subscriptions."""
        with self._lock:
            return len(self._subscriptions)
