"""The receiving end of one direction of a link measurement: what to ask for, when it is enough, and the rate.

No I/O, no clock. The receiver asks for chunks and never has more under way than what passes in a quarter of a second
(or in a few round trips), so neither end holds much; chunks grow with the rate. The rate is that over the later half of
the time, from the arrival of a chunk to that of the last: TCP's slow start and the first round trip are not in it.
"""

from collections import deque
from typing import Deque, List, NamedTuple, Optional, Tuple

from partition_agent.protocol import LinkFigures

#: Sizes of one chunk.
MIN_CHUNK_BYTES = 16 * 1024
MAX_CHUNK_BYTES = 256 * 1024

#: Chunks, and bytes, that are asked for and not here yet.
MAX_CHUNKS = 48
MAX_WINDOW_BYTES = 8 * 1024 * 1024
FIRST_CHUNKS = 4

#: A chunk should take about so long, and all that are under way so long at most.
_CHUNK_S = 0.005
_WINDOW_S = 0.25
_WINDOW_ROUND_TRIPS = 3.0
_MAX_WINDOW_S = 3.0

#: A peer from which nothing comes for so long is given up.
SILENCE_S = 8.0


class ProbeError(Exception):
    """A measurement that cannot go on; `code` is stable, the text is for the person."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Ask(NamedTuple):
    """Chunks to ask the sender for."""

    chunks: int
    size_bytes: int


class RateMeter:
    """Receives one direction."""

    def __init__(self, budget_s: float, max_bytes: int, rtt_s: float, now_s: float) -> None:
        """Begin now; it asks for no more after `budget_s` or `max_bytes`, whichever is first."""
        self._budget_s = budget_s
        self._max_bytes = max_bytes
        self._window_s = min(max(_WINDOW_S, _WINDOW_ROUND_TRIPS * rtt_s), _MAX_WINDOW_S)
        self._rtt_s = rtt_s
        self._begin_s = self._last_s = now_s
        self._asked = self._received = 0
        self._under_way: Deque[int] = deque()
        self._arrivals: List[Tuple[float, int]] = []

    def first(self) -> Ask:
        """Return what to ask for at the beginning."""
        count = max(1, min(FIRST_CHUNKS, self._max_bytes // MIN_CHUNK_BYTES))
        return self._note(Ask(count, MIN_CHUNK_BYTES))

    def arrived(self, size_bytes: int, now_s: float) -> Optional[Ask]:
        """Take a chunk; return what to ask for next, None for nothing now. Raises ProbeError when it was not asked."""
        if not self._under_way or self._under_way.popleft() != size_bytes:
            raise ProbeError("bad_peer", "the peer sent what it was not asked for")
        self._received += size_bytes
        self._last_s = now_s
        self._arrivals.append((now_s, self._received))
        if now_s - self._begin_s >= self._budget_s:
            return None
        elapsed_s = now_s - self._begin_s
        rate = self._received / max(elapsed_s - self._rtt_s, elapsed_s / 4, 1e-6)
        size = MIN_CHUNK_BYTES
        while size < MAX_CHUNK_BYTES and size < rate * _CHUNK_S:
            size *= 2
        window = min(max(int(rate * self._window_s), 2 * size), MAX_WINDOW_BYTES)
        under_way = self._asked - self._received
        room = min(window - under_way, self._max_bytes - self._asked)
        count = min(room // size, MAX_CHUNKS - len(self._under_way))
        # Few large asks rather than one for each chunk.
        if count < 1 or (under_way and count * size < window // 4 and self._max_bytes - self._asked >= window):
            return None
        return self._note(Ask(count, size))

    @property
    def is_done(self) -> bool:
        """Whether everything came that was asked for."""
        return not self._under_way

    def is_silent(self, now_s: float) -> bool:
        """Whether nothing has come for too long."""
        return now_s - self._last_s > SILENCE_S

    def figures(self) -> LinkFigures:
        """Return what was measured. Raises ProbeError when that is nothing."""
        if not self._arrivals:
            raise ProbeError("silent", "nothing came")
        end_s, total = self._arrivals[-1]
        middle_s = (self._begin_s + end_s) / 2
        # From the last arrival before the middle: a packet that was lost holds up what follows it, which then comes at
        # once; so the pause is counted with what came of it.
        since_s, before = self._begin_s, 0
        for at_s, received in self._arrivals:
            # Where almost all came in one burst, the whole time tells more than the rest of it.
            if at_s <= middle_s and total - received >= total // 8:
                since_s, before = at_s, received
        rate = (total - before) / max(end_s - since_s, 1e-6)
        return LinkFigures(bytes_per_s=rate, sent_bytes=total, seconds=end_s - self._begin_s)

    def _note(self, ask: Ask) -> Ask:
        self._asked += ask.chunks * ask.size_bytes
        self._under_way.extend([ask.size_bytes] * ask.chunks)
        return ask
