"""Serving WebSocket connections, on a port of their own or through an HTTP server."""

import gc
from asyncio import core, create_task

from transport import Group, Listener, report, suspend, wake

from . import frames, handshake
from .connection import Connection, Options
from .exceptions import ConnectionClosed
from .http11 import Request, Response

# Connections at a time when no group is given (see httpd.server.MAX_CONNECTIONS).
MAX_CONNECTIONS = 12


class ServerConnection(Connection):
    """A connection that `serve` accepted."""

    def __init__(self, transport, server, request, subprotocol, agreed):
        super().__init__(transport, server.options, request, subprotocol, agreed, False)
        self.server = server

    def connection_lost(self, error):
        super().connection_lost(error)
        self.server.count(self.protocol)
        self.server.connections.discard(self)
        self.server.check_closed()


class Server:
    """A WebSocket server: what `serve` returns.

    Args:
        keep_headers: whether `connection.request` keeps the request's headers; a browser's take
            as much memory as the connection itself.
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
        **options,
    ):
        self.options = Options(**options)
        self.group = group or Group(MAX_CONNECTIONS)
        self.open_timeout = None if open_timeout is None else int(open_timeout * 1000)
        self.connections = set()
        self.closes = {}
        self.listeners = []
        self._handler = handler
        self._origins = origins
        handshake.check_subprotocols(subprotocols)
        self._subprotocols = subprotocols
        self._select_subprotocol = select_subprotocol
        self._process_request = process_request
        self._keep_headers = keep_headers
        self._closing = False
        self._handlers = 0  # how many are running
        self._waiting = core.TaskQueue()

    def listen(self, host, port, ssl=None):
        """Accept connections at (host, port), any path; see `transport.Listener`."""

        def begin(transport, overloaded):
            from .opening import Opening

            return Opening(transport, self, overloaded)

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
        request = Request(target, fields)
        try:
            if self._closing:
                raise handshake.Refused(503, "the server is shutting down", ())
            key = handshake.check_request(method, minor, fields)
            handshake.check_origin(fields, origins or self._origins)
            result = None
            if self._process_request is not None:
                result = self._process_request(_Proposed(request, reply.remote_address), request)
                if hasattr(result, "throw"):  # a coroutine
                    reply.wait()
                    create_task(self._process(result, request, key, reply))
                    return
            accepted = self._accept(result, request, key)
        except Exception as error:
            _refuse(error, reply)
        else:
            reply.accept(*accepted)

    async def _process(self, coroutine, request, key, reply):
        try:
            accepted = self._accept(await coroutine, request, key)
        except Exception as error:
            _refuse(error, reply)
        else:
            reply.accept(*accepted)

    def _accept(self, result, request, key):
        # The head of the response that accepts a request, and what then makes the connection.
        # `result` is what process_request returned.
        if result is not None:
            body, headers = result.body, result.headers
            raise handshake.Refused(
                result.status_code,
                body if isinstance(body, str) else str(body, "utf-8"),
                headers.items() if hasattr(headers, "items") else headers,
            )
        if not self.group.may_last():
            raise handshake.Refused(503, "too many connections", ())
        subprotocol = self._subprotocol(request)
        agreed = extension = None
        if self.options.compression is not None:
            from . import deflate

            agreed, extension = deflate.accept(request.headers.get("sec-websocket-extensions"))
        return (
            handshake.accept_response(key, subprotocol, extension),
            lambda transport: self._accepted(transport, request, subprotocol, agreed),
        )

    def _subprotocol(self, request):
        if self._select_subprotocol is None:
            return handshake.choose_subprotocol(request.headers, self._subprotocols)
        offered = handshake.offered_subprotocols(request.headers)
        chosen = self._select_subprotocol(_Proposed(request, None), offered)
        if chosen is not None and chosen not in offered:
            raise ValueError("select_subprotocol chose what the client doesn't know")
        return chosen

    def _accepted(self, transport, request, subprotocol, agreed):
        request.shrink(self._keep_headers)
        # What the handshake leaves behind lies between objects that stay as long as the
        # connection. Collected only when memory runs out, it would leave holes that are too small
        # for messages.
        gc.collect()
        connection = ServerConnection(transport, self, request, subprotocol, agreed)
        self.connections.add(connection)
        self._handlers += 1
        create_task(self._handle(connection))
        return connection

    async def _handle(self, connection):
        code = frames.NORMAL_CLOSURE
        try:
            await self._handler(connection)
        except ConnectionClosed:
            pass
        except (Exception, core.CancelledError) as error:
            report("connection handler failed", error)
            code = frames.INTERNAL_ERROR
        # Nobody waits for the end: the deadline sees to it.
        connection.start_closing(code)
        self._handlers -= 1
        self.check_closed()

    def count(self, protocol):
        """Count a connection that is closed."""
        close = protocol.close_sent
        if close is None or protocol.close_rcvd_then_sent:
            close = protocol.close_rcvd
        code = frames.ABNORMAL_CLOSURE if close is None else close.code
        self.closes[code] = self.closes.get(code, 0) + 1

    # As in websockets.asyncio.server.Server

    def is_serving(self):
        """Whether new connections are accepted."""
        return bool(self.listeners) and not self._closing

    def close(self, close_connections=True, code=frames.GOING_AWAY, reason=""):
        """Stop accepting connections and close those that are open, with `code`."""
        self._closing = True
        for listener in self.listeners:
            listener.close()
        self.listeners.clear()
        if close_connections:
            for connection in list(self.connections):
                connection.start_closing(code, reason)
        self.check_closed()

    def check_closed(self):
        """Wake `wait_closed` once everything is closed."""
        if self._closing and not self.connections and not self._handlers:
            wake(self._waiting)

    async def wait_closed(self):
        """Wait until the server and all connections are closed and all handlers have returned."""
        while not self._closing or self.connections or self._handlers:
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


def _refuse(error, reply):
    # The only place that turns an error into the response to a handshake.
    if isinstance(error, handshake.Refused):
        reply.refuse(*error.args)
        return
    from .client_exceptions import NegotiationError

    if isinstance(error, NegotiationError):
        reply.refuse(400, str(error), ())
    else:
        report("handshake failed", error)
        reply.refuse(500, "the server failed", ())


class _Reply:
    """`Server.begin`'s reply through `httpd`."""

    def __init__(self, request):
        self._request = request
        self.remote_address = request.peer
        self.result = None

    def accept(self, response, make_protocol):
        self._request.upgrade(response, make_protocol)

    def refuse(self, status, detail, headers):
        self.result = (detail + "\n", status, headers)

    def wait(self):
        raise NotImplementedError("process_request must not be a coroutine behind httpd")


class _Proposed:
    """The connection that `process_request` and `select_subprotocol` get before there is one."""

    def __init__(self, request, remote_address):
        self.request = request
        self.remote_address = remote_address

    def respond(self, status, text):
        """Make the `Response` that refuses with a status and a text."""
        return Response(status, body=text)
