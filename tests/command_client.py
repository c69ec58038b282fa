"""A client of the command protocol, as a page or a relay is one."""

import asyncio
import contextlib
import json

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from support import DEADLINE

# What the tests use as passwords of networks; none may ever be sent to a client.
PASSWORDS = ("correct-horse", "under-the-roof", "battery-staple", "access-point-key")


class Protocol:
    """The client's end of a connection that speaks the command protocol.

    connection: of Python's `websockets`, either side
    texts: everything received
    messages: the same as objects
    state: all messages put together
    """

    def __init__(self, connection=None):
        self.connection = connection
        self.texts = []
        self.messages = []
        self.state = {}
        self._position = 0

    async def send(self, *request):
        # As a browser writes it: without escapes for what is not ASCII.
        await self.connection.send(json.dumps(request, ensure_ascii=False))

    async def receive(self):
        text = await self.connection.recv()
        assert isinstance(text, str), f"a binary message: {text!r}"
        for password in PASSWORDS:
            assert password not in text
        message = json.loads(text)
        assert isinstance(message, dict) and message
        self.texts.append(text)
        self.messages.append(message)
        self.state.update(message)
        return message

    async def event(self, key):
        """The value of `key` in the next message that has it; each message is looked at once.

        An error on the way to it is a failure.
        """
        while True:
            while self._position < len(self.messages):
                message = self.messages[self._position]
                self._position += 1
                if key in message:
                    return message[key]
                assert "error" not in message, message
            await self._receive_in_time(f"a message with {key}")

    async def reaches(self, wanted):
        """Wait until the state has the values of the dict `wanted`."""
        while any(self.state.get(key) != value for key, value in wanted.items()):
            await self._receive_in_time(f"state {wanted}")

    async def refused(self, *request):
        """Send a request that is refused; returns the error."""
        await self.send(*request)
        return await self.event("error")

    async def round_trip(self):
        """Make sure that everything sent to this client before has been received."""
        await self.send("GET", "hal")
        return await self.event("hal")

    async def _receive_in_time(self, what):
        try:
            async with asyncio.timeout(DEADLINE):
                await self.receive()
        except TimeoutError:
            last = self.messages[-5:]
            raise AssertionError(f"not received: {what}; the last were {last}") from None

    async def closed(self):
        """Wait for the end; returns the close code."""
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(DEADLINE):
                while True:
                    await self.receive()
        return self.connection.close_code

    def count(self, key):
        """Number of messages received that have `key`."""
        return sum(key in message for message in self.messages)


class Page(Protocol):
    """A connection to the image: `async with Page(uri) as page`; the full state has arrived."""

    def __init__(self, uri):
        super().__init__()
        self.uri = uri

    async def __aenter__(self):
        self.connection = await connect(self.uri, max_queue=None, max_size=None)
        await self.receive()
        self._position = 1
        return self

    async def __aexit__(self, *exception):
        await self.connection.close()
