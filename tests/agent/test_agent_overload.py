"""Overload: a source that never rests before a consumer that does; what is held is what the window allows."""

import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.agent.planes import Array, Consumption, End, arrays, introduce, link

from partition_agent.protocol import LinkCodec

#: 0.8 MB: the cut of a ResNet-50.
SHAPE = (1, 256, 28, 28)
FRAME_BYTES = 4 * 256 * 28 * 28
WINDOW = 2
FRAMES = 250

#: A frame under way may lie in the producer's message, its ciphertext, both kernels' buffers, the consumer's
#: ciphertext, its plain text and the tensor that was made of it.
COPIES = 7

#: What the allocator keeps for later, and threads.
SLACK_BYTES = 24 << 20


def anonymous_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon:")))


@pytest.mark.parametrize("codec", ["none", "lz4"])
def test_memory_stays_within_the_windows_however_many_frames_are_offered(codec: str) -> None:
    """What was offered is six times what may ever be held."""
    spec = link(SHAPE, codecs=[LinkCodec(codec)], window=WINDOW)
    array = arrays(SHAPE, 1)[0]
    pause = threading.Event()
    held: list[int] = []

    def take_slowly(frame: int, tensors: Mapping[str, Array] | None) -> None:
        pause.wait(0.004)
        held.append(anonymous_bytes())

    with End("one", spec) as one, End("two", spec) as two:
        introduce(one, two)
        one.send(0, array)
        two.begin()
        before_bytes = anonymous_bytes()
        with Consumption(two, FRAMES - 1, take_slowly):
            for number in range(1, FRAMES):
                one.send(number, array)
                assert one.totals().in_flight <= WINDOW
        allowed_bytes = COPIES * WINDOW * FRAME_BYTES + SLACK_BYTES
        assert 5 * allowed_bytes < FRAMES * FRAME_BYTES
        assert max(held) - before_bytes < allowed_bytes
        assert one.totals().frames_sent == two.totals().frames_received == FRAMES
        assert one.plane.dropped() == two.plane.dropped() == {}
