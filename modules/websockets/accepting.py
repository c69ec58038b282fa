"""What a server does with a request: refuse it, or make its connection (RFC 6455 section 4.2).

Imported with the first request: until then a server needs no protocol.
"""

import gc
from asyncio import core, create_task

import heap
from lazy import load
from transport import report

from . import frames, handshake
from .connection import Connection
from .http11 import Request, Response


class ServerConnection(Connection):
    """A connection that `serve` accepted."""

    def __init__(self, transport, server, request, subprotocol, agreed):
        super().__init__(transport, server.options, request, subprotocol, agreed, False)
        self.server = server

    def connection_lost(self, error):
        super().connection_lost(error)
        self.server.connections.discard(self)
        self.server.check_closed()
        self.server.count(self.protocol)


def begin(server, method, minor, target, fields, reply, origins):
    """See `Server.begin`."""
    request = Request(target, fields)
    try:
        if server.closing:
            raise handshake.Refused(503, "the server is shutting down", ())
        key = handshake.check_request(method, minor, fields)
        handshake.check_origin(fields, origins or server.origins)
        result = None
        if server.process_request is not None:
            result = server.process_request(_Proposed(request, reply.remote_address), request)
            if hasattr(result, "throw"):  # a coroutine
                reply.wait()
                create_task(_process(server, result, request, key, reply))
                return
        reply.accept(_accept(server, result, request, key, reply))
    except Exception as error:
        _refuse(server, error, reply)


async def _process(server, coroutine, request, key, reply):
    try:
        reply.accept(_accept(server, await coroutine, request, key, reply))
    except Exception as error:
        _refuse(server, error, reply)


def _refuse(server, error, reply):
    # The only place that turns an error into the response to a handshake.
    if isinstance(error, handshake.Refused):
        reply.refuse(*error.args)
        return
    if isinstance(error, MemoryError):
        _report(server, "handshake failed", error)
        reply.refuse(503, "out of memory", ())
        return
    from .client_exceptions import NegotiationError

    if isinstance(error, NegotiationError):
        reply.refuse(400, str(error), ())
    else:
        _report(server, "handshake failed", error)
        reply.refuse(500, "the server failed", ())


def _accept(server, result, request, key, reply):
    # What accepts a request and makes the connection. `result` is what process_request returned.
    if result is not None:
        body, headers = result.body, result.headers
        raise handshake.Refused(
            result.status_code,
            body if isinstance(body, str) else str(body, "utf-8"),
            headers.items() if hasattr(headers, "items") else headers,
        )
    peer = reply.remote_address
    if not server.group.may_last(None if peer is None else peer[0]):
        raise handshake.Refused(503, "too many connections", ())
    subprotocol = _subprotocol(server, request)
    agreed = extension = None
    if server.options.compression is not None:
        from . import deflate

        agreed, extension = deflate.accept(request.headers.get("sec-websocket-extensions"))
    return lambda transport: _accepted(
        server, transport, request, key, subprotocol, agreed, extension
    )


def _subprotocol(server, request):
    if server.select_subprotocol is None:
        return handshake.choose_subprotocol(request.headers, server.subprotocols)
    offered = handshake.offered_subprotocols(request.headers)
    chosen = server.select_subprotocol(_Proposed(request, None), offered)
    if chosen is not None and chosen not in offered:
        raise ValueError("select_subprotocol chose what the client doesn't know")
    return chosen


def _accepted(server, transport, request, key, subprotocol, agreed, extension):
    # Before the response: it lies where the request's fields have been.
    request.shrink(server.keep_headers)
    # What the handshake leaves behind lies between objects that stay as long as the connection.
    # Collected only when memory runs out, it would leave holes that are too small for messages.
    gc.collect()
    free = gc.mem_free()
    heap.least_free = min(free, heap.least_free)
    if free < heap.RESERVE:
        load("transport.relief", "relieve")(server.group, transport)
    response = handshake.accept_response(key, subprotocol, extension)
    connection = ServerConnection(transport, server, request, subprotocol, agreed)
    server.connections.add(connection)
    try:
        create_task(_handle(server, connection))
    except MemoryError as error:
        server.connections.discard(connection)
        raise error
    server.handlers += 1
    transport.protocol = connection  # who is told when the response can't be written
    transport.write(response)
    return connection


async def _handle(server, connection):
    code = frames.NORMAL_CLOSURE
    try:
        try:
            await server.handler(connection)
        except (Exception, core.CancelledError) as error:
            from .exceptions import ConnectionClosed

            if isinstance(error, MemoryError):
                report("no memory for a connection", error)
                load("transport.relief", "relieve")(server.group)
                code = frames.TRY_AGAIN_LATER
            elif not isinstance(error, ConnectionClosed):
                _report(server, "connection handler failed", error)
                code = frames.INTERNAL_ERROR
        # Nobody waits for the end: the deadline sees to it.
        connection.start_closing(code)
    except MemoryError:
        if connection.transport is not None:
            connection.transport.abort()
    finally:
        server.handlers -= 1
        server.check_closed()


def _report(server, what, error):
    logger = getattr(server, "logger", None)
    if logger is None:
        report(what, error)
    else:
        logger.error("%s: %s: %s", what, type(error).__name__, error)


class _Proposed:
    """The connection that `process_request` and `select_subprotocol` get before there is one."""

    def __init__(self, request, remote_address):
        self.request = request
        self.remote_address = remote_address

    def respond(self, status, text):
        """Make the `Response` that refuses with a status and a text."""
        return Response(status, body=text)
