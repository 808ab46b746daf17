"""The live fan-out: newest wins, nobody slows anybody, what waits is bounded."""

import asyncio
import threading

from partition_studio.schemas import DeviceRemovedMessage, LiveEnvelope, ModelsMessage, PlansMessage
from partition_studio.telemetry.live import LiveHub, Subscription


async def take(subscription: Subscription, count: int) -> list[LiveEnvelope]:
    taken: list[LiveEnvelope] = []
    async for envelope in subscription.envelopes():
        taken.append(envelope)
        if len(taken) == count:
            return taken
    raise AssertionError


def test_everybody_gets_every_message_in_order_with_growing_numbers() -> None:
    async def scenario() -> None:
        hub = LiveHub()
        subscriptions = [hub.subscribe(), hub.subscribe()]
        for name in "abc":
            hub.publish(DeviceRemovedMessage(name=name))
        for subscription in subscriptions:
            taken = await asyncio.wait_for(take(subscription, 3), 10)
            assert [envelope.sequence for envelope in taken] == [1, 2, 3]
            assert [envelope.message for envelope in taken] == [DeviceRemovedMessage(name=name) for name in "abc"]

    asyncio.run(scenario())


def test_a_slow_browser_gets_the_newest_of_each_thing_once() -> None:
    async def scenario() -> None:
        hub = LiveHub()
        subscription = hub.subscribe()
        for _ in range(10_000):
            hub.publish(ModelsMessage())
            hub.publish(PlansMessage(model_id="m"))
        taken = await asyncio.wait_for(take(subscription, 2), 10)
        assert {envelope.message.type for envelope in taken} == {"models", "plans"}

    asyncio.run(scenario())


def test_any_thread_may_publish() -> None:
    async def scenario() -> None:
        hub = LiveHub()
        subscription = hub.subscribe()
        threading.Thread(target=lambda: hub.publish(ModelsMessage())).start()
        assert (await asyncio.wait_for(take(subscription, 1), 10))[0].message == ModelsMessage()

    asyncio.run(scenario())


def test_who_has_gone_is_told_nothing() -> None:
    async def scenario() -> None:
        hub = LiveHub()
        subscription = hub.subscribe()
        hub.unsubscribe(subscription)
        hub.publish(ModelsMessage())
        assert hub.subscriber_count == 0

    asyncio.run(scenario())


def test_publishing_after_a_browsers_loop_has_ended_harms_nobody() -> None:
    hub = LiveHub()

    async def scenario() -> None:
        hub.subscribe()

    asyncio.run(scenario())
    hub.publish(ModelsMessage())
