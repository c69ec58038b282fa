"""The opening handshake's response, named as in Python's `websockets`."""

from .datastructures import Headers


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
        self.headers = Headers() if headers is None else headers
        self.body = body
