"""What runs around an application's handlers: before, after, and for what they raise."""

from .errors import from_exception
from .response import make


class Hooks:
    """The functions of one application, in the order in which they were added."""

    def __init__(self):
        self._before = []
        self._after = []
        self._statuses = {}
        self._classes = []

    def add(self, kind, what):
        """Take a function of "before" or "after", or (status or class, function) of "errors"."""
        if kind == "before":
            self._before.append(what)
            return what
        if kind == "after":
            self._after.append(what)
            return what
        which, function = what
        if isinstance(which, int):
            self._statuses[which] = function
        elif isinstance(which, type) and issubclass(which, Exception):
            self._classes.append((which, function))
        else:
            raise ValueError("errors are a status or a class of exceptions")
        return function

    def __bool__(self):
        return bool(self._before or self._after or self._statuses or self._classes)

    async def around(self, request, handle):
        """What `handle()` returns, with all that is around it.

        What a handler yields, or sends by `Request.stream`, has been sent without the functions
        that come after.
        """
        try:
            result = None
            for function in self._before:
                result = await settled(function(request))
                if result is not None:
                    break
            else:
                result = await settled(handle())
        except Exception as error:
            function = self._of(error)
            if function is None:
                raise error
            result = await settled(function(request, error))
        if request.begun:
            return result
        if self._after and not hasattr(result, "send"):  # not an Asset, which is whole in flash
            result = make(result)
            for function in self._after:
                changed = await settled(function(request, result))
                if changed is not None:
                    result = make(changed)
        return result

    def _of(self, error):
        function = self._statuses.get(from_exception(error)[0].status)
        if function is None:
            for which, candidate in self._classes:
                if isinstance(error, which):
                    return candidate
        return function


async def settled(result):
    """What a function has returned, or its coroutine does."""
    if hasattr(result, "throw"):
        return await result
    return result


def mount(server, other, prefix):
    """See `Application.mount`."""
    if not prefix.startswith("/") or prefix.endswith("/") or "<" in prefix:
        raise ValueError("a prefix is a path as /api: " + prefix)
    hooks = getattr(other, "hooks", None)
    router = other.router
    routes = list(router.exact.items()) + [(path, table) for path, _, table in router.patterns]
    for path, handlers in routes:
        for method in handlers:
            handler = handlers[method]
            if hooks:
                handler = _with_hooks(hooks, handler)
            server.route(prefix + (path if path != "/" else ""), handler, (method,))


def _with_hooks(hooks, handler):
    return lambda request, **parameters: hooks.around(
        request, lambda: handler(request, **parameters)
    )
