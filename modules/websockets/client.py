"""Connecting to a WebSocket server."""

import random
from asyncio import core, sleep

from http11 import BadMessage, parse_response
from transport import open_connection, report, suspend, wake

from . import deflate, handshake
from .connection import Connection, Options
from .exceptions import InvalidHandshake, InvalidStatus, InvalidURI
from .server import Request
from .uri import URI

# Delays between attempts of `async for websocket in connect(...)`, as in Python's `websockets`.
BACKOFF_INITIAL = 5  # the first is random up to this, so that a fleet doesn't come back at once
BACKOFF_MIN = 3.1
BACKOFF_FACTOR = 1.618
BACKOFF_MAX = 90


class ClientConnection(Connection):
    """A connection that `connect` made."""

    def __init__(self, transport, options, request, subprotocol, agreed, response):
        super().__init__(transport, options, request, subprotocol, agreed, True)
        self.response = response


class _Handshake:
    """The protocol of a connection whose response hasn't arrived; `wait` gives the result."""

    wanted = None
    idle = False

    def __init__(self, uri, key, subprotocols, options):
        self._uri = uri
        self._key = key
        self._subprotocols = subprotocols
        self._options = options
        self._transport = None
        self._result = None
        self._waiting = core.TaskQueue()

    def begin(self, transport, head, timeout):
        self._transport = transport
        transport.set_timeout(timeout)
        transport.write(head)

    async def wait(self):
        try:
            while self._result is None:
                await suspend(self._waiting)
        except BaseException:
            if self._transport is not None:
                self._transport.abort()
            raise
        if isinstance(self._result, Exception):
            raise self._result
        return self._result

    def data_received(self, buf, start, end):
        try:
            head = parse_response(buf, start, end)
        except BadMessage as error:
            self._end(InvalidHandshake("not an HTTP response: " + error.reason))
            return end
        if head is None:
            return start
        if head.status != 101:
            self._end(InvalidStatus(head))
            return end
        try:
            chosen, agreed = handshake.check_response(
                head.fields,
                self._key,
                self._subprotocols,
                self._options.compression is not None,
            )
        except ValueError as error:
            self._end(InvalidHandshake("bad handshake response: " + str(error)))
            return end
        transport = self._transport
        self._transport = None
        request = Request(self._uri.target, {})
        self._result = ClientConnection(
            transport, self._options, request, chosen, agreed, head
        )
        transport.protocol = self._result
        wake(self._waiting)
        return head.end

    def _end(self, error):
        if self._result is None:
            self._result = error
            wake(self._waiting)
        if self._transport is not None:
            self._transport.abort()

    def sent(self):
        pass

    def eof_received(self):
        self._end(InvalidHandshake("the server closed the connection"))

    def timed_out(self):
        self._end(core.TimeoutError("opening handshake"))

    def connection_lost(self, error):
        self._transport = None
        self._end(error or InvalidHandshake("connection lost"))


class connect:
    """Connect to `uri`: `await` it, use it as an async context manager, or iterate over it.

    `async for websocket in connect(uri)` connects again, with growing delays, whenever the body
    of the loop is left with `continue` or the connection can't be made.

    Args:
        uri: "ws://host:port/path".
        origin: value of the Origin header.
        subprotocols: those to offer, in order of preference.
        additional_headers: (name, value) pairs or a dict.
        user_agent_header: value of User-Agent, None to send none.
        open_timeout, ping_interval, ping_timeout, close_timeout, max_size, max_queue,
        write_limit: as in Python's `websockets`.

    Raises:
        InvalidURI: `uri` can't be used.
        OSError: the connection was refused.
        asyncio.TimeoutError: no answer within `open_timeout` seconds.
        InvalidHandshake, InvalidStatus: the answer isn't that of a WebSocket server.
    """

    def __init__(
        self,
        uri,
        origin=None,
        subprotocols=None,
        additional_headers=(),
        user_agent_header="MicroPython websockets",
        open_timeout=10,
        **options
    ):
        self._uri = URI(uri)
        if self._uri.secure:
            raise InvalidURI("{}: wss is not supported".format(uri))
        self._options = Options(**options)
        self._origin = origin
        self._subprotocols = subprotocols
        if isinstance(additional_headers, dict):
            additional_headers = additional_headers.items()
        self._headers = list(additional_headers)
        if user_agent_header:
            self._headers.append(("User-Agent", user_agent_header))
        self._open_timeout = None if open_timeout is None else int(open_timeout * 1000)
        self._connection = None
        self._delay = None

    async def _connect(self):
        uri = self._uri
        extension = None if self._options.compression is None else deflate.offer()
        head, key = handshake.request(
            uri, self._origin, self._subprotocols, self._headers, extension
        )
        protocol = _Handshake(uri, key, self._subprotocols, self._options)
        transport = open_connection(uri.host, uri.port, protocol)
        protocol.begin(transport, head, self._open_timeout)
        self._connection = await protocol.wait()
        return self._connection

    def __iter__(self):
        return self._connect()

    __await__ = __iter__

    async def __aenter__(self):
        return await self._connect()

    async def __aexit__(self, *exception):
        await self._connection.close()

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
        while True:
            try:
                connection = await self._connect()
            except (OSError, core.TimeoutError, InvalidHandshake) as error:
                if isinstance(error, InvalidStatus) and error.response.status < 500:
                    raise  # trying again would not help
                if self._delay is None:
                    delay = random.random() * BACKOFF_INITIAL
                    self._delay = BACKOFF_MIN
                else:
                    delay = self._delay
                    self._delay = min(delay * BACKOFF_FACTOR, BACKOFF_MAX)
                report("connecting again in {:.1f} s".format(delay), error)
                await sleep(delay)
            else:
                self._delay = None
                return connection
