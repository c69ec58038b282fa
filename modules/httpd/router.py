"""Finding the handler of a path."""

import micropython
from lazy import load


class Router:
    """Routes: exact paths, and patterns of which a segment is `<name>` or has a type, see
    `patterns.compile`.

    An exact path wins over a pattern, an earlier pattern over a later one.

    Attributes:
        exact: handlers by method, by path.
        patterns: (path, what `patterns.compile` makes of it, handlers by method).
    """

    def __init__(self):
        self.exact = {}
        self.patterns = []
        self._tables = []

    def add(self, path, handler, methods):
        """Route `methods` (a tuple of names) at `path` to `handler`.

        Raises:
            ValueError: the path doesn't begin with "/", has a parameter of an unknown type, or is
                taken for one of the methods.
        """
        if isinstance(path, bytes):
            path = str(path, "utf-8")
        if not path.startswith("/"):
            raise ValueError("a route begins with /: " + path)
        if "<" in path or ">" in path:
            table = None
            for known, _, handlers in self.patterns:
                if known == path:
                    table = handlers
            if table is None:
                table = {}
                pattern = load("httpd.patterns", "compile")(path)
                self.patterns.append((path, pattern, table))
        else:
            table = self.exact.setdefault(path, {})
        for method in methods:
            if method in table:
                raise ValueError(f"{method} {path} is routed already")
            table[method] = handler

    def add_table(self, table, context):
        """Route what `table` lists, after all that is routed one by one: see `Server.routes`."""
        self._tables.append((table, context))

    @micropython.native
    def find(self, path):
        """Look a path up.

        Returns:
            (handlers, parameters): a dict of handlers by method, or what can be used like one, and
            a dict of parameters, None where there are none; handlers is None for an unknown path.
        """
        exact = self.exact
        if path in exact:
            return exact[path], None
        parts = None
        for _, pattern, table in self.patterns:
            if parts is None:
                parts = path.split("/")[1:]
            parameters = load("httpd.patterns", "match")(pattern, parts)
            if parameters is not None:
                return table, parameters
        for table, context in self._tables:
            for route, methods in table:
                if route == path:
                    return _Lazy(methods, context), None
            for route, methods in table:
                # Only the literal beginning can be compared without memory.
                first = route.find("<")
                if first >= 0 and path.startswith(route[:first]):
                    patterns = load("httpd.patterns", None)
                    parameters = patterns.match(patterns.compile(route), path.split("/")[1:])
                    if parameters is not None:
                        return _Lazy(methods, context), parameters
        return None, None


class _Lazy:
    # The handlers of one line in a table of routes, used like a dict of them.

    def __init__(self, methods, context):
        self._methods = methods
        self._context = context

    def __iter__(self):
        return iter([method for method, _, _ in self._methods])

    def __contains__(self, method):
        return any(method == known for known, _, _ in self._methods)

    def __getitem__(self, method):
        return self.get(method)

    def get(self, method):
        for known, module, name in self._methods:
            if known == method:
                handler = load(module, name)
                return lambda request, **parameters: handler(self._context, request, **parameters)
        return None
