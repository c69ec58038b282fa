"""Which exception is answered with which status (RFC 9110 section 15)."""

# The same number on Linux, newlib and LittleFS; the errno module does not name it.
ENOSPC = 28


class HTTPError(Exception):
    """Raised by a handler (or the server) to answer with an error.

    Args:
        status: 4xx or 5xx; 400 when the class itself is raised.
        detail: one line for the client; the status's name when empty.
        headers: further (name, value) pairs.
    """

    def __init__(self, status=400, detail="", headers=()):
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.headers = headers


def from_exception(error):
    """The `HTTPError` that answers an exception, and whether the exception is a defect."""
    if isinstance(error, HTTPError):
        return error, False
    from http11 import BadMessage

    if isinstance(error, BadMessage):
        return HTTPError(error.status, error.reason), False
    if isinstance(error, MemoryError):
        return HTTPError(503, "out of memory", (("Retry-After", "5"),)), True
    if isinstance(error, OSError) and error.errno == ENOSPC:
        # RFC 4918 section 11.5.
        return HTTPError(507, "flash is full"), False
    # Nothing of a defect's details is told to the client.
    return HTTPError(500), True
