"""Connecting to a WebSocket server."""

import random
from asyncio import core, sleep

from http11 import BadMessage, parse_response
from transport import open_connection, report, resolve, suspend, wake

from . import handshake
from .client_exceptions import (
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    NegotiationError,
    SecurityError,
)
from .connection import Connection
from .datastructures import Headers
from .http11 import Request, Response
from .options import Options
from .uri import URI

# Milliseconds for one of several addresses to connect until the next is tried, and with TLS, whose
# handshake is part of it. RFC 8305 section 5 has 250 where attempts overlap: here they don't.
ATTEMPT_MS = 3_000
SECURE_ATTEMPT_MS = 8_000

# Delays between attempts of `async for websocket in connect(...)`, as in Python's `websockets`.
BACKOFF_INITIAL = 5  # the first is random up to this, so that a fleet doesn't come back at once
BACKOFF_MIN = 3.1
BACKOFF_FACTOR = 1.618
BACKOFF_MAX = 90

# Redirects that are followed before giving up, as in Python's `websockets`.
MAX_REDIRECTS = 10
REDIRECTS = (300, 301, 302, 303, 307, 308)

# Answers after which `async for websocket in connect(...)` tries again.
RETRY_STATUS = (500, 502, 503, 504)

# Headers that are for one server and no other.
_CREDENTIALS = ("authorization", "cookie")


class ClientConnection(Connection):
    """A connection that `connect` made; `response` is the server's `http11.Response`."""

    def __init__(self, transport, options, request, subprotocol, agreed, response):
        super().__init__(transport, options, request, subprotocol, agreed, True)
        self.response = response


class _Handshake:
    """The protocol of a connection whose response hasn't arrived; `wait` gives the result."""

    wanted = None
    idle_since = None

    connected = False  # the request is on its way, so the server has answered at this address

    def __init__(self, uri, key, subprotocols, options, offers):
        self._uri = uri
        self._offers = offers
        self._key = key
        self._subprotocols = subprotocols
        self._options = options
        self._transport = None
        self._result = None
        self._waiting = core.TaskQueue()

    def begin(self, transport, head, timeout, attempt):
        self._transport = transport
        self._timeout = timeout
        transport.set_timeout(attempt)
        transport.write(head)

    async def wait(self):
        while self._result is None:
            await suspend(self._waiting)
        if isinstance(self._result, Exception):
            raise self._result
        return self._result

    def data_received(self, buf, start, end):
        while True:
            try:
                head = parse_response(buf, start, end)
            except BadMessage as error:
                self._end(InvalidMessage("not an HTTP response: " + error.reason))
                return end
            if head is None:
                return start
            # RFC 9110 section 15.2: any number of interim responses may come first.
            if not 100 <= head.status < 200 or head.status == 101:
                break
            start = head.end
        if head.status != 101:
            response = Response(head.status, headers=Headers(head.fields))
            self._end(InvalidStatus(response))
            return end
        if head.minor != 1:
            # RFC 6455 section 4.2.2: the status line begins with HTTP/1.1.
            self._end(InvalidMessage("HTTP/1.0 has no WebSocket"))
            return end
        try:
            chosen, agreed = handshake.check_response(
                head.fields,
                self._key,
                self._subprotocols,
                self._offers,
            )
        except handshake.NotOffered as error:
            self._end(NegotiationError(str(error)))
            return end
        except ValueError as error:
            self._end(InvalidHandshake("bad handshake response: " + str(error)))
            return end
        transport = self._transport
        request = Request(self._uri.target, {})
        response = Response(101, headers=Headers(head.fields))
        self._result = ClientConnection(
            transport, self._options, request, chosen, agreed, response
        )
        self._transport = None
        transport.set_protocol(self._result)
        wake(self._waiting)
        return head.end

    def _end(self, error):
        if self._result is None:
            self._result = error
            wake(self._waiting)
        if self._transport is not None:
            self._transport.abort()

    def sent(self):
        self.connected = True
        self._transport.set_timeout(self._timeout)

    def eof_received(self):
        self._end(InvalidMessage("the server closed the connection"))

    def timed_out(self):
        self._end(core.TimeoutError("opening handshake"))

    def connection_lost(self, error):
        self._transport = None
        self._end(error or InvalidMessage("connection lost"))


def process_exception(error):
    """Whether connecting again may help: None if it does, else the exception to raise."""
    if isinstance(error, InvalidStatus):
        return None if error.response.status_code in RETRY_STATUS else error
    if isinstance(error, (OSError, core.TimeoutError, InvalidMessage)):
        return None
    return error


def backoff():
    """The seconds between attempts: a random time first, so that a fleet doesn't come back at
    once, then longer and longer ones."""
    yield random.random() * BACKOFF_INITIAL
    delay = BACKOFF_MIN
    while True:
        yield delay
        delay = min(delay * BACKOFF_FACTOR, BACKOFF_MAX)


