"""The server: routes, limits and listeners."""

import micropython
from transport import Group, Listener

from .connection import HTTPConnection
from .router import Router

# Connections at a time when no group is given. lwIP has 16 sockets on our boards; the rest is for
# listeners, DNS and the relay.
MAX_CONNECTIONS = 12

# Largest body that `Request.read` takes by default; it is held in RAM.
MAX_BODY = 8192


class Server:
    """An HTTP/1.1 server.

    Args:
        group: the `transport.Group` whose limit its connections count in.
        max_body: bytes that `Request.read` accepts when the handler names no limit.

    Attributes:
        statuses: number of responses by status code.
        guard: called with each request before its handler; what it returns, unless None, is the
            answer in the handler's place, and an `HTTPError` that it raises too.
        fallback: called with a request whose path has no route; what it returns, unless None, is
            the answer instead of 404.
    """

    guard = None
    fallback = None

    def __init__(self, group=None, max_body=MAX_BODY):
        self.group = group or Group(MAX_CONNECTIONS)
        self.max_body = max_body
        self.statuses = {}
        self.listeners = []
        self.router = Router()

    def route(self, path, handler=None, methods=("GET",)):
        """Route `path` to `handler`, or decorate it: `@server.route("/path")`.

        HEAD is answered by a GET handler, OPTIONS by the server.
        """
        if handler is None:
            return lambda function: self.route(path, function, methods)
        self.router.add(path, handler, methods)
        return handler

    def get(self, path):
        """Decorator: route GET and HEAD of `path`."""
        return self.route(path)

    def post(self, path):
        """Decorator: route POST of `path`."""
        return self.route(path, None, ("POST",))

    def routes(self, table, context):
        """Route many paths by a table of literals, which stays in flash.

        A route that is added by `route` costs some hundred bytes of RAM; one in a table costs
        none, and the module of its handler is imported when it is first asked for.

        Args:
            table: (path, ((method, module, function), ...)) pairs. The function is called with
                `context`, the request and the path's parameters.
            context: what the handlers work on.
        """
        self.router.add_table(table, context)

    def listen(self, host, port, ssl=None):
        """Serve at (host, port) from now on; `transport.AddressError` when the port is taken.

        Args:
            ssl: a `tls.SSLContext` with a certificate, for https://.

        Returns:
            The `transport.Listener`.
        """
        listener = Listener(host, port, self._connected, self.group, ssl=ssl)
        self.listeners.append(listener)
        return listener

    def close(self):
        """Stop listening and close the connections that are idle; others end by themselves."""
        for listener in self.listeners:
            listener.close()
        self.listeners.clear()
        for connection in list(self.group.connections):
            protocol = connection.protocol
            if isinstance(protocol, HTTPConnection) and protocol.server is self and protocol.idle:
                connection.abort()

    @micropython.native
    def count(self, status):
        """Count a response."""
        statuses = self.statuses
        statuses[status] = statuses[status] + 1 if status in statuses else 1

    def _connected(self, transport, overloaded):
        return HTTPConnection(transport, self, overloaded)
