"""httpd.body: where a body ends (RFC 9112 sections 6 and 7), whole and in pieces."""

from http11 import BadMessage
from httpd.body import MAX_CHUNK_LINE, MAX_TRAILER, Chunked, Fixed, framing


def announced(minor=1, **fields):
    fields = {name.replace("_", "-"): value for name, value in fields.items()}
    return framing(fields, minor)


def refused(*args, **fields):
    try:
        body = announced(*args, **fields)
    except BadMessage as error:
        return error.status
    raise AssertionError(f"accepted as {body}")


def test_framing():
    assert announced() is None
    assert announced(content_length="0") is None
    assert announced(content_length="12").length == 12
    assert announced(transfer_encoding="Chunked").length is None


def test_framing_that_is_refused():
    for length in ("", "-1", "+1", "1 ", "1,1", "1_0", "0x10", "1.0", "\u0661", "9" * 11):
        assert refused(content_length=length) == 400, length
    assert refused(transfer_encoding="chunked", content_length="1") == 400
    assert refused(0, transfer_encoding="chunked") == 400
    for coding in ("", "gzip", "chunked, gzip", "chunked, chunked", "xchunked", "chunked;x"):
        assert refused(transfer_encoding=coding) == 400, coding
    assert refused(transfer_encoding="gzip, chunked") == 501


def received(body, data, step):
    """(content, rest, done) of `data` in blocks of `step` bytes, as a connection feeds them."""
    content = b""
    buf = bytearray()
    for start in range(0, len(data), step):
        buf = bytearray(bytes(buf) + data[start : start + step])
        at = 0
        while at < len(buf) and not body.done:
            first, last, stop = body.receive(buf, at, len(buf))
            content += bytes(buf[first:last])
            if stop == at:
                break
            at = stop
        buf = buf[at:]
    return content, bytes(buf), body.done


def test_fixed():
    for step in (1, 2, 3, 100):
        assert received(Fixed(5), b"helloGET", step) == (b"hello", b"GET", True)
        assert received(Fixed(5), b"hel", step) == (b"hel", b"", False)


def test_chunked():
    data = b'5\r\nhello\r\nA ; x="y"\r\n, world...\r\n0\r\nTrailer: x\r\n\r\nGET'
    for step in (1, 2, 3, 7, 100):
        assert received(Chunked(), data, step) == (b"hello, world...", b"GET", True), step
    assert received(Chunked(), b"00\r\n\r\n", 1) == (b"", b"", True)
    assert received(Chunked(), b"3\r\nab", 1) == (b"ab", b"", False)


def test_chunks_that_are_refused():
    for data, status in (
        (b"\r\n", 400),
        (b"-1\r\n", 400),
        (b"+1\r\n", 400),
        (b"0x1\r\n", 400),
        (b"1_0\r\n", 400),
        (b" 1\r\n", 400),
        (b"1 \r\n", 400),
        (b"g\r\n", 400),
        (b"123456789\r\n", 400),
        (b"5;a\nb\r\n", 400),
        (b"5;a\rb\r\n", 400),
        (b"5\r\r\n", 400),
        (b"2\r\nabc\r\n", 400),
        (b"5;" + b"a" * MAX_CHUNK_LINE + b"\r\n", 400),
        (b"5;" + b"a" * MAX_CHUNK_LINE, 400),
        (b"0\r\n" + b"a: b\r\n" * (MAX_TRAILER // 4 + 1), 431),
    ):
        for step in (1, 1000):
            try:
                result = received(Chunked(), data, step)
            except BadMessage as error:
                assert error.status == status, (data, error.reason)
            else:
                raise AssertionError((data, step, result))