class connect:
    """Connect to `uri`: `await` it, use it as an async context manager, or iterate over it.

    `async for websocket in connect(uri)` connects again, with growing delays, whenever the body
    of the loop is left with `continue` or the connection can't be made.

    Args:
        uri: "ws://host:port/path" or "wss://...", with "user:password@" before the host for
            HTTP's Basic authentication.
        ssl: a `tls.SSLContext` for wss://, which says whom to trust.
        server_hostname: the name that the server's certificate must be for, that in `uri` by
            default.
        host, port: where to connect instead of what `uri` says.
        proxy: None.
        origin: value of the Origin header.
        subprotocols: those to offer, in order of preference.
        additional_headers: (name, value) pairs, a dict or a `Headers`.
        user_agent_header: value of User-Agent, None to send none.
        process_exception: function of an exception that says whether the `async for` goes on
            (None) or raises what is returned.
        reconnect_delays: function that gives an iterator of the seconds between its attempts;
            after the last it gives up.
        logger: what has `info(text, *arguments)` of Python's `logging`; it is told in the place of
            `transport.report` when the `async for` connects again.
        compression, open_timeout, ping_interval, ping_timeout, close_timeout, max_size,
        max_queue, write_limit: as in Python's `websockets`; compression is None by default.

    Raises:
        InvalidURI: `uri` can't be used.
        OSError: the connection was refused, or the server's certificate isn't accepted.
        ValueError: wss:// without `ssl`, or ws:// with it or `server_hostname`.
        asyncio.TimeoutError: no answer within `open_timeout` seconds.
        InvalidHandshake, InvalidStatus: the answer isn't that of a WebSocket server.
        NegotiationError: the server chose a subprotocol or an extension that wasn't offered.
    """

    def __init__(
        self,
        uri,
        origin=None,
        subprotocols=None,
        additional_headers=(),
        user_agent_header="MicroPython websockets",
        process_exception=process_exception,
        reconnect_delays=backoff,
        open_timeout=10,
        ssl=None,
        server_hostname=None,
        host=None,
        port=None,
        proxy=None,
        logger=None,
        **options,
    ):
        if proxy is not None:
            raise ValueError("proxies are not supported")
        self._uri = URI(uri)
        if ssl is not None and not self._uri.secure:
            raise ValueError("ssl argument is incompatible with a ws:// URI")
        if server_hostname is not None and not self._uri.secure:
            raise ValueError("server_hostname argument is incompatible with a ws:// URI")
        handshake.check_subprotocols(subprotocols)
        self._ssl = ssl
        self._server_hostname = server_hostname
        self._place = (host, port)
        self._process_exception = process_exception
        self._options = Options(**options)
        self._offers = self._options.compression is not None
        self._origin = origin
        self._subprotocols = subprotocols
        if hasattr(additional_headers, "items"):
            additional_headers = additional_headers.items()
        self._headers = list(additional_headers)
        if user_agent_header and not any(
            [name.lower() == "user-agent" for name, _ in self._headers]
        ):
            self._headers.append(("User-Agent", user_agent_header))
        if self._uri.authorization:
            self._headers.append(("Authorization", self._uri.authorization))
        self._open_timeout = None if open_timeout is None else int(open_timeout * 1000)
        self._connection = None
        self._reconnect_delays = reconnect_delays
        self._delays = None
        self._logger = logger

    async def _connect(self):
        uri, headers = self._uri, self._headers
        for _ in range(MAX_REDIRECTS):
            try:
                return await self._attempt(uri, headers)
            except NegotiationError:
                if not self._offers:
                    raise
                # Some servers compress otherwise than they were asked to, which can't be followed
                # (RFC 7692 section 7.1): a connection without is better than none.
                self._offers = False
            except InvalidStatus as error:
                location = error.response.headers.get("Location")
                if error.response.status_code not in REDIRECTS or location is None:
                    raise
                target = uri.join(location)
                headers = self._redirected(uri, target, headers)
                uri = target
        raise SecurityError(f"more than {MAX_REDIRECTS} redirects")

    def _redirected(self, uri, target, headers):
        # The headers to send to the target of a redirect.
        if uri.secure and not target.secure:
            raise SecurityError("redirect from wss to ws")
        if uri.same_origin(target):
            return headers
        if self._place != (None, None):
            raise SecurityError("redirect to another server than `host` and `port`")
        return [pair for pair in headers if pair[0].lower() not in _CREDENTIALS]

    async def _attempt(self, uri, headers):
        if uri.secure and self._ssl is None:
            raise ValueError("wss:// needs ssl=, a tls.SSLContext that says whom to trust")
        extension = None
        if self._offers:
            from . import deflate

            extension = deflate.offer()
        host, port = self._place
        places = resolve(host or uri.host, port or uri.port)
        for place in places:
            head, key = handshake.request(
                uri, self._origin, self._subprotocols, headers, extension
            )
            protocol = _Handshake(uri, key, self._subprotocols, self._options, self._offers)
            timeout = self._open_timeout
            attempt = timeout
            if place is not places[-1]:
                attempt = SECURE_ATTEMPT_MS if uri.secure else ATTEMPT_MS
                attempt = attempt if timeout is None else min(attempt, timeout)
            transport = None
            try:
                transport = open_connection(
                    host or uri.host,
                    port or uri.port,
                    protocol,
                    ssl=self._ssl if uri.secure else None,
                    server_hostname=self._server_hostname or uri.host,
                    place=place,
                )
                protocol.begin(transport, head, timeout, attempt)
                self._connection = await protocol.wait()
                return self._connection
            except BaseException as error:
                if transport is not None:
                    transport.abort()
                # A name's other addresses are for who isn't reached at this one.
                again = isinstance(error, (OSError, core.TimeoutError)) and not protocol.connected
                if not again or place is places[-1]:
                    raise error

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
            except Exception as error:
                final = self._process_exception(error)
                if final is not None:
                    raise final
                if self._delays is None:
                    self._delays = iter(self._reconnect_delays())
                delay = next(self._delays, None)
                if delay is None:
                    raise error
                if self._logger is None:
                    report(f"connecting again in {delay:.1f} s", error)
                else:
                    text = "connect failed; reconnecting in %.1f seconds: %s"
                    self._logger.info(text, delay, error)
                await sleep(delay)
            else:
                self._delays = None
                return connection
