"""Finding the handler of a path."""

import micropython
from lazy import load


class Router:
    """Routes: exact paths, and patterns with `<name>` segments.

    `/files/<name>` matches one segment, `/files/<name:path>` the rest with its slashes. An exact
    path wins over a pattern, an earlier pattern over a later one.
    """

    def __init__(self):
        self._exact = {}
        self._patterns = []
        self._tables = []

    def add(self, path, handler, methods):
        """Route `methods` (a tuple of names) at `path` to `handler`.

        Raises:
            ValueError: the path doesn't begin with "/", or is taken for one of the methods.
        """
        if isinstance(path, bytes):
            path = str(path, "utf-8")
        if not path.startswith("/"):
            raise ValueError("a route begins with /: " + path)
        if "<" in path:
            segments = path.split("/")[1:]
            table = None
            for known, handlers in self._patterns:
                if known == segments:
                    table = handlers
            if table is None:
                table = {}
                self._patterns.append((segments, table))
        else:
            table = self._exact.setdefault(path, {})
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
            the list of parameter values; handlers is None for an unknown path.
        """
        exact = self._exact
        if path in exact:
            return exact[path], None
        parts = None
        for segments, table in self._patterns:
            if parts is None:
                parts = path.split("/")[1:]
            parameters = _match(segments, parts)
            if parameters is not None:
                return table, parameters
        for table, context in self._tables:
            for pattern, methods in table:
                if pattern == path:
                    return _Lazy(methods, context), None
            for pattern, methods in table:
                if "<" in pattern:
                    parameters = _match(pattern.split("/")[1:], path.split("/")[1:])
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
                return lambda request, *parameters: handler(self._context, request, *parameters)
        return None


def _match(segments, parts):
    parameters = []
    for i, segment in enumerate(segments):
        if i >= len(parts):
            return None
        if segment.startswith("<"):
            if segment.endswith(":path>"):
                parameters.append("/".join(parts[i:]))
                return parameters
            if not parts[i]:
                return None
            parameters.append(parts[i])
        elif segment != parts[i]:
            return None
    return parameters if len(parts) == len(segments) else None
