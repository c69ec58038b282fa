"""The opening handshake's messages, named as in Python's `websockets`."""

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
        fields = self._fields
        self._fields = {name: fields[name] for name in fields if name not in _USED} if keep else {}
        fields.clear()  # the HTTP server's request has them, too


class Response:
    """A handshake response: what a server refused with, or what `process_request` refuses with.

    Args:
        status_code: the HTTP status.
        reason_phrase: text behind the status; not sent.
        headers: a `Headers` or (name, value) pairs; an empty `Headers` by default.
        body: bytes or str.
    """

    def __init__(self, status_code, reason_phrase="", headers=None, body=b""):
        self.status_code = status_code
        self.reason_phrase = reason_phrase
        if headers is None:
            from .datastructures import Headers

            headers = Headers()
        self.headers = headers
        self.body = body
