"""The control conversation: a WebSocket on the loopback interface, for any number of studio connections at once."""

import asyncio
import hmac
import http
import logging
from collections import deque
from typing import Any, Awaitable, Callable, Deque, Optional, Set, Tuple, Union

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from partition_agent.lease import Visitor
from partition_agent.protocol import MAX_CONTROL_BYTES, Call, Event, Failed, Reply, Result, Telemetry

logger = logging.getLogger(__name__)

#: Messages that may wait for one studio. The oldest telemetry goes first; who cannot take the rest is cut off.
MAX_WAITING = 256

#: Calls of one connection that may be under way.
MAX_CALLS = 32

MAX_CONNECTIONS = 16

_CLOSE_S = 2.0

#: Answers a call; the visitor is the same for every call of one connection.
Answer = Callable[[Call, Visitor], Awaitable[Result]]
Left = Callable[[Visitor], None]


class _OnlyId(msgspec.Struct):
    id: int


class Outbox:
    """What waits to be sent to one studio: bounded, and in order save for telemetry that was given up."""

    def __init__(self) -> None:
        self._waiting: Deque[Tuple[bool, str]] = deque()
        self._something = asyncio.Event()
        self.overflowed = False

    def put(self, message: Union[Reply, Event]) -> bool:
        """Add a message; return False when there is no room for it, nor will be."""
        if len(self._waiting) >= MAX_WAITING:
            telemetry = next((entry for entry in self._waiting if entry[0]), None)
            if telemetry is None:
                self.overflowed = True
                return False
            self._waiting.remove(telemetry)
        self._waiting.append((isinstance(message, Telemetry), msgspec.json.encode(message).decode()))
        self._something.set()
        return True

    async def get(self) -> str:
        """Return the oldest message, once there is one."""
        while not self._waiting:
            self._something.clear()
            await self._something.wait()
        return self._waiting.popleft()[1]


class ControlServer:
    """Lets in who knows the token, passes each call to `answer`, and every event to everybody.

    All methods belong to the event loop's thread.
    """

    def __init__(self, token: str, answer: Answer, left: Left) -> None:
        self._token = token
        self._answer = answer
        self._left = left
        self._decoder = msgspec.json.Decoder(Call)
        self._outboxes: Set[Tuple[Outbox, ServerConnection]] = set()
        self._server: Optional[Server] = None

    async def start(self) -> int:
        """Listen on a free port of the loopback interface and return it."""
        self._server = await serve(
            self._converse,
            "127.0.0.1",
            0,
            process_request=self._admit,
            compression=None,
            max_size=MAX_CONTROL_BYTES,
            open_timeout=10,
            close_timeout=_CLOSE_S,
            ping_interval=10,
            ping_timeout=30,
            server_header=None,
        )
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    async def stop(self) -> None:
        """Hang up on everybody and listen no more."""
        if self._server is not None:
            self._server.close()
            closed = asyncio.ensure_future(self._server.wait_closed())
            await asyncio.wait([closed], timeout=_CLOSE_S * 2)
            for _, connection in list(self._outboxes):
                connection.transport.abort()
            await closed

    def publish(self, event: Event) -> None:
        """Send an event to every studio."""
        for outbox, connection in list(self._outboxes):
            self._put(outbox, connection, event)

    def _put(self, outbox: Outbox, connection: ServerConnection, message: Union[Reply, Event]) -> None:
        if not outbox.overflowed and not outbox.put(message):
            logger.warning("studio_too_slow")
            connection.transport.abort()

    def _admit(self, connection: ServerConnection, request: Any) -> Any:
        """Answer a handshake: None lets it in."""
        given = request.headers.get_all("Authorization")
        expected = f"Bearer {self._token}".encode()
        if len(given) != 1 or not hmac.compare_digest(given[0].encode("utf-8", "replace"), expected):
            logger.warning("control_refused")
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, "The token is missing or wrong.\n")
        if len(self._outboxes) >= MAX_CONNECTIONS:
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "Too many studios are connected.\n")
        return None

    async def _converse(self, connection: ServerConnection) -> None:
        outbox, visitor = Outbox(), Visitor()
        entry = (outbox, connection)
        self._outboxes.add(entry)
        calls: Set[asyncio.Task[None]] = set()
        sender = asyncio.ensure_future(self._send(connection, outbox))
        try:
            async for text in connection:
                if len(calls) >= MAX_CALLS:
                    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
                call = self._read(text, outbox, connection)
                if call is None:
                    await connection.close(1002, "no such message")
                    return
                if isinstance(call, Call):
                    task = asyncio.ensure_future(self._carry_out(call, visitor, outbox, connection))
                    calls.add(task)
                    task.add_done_callback(calls.discard)
        except ConnectionClosed:
            return
        finally:
            self._outboxes.discard(entry)
            self._left(visitor)
            sender.cancel()

    def _read(self, text: Union[str, bytes], outbox: Outbox, connection: ServerConnection) -> Union[Call, int, None]:
        """Return the call; its id when it is refused, having answered so; None for what has no id at all."""
        try:
            return self._decoder.decode(text)
        except msgspec.DecodeError as error:
            try:
                number = msgspec.json.decode(text, type=_OnlyId).id
            except msgspec.DecodeError:
                return None
            self._put(outbox, connection, Reply(number, Failed("bad_request", f"the request cannot be read: {error}")))
            return number

    async def _carry_out(self, call: Call, visitor: Visitor, outbox: Outbox, connection: ServerConnection) -> None:
        try:
            result = await self._answer(call, visitor)
        except Exception as error:
            # The boundary of a call: whatever happens, the studio gets an answer and the agent goes on.
            logger.exception("call_failed", extra={"request": type(call.request).__name__})
            result = Failed("agent_fault", f"the agent failed unexpectedly: {type(error).__name__}: {error}")
        self._put(outbox, connection, Reply(call.id, result))

    async def _send(self, connection: ServerConnection, outbox: Outbox) -> None:
        try:
            while True:
                await connection.send(await outbox.get())
        except ConnectionClosed:
            return
