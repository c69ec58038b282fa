"""The server: which handler a request gets, limits and listeners."""

from time import ticks_ms

import micropython
from lazy import load
from transport import Group, Listener

from .errors import HTTPError
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
        fallback: called with a request that the guard refuses by an `HTTPError`, or whose path
            has no route; what it returns, unless None, is the answer instead of the refusal or
            of 404.
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
        """Serve at (host, port) from now on.

        Args:
            ssl: a `tls.SSLContext` with a certificate, for https://.

        Returns:
            The `transport.Listener`.

        Raises:
            transport.AddressError: the port is taken.
        """
        listener = Listener(host, port, self._connected, self.group, ssl=ssl)
        self.listeners.append(listener)
        return listener

    def close(self):
        """Stop listening and close the connections that are idle; others end by themselves."""
        for listener in self.listeners:
            listener.close()
        self.listeners.clear()
        now = ticks_ms()
        for connection in list(self.group.connections):
            if getattr(connection.protocol, "server", None) is self:
                if connection.idle(now) >= 0:
                    connection.abort()

    @micropython.native
    def dispatch(self, request):
        """Call the handler of a request, which need not have a connection.

        Returns:
            What the handler returned: what `Response` describes, or a coroutine that will.

        Raises:
            HTTPError: the answer when there is no handler for it.
            Exception: whatever the guard, the fallback or the handler raises.
        """
        if "%" in request.path:
            from http11 import unquote

            try:
                request.path = unquote(request.path)
            except ValueError as error:
                raise HTTPError(400, str(error))
        guard = self.guard
        try:
            result = None if guard is None else guard(request)
            if result is not None:
                return result
            table, parameters = self.router.find(request.path)
            if table is None:
                if request.path == "*":
                    # RFC 9110 section 9.3.7: OPTIONS of the server as a whole.
                    return load("httpd.response", "Response")(b"", 204)
                raise HTTPError(404)
        except HTTPError as error:
            fallback = self.fallback
            result = None if fallback is None else fallback(request)
            if result is None:
                raise error
            return result
        method = request.method
        handler = table.get(method)
        if handler is None:
            if method == "HEAD" and "GET" in table:
                handler = table["GET"]
            else:
                # RFC 9110 section 15.5.6: a 405 names the methods that there are.
                methods = list(table)
                if "GET" in table:
                    methods.append("HEAD")
                methods.append("OPTIONS")
                allow = (("Allow", ", ".join(sorted(methods))),)
                if method == "OPTIONS":
                    return load("httpd.response", "Response")(b"", 204, headers=allow)
                raise HTTPError(405, headers=allow)
        if parameters is None:
            return handler(request)
        return handler(request, **parameters)

    @micropython.native
    def count(self, status, request=None):
        """Count a response; `request` is None where there was none."""
        statuses = self.statuses
        statuses[status] = statuses[status] + 1 if status in statuses else 1

    def _connected(self, transport):
        # Imported with the first connection: a device that only phones home does without.
        return load("httpd.connection", "HTTPConnection")(transport, self)
