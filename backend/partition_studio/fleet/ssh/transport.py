"""paramiko's transport, with its channels' messages kept in order: after a channel's close nothing of it goes out."""

from typing import Any

import paramiko
from paramiko.common import MSG_CHANNEL_CLOSE


class OrderedTransport(paramiko.Transport):
    """A transport that never sends on a channel that it has closed.

    paramiko makes a channel's message under the channel's lock and sends it without: an answer to the server's close
    can overtake an end of input, or data, of another thread. The server has forgotten the channel by then, so it hangs
    up (OpenSSH: "ieof packet referred to nonexistent channel"); or it has given the number to the next channel, which
    then gets what was never meant for it.
    """

    def open_channel(self, *args: Any, **kwargs: Any) -> paramiko.Channel:
        """Open a channel; see `paramiko.Transport.open_channel`."""
        return keep_in_order(super().open_channel(*args, **kwargs))

    def _send_message(self, message: paramiko.Message) -> None:
        # The caller holds the transport's lock for sending: nothing comes between the look and the sending.
        sender = getattr(message, "sender", None)
        if isinstance(sender, _Sender):
            if sender.has_closed:
                return
            sender.has_closed = message.asbytes()[0] == MSG_CHANNEL_CLOSE
        super()._send_message(message)  # type: ignore[misc]


def keep_in_order(channel: paramiko.Channel) -> paramiko.Channel:
    """Have an `OrderedTransport` know the channel's messages as its own; for a channel that has sent nothing yet."""
    channel.transport = _Sender(channel.get_transport())  # type: ignore[assignment]
    return channel


class _Sender:
    """The transport as one channel sees it. The channel itself, not its number: the server uses numbers again."""

    def __init__(self, transport: paramiko.Transport) -> None:
        self._transport = transport
        self.has_closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _send_user_message(self, message: paramiko.Message) -> None:
        message.sender = self  # type: ignore[attr-defined]
        self._transport._send_user_message(message)  # type: ignore[attr-defined]
