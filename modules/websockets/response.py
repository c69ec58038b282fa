"""The opening handshake's response, named as in Python's `websockets`."""


class Response:
    """A handshake response: what a server refused with, or what `process_request` refuses with.

    Args:
        status_code: the HTTP status.
        reason_phrase: text behind the status; not sent.
        headers: a `Headers` or (name, value) pairs.
        body: bytes or str.
    """

    def __init__(self, status_code, reason_phrase="", headers=(), body=b""):
        self.status_code = status_code
        self.reason_phrase = reason_phrase
        self.headers = headers
        self.body = body
