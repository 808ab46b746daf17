"""The live WebSocket, and the newest figures by REST."""

import asyncio
import contextlib

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from partition_studio.api.deps import ServicesDep
from partition_studio.schemas import LiveSnapshotOut
from partition_studio.telemetry.live import Subscription

router = APIRouter(tags=["live"])


@router.get("/live")
def live_snapshot(services: ServicesDep) -> LiveSnapshotOut:
    """Get the newest figures of every device that reports."""
    return LiveSnapshotOut(devices=services.telemetry.live())


@router.websocket("/live/ws")
async def live(websocket: WebSocket, services: ServicesDep) -> None:
    """Send `LiveEnvelope` texts until the browser goes."""
    await websocket.accept()
    subscription = services.hub.subscribe()
    sender = asyncio.create_task(_send(websocket, subscription))
    try:
        # Nothing is expected from the browser; reading is how its going is noticed.
        while True:
            await websocket.receive_text()
    except WebSocketDisconnect:
        pass
    finally:
        services.hub.unsubscribe(subscription)
        sender.cancel()
        with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
            await sender


async def _send(websocket: WebSocket, subscription: Subscription) -> None:
    async for envelope in subscription.envelopes():
        await websocket.send_text(envelope.model_dump_json())
