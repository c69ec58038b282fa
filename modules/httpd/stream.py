"""Responses whose body a coroutine writes while time goes on, and Server-Sent Events."""

import json


class Stream:
    """The body of a response under way, from `Request.stream`.

    It ends when the handler returns. When the client leaves, the handler is cancelled
    (asyncio.CancelledError at whatever it awaits), so that `finally` releases what it holds.
    """

    def __init__(self, connection, chunked):
        self._connection = connection
        self._chunked = chunked

    async def send(self, data):
        """Send bytes-like or str, and wait while the client is slower than the handler.

        Raises:
            transport.ConnectionLost: the client is gone.
        """
        if data:
            await self._connection.send_piece(data, self._chunked)


class EventStream:
    """Server-Sent Events (HTML Living Standard, section 9.2), from `Request.events`.

    The browser's side is `new EventSource(url)`; it comes back by itself when it is cut off.
    """

    def __init__(self, stream):
        self._stream = stream

    async def send(self, data="", event=None, id=None, retry=None):
        """Send one event, and wait while the client is slower than the handler.

        Args:
            data: str, or what becomes JSON; "" with nothing else is a comment, which keeps a
                quiet connection known to be alive.
            event: the event's type, "message" by default.
            id: what the browser sends back as Last-Event-ID when it comes again.
            retry: milliseconds that the browser waits before it comes again.

        Raises:
            ValueError: a line break in `event` or `id`.
            transport.ConnectionLost: the client is gone.
        """
        lines = []
        for name, value in (("event", event), ("id", id), ("retry", retry)):
            if value is not None:
                value = str(value)
                if "\n" in value or "\r" in value or "\0" in value:
                    raise ValueError("line break in " + name)
                lines.append(name + ": " + value + "\n")
        if not isinstance(data, str):
            data = json.dumps(data)
        if data:
            # CR ends a line too, and data that brings its own would begin a field of its own.
            for line in data.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
                lines.append("data: " + line + "\n")
        elif not lines:
            lines.append(":\n")
        lines.append("\n")
        await self._stream.send("".join(lines))
