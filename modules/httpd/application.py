"""A server with what applications of many parts use; one with a few routes does without."""

from .hooks import Hooks, mount
from .server import MAX_BODY, Server


class Application(Server):
    """A `Server` with functions around its handlers, and others mounted in it.

    Args:
        group, max_body: as of `Server`.

    Attributes:
        access_log: called with each request and the status of its answer, when the answer's head
            is on its way; with None for what was no request.
        hooks: what runs around the handlers.
    """

    def __init__(self, group=None, max_body=MAX_BODY):
        super().__init__(group, max_body)
        self.access_log = None
        self.hooks = Hooks()

    def put(self, path):
        """Decorator: route PUT of `path`."""
        return self.route(path, None, ("PUT",))

    def patch(self, path):
        """Decorator: route PATCH of `path`."""
        return self.route(path, None, ("PATCH",))

    def delete(self, path):
        """Decorator: route DELETE of `path`."""
        return self.route(path, None, ("DELETE",))

    def before_request(self, function):
        """Decorator: call a function, plain or a coroutine, with each request before its handler;
        what it returns, unless None, is the answer."""
        return self.hooks.add("before", function)

    def after_request(self, function):
        """Decorator: call a function with each request and its `Response`, which it may change;
        what it returns, unless None, is sent in its place."""
        return self.hooks.add("after", function)

    def errorhandler(self, what):
        """Decorator: have a function answer an error, with the request and the exception.

        Args:
            what: a status, or a class of exceptions; a status comes before a class, a class that
                was given earlier before a later one.
        """
        return lambda function: self.hooks.add("errors", (what, function))

    def mount(self, server, prefix):
        """Serve what another server routes below a path, with its hooks; not its guard.

        Args:
            server: a `Server` or `Application`; what has been routed so far counts, tables
                excepted.
            prefix: as "/api/v1", without a parameter.

        Raises:
            ValueError: a path is taken already.
        """
        mount(self, server, prefix)

    def dispatch(self, request):
        """As `Server.dispatch`, with what is around the handler: a coroutine then."""
        if not self.hooks:
            return super().dispatch(request)
        return self.hooks.around(request, lambda: Server.dispatch(self, request))

    def count(self, status, request=None):
        """Count a response, and have it logged."""
        super().count(status, request)
        if self.access_log is not None:
            self.access_log(request, status)
