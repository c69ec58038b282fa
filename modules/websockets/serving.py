"""`serve`, the way to a server as in Python's `websockets`."""

from .listen import Server


class serve:
    """Serve `handler` at (host, port): `await` it or use it as an async context manager.

    Args:
        handler: coroutine function called with each `ServerConnection`; when it returns the
            connection is closed with 1000, when it raises with 1011.
        host, port: where to listen; every address, any free port by default.
        ssl: a `tls.SSLContext` with the server's certificate, for wss://.
        origins, subprotocols, select_subprotocol, process_request, compression, open_timeout,
        ping_interval, ping_timeout, close_timeout, max_size, max_queue, write_limit: as in
        Python's `websockets`; compression is None by default.
        group: the `transport.Group` that the connections count in.

    Raises:
        transport.AddressError: the port is taken.
    """

    def __init__(self, handler, host=None, port=None, ssl=None, **options):
        self._server = Server(handler, **options)
        self._address = (host or "0.0.0.0", port or 0, ssl)

    async def _start(self):
        self._server.listen(*self._address)
        return self._server

    def __iter__(self):
        return self._start()

    __await__ = __iter__

    async def __aenter__(self):
        return await self._start()

    async def __aexit__(self, *exception):
        await self._server.__aexit__(*exception)
