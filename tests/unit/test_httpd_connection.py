"""httpd.connection without a socket: who makes room for others, answers without memory."""

from time import sleep_ms, ticks_add, ticks_diff, ticks_ms

from httpd import HTTPError, Server, connection
from httpd.connection import HTTPConnection

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Transport:
    """A `transport.Connection` whose peer takes everything at once."""

    queued = 0
    over = False
    remote_address = None

    def __init__(self, server):
        self.out = b""
        self.protocol = HTTPConnection(self, server)

    def write(self, data):
        self.out += data

    def set_timeout(self, ms):
        self.timeout = ms

    def receive(self, data):
        buf = bytearray(data)
        assert self.protocol.data_received(buf, 0, len(buf)) == len(buf)


def test_who_makes_room():
    server = Server()
    server.route("/", lambda request: "")
    transport = Transport(server)
    protocol = transport.protocol

    def later(before):
        """Its peer has owed something since now, and not since `before`."""
        since = protocol.idle_since
        assert 0 < ticks_diff(since, before) and ticks_diff(since, ticks_ms()) <= 0
        sleep_ms(5)
        return since

    # Connected: the request is due.
    since = later(ticks_add(ticks_ms(), -10_000))
    # Answered: it may go on.
    transport.receive(GET)
    assert transport.deadline == ticks_add(protocol.idle_since, connection.IDLE_TIMEOUT_MS)
    assert protocol.rests
    since = later(since)
    # In a head, the rest is due, however slowly it comes.
    buf = bytearray(GET[:10])
    assert protocol.data_received(buf, 0, 10) == 0 and not protocol.rests
    since = later(since)
    assert protocol.data_received(buf, 0, 10) == 0
    assert protocol.idle_since == since


def no_memory(*arguments):
    raise MemoryError


def check_refusal(server, transport):
    head, _, body = transport.out.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 503 Service Unavailable"
    assert b"Connection: close" in lines and b"Retry-After: 5" in lines
    assert b"Content-Length: %d" % len(body) in lines
    assert server.statuses == {503: 1}
    # The client is given the time to read it, and what it sends meanwhile is thrown away.
    assert transport.timeout == connection.LINGER_TIMEOUT_MS
    transport.receive(GET)
    assert server.statuses == {503: 1}


def test_no_memory_for_the_request():
    server = Server()
    parse, connection.parse_request = connection.parse_request, no_memory
    try:
        transport = Transport(server)
        transport.receive(GET)
    finally:
        connection.parse_request = parse
    check_refusal(server, transport)


def test_no_memory_for_an_error():
    server = Server()
    server.route("/", no_memory)
    make, connection.from_error = connection.from_error, no_memory
    try:
        transport = Transport(server)
        transport.receive(GET)
    finally:
        connection.from_error = make
    check_refusal(server, transport)


def test_no_memory_in_a_handler():
    server = Server()
    server.route("/", no_memory)
    transport = Transport(server)
    transport.receive(GET)
    assert transport.out.startswith(b"HTTP/1.1 503 ") and b"Retry-After: 5" in transport.out
    # It is the handler's matter; the connection goes on.
    assert b"Connection: close" not in transport.out
    transport.receive(GET)
    assert server.statuses == {503: 2}


def test_the_fallback_answers_what_the_guard_refuses_and_what_has_no_route():
    def guard(request):
        if request.path == "/redirected":
            return "guard"
        if request.path != "/open":
            raise HTTPError(401)

    asked = []

    def fallback(request):
        asked.append(request.path)
        return "fallback" if request.path == "/other" else None

    server = Server()
    server.guard, server.fallback = guard, fallback
    for path in ("/closed", "/other"):
        server.route(path, lambda request: "route")
    for path, status, body in (
        ("/redirected", b"200", b"guard"),
        ("/open", b"404", b"Not Found"),
        ("/closed", b"401", b"Unauthorized"),
        ("/other", b"200", b"fallback"),
    ):
        transport = Transport(server)
        transport.receive(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
        head, _, text = transport.out.partition(b"\r\n\r\n")
        assert head.split(b" ")[1] == status and text.strip() == body, transport.out
    assert asked == ["/open", "/closed", "/other"]
    # A handler's own error is its answer.
    server.guard = None

    def handler(request):
        raise HTTPError(404)

    server.route("/mine", handler)
    Transport(server).receive(b"GET /mine HTTP/1.1\r\nHost: x\r\n\r\n")
    assert asked == ["/open", "/closed", "/other"]
