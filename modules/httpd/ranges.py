"""Requests for a part of a representation (RFC 9110 section 14)."""

from .errors import HTTPError


def part_of(request, size, etag=None):
    """The part of a representation that a request asks for.

    One range in bytes is served; for several at once the whole is sent, which section 14.2
    allows and which is cheaper than multipart/byteranges.

    Args:
        request: the `Request`.
        size: bytes of the whole representation.
        etag: its strong entity tag, or None.

    Returns:
        (first, length), or None when the whole is to be sent.

    Raises:
        HTTPError: 416, no byte of the range exists.
    """
    headers = request.headers
    value = headers.get("range")
    # Section 14.2: only GET has ranges.
    if value is None or request.method != "GET":
        return None
    condition = headers.get("if-range")
    # Section 13.1.5: strong comparison. A date never matches here, there are none.
    if condition is not None and condition != etag:
        return None
    unit, _, ranges = value.partition("=")
    if unit.strip().lower() != "bytes" or "," in ranges:
        return None
    first, dash, last = ranges.strip().partition("-")
    if not dash or not _is_number(first) or not _is_number(last) or not (first or last):
        # Section 14.2: a malformed range is ignored.
        return None
    if first:
        first = int(first)
        last = min(int(last), size - 1) if last else size - 1
        if last < first and first < size:
            return None
    else:
        # The last so many bytes.
        first = max(0, size - int(last))
        last = size - 1
    if first >= size:
        raise HTTPError(416, headers=(("Content-Range", f"bytes */{size}"),))
    return first, last - first + 1


def content_range(part, size):
    """The Content-Range field, a (name, value) pair, of the answer 206."""
    first, length = part
    return ("Content-Range", f"bytes {first}-{first + length - 1}/{size}")


def _is_number(text):
    # int() would also take a sign, blanks and underscores; ten digits are more than flash has.
    return not text or (text.isdigit() and len(text) <= 10)
