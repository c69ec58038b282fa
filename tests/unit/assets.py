"""A packed page for the tests: takes the place of the frozen module of the same name."""

import struct
from binascii import crc32

PAGE = b"<!doctype html><title>page</title>" + bytes(range(32, 127)) * 30


def _gzip(data):
    # One stored block: RFC 1952 and RFC 1951 section 3.2.4.
    size = len(data)
    block = struct.pack("<BHH", 1, size, size ^ 0xFFFF) + data
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + block + struct.pack("<II", crc32(data), size)


def _asset(name, etag, content_type, encoding, size, body):
    fields = f"ETag: {etag}\r\nCache-Control: no-cache\r\nVary: Accept-Encoding\r\n\r\n"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n"
    if encoding:
        head += "Content-Encoding: gzip\r\n"
    head += f"Content-Length: {len(body)}\r\nContent-Security-Policy: default-src 'none'\r\n"
    head = (head + fields).encode()
    head_304 = ("HTTP/1.1 304 Not Modified\r\n" + fields).encode()
    return name, etag, content_type, encoding, size, head_304, len(head), head + body


_PACKED = _gzip(PAGE)

ASSETS = (
    _asset("page.htm", '"0123456789"', "text/html; charset=utf-8", "gzip", len(PAGE), _PACKED),
    _asset("static/dot.png", '"abcdef0123"', "image/png", "", 100, bytes(range(100))),
)
