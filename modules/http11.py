"""HTTP/1.1 message heads: the start line and the fields, for servers and clients (RFC 9112).

No I/O: `parse_request` and `parse_response` look at bytes that have arrived and return None until
a whole head is there. What the RFC forbids is refused rather than repaired, because every repair
is an opening for request smuggling (RFC 9112 section 11.2).
"""

from array import array
from builtins import memoryview, range, str  # see `transport.connection`

import micropython
from heap import BLOCK_SIZE, SMALL
from micropython import const

# A head must fit into the block that connections receive into.
MAX_HEAD = BLOCK_SIZE

# Longest request line, CRLF included. RFC 9112 section 3 recommends 8000: too much for a chip.
MAX_REQUEST_LINE = BLOCK_SIZE // 2

# Most fields in one head; browsers send about 15.
MAX_FIELDS = 24 if SMALL else 48

# Fields whose repetition would make the message's framing or its target ambiguous.
_SINGLE = ("host", "content-length", "transfer-encoding", "sec-websocket-key", "origin")

# RFC 9110 section 5.6.2: 1 for the characters of a token, by code from 0 to 127.
_TOKEN = (
    b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    b"\0\1\0\1\1\1\1\1\0\0\1\1\0\1\1\0\1\1\1\1\1\1\1\1\1\1\0\0\0\0\0\0"
    b"\0\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\0\0\0\1\1"
    b"\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\0\1\0\1\0"
)

# Known to be tokens.
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")

# Offsets found by _scan, from the head's beginning: end of the start line, its first two spaces;
# what it has noticed (see _OCTETS); then per field the beginning and end of the name and of the
# value. One array, because parsing is synchronous.
_offsets = array("H", bytes(2 * (4 + 4 * MAX_FIELDS)))

# What _scan notices: octets above 127, and of a request line, without making objects of it, that
# its method is GET and its version HTTP/1.0 or HTTP/1.1.
_OCTETS = const(1)
_GET = const(2)
_HTTP_1_0 = const(4)
_HTTP_1_1 = const(8)


# RFC 9110 section 15, RFC 6585.
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
    (421, "Misdirected Request"),
    (426, "Upgrade Required"),
    (429, "Too Many Requests"),
    (431, "Request Header Fields Too Large"),
    (500, "Internal Server Error"),
    (501, "Not Implemented"),
    (503, "Service Unavailable"),
    (505, "HTTP Version Not Supported"),
    (507, "Insufficient Storage"),
)


class BadMessage(Exception):
    """A head that can't be accepted.

    Attributes:
        status: the HTTP status that tells the peer (400, 414, 431, 505).
        reason: one line for people.
    """

    def __init__(self, status, reason):
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


