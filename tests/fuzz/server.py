"""Fuzzes the HTTP server's parser, bodies and adapter; runs on MicroPython.

usage: micropython server.py COUNT [SEED]

Makes COUNT streams of requests, most of them damaged, and feeds each one whole and cut at random
places. What must hold:
- nothing but BadMessage is raised, and nothing is reported as a defect;
- both ways come to the same requests, bodies and responses;
- of an undamaged stream every request is found, with its body, and nothing else;
- a connection ends when its client has.

One stream in ADAPTER_SHARE also goes through httpd.connection with handlers of all kinds. The same
COUNT and SEED make the same streams; a failure names the stream's own seed, which run alone as
`server.py 1 SEED` makes it again.
"""

import asyncio
import random
import sys

from heap import BLOCK_SIZE
from http11 import BadMessage, parse_request
from httpd import HTTPError, Response, Server
from httpd.body import framing
from httpd.connection import HTTPConnection
from transport import set_reporter

ADAPTER_SHARE = 10

METHODS = (b"GET", b"GET", b"POST", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"M-SEARCH")
TARGETS = (
    b"/",
    b"/ok",
    b"/count",
    b"/late",
    b"/pieces",
    b"/stream",
    b"/a/b?c=d%20e",
    b"/%41",
    b"/x",
)
FIELDS = (
    b"Accept: */*\r\n",
    b"accept-encoding:gzip, deflate\r\n",
    b"COOKIE: a=b; c=d\r\n",
    b"Cookie: e=f\r\n",
    b"X-Empty:\r\n",
    b"X-Blank: \t \r\n",
    b"X-Bytes: \xe4\xff\xc3\xa4\r\n",
    b"Range: bytes=1-5\r\n",
    b'If-None-Match: "a", W/"b"\r\n',
    b"X-Long: " + b"x" * 300 + b"\r\n",
)
# What damage is made of: what parsers have disagreed about.
SPLINTERS = (
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b"\x7f",
    b"\xff",
    b"0\r\n\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 3, 3\r\n",
    b"Content-Length: +3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n",
    b"Host: y\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Expect: 100-continue\r\n",
    b"Expect: wonders\r\n",
    b" folded\r\n",
    b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b"ffffffff\r\n",
    b"-1\r\n",
    b"a" * 300,
    b"b" * 2100,
    b"c: d\r\n" * 60,
)


def one_of(choices):
    return choices[random.getrandbits(16) % len(choices)]


def below(limit):
    return random.getrandbits(24) % limit


def make_request():
    """(bytes, (method, body)) of an undamaged request."""
    method = one_of(METHODS)
    target = one_of(TARGETS)
    if below(20) == 0:
        target = b"http://y" + target
    fields = b"".join([one_of(FIELDS) for _ in range(below(6))])
    fields = fields + b"Host: x\r\n" if below(2) else b"Host: x\r\n" + fields
    body = b""
    content = b""
    if method in (b"POST", b"PUT"):
        if below(2):
            content = body = b"y" * below(one_of((1, 20, 6000)))
            fields += b"Content-Length: %d\r\n" % len(body)
        else:
            fields += b"transfer-encoding: Chunked\r\n"
            for _ in range(below(4)):
                piece = b"z" * (1 + below(one_of((1, 20, 3000))))
                extension = one_of((b"", b"", b";a=b", b" ;c"))
                content += piece
                body += b"%x%s\r\n%s\r\n" % (len(piece), extension, piece)
            body += b"0\r\n" + one_of((b"", b"", b"Trailer: x\r\n")) + b"\r\n"
    blank = b"\r\n" * below(2)
    return blank + method + b" " + target + b" HTTP/1.1\r\n" + fields + b"\r\n" + body, (
        str(method, "utf-8"),
        content,
    )


def make_stream():
    """(bytes, the requests in it, or None when it is damaged)."""
    data = b""
    requests = []
    for _ in range(1 + below(3)):
        request, expected = make_request()
        data += request
        requests.append(expected)
    if below(4) == 0:
        return data, requests
    for _ in range(1 + below(3)):
        at = below(len(data) + 1)
        kind = below(5)
        if kind == 0:
            data = data[:at] + one_of(SPLINTERS) + data[at:]
        elif kind == 1:
            data = data[:at] + data[at + 1 + below(20) :]
        elif kind == 2:
            data = data[:at] + bytes([random.getrandbits(8)]) + data[at + 1 :]
        elif kind == 3:
            data = data[:at]
        else:
            # Between two lines, where fields stand.
            end = data.find(b"\r\n", at)
            if end >= 0:
                data = data[: end + 2] + one_of(SPLINTERS) + data[end + 2 :]
    return data, None


def make_cuts(size):
    """The places to cut a stream at: few, many, or behind every byte."""
    if size < 200 and below(4) == 0:
        return list(range(1, size + 1))
    return sorted([below(size + 1) for _ in range(1 + below(6))]) + [size]


# The parser and the bodies


def parse(data, cuts):
    """What the stream comes to: [[method, target, fields, body, whole]...], status or None."""
    found = []
    body = None
    buf = bytearray()
    at = 0
    for cut in cuts:
        while at < cut:
            step = min(cut - at, BLOCK_SIZE - len(buf))
            if not step:
                raise AssertionError("a full block is not consumed")
            buf.extend(data[at : at + step])
            at += step
            try:
                used, body = parse_block(buf, found, body)
            except BadMessage as error:
                return found, error.status
            buf = buf[used:]
    return found, None


