"""The page and its files, frozen into the image by the build (ci/pack_assets.py).

They are tuples of literals in one frozen module, so that they stay in flash. The whole response,
head and content, is made at build time and one of these literals: it is sent from where it is and
never copied to RAM.
"""

import deflate
import micropython

from .errors import HTTPError

try:
    from assets import ASSETS as _ASSETS
except ImportError:
    # Without this project's image around it there is no page.
    _ASSETS = ()

# log2 of the window that the build compresses with (ci/pack_assets.py); inflating takes as much.
WINDOW_BITS = 12

# Fields of a packed head that aren't the same for the inflated representation.
_OF_REPRESENTATION = ("Content-Type", "Content-Encoding", "Content-Length", "ETag")


class Asset:
    """A frozen file as a handler.

    Attributes:
        name: path below frozen_www.
        etag: its entity tag, with quotes.
        size: bytes before compression.
    """

    def __init__(self, record):
        (
            self.name,
            self.etag,
            self.content_type,
            self.encoding,
            self.size,
            self._head_304,
            self._head_size,
            self._response,
        ) = record

    @micropython.native
    def __call__(self, request):
        headers = request.headers
        if self.encoding:
            packed = accepts_gzip(headers.get("accept-encoding"))
        else:
            packed = "range" not in headers
        if packed:
            if "if-match" in headers:
                _check_match(headers["if-match"], self.etag)
            return self
        return self._identity(request)

    def _identity(self, request):
        from .ranges import content_range, part_of
        from .response import Response

        headers = request.headers
        # Another representation has another strong tag (RFC 9110 section 8.8.3.3).
        etag = self.etag[:-1] + '-i"' if self.encoding else self.etag
        if "if-match" in headers:
            _check_match(headers["if-match"], etag)
        if matches(headers.get("if-none-match"), etag):
            return Response(b"", 304, headers=[("ETag", etag)] + _fields(self._head_304))
        fields = [("ETag", etag), ("Accept-Ranges", "bytes")]
        fields += _fields(self._response[: self._head_size])
        size = self.size
        part = part_of(request, size, etag)
        status, first, length = 200, 0, size
        if part is not None:
            status = 206
            first, length = part
            fields.append(content_range(part, size))
        if self.encoding:
            # BytesIO refers to bytes, but would copy a memoryview of them.
            import io

            from .files import Blocks

            packed = io.BytesIO(self._response)
            packed.seek(self._head_size)
            body = Blocks(deflate.DeflateIO(packed, deflate.GZIP, WINDOW_BITS), length, first)
        elif part is None:
            return self
        else:
            first += self._head_size
            body = memoryview(self._response)[first : first + length]
        return Response(body, status, self.content_type, fields, length)

    @micropython.native
    def send(self, request, write, connection):
        """Write the response to a GET or HEAD request.

        Args:
            write: takes bytes-like pieces in order.
            connection: the Connection option to announce, or None.

        Returns:
            The status sent.
        """
        response, size = self._response, self._head_size
        status = 200
        condition = request.headers.get("if-none-match")
        if condition is not None and matches(condition, self.etag):
            status, response = 304, self._head_304
            size = len(response)
        if connection is None:
            if request.method == "HEAD":
                response = memoryview(response)[:size]
            write(response)
        else:
            option = f"Connection: {connection}\r\n\r\n"
            write(response[: size - 2] + option.encode())
            if request.method != "HEAD" and size < len(response):
                write(memoryview(response)[size:])
        return status


def _fields(head):
    # The (name, value) pairs of a packed head that the inflated representation has too.
    fields = []
    for line in str(head, "utf-8").split("\r\n")[1:-2]:
        name, _, value = line.partition(": ")
        if name not in _OF_REPRESENTATION:
            fields.append((name, value))
    return fields


def accepts_gzip(accepted):
    """Whether an Accept-Encoding value allows gzip (RFC 9110 section 12.5.3).

    A client that sends none might take anything; one that can't inflate doesn't either, so it gets
    the identity. So does one that likes the identity better.
    """
    if not accepted:
        return False
    gzip = star = None
    identity = 0
    for item in accepted.lower().split(","):
        coding, _, parameters = item.partition(";")
        coding = coding.strip()
        if coding == "gzip" or coding == "x-gzip":
            gzip = _quality(parameters)
        elif coding == "*":
            star = _quality(parameters)
        elif coding == "identity":
            identity = _quality(parameters)
    if gzip is None:
        gzip = star or 0
    return gzip > 0 and gzip >= identity


def _quality(parameters):
    # RFC 9110 section 12.4.2; 0 for what is malformed.
    if not parameters:
        return 1
    name, _, quality = parameters.partition("=")
    quality = quality.strip()
    if name.strip() != "q" or quality[:1] not in ("0", "1"):
        return 0
    try:
        return float(quality)
    except ValueError:
        return 0


def matches(condition, etag):
    """Whether an If-None-Match value names `etag` (RFC 9110 section 13.1.2, weak comparison)."""
    if not condition:
        return False
    if condition == etag or condition.strip() == "*":
        return True
    for tag in condition.split(","):
        tag = tag.strip()
        if (tag[2:] if tag.startswith("W/") else tag) == etag:
            return True
    return False


def _check_match(condition, etag):
    # RFC 9110 section 13.1.1, strong comparison: a weak tag never matches.
    for tag in condition.split(","):
        if tag.strip() in ("*", etag):
            return
    raise HTTPError(412)


def find(name):
    """The record of asset `name`, or None. Binary search: the table is sorted by name."""
    table = _ASSETS
    low, high = 0, len(table)
    while low < high:
        middle = (low + high) // 2
        if table[middle][0] < name:
            low = middle + 1
        else:
            high = middle
    if low < len(table) and table[low][0] == name:
        return table[low]
    return None


def asset(name):
    """The asset packed from frozen_www/`name`.

    Raises:
        KeyError: there is none.
    """
    record = find(name)
    if record is None:
        raise KeyError(name)
    return Asset(record)


def names():
    """The names of all assets, sorted."""
    return [record[0] for record in _ASSETS]
