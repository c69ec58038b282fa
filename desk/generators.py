"""What `httpd.generators` does, where coroutines and generators are different kinds of object."""

import inspect


class Pieces:
    """An asynchronous generator with the methods by which `httpd` knows one that may await."""

    def __init__(self, generator):
        self.generator = generator

    def __next__(self):
        raise TypeError("an asynchronous generator is awaited")

    def throw(self, error):
        raise error

    def close(self):
        """It ends when it is collected."""


async def drive(connection, request, handler, response=None):
    """Await a handler, and send what it yields; gives what it returns."""
    if inspect.iscoroutine(handler):
        return await handler
    stream = None

    async def send(piece):
        nonlocal stream
        if stream is None:
            if not isinstance(piece, str):
                memoryview(piece)
            stream = connection.open_stream(request, response or _plain(piece))
        await stream.send(piece)

    if isinstance(handler, Pieces):
        try:
            async for piece in handler.generator:
                await send(piece)
        finally:
            await handler.generator.aclose()
        return None
    try:
        while True:
            try:
                piece = next(handler)
            except StopIteration as end:
                return end.value
            await send(piece)
    finally:
        handler.close()


def _plain(piece):
    from httpd.response import Response

    return Response(iter(()), 200, Response(piece).content_type)


async def send_body(connection, request, response):
    """Send a response whose body is a generator."""
    await drive(connection, request, response.body, response)
    if not request.begun:
        connection.open_stream(request, response)
