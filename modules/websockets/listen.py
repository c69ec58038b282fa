"""Serving WebSocket connections, on a port of their own or through an HTTP server."""

from asyncio import core

from lazy import load
from micropython import const
from transport import Group, Listener, suspend, wake

from .options import Options

# Close codes: GOING_AWAY, and ABNORMAL_CLOSURE, which stands for none (RFC 6455 section 7.4.1).
_GOING_AWAY = const(1001)
_NONE = const(1006)

# Connections at a time when no group is given (see httpd.server.MAX_CONNECTIONS).
MAX_CONNECTIONS = 12


class Server:
    """A WebSocket server: what `serve` returns.

    Args:
        keep_headers: whether `connection.request` keeps the request's headers; a browser's take
            as much memory as the connection itself.
        logger: what has `error(text, *arguments)` of Python's `logging`; it is told in the place
            of `transport.report` what fails in handlers and handshakes.
        others: see `serve`.

    Attributes:
        connections: the open `ServerConnection`s.
        closes: number of closed connections by the close code of the side that closed first.
    """

    def __init__(
        self,
        handler,
        group=None,
        origins=None,
        subprotocols=None,
        select_subprotocol=None,
        process_request=None,
        open_timeout=10,
        keep_headers=True,
        logger=None,
        **options,
    ):
        if logger is not None:
            self.logger = logger
        self.options = Options(**options)
        self.group = group or Group(MAX_CONNECTIONS)
        self.open_timeout = None if open_timeout is None else int(open_timeout * 1000)
        self.connections = set()
        self.closes = {}
        self.listeners = []
        if subprotocols is not None:
            load("websockets.handshake", "check_subprotocols")(subprotocols)
        # What accepting.py works with.
        self.handler = handler
        self.origins = origins
        self.subprotocols = subprotocols
        self.select_subprotocol = select_subprotocol
        self.process_request = process_request
        self.keep_headers = keep_headers
        self.closing = False
        self.handlers = 0  # how many are running
        self._waiting = core.TaskQueue()

    def listen(self, host, port, ssl=None):
        """Accept connections at (host, port), any path; see `transport.Listener`."""

        def begin(transport):
            from .opening import Opening

            return Opening(transport, self)

        listener = Listener(host, port, begin, self.group, ssl=ssl)
        self.listeners.append(listener)
        return listener

    def upgrade(self, request, origins=None):
        """Handler for an `httpd` route: hands the connection over, or answers why not.

        `origins` is checked in place of the server's own.
        """
        reply = _Reply(request)
        self.begin(request.method, request.minor, request.target, request.headers, reply, origins)
        return reply.result

    def begin(self, method, minor, target, fields, reply, origins=None):
        """Accept or refuse a request; `reply` has `accept`, `refuse` and `wait`."""
        accept = load("websockets.accepting", "begin")
        accept(self, method, minor, target, fields, reply, origins)

    def count(self, protocol):
        """Count a connection that is closed."""
        close = protocol.close_sent
        if close is None or protocol.close_rcvd_then_sent:
            close = protocol.close_rcvd
        code = _NONE if close is None else close.code
        self.closes[code] = self.closes.get(code, 0) + 1

    # As in websockets.asyncio.server.Server

    def is_serving(self):
        """Whether new connections are accepted."""
        return bool(self.listeners) and not self.closing

    def close(self, close_connections=True, code=_GOING_AWAY, reason=""):
        """Stop accepting connections and close those that are open, with `code`."""
        self.closing = True
        for listener in self.listeners:
            listener.close()
        self.listeners.clear()
        if close_connections:
            for connection in list(self.connections):
                connection.start_closing(code, reason)
        self.check_closed()

    def check_closed(self):
        """Wake `wait_closed` once everything is closed."""
        if self.closing and not self.connections and not self.handlers:
            wake(self._waiting)

    async def wait_closed(self):
        """Wait until the server and all connections are closed and all handlers have returned."""
        while not self.closing or self.connections or self.handlers:
            await suspend(self._waiting)

    async def serve_forever(self):
        """Serve until the server is closed, or this task is cancelled, which closes it."""
        try:
            await self.wait_closed()
        finally:
            self.close()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exception):
        self.close()
        await self.wait_closed()


class _Reply:
    """`Server.begin`'s reply through `httpd`."""

    def __init__(self, request):
        self._request = request
        self.remote_address = request.peer
        self.result = None

    def accept(self, make_protocol):
        self._request.upgrade(b"", make_protocol)

    def refuse(self, status, detail, headers):
        self.result = (detail + "\n", status, headers)

    def wait(self):
        raise NotImplementedError("process_request must not be a coroutine behind httpd")
