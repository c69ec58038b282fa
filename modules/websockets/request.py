"""The opening handshake's request, named as in Python's `websockets`."""

# What the handshake itself has used up; kept, it would cost 300 bytes per connection.
_USED = (
    "connection",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-version",
    "upgrade",
)


class Request:
    """A handshake request.

    Attributes:
        path: the request target, with the query.
    """

    def __init__(self, path, fields):
        self.path = path
        self._fields = fields

    @property
    def headers(self):
        """The header fields, a `Headers`; once connected, without those of the handshake."""
        from .datastructures import Headers

        return Headers(self._fields)

    def shrink(self, keep):
        """Forget the fields that only the handshake needs, or all of them."""
        fields = self._fields if keep else ()
        self._fields = {name: fields[name] for name in fields if name not in _USED}