def parse_block(buf, found, body):
    start = 0
    end = len(buf)
    while start < end:
        if body is None:
            while end - start > 1 and buf[start] == 13 and buf[start + 1] == 10:
                start += 2
            head = parse_request(buf, start, end)
            if head is None:
                break
            start = head.end
            found.append([head.method, head.target, head.fields, b"", False])
            body = framing(head.fields, head.minor)
            if body is None:
                found[-1][4] = True
        else:
            first, last, stop = body.receive(buf, start, end)
            found[-1][3] += bytes(buf[first:last])
            if body.done:
                body = None
                found[-1][4] = True
            elif stop == start:
                break
            start = stop
    return start, body


def check_parser(data, requests, cuts):
    whole = parse(data, [len(data)])
    pieces = parse(data, cuts)
    if whole != pieces:
        raise AssertionError(f"cut: {pieces}\nwhole: {whole}")
    if requests is not None:
        found, status = whole
        found = [(request[0], request[3]) for request in found]
        if status is not None or found != requests:
            raise AssertionError(f"undamaged: {found} {status}")


# The adapter


class MemoryTransport:
    """A transport.Connection whose peer takes everything at once."""

    remote_address = None
    deadline = 0
    queued = 0
    over = False

    def __init__(self):
        self.out = bytearray()
        self.protocol = None
        self.reading = True
        self.closed = False
        self.tail = b""

    def deliver(self, data):
        buf = bytearray(self.tail + data)
        start = 0
        while start < len(buf) and self.reading and not self.closed:
            stop = self.protocol.data_received(buf, start, len(buf))
            if stop == start:
                break
            start = stop
        self.tail = bytes(buf[start:])

    def write(self, data):
        if not self.closed:
            self.out.extend(data)

    async def drained(self):
        await asyncio.sleep_ms(0)

    def set_timeout(self, ms):
        pass

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def close(self):
        self.abort()

    def abort(self, error=None):
        if not self.closed:
            self.closed = True
            self.reading = False
            protocol, self.protocol = self.protocol, None
            protocol.connection_lost(error)


def make_server():
    server = Server()
    server.route("/", lambda request: "root", ("GET", "POST"))
    server.route("/a/<name>", lambda request, name: request.query, ("GET", "POST", "PUT"))
    server.route("/pieces", lambda request: Response(iter([b"1", b"", b"22"])))

    async def count(request):
        size = 0
        async for piece in request:
            size += len(piece)
        return str(size)

    async def late(request):
        async for _ in request:
            raise HTTPError(403)
        return "nothing"

    async def ok(request):
        return {"ok": True}

    async def stream(request):
        stream = await request.stream()
        await stream.send("one")
        await stream.send("two")

    server.route("/count", count, ("POST", "PUT"))
    server.route("/late", late, ("POST", "PUT"))
    server.route("/ok", ok, ("GET", "POST", "PUT"))
    server.route("/stream", stream)
    return server


# Turns of the event loop after which a handler that could go on has done so.
TURNS = 12


async def converse(server, data, cuts):
    """All that the server answers to a stream, after which its client half-closes."""
    transport = MemoryTransport()
    transport.protocol = HTTPConnection(transport, server)
    at = 0
    quiet = 0
    ended = False
    while not transport.closed:
        if quiet > TURNS * 100:
            raise AssertionError("the connection does not end")
        quiet += 1
        if not transport.reading:
            await asyncio.sleep_ms(0)
            continue
        if transport.tail:
            before = len(transport.tail)
            transport.deliver(b"")
            if len(transport.tail) != before or not transport.reading:
                quiet = 0
                continue
        if at < len(data):
            step = min(cuts[0] - at, BLOCK_SIZE - len(transport.tail))
            if step:
                transport.deliver(data[at : at + step])
                at += step
                quiet = 0
            if at >= cuts[0] and len(cuts) > 1:
                cuts = cuts[1:]
        elif not ended:
            # poll() reports the end of the stream once nothing is left to read.
            ended = True
            transport.pause_reading()
            transport.protocol.eof_received()
        else:
            transport.pause_reading()
            transport.protocol.eof_received()
    await asyncio.sleep_ms(0)
    return bytes(transport.out).replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")


def check_answers(out, requests):
    """One answer for each request of an undamaged stream, up to one that closes."""
    answers = out.split(b"HTTP/1.1 ")[1:]
    for answer in answers:
        if answer[:3] not in (b"200", b"204", b"403", b"404", b"405"):
            raise AssertionError(f"undamaged: {out}")
    closed = b"\r\nConnection: close\r\n" in answers[-1]
    if len(answers) > len(requests) or (len(answers) < len(requests) and not closed):
        raise AssertionError(f"{len(requests)} requests: {out}")


async def check_adapter(server, data, requests, cuts):
    whole = await converse(server, data, [len(data)])
    pieces = await converse(server, data, cuts)
    if requests is not None:
        check_answers(whole, requests)
        check_answers(pieces, requests)
    # Whether an answer comes before the rest of its request decides what becomes of the
    # connection: with these two that hangs on the cuts.
    if b"xpect" in data.lower() or b"/late" in data or b"/ok" in data or b"/stream" in data:
        return
    if whole != pieces:
        raise AssertionError(f"cut: {pieces}\nwhole: {whole}")


def failed(message, error):
    if not isinstance(error, BadMessage):
        failures.append((message, error))


failures = []


async def main(count, seed):
    server = make_server()
    for number in range(count):
        random.seed(seed + number)
        data, requests = make_stream()
        cuts = make_cuts(len(data))
        try:
            check_parser(data, requests, cuts)
            if number % ADAPTER_SHARE == 0 and data:
                await check_adapter(server, data, requests, cuts)
            if failures:
                raise failures[0][1]
        except Exception as error:
            print(f"seed {seed + number}: {data} cut at {cuts}")
            sys.print_exception(error)
            sys.exit(1)
    print(f"{count} streams from seed {seed}: statuses {server.statuses}")


set_reporter(failed)
asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
