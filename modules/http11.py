"""HTTP/1.1 message heads: the start line and the fields, for servers and clients (RFC 9112).

No I/O: `parse_request` and `parse_response` look at bytes that have arrived and return None until
a whole head is there. What the RFC forbids is refused rather than repaired, because every repair
is an opening for request smuggling (RFC 9112 section 11.2).
"""

from array import array

import micropython
from heap import BLOCK_SIZE

# A head must fit into the block that connections receive into.
MAX_HEAD = BLOCK_SIZE

# Longest request line, CRLF included. RFC 9112 section 3 recommends 8000: too much for a chip.
MAX_REQUEST_LINE = BLOCK_SIZE // 2

# Most fields in one head; browsers send about 15.
MAX_FIELDS = 48

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
# whether there are octets above 127; then per field the beginning and end of the name and of the
# value. One array, because parsing is synchronous.
_offsets = array("H", bytes(2 * (4 + 4 * MAX_FIELDS)))


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


class Head:
    """A message head.

    Attributes:
        method: "GET"...; None in a response.
        target: the request target as sent; None in a response.
        status: int; None in a request.
        minor: the minor version, 0 or 1 (HTTP/1.0, HTTP/1.1).
        fields: dict of values by lower-case name; repeated fields are joined by ", "
            (RFC 9110 section 5.3).
        end: offset of the first byte after the head.
    """

    def __init__(self, method, target, status, minor, fields, end):
        self.method = method
        self.target = target
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
    out[3] = others >> 7
    return n


def _decoded(text):
    # Octets from 0x80 (obs-text, RFC 9110 section 5.5) are UTF-8 when they can be. `text` has one
    # character for each octet.
    try:
        return str(bytes([ord(c) for c in text]), "utf-8")
    except UnicodeError:
        return text


@micropython.native
def _parse(buf, start, end):
    # The head's text, where offsets in _offsets hold, and its fields.
    n = _scan(buf, start, end, _offsets, _TOKEN, MAX_FIELDS)
    if n < 0:
        if n == -2:
            raise BadMessage(431, "more than {} header fields".format(MAX_FIELDS))
        raise BadMessage(400, "malformed header")
    offsets = _offsets
    octets = memoryview(buf)[start:end]
    # Slices of one str: cheaper than decoding name by name and value by value.
    plain = not offsets[3]
    text = str(octets, "utf-8") if plain else "".join([chr(b) for b in octets])
    fields = {}
    for o in range(4, 4 + 4 * n, 4):
        name = text[offsets[o] : offsets[o + 1]]
        value = text[offsets[o + 2] : offsets[o + 3]]
        if not plain:
            value = _decoded(value)
        if name in fields:
            if name in _SINGLE:
                raise BadMessage(400, "repeated " + name)
            # RFC 6265 section 5.4 / RFC 9113 section 8.2.3: cookies are joined by "; ".
            value = fields[name] + ("; " if name == "cookie" else ", ") + value
        fields[name] = value
    return text, fields


@micropython.native
def parse_request(buf, start, end):
    """Parse a request head in `buf[start:end]`, a bytearray, whose names become lower case.

    Returns:
        A `Head`, or None when more bytes are needed.

    Raises:
        BadMessage: with the status to answer.
    """
    stop = buf.find(b"\r\n\r\n", start, end)
    # The limits hold however the head arrives: whole, or byte by byte.
    size = (end if stop < 0 else stop + 4) - start
    if size >= MAX_REQUEST_LINE and buf.find(b"\r\n", start, start + MAX_REQUEST_LINE) < 0:
        raise BadMessage(414, "request line over {} bytes".format(MAX_REQUEST_LINE))
    if size > MAX_HEAD or (stop < 0 and size == MAX_HEAD):
        raise BadMessage(431, "header over {} bytes".format(MAX_HEAD))
    if stop < 0:
        return None
    text, fields = _parse(buf, start, stop)
    line, first, second = _offsets[0], _offsets[1], _offsets[2]
    if line == second + 9 and text.startswith("HTTP/1.1", second + 1):
        minor = 1
    elif line == second + 9 and text.startswith("HTTP/1.0", second + 1):
        minor = 0
    elif text.startswith("HTTP/", second + 1) and " " not in text[second + 1 : line]:
        raise BadMessage(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    else:
        raise BadMessage(400, "malformed request line")
    method = "GET" if text.startswith("GET ") else text[:first]
    if method not in _METHODS:
        if not method or not all([c <= "~" and _TOKEN[ord(c)] for c in method]):
            raise BadMessage(400, "malformed method")
    if second == first + 1:
        raise BadMessage(400, "empty request target")
    target = text[first + 1 : second]
    if _offsets[3]:
        target = _decoded(target)
    return Head(method, target, None, minor, fields, stop + 4)


def parse_response(buf, start, end):
    """Parse a response head in `buf[start:end]` like `parse_request`."""
    stop = buf.find(b"\r\n\r\n", start, end)
    if stop < 0:
        if end - start >= MAX_HEAD:
            raise BadMessage(431, "header over {} bytes".format(MAX_HEAD))
        return None
    if buf.find(b" ", start, stop) == buf.rfind(b" ", start, buf.find(b"\r\n", start, stop + 2)):
        raise BadMessage(400, "malformed status line")
    text, fields = _parse(buf, start, stop)
    first, second = _offsets[1], _offsets[2]
    status = text[first + 1 : second]
    # RFC 9112 section 4: HTTP-version SP 3DIGIT SP [ reason-phrase ]
    version = text[:first]
    if version not in ("HTTP/1.1", "HTTP/1.0") or len(status) != 3 or not status.isdigit():
        raise BadMessage(400, "malformed status line")
    return Head(None, None, int(status), int(version[7]), fields, stop + 4)


def tokens(value):
    """Split a comma-separated list (RFC 9110 section 5.6.1) into lower-case, non-empty items."""
    if not value:
        return []
    return [item for item in (part.strip().lower() for part in value.split(",")) if item]
