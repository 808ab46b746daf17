"""How fast this machine's loopback is: the bandwidth by which a frame's bytes are divided."""

import socket
import threading
import time

_PIECE_BYTES = 1 << 20
_PIECES = 256


def loopback_bytes_per_s() -> float:
    """Return the rate of one TCP connection to this machine itself, with large pieces."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sender = threading.Thread(target=_send, args=(listener.getsockname()[1],))
        sender.start()
        taker, _ = listener.accept()
        buffer, total, begin_s = bytearray(_PIECE_BYTES), 0, time.perf_counter()
        with taker:
            while count := taker.recv_into(buffer):
                total += count
        sender.join()
        return total / (time.perf_counter() - begin_s)


def _send(port: int) -> None:
    piece = bytes(_PIECE_BYTES)
    with socket.create_connection(("127.0.0.1", port)) as end:
        for _ in range(_PIECES):
            end.sendall(piece)
