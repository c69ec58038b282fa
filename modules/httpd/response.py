"""Responses and their heads."""

import json

import micropython
from http11 import reason

# A head and a body up to this size leave in one write, so in one segment: two small writes
# would be two segments. Larger bodies aren't copied.
JOIN_LIMIT = 1024

_TEXT = "text/plain; charset=utf-8"

_HEAD_OF_TEXT = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n"
)


class Response:
    """An answer.

    A handler may also return what makes one: str (text/plain), bytes-like
    (application/octet-stream), dict or list (JSON), None (204), or a tuple: any of these, then the
    status, the headers, or both. What a handler yields are the pieces of its body.

    Args:
        body: str, bytes-like, dict, list, or an iterator of bytes-like pieces, which are produced
            as the client takes them; a generator may also await in between. A piece may use the
            memory of the one before, unless a generator makes it. When the iterator has `close()`,
            it is called if the response ends early.
        status: the status code.
        content_type: the media type; that of the headers when None, or by the body's type.
        headers: a dict, or (name, value) pairs where a name may stand twice.
        length: bytes that an iterator will produce; without it they are sent chunked.

    Raises:
        ValueError: a header holds a line break, which would let a client's data add headers, or
            is one by which the server delimits the body.
        TypeError: the body is none of these.
    """

    # Most responses have these, and are smaller without attributes of their own for them.
    status = 200
    content_type = _TEXT
    headers = ()
    pieces = False

    @micropython.native
    def __init__(self, body=b"", status=200, content_type=None, headers=(), length=None):
        if not isinstance(body, str):
            if isinstance(body, (dict, list)):
                body = json.dumps(body)
                self.content_type = "application/json"
            else:
                self.content_type = "application/octet-stream"
                if hasattr(body, "__next__"):
                    self.pieces = True
        self.body = body
        # A str counts characters, its memoryview bytes.
        self.length = length if self.pieces else len(memoryview(body))
        if status != 200:
            self.status = status
        if headers:
            self.headers, found = _checked(headers)
            content_type = content_type or found
        if content_type:
            _checked((("Content-Type", content_type),))
            self.content_type = content_type

    def set_cookie(self, name, value, max_age=None, path="/", secure=False):
        """Add a cookie that scripts can't read and other sites' requests don't carry (RFC 6265).

        Args:
            name, value: printable ASCII without blanks, quotes, commas, semicolons, backslashes.
            max_age: seconds that it lives, 0 to remove it; None: until the browser is closed.
            path: of the requests that carry it.
            secure: only over TLS.

        Raises:
            ValueError: a character that section 4.1.1 doesn't allow.
        """
        for text in (name, value, path):
            for c in text:
                # Section 4.1.1; "=" ends a name but may be in a value.
                if not "!" <= c <= "~" or c in '",;\\' or (text is name and c == "="):
                    raise ValueError(f"cookie {name} can't have {c!r}")
        cookie = name + "=" + value + "; Path=" + path + "; HttpOnly; SameSite=Strict"
        if max_age is not None:
            cookie += f"; Max-Age={max_age}"
        if secure:
            cookie += "; Secure"
        self.headers = tuple(self.headers) + (("Set-Cookie", cookie),)

    @micropython.native
    def head(self, connection=None, chunked=False):
        """The head as bytes.

        Args:
            connection: the Connection option to announce, "close" or "keep-alive".
            chunked: the body follows in the chunked coding.
        """
        status = self.status
        if status == 200 and connection is None and not self.headers and self.length is not None:
            # What most are. One format is much cheaper than joining texts.
            return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (
                self.content_type.encode(),
                self.length,
            )
        phrase = reason(status).encode()
        more = ""
        for name, value in self.headers:
            more += name + ": " + value + "\r\n"
        if connection is not None:
            more += "Connection: " + connection + "\r\n"
        if self.length is None and chunked:
            more += "Transfer-Encoding: chunked\r\n"
        more = more.encode()
        # RFC 9110 sections 8.6 and 15.3.5: no content and no length with 204 and 304.
        if status == 204 or status == 304:
            return b"HTTP/1.1 %d %s\r\n%s\r\n" % (status, phrase, more)
        if self.length is not None:
            return b"HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n" % (
                status,
                phrase,
                self.content_type.encode(),
                self.length,
                more,
            )
        return b"HTTP/1.1 %d %s\r\nContent-Type: %s\r\n%s\r\n" % (
            status,
            phrase,
            self.content_type.encode(),
            more,
        )


def _checked(headers):
    # The pairs without a Content-Type, which is the head's own (RFC 9110 section 5.3), and that.
    content_type = None
    if isinstance(headers, dict):
        headers = list(headers.items())
    for pair in headers:
        for text in pair:
            # Section 5.5: these would end the field.
            if "\r" in text or "\n" in text or "\0" in text:
                raise ValueError("line break in header " + repr(text))
        lower = pair[0].lower()
        if lower == "content-type":
            content_type = pair[1]
        elif lower in ("content-length", "transfer-encoding"):
            raise ValueError("the server says how long a body is: " + pair[0])
    if content_type is not None:
        headers = [pair for pair in headers if pair[0].lower() != "content-type"]
    return headers, content_type


def redirect(location, status=303):
    """A redirect; 303 makes the client GET `location` (RFC 9110 section 15.4.4)."""
    return Response("", status, headers=(("Location", location),))


@micropython.native
def make(result):
    """The `Response` for what a handler returned."""
    if isinstance(result, Response):
        return result
    if result is None:
        return Response(b"", 204)
    if isinstance(result, tuple):
        body, status = result[:2]
        if not isinstance(status, int):
            return Response(body, headers=status)
        return Response(body, status, headers=result[2] if len(result) > 2 else ())
    return Response(result)


@micropython.native
def answer(result):
    """What `make` gives; or bytes, the whole answer: that to a handler which returned a text.

    It does for the commonest answer what `Response` and its head do for all, at a third of the
    instructions.
    """
    if isinstance(result, str):
        size = len(memoryview(result))
        if size <= JOIN_LIMIT:
            return _HEAD_OF_TEXT % size + result.encode()
    return make(result)


def from_error(error):
    """The `Response` for an `HTTPError`: its detail as text."""
    text = error.detail or reason(error.status)
    return Response(text + "\n", error.status, headers=error.headers)