def reason(status):
    """The reason phrase of a status; its class's for one that isn't in the table."""
    for code, phrase in _REASONS:
        if code == status:
            return phrase
    return reason(status // 100 * 100) if status % 100 else "Unknown"


class RequestHead:
    """A request's head.

    Attributes:
        method: "GET"...
        target: the request target as sent.
        minor: the minor version, 0 or 1 (HTTP/1.0, HTTP/1.1).
        fields: dict of values by lower-case name; repeated fields are joined by ", "
            (RFC 9110 section 5.3).
        end: offset of the first byte after the head.
    """

    def __init__(self, method, target, minor, fields, end):
        self.method = method
        self.target = target
        self.minor = minor
        self.fields = fields
        self.end = end


class ResponseHead:
    """A response's head: `status`, an int, and the rest as in `RequestHead`."""

    def __init__(self, status, minor, fields, end):
        self.status = status
        self.minor = minor
        self.fields = fields
        self.end = end


@micropython.viper
def _scan(buf: ptr8, start: int, end: int, out: ptr16, token: ptr8, most: int) -> int:
    # Checks a head whose empty line begins at `end`, lowers the names in place and notes the
    # offsets. Returns the number of fields, -1 for a forbidden byte, -2 for too many fields.
    i = start
    spaces = 0
    others = 0
    while i < end:
        c = buf[i]
        if c == 13:
            break
        if c < 32 or c == 127:
            return -1
        if c == 32 and spaces < 2:
            spaces += 1
            out[spaces] = i - start
        others |= c
        i += 1
    if spaces < 2 or buf[i] != 13 or buf[i + 1] != 10:
        return -1
    out[0] = i - start
    seen = 0
    if buf[start] == 71 and buf[start + 1] == 69 and buf[start + 2] == 84 and out[1] == 3:
        seen = _GET
    v = start + int(out[2])
    if i - v == 9 and buf[v + 1] == 72 and buf[v + 2] == 84 and buf[v + 3] == 84:
        if buf[v + 4] == 80 and buf[v + 5] == 47 and buf[v + 6] == 49 and buf[v + 7] == 46:
            if buf[v + 8] == 49:
                seen |= _HTTP_1_1
            elif buf[v + 8] == 48:
                seen |= _HTTP_1_0
    n = 0
    while i < end:
        i += 2
        if n >= most:
            return -2
        o = 4 + 4 * n
        name = i
        out[o] = i - start
        while i < end:
            c = buf[i]
            if c > 127 or token[c] == 0:
                break
            if c >= 65 and c <= 90:
                buf[i] = c + 32
            i += 1
        # No field without a name, no space before the colon, no line folding (RFC 9112 5.1, 5.2).
        if i >= end or buf[i] != 58 or i == name:
            return -1
        out[o + 1] = i - start
        i += 1
        while i < end and (buf[i] == 32 or buf[i] == 9):
            i += 1
        out[o + 2] = i - start
        last = i
        while i < end:
            c = buf[i]
            if c == 13:
                break
            if (c < 32 and c != 9) or c == 127:
                return -1
            others |= c
            i += 1
            if c != 32 and c != 9:
                last = i
        # A bare CR is never the end of a line (RFC 9112 2.2).
        if buf[i] != 13 or buf[i + 1] != 10:
            return -1
        out[o + 3] = last - start
        n += 1
    out[3] = seen | others >> 7
    return n


def _lenient(octets, encoding):
    # Octets from 0x80 (obs-text, RFC 9110 section 5.5) are UTF-8 when they can be.
    try:
        return str(octets, encoding)
    except UnicodeError:
        return "".join([chr(b) for b in octets])


@micropython.native
def _parse(buf, start, end, octets):
    # The fields of the head in buf[start:end], of which `octets` is a memoryview. Leaves offsets
    # into it in _offsets. Each piece is decoded by itself: MicroPython finds a place in a str by
    # counting characters from its beginning.
    n = _scan(buf, start, end, _offsets, _TOKEN, MAX_FIELDS)
    if n < 0:
        if n == -2:
            raise BadMessage(431, f"more than {MAX_FIELDS} header fields")
        raise BadMessage(400, "malformed header")
    offsets = _offsets
    decode = _lenient if offsets[3] & _OCTETS else str
    fields = {}
    for o in range(4, 4 + 4 * n, 4):
        name = str(octets[offsets[o] : offsets[o + 1]], "utf-8")
        value = decode(octets[offsets[o + 2] : offsets[o + 3]], "utf-8")
        if name in fields:
            if name in _SINGLE:
                raise BadMessage(400, "repeated " + name)
            # RFC 6265 section 5.4 / RFC 9113 section 8.2.3: cookies are joined by "; ".
            value = fields[name] + ("; " if name == "cookie" else ", ") + value
        fields[name] = value
    return fields


@micropython.native
def parse_request(buf, start, end, make=RequestHead):
    """Parse a request head in `buf[start:end]`, a bytearray, whose names become lower case.

    Args:
        make: called as `RequestHead` is, for a request of another class.

    Returns:
        A `RequestHead`, or what `make` returns; None when more bytes are needed.

    Raises:
        BadMessage: with the status to answer.
    """
    stop = buf.find(b"\r\n\r\n", start, end)
    # The limits hold however the head arrives: whole, or byte by byte.
    size = (end if stop < 0 else stop + 4) - start
    if size >= MAX_REQUEST_LINE:
        if buf.find(b"\r\n", start, start + MAX_REQUEST_LINE) < 0:
            raise BadMessage(414, f"request line over {MAX_REQUEST_LINE} bytes")
        if size > MAX_HEAD or (stop < 0 and size == MAX_HEAD):
            raise BadMessage(431, f"header over {MAX_HEAD} bytes")
    if stop < 0:
        return None
    octets = memoryview(buf)[start:stop]
    fields = _parse(buf, start, stop, octets)
    offsets = _offsets
    line, first, second = offsets[0], offsets[1], offsets[2]
    seen = offsets[3]
    if seen & _HTTP_1_1:
        minor = 1
    elif seen & _HTTP_1_0:
        minor = 0
    else:
        version = start + second
        if buf.find(b" HTTP/", version, start + line) == version and (
            buf.find(b" ", version + 1, start + line) < 0
        ):
            raise BadMessage(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
        raise BadMessage(400, "malformed request line")
    decode = _lenient if seen & _OCTETS else str
    if seen & _GET:
        method = "GET"
    else:
        method = decode(octets[:first], "utf-8")
        if method not in _METHODS:
            if not method or not all([c <= "~" and _TOKEN[ord(c)] for c in method]):
                raise BadMessage(400, "malformed method")
    if second == first + 1:
        raise BadMessage(400, "empty request target")
    target = decode(octets[first + 1 : second], "utf-8")
    return make(method, target, minor, fields, stop + 4)


def parse_response(buf, start, end):
    """Parse a response head in `buf[start:end]`: a `ResponseHead`, as `parse_request` does."""
    stop = buf.find(b"\r\n\r\n", start, end)
    if stop < 0:
        if end - start >= MAX_HEAD:
            raise BadMessage(431, f"header over {MAX_HEAD} bytes")
        return None
    if buf.find(b" ", start, stop) == buf.rfind(b" ", start, buf.find(b"\r\n", start, stop + 2)):
        raise BadMessage(400, "malformed status line")
    octets = memoryview(buf)[start:stop]
    fields = _parse(buf, start, stop, octets)
    first, second = _offsets[1], _offsets[2]
    version, status = bytes(octets[:first]), bytes(octets[first + 1 : second])
    # RFC 9112 section 4: HTTP-version SP 3DIGIT SP [ reason-phrase ]
    if version not in (b"HTTP/1.1", b"HTTP/1.0") or len(status) != 3 or not status.isdigit():
        raise BadMessage(400, "malformed status line")
    return ResponseHead(int(status), version[7] - 48, fields, stop + 4)


def check_trailer(line):
    """Check a trailer field, bytes without its CRLF, by the rules of a head (RFC 9112 section 5).

    Raises:
        BadMessage: 400.
    """
    name, colon, value = line.partition(b":")
    good = colon and name and all([c < 128 and _TOKEN[c] for c in name])
    if not good or any([(c < 32 and c != 9) or c == 127 for c in value]):
        raise BadMessage(400, "malformed trailer")


def tokens(value):
    """Split a comma-separated list (RFC 9110 section 5.6.1) into lower-case, non-empty items."""
    if not value:
        return []
    return [item for item in (part.strip().lower() for part in value.split(",")) if item]


def unquote(text, plus=False):
    """Decode percent-encoding (RFC 3986 section 2.1); `plus` turns "+" into a space (forms).

    Raises:
        ValueError: a malformed escape, or the result isn't UTF-8.
    """
    if plus:
        text = text.replace("+", " ")
    if "%" not in text:
        return text
    parts = text.split("%")
    out = bytearray(parts[0].encode())
    for part in parts[1:]:
        digits = part[:2]
        if len(digits) != 2 or not all(c in "0123456789abcdefABCDEF" for c in digits):
            raise ValueError("malformed percent-encoding")
        out.append(int(digits, 16))
        out.extend(part[2:].encode())
    try:
        return str(out, "utf-8")
    except UnicodeError:
        raise ValueError("percent-encoding is not UTF-8")
