"""Handlers and bodies that yield: generators, which may await between their pieces.

A coroutine and a generator are one kind of object in MicroPython. What a coroutine yields, to the
event loop, is None; everything else is a piece of a body.
"""

from transport.poller import BLOCKED_MS, current, tell_blocked

from .response import Response


def drive(connection, request, generator, response=None):
    """Await a handler, and send what it yields.

    Args:
        connection: the `connection.HTTPConnection`.
        generator: the handler's coroutine or generator.
        response: what the pieces are the body of; a plain 200 for what a handler yields.

    Returns:
        What the handler returns.
    """
    error = stream = None
    while True:
        try:
            piece = generator.send(None) if error is None else generator.throw(error)
        except StopIteration as end:
            return end.value
        finally:
            took = current().stood()
            if took > BLOCKED_MS:
                tell_blocked(took, None, request.method + " " + request.path)
        error = None
        # Whatever ends the task, or the sending, has to reach the handler's `finally`.
        try:
            if piece is None:
                yield
            else:
                if stream is None:
                    stream = _begin(connection, request, response, piece)
                yield from stream.send(piece)
        except BaseException as raised:
            error = raised


def _begin(connection, request, response, piece):
    # What can't be sent is said while there is no head yet.
    if not isinstance(piece, str):
        memoryview(piece)
    if response is None:
        response = Response(iter(()), 200, Response(piece).content_type)
    return connection.open_stream(request, response)


async def send_body(connection, request, response):
    """Send a response whose body is a generator."""
    await drive(connection, request, response.body, response)
    if not request.begun:
        connection.open_stream(request, response)
