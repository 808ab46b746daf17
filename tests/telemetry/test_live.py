"""The live fan-out: newest wins, nobody slows anybody, what waits is bounded."""

import asyncio
import threading

from partition_studio.schemas import BatchMessage, DeviceRemovedMessage, LiveEnvelope, ModelsMessage, PlansMessage
from partition_studio.telemetry.live import MAX_BATCHES_PER_S, LiveHub, Subscription


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
        taken: list[LiveEnvelope] = []
        for name in "abc":
            hub.publish(DeviceRemovedMessage(name=name))
        for subscription in subscriptions:
            (together,) = await asyncio.wait_for(take(subscription, 1), 10)
            assert together.message == BatchMessage(messages=[DeviceRemovedMessage(name=name) for name in "abc"])
            taken.append(together)
        hub.publish(ModelsMessage())
        for together, subscription in zip(taken, subscriptions, strict=True):
            (alone,) = await asyncio.wait_for(take(subscription, 1), 10)
            assert (together.sequence, alone.sequence, alone.message) == (1, 2, ModelsMessage())

    asyncio.run(scenario())


def test_a_slow_browser_gets_the_newest_of_each_thing_once() -> None:
    async def scenario() -> None:
        hub = LiveHub()
        subscription = hub.subscribe()
        for _ in range(10_000):
            hub.publish(ModelsMessage())
            hub.publish(PlansMessage(model_id="m"))
        (taken,) = await asyncio.wait_for(take(subscription, 1), 10)
        assert isinstance(taken.message, BatchMessage)
        assert sorted(message.type for message in taken.message.messages) == ["models", "plans"]

    asyncio.run(scenario())


def test_a_hundred_devices_ten_times_a_second_come_as_at_most_ten_texts_a_second() -> None:
    async def scenario() -> None:
        hub = LiveHub()
        subscription = hub.subscribe()
        loop = asyncio.get_running_loop()
        begin_s, texts, figures = loop.time(), 0, 0
        hub.publish(ModelsMessage())
        async for envelope in subscription.envelopes():
            texts += 1
            figures += len(envelope.message.messages) if isinstance(envelope.message, BatchMessage) else 1
            for _ in range(3):
                for device in range(100):
                    hub.publish(DeviceRemovedMessage(name=f"d{device}"))
            if texts == 4:
                break
        # Between two texts there is the pause of a tenth of a second.
        assert loop.time() - begin_s >= 3 / MAX_BATCHES_PER_S
        assert figures == 301

    async def begin() -> None:
        await asyncio.wait_for(scenario(), 20)

    asyncio.run(begin())


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
