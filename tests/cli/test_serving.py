"""The port that the studio listens on."""

import asyncio
import socket

from partition_studio.cli.serving import listen


def test_an_answer_in_two_parts_is_not_held_back() -> None:
    """A server's head and body are two writes: the second one does not wait for an acknowledgement of the first."""
    delays: list[int] = []

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        delays.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async def ask() -> None:
        with listen("127.0.0.1", 0) as listener:
            async with await asyncio.start_server(answer, sock=listener):
                reader, writer = await asyncio.open_connection(*listener.getsockname())
                assert await reader.read() == b""
                writer.close()

    asyncio.run(ask())
    assert delays == [1]
