"""Status codes: their names, and which exception is answered with which (RFC 9110 section 15)."""

from http11 import BadMessage

_REASONS = (
    (100, "Continue"),
    (200, "OK"),
    (201, "Created"),
    (202, "Accepted"),
    (204, "No Content"),
    (206, "Partial Content"),
    (302, "Found"),
    (303, "See Other"),
    (304, "Not Modified"),
    (400, "Bad Request"),
    (401, "Unauthorized"),
    (403, "Forbidden"),
    (404, "Not Found"),
    (405, "Method Not Allowed"),
    (408, "Request Timeout"),
    (409, "Conflict"),
    (411, "Length Required"),
    (412, "Precondition Failed"),
    (413, "Content Too Large"),
    (414, "URI Too Long"),
    (415, "Unsupported Media Type"),
    (416, "Range Not Satisfiable"),
    (417, "Expectation Failed"),
    (426, "Upgrade Required"),
    (429, "Too Many Requests"),
    (431, "Request Header Fields Too Large"),
    (500, "Internal Server Error"),
    (501, "Not Implemented"),
    (503, "Service Unavailable"),
    (505, "HTTP Version Not Supported"),
    (507, "Insufficient Storage"),
)


class HTTPError(Exception):
    """Raised by a handler (or the server) to answer with an error.

    Args:
        status: 4xx or 5xx.
        detail: one line for the client; the status's name when empty.
        headers: further (name, value) pairs.
    """

    def __init__(self, status, detail="", headers=()):
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.headers = headers


def reason(status):
    """The reason phrase of a status; its class's for one that isn't in the table."""
    for code, phrase in _REASONS:
        if code == status:
            return phrase
    return reason(status // 100 * 100) if status % 100 else "Unknown"


def from_exception(error):
    """The `HTTPError` that answers an exception, and whether the exception is a defect."""
    if isinstance(error, HTTPError):
        return error, False
    if isinstance(error, BadMessage):
        return HTTPError(error.status, error.reason), False
    if isinstance(error, MemoryError):
        return HTTPError(503, "out of memory", (("Retry-After", "5"),)), True
    # Nothing of a defect's details is told to the client.
    return HTTPError(500), True
