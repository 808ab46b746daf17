"""What two link probers say to each other, and how one end takes part in a measurement. No sockets, no threads.

The receiver of a direction drives it: it asks for chunks and the sender sends exactly those. A peer that says anything
else ends the measurement.
"""

import math
import os
from typing import Any, Dict, List, Optional, Union

import msgspec

from partition_agent.link_probing.rate import MAX_CHUNK_BYTES, MAX_CHUNKS, Ask, ProbeError, RateMeter
from partition_agent.protocol import LinkFigures

MAGIC = b"PSL1"

#: No header is longer.
MAX_HEADER_BYTES = 256

#: One direction takes no longer, and no more bytes, whatever is asked.
MAX_BUDGET_S = 15.0
MAX_BYTES = 256 * 1024 * 1024

#: Two directions, and what the last chunks and round trips take.
MAX_SENT_BYTES = 2 * MAX_BYTES

Parts = List[Any]


class Ping(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Answered with the same."""

    number: int


class Receive(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Receive from me: ask for chunks, then say the `Outcome`."""

    budget_s: float
    max_bytes: int
    rtt_s: float


class Give(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Send me so many chunks of this size."""

    chunks: int
    size_bytes: int


class Chunk(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """The second part is the chunk."""


class Outcome(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """What was received."""

    bytes_per_s: float
    sent_bytes: int
    seconds: float


class Bye(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """That was all."""


Word = Union[Ping, Receive, Give, Chunk, Outcome, Bye]

_encoder = msgspec.msgpack.Encoder()
_decoder: "msgspec.msgpack.Decoder[Word]" = msgspec.msgpack.Decoder(Word)
_noise: Dict[int, bytes] = {}


def pack(word: Word) -> bytes:
    """Return the header part of a word."""
    return MAGIC + _encoder.encode(word)


def unpack(parts: Parts) -> Word:
    """Read a word. Raises ProbeError for what is none."""
    header = memoryview(parts[0].buffer) if parts else memoryview(b"")
    if header.nbytes > MAX_HEADER_BYTES or bytes(header[: len(MAGIC)]) != MAGIC:
        raise ProbeError("bad_peer", "the peer does not speak as a link measurement does")
    try:
        word = _decoder.decode(header[len(MAGIC) :])
    except msgspec.DecodeError:
        raise ProbeError("bad_peer", "the peer does not speak as a link measurement does") from None
    if len(parts) != (2 if isinstance(word, Chunk) else 1):
        raise ProbeError("bad_peer", "the peer sent another number of parts than belong to its message")
    return word


def noise(size_bytes: int) -> bytes:
    """Return bytes that nothing on the way can make smaller; the same ones each time."""
    if size_bytes not in _noise:
        _noise[size_bytes] = os.urandom(size_bytes)
    return _noise[size_bytes]


def give(ask: Ask) -> Parts:
    """Return the message that asks for chunks."""
    return [pack(Give(ask.chunks, ask.size_bytes))]


class Sender:
    """The sending end: gives what it is asked for, within bounds."""

    def __init__(self) -> None:
        self._sent_bytes = 0

    def asked(self, word: Give) -> List[Parts]:
        """Return the messages to send. Raises ProbeError."""
        size = word.size_bytes
        is_size = 0 < size <= MAX_CHUNK_BYTES and size & (size - 1) == 0
        if not is_size or not 0 < word.chunks <= MAX_CHUNKS:
            raise ProbeError("bad_peer", "the peer asks for more than a measurement takes")
        self._sent_bytes += word.chunks * size
        if self._sent_bytes > MAX_SENT_BYTES:
            raise ProbeError("bad_peer", "the peer asks for more than a measurement takes")
        return [[pack(Chunk()), noise(size)] for _ in range(word.chunks)]


def figures_of(word: Outcome) -> LinkFigures:
    """Return what the peer says that it received. Raises ProbeError for what no measurement gives."""
    if not (0 < word.bytes_per_s < 1e12 and 0 <= word.seconds < 3600 and 0 < word.sent_bytes <= MAX_SENT_BYTES):
        raise ProbeError("bad_peer", "the peer tells figures that cannot be")
    return LinkFigures(word.bytes_per_s, word.sent_bytes, word.seconds)


class Listener:
    """The end that was connected to: answers whatever the other one begins."""

    def __init__(self) -> None:
        self._sender = Sender()
        self._meter: Optional[RateMeter] = None
        self.is_over = False

    def heard(self, parts: Parts, now_s: float) -> List[Parts]:
        """Take a message; return what to send. Raises ProbeError."""
        word = unpack(parts)
        if isinstance(word, Ping):
            return [[pack(word)]]
        if isinstance(word, Give):
            return self._sender.asked(word)
        if isinstance(word, Receive):
            if self._meter is not None or not all(map(math.isfinite, (word.budget_s, word.rtt_s))):
                raise ProbeError("bad_peer", "the peer begins what cannot be begun")
            budget_s, most = min(max(word.budget_s, 0.0), MAX_BUDGET_S), min(max(word.max_bytes, 1), MAX_BYTES)
            self._meter = RateMeter(budget_s, most, max(word.rtt_s, 0.0), now_s)
            return [give(self._meter.first())]
        if isinstance(word, Chunk) and self._meter is not None:
            return self._chunk(self._meter, len(parts[1].buffer), now_s)
        if isinstance(word, Bye):
            self.is_over = True
            return []
        raise ProbeError("bad_peer", "the peer says what nobody asked for")

    def check(self, now_s: float) -> None:
        """Raise ProbeError when the peer is silent in the middle of a direction."""
        if self._meter is not None and self._meter.is_silent(now_s):
            raise ProbeError("silent", "the peer fell silent")

    def _chunk(self, meter: RateMeter, size_bytes: int, now_s: float) -> List[Parts]:
        ask = meter.arrived(size_bytes, now_s)
        if ask is not None:
            return [give(ask)]
        if not meter.is_done:
            return []
        figures, self._meter = meter.figures(), None
        return [[pack(Outcome(figures.bytes_per_s, figures.sent_bytes, figures.seconds))]]
