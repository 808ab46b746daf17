"""Talking with an agent: calls and their replies, and events as they come."""

import contextlib
import itertools
import logging
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from types import TracebackType
from typing import Self, TypeVar

import msgspec
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, unix_connect

from partition_agent.protocol import (
    MAX_CONTROL_BYTES,
    AgentState,
    Call,
    Event,
    Failed,
    Fault,
    FromAgent,
    Reply,
    Request,
    Result,
)
from partition_studio.errors import DeviceError
from partition_studio.fleet.connection import DeviceConnection
from partition_studio.fleet.errors import (
    AgentFaultError,
    AgentUnreachableError,
    BadAnswerError,
    ConnectionLostError,
    DeviceTimeoutError,
)
from partition_studio.fleet.text import clean_text

logger = logging.getLogger(__name__)

EventCallback = Callable[[Event], None]
ClosedCallback = Callable[[DeviceError | None], None]

T = TypeVar("T")

_OPEN_S = 10.0
_CLOSE_S = 2.0
_PING_S = 10.0
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Patience:
    """With what takes long on a weak device: it is waited for as long as there is progress. Thread-safe."""

    def __init__(self) -> None:
        self._last_s = time.monotonic()

    def note(self) -> None:
        """Note a sign of progress."""
        self._last_s = time.monotonic()

    def wait(self, future: Future[T], timeout_s: float) -> T:
        """Return what comes. Raises FutureTimeoutError when there was no sign of progress for `timeout_s`."""
        while True:
            left_s = self._last_s + timeout_s - time.monotonic()
            try:
                return future.result(max(left_s, 0.0))
            except FutureTimeoutError:
                if future.done() or self._last_s + timeout_s <= time.monotonic():
                    raise


class AgentClient:
    """One control conversation with one agent. Calls may be made from several threads; reconnecting is the caller's.

    `on_event` is called by the reading thread, in the order of the events; it should return soon. `on_closed` is called
    once, with the reason, or with None after `close`.
    """

    def __init__(
        self,
        connection: DeviceConnection,
        state: AgentState,
        on_event: EventCallback,
        on_closed: ClosedCallback,
    ) -> None:
        """Connect to the agent that `state` describes.

        Raises AgentUnreachableError when nothing answers there or it refuses the token, ConnectionLostError.
        """
        self._label = connection.label
        self._on_event = on_event
        self._on_closed = on_closed
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[Result]] = {}
        self._end: DeviceError | None = None
        self._ended = False
        self._closing = False
        self._resources = contextlib.ExitStack()
        self._socket = self._connect(connection, state)
        self._reader = threading.Thread(target=self._read, name=f"agent {self._label}", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(self, request: Request, timeout_s: float, patience: Patience | None = None) -> Result:
        """Send a request and return the agent's answer, which is never `Failed`.

        With `patience`, `timeout_s` counts from its last sign of progress. Raises AgentFaultError with the agent's own
        code, DeviceTimeoutError, ConnectionLostError.
        """
        number, future = next(self._numbers), Future[Result]()
        with self._lock:
            if self._ended:
                raise self._end or ConnectionLostError(f"The conversation with {self._label} was closed")
            self._waiting[number] = future
        kind = type(request).__name__
        try:
            self._socket.send(msgspec.json.encode(Call(number, request)).decode())
            result = future.result(timeout_s) if patience is None else patience.wait(future, timeout_s)
        except FutureTimeoutError:
            raise DeviceTimeoutError(f"{self._label}: the agent did not answer {kind} within {timeout_s:g} s") from None
        except (ConnectionClosed, OSError) as error:
            raise ConnectionLostError(f"The agent on {self._label} hung up during {kind}") from error
        finally:
            with self._lock:
                self._waiting.pop(number, None)
        if isinstance(result, Failed):
            code = result.code if _CODE.fullmatch(result.code) else "agent_fault"
            stage = None if result.stage is None else clean_text(result.stage, limit=300)
            raise AgentFaultError(
                f"{self._label}: {clean_text(result.message, limit=2000)}", fault_code=code, stage=stage
            )
        return result

    def close(self) -> None:
        """End the conversation; the agent goes on. May be called more than once."""
        self._closing = True
        self._socket.close()
        if threading.current_thread() is not self._reader:
            self._reader.join(timeout=_CLOSE_S * 2)
        self._resources.close()

    def _connect(self, connection: DeviceConnection, state: AgentState) -> ClientConnection:
        stream = connection.open_stream(state.control_port)
        try:
            # The socket is ours already, whatever it is: this form of connect sets no option on it and uses no proxy.
            websocket = self._resources.enter_context(
                unix_connect(
                    sock=stream,
                    uri=f"ws://127.0.0.1:{state.control_port}/",
                    additional_headers={"Authorization": f"Bearer {state.token}"},
                    compression=None,
                    open_timeout=_OPEN_S,
                    close_timeout=_CLOSE_S,
                    ping_interval=_PING_S,
                    ping_timeout=_PING_S,
                    max_size=MAX_CONTROL_BYTES,
                )
            )
        except InvalidStatus as error:
            stream.close()
            raise AgentUnreachableError(
                f"{self._label}: the agent refuses the studio (status {error.response.status_code})"
            ) from error
        except (InvalidHandshake, OSError, EOFError, ValueError) as error:
            stream.close()
            raise AgentUnreachableError(
                f"{self._label}: no agent answers on port {state.control_port} ({clean_text(str(error), limit=200)})"
            ) from error
        return websocket

    def _read(self) -> None:
        decoder = msgspec.json.Decoder(FromAgent)
        end: DeviceError | None = None
        try:
            while True:
                message = self._socket.recv()
                self._take(decoder.decode(message))
        except ConnectionClosed:
            if not self._closing:
                end = ConnectionLostError(f"The agent on {self._label} hung up")
        except msgspec.DecodeError as error:
            end = BadAnswerError(f"{self._label}: the agent sent what cannot be read ({error})")
        except OSError as error:
            end = ConnectionLostError(f"The connection to the agent on {self._label} is lost ({error})")
        except Exception as error:  # the boundary of a conversation: however it ends, those who listen are told
            if not self._closing:
                logger.exception("conversation_failed", extra={"device": self._label})
                reason = clean_text(str(error), limit=200)
                end = BadAnswerError(f"{self._label}: what the agent sent cannot be taken ({reason})")
        finally:
            self._finish(end)

    def _take(self, message: Reply | Event) -> None:
        if isinstance(message, Reply):
            with self._lock:
                future = self._waiting.pop(message.id, None)
            # A reply nobody waits for any more came too late, or was made up.
            if future is not None:
                future.set_result(message.result)
            return
        if isinstance(message, Fault):
            code = message.code if _CODE.fullmatch(message.code) else "agent_fault"
            message = msgspec.structs.replace(message, code=code, message=clean_text(message.message, limit=2000))
        try:
            self._on_event(message)
        except Exception:  # the boundary of one event: whatever its listener cannot do, the next is read
            logger.exception("event_failed", extra={"device": self._label, "event": type(message).__name__})

    def _finish(self, end: DeviceError | None) -> None:
        with self._lock:
            self._ended, self._end = True, end
            waiting = list(self._waiting.values())
            self._waiting.clear()
        for future in waiting:
            future.set_exception(end or ConnectionLostError(f"The conversation with {self._label} was closed"))
        if not self._closing:
            self._socket.close()
        self._on_closed(end)
