"""Where a request's body is in a stream of bytes (RFC 9112 sections 6 and 7). No I/O."""

from http11 import BadMessage, check_trailer, tokens

# Longest chunk-size line with its extensions, and longest trailer section. Both are thrown away.
MAX_CHUNK_LINE = 256
MAX_TRAILER = 1024


class Fixed:
    """A body of `Content-Length` bytes.

    Attributes:
        length: bytes in all; None when the head doesn't tell.
        remaining: bytes not seen yet.
        done: True when the body is complete.
    """

    def __init__(self, length):
        self.length = self.remaining = length

    @property
    def done(self):
        return self.remaining == 0

    def receive(self, buf, start, end):
        """Find body bytes in `buf[start:end]`.

        Returns:
            (first, last, next): the body's bytes are `buf[first:last]`, parsing goes on at `next`.
        """
        n = min(end - start, self.remaining)
        self.remaining -= n
        return start, start + n, start + n


class Chunked:
    """A body in the chunked transfer coding; attributes and `receive` as in `Fixed`.

    Raises:
        BadMessage: from `receive`, for what RFC 9112 section 7.1 doesn't allow.
    """

    length = None

    _SIZE, _DATA, _DATA_END, _TRAILER, _DONE = range(5)

    def __init__(self):
        self._state = self._SIZE
        self._trailer = 0
        self.remaining = 0

    @property
    def done(self):
        return self._state == self._DONE

    def receive(self, buf, start, end):
        while start < end:
            state = self._state
            if state == self._DATA:
                n = min(end - start, self.remaining)
                self.remaining -= n
                if not self.remaining:
                    self._state = self._DATA_END
                return start, start + n, start + n
            if state == self._DONE:
                break
            stop = buf.find(b"\r\n", start, end)
            # However the line arrives: what ends an incomplete one may be the CR of its end.
            if (end - 1 if stop < 0 else stop) - start > MAX_CHUNK_LINE:
                raise BadMessage(400, f"chunk line over {MAX_CHUNK_LINE} bytes")
            if stop < 0:
                break
            if state == self._SIZE:
                self._size(bytes(memoryview(buf)[start:stop]))
            elif state == self._DATA_END:
                if stop != start:
                    raise BadMessage(400, "chunk longer than its size")
                self._state = self._SIZE
            else:
                self._trailer += stop - start
                if self._trailer > MAX_TRAILER:
                    raise BadMessage(431, f"trailer over {MAX_TRAILER} bytes")
                if stop == start:
                    self._state = self._DONE
                else:
                    check_trailer(bytes(memoryview(buf)[start:stop]))
            start = stop + 2
        return start, start, start

    def _size(self, line):
        digits, extended, extension = line.partition(b";")
        if extended:
            # Section 7.1.1: bad whitespace before an extension is dropped. A bare CR or LF in one
            # is where parsers disagree about the line's end.
            digits = digits.rstrip(b" \t")
            if any((c < 32 and c != 9) or c == 127 for c in extension):
                raise BadMessage(400, "malformed chunk extension")
        # int() would also take a sign, blanks and underscores.
        if not 0 < len(digits) <= 8 or not all(c in b"0123456789abcdefABCDEF" for c in digits):
            raise BadMessage(400, "malformed chunk size")
        self.remaining = int(str(digits, "utf-8"), 16)
        self._state = self._DATA if self.remaining else self._TRAILER


def framing(fields, minor):
    """The body that a request announces: `Fixed`, `Chunked`, or None for no body.

    Args:
        fields: dict of its header fields.
        minor: its minor version.

    Raises:
        BadMessage: RFC 9112 section 6.3; the connection can't be used any more.
    """
    length = fields.get("content-length")
    coding = fields.get("transfer-encoding")
    if coding is not None:
        if length is not None or minor == 0:
            raise BadMessage(400, "Transfer-Encoding with Content-Length or HTTP/1.0")
        codings = tokens(coding)
        if not codings or codings[-1] != "chunked" or codings.count("chunked") > 1:
            raise BadMessage(400, "Transfer-Encoding doesn't end in one chunked")
        if len(codings) > 1:
            raise BadMessage(501, "only the chunked transfer coding is known here")
        return Chunked()
    if length is None:
        return None
    if not length.isdigit() or len(length) > 10:
        raise BadMessage(400, "malformed Content-Length")
    return Fixed(int(length)) if int(length) else None
