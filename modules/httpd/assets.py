"""The page and its files, frozen into the image by the build (ci/pack_assets.py).

They are tuples of literals in one frozen module, so that they stay in flash: an asset is sent as
slices of a memoryview and never copied to RAM. Its response heads are made at build time.
"""

import io

import assets as _packed
import deflate

from .response import Response

# log2 of the window that the build compresses with (ci/pack_assets.py); inflating takes as much.
WINDOW_BITS = 12

# Bytes inflated at a time.
_BLOCK = 512


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
            self._head,
            self._head_304,
            self._body,
        ) = record

    def __call__(self, request):
        if self.encoding and not accepts_gzip(request.headers.get("accept-encoding")):
            return self._inflated(request)
        return self

    def _inflated(self, request):
        # Another representation, so another strong tag (RFC 9110 section 8.8.3.3).
        etag = self.etag[:-1] + '-i"'
        headers = (
            ("ETag", etag),
            ("Cache-Control", "no-cache"),
            ("Vary", "Accept-Encoding"),
            ("X-Content-Type-Options", "nosniff"),
        )
        if matches(request.headers.get("if-none-match"), etag):
            return Response(b"", 304, headers=headers)
        return Response(self._pieces(), 200, self.content_type, headers, length=self.size)

    def _pieces(self):
        stream = deflate.DeflateIO(io.BytesIO(self._body), deflate.GZIP, WINDOW_BITS)
        while True:
            piece = stream.read(_BLOCK)
            if not piece:
                return
            yield piece

    def send(self, request, write, connection):
        """Write the response to a GET or HEAD request.

        Args:
            write: takes bytes-like pieces in order.
            connection: the Connection option to announce, or None.

        Returns:
            The status sent.
        """
        if matches(request.headers.get("if-none-match"), self.etag):
            status, head, body = 304, self._head_304, None
        else:
            status, head, body = 200, self._head, self._body
        if connection is not None:
            head = head[:-2] + "Connection: {}\r\n\r\n".format(connection).encode()
        write(head)
        if body and request.method != "HEAD":
            write(body)
        return status


def accepts_gzip(accepted):
    """Whether an Accept-Encoding value allows gzip (RFC 9110 section 12.5.3).

    A client that sends none might take anything; one that can't inflate doesn't either, so it gets
    the identity.
    """
    if not accepted:
        return False
    star = None
    for item in accepted.lower().split(","):
        coding, _, parameters = item.partition(";")
        coding = coding.strip()
        if coding == "gzip" or coding == "x-gzip":
            return not _is_zero(parameters)
        if coding == "*":
            star = not _is_zero(parameters)
    return bool(star)


def _is_zero(parameters):
    name, _, quality = parameters.partition("=")
    return name.strip() == "q" and quality.strip() in ("0", "0.0", "0.00", "0.000")


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


def find(name):
    """The record of asset `name`, or None. Binary search: the table is sorted by name."""
    table = _packed.ASSETS
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
    return [record[0] for record in _packed.ASSETS]
