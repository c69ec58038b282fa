"""HTTP/1.1 of httpd over real sockets, with handlers of all kinds."""

import json
from pathlib import Path

import pytest

from raw import Connection
from support import wait_until

SERVER = Path(__file__).with_name("http_server.py").read_text()


@pytest.fixture
def make_server(micropython, tmp_path):
    """A function that starts the server with settings and gives (port, folder, script)."""

    def make(**settings):
        folder = tmp_path / "files"
        folder.mkdir()
        # What lingers in these tests waits for a client that waits for the end.
        settings = {"LINGER_TIMEOUT_MS": 300, **settings}
        script = micropython(SERVER, folder, *[f"{k}={v}" for k, v in settings.items()])
        port = int(script.wait_line(r"port (\d+)")[1])
        return port, folder, script

    return make


@pytest.fixture
def server(make_server):
    return make_server()


@pytest.fixture
def port(server):
    return server[0]


@pytest.fixture
def connection(port):
    with Connection(port) as connection:
        yield connection


def status_of(port):
    with Connection(port) as connection:
        return json.loads(connection.get("/status").body)


def post(path, body=b"", *fields):
    lines = [f"POST {path} HTTP/1.1", "Host: x", *fields]
    if not any(field.startswith("Transfer") for field in fields):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunks(*pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


CHUNKED = "Transfer-Encoding: chunked"

# Requests of all kinds in a row: the answers' statuses and bodies.
MIXED = [
    (b"GET /ok HTTP/1.1\r\nHost: x\r\n\r\n", 200, b"ok"),
    (post("/echo", b"hello"), 200, b"hello"),
    (post("/echo", chunks(b"he", b"llo" * 20), CHUNKED), 200, b"he" + b"llo" * 20),
    (b"\r\n\r\nGET /soon HTTP/1.1\r\nHost: x\r\n\r\n", 200, b"soon"),
    (post("/refuse", b"x" * 500), 403, b"not you\n"),
    (post("/nothing", b"x" * 500), 404, b"Not Found\n"),
    (post("/refuse-late", b"x" * 500), 403, b"not that\n"),
    (b"GET /pieces HTTP/1.1\r\nHost: x\r\n\r\n", 200, b"onetwo"),
    (b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n", 200, b"onetwo"),
    (post("/ok", b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"), 405, b"Method Not Allowed\n"),
    (post("/count", b"x" * 9000), 200, b"9000"),
    (b"GET http://x/ok HTTP/1.1\r\nHost: y\r\n\r\n", 200, b"ok"),
    (post("/form", b"a=1&b=%20", "Content-Type: application/x-www-form-urlencoded"), 200, None),
    (post("/json", b'[1, "a"]'), 200, b'{"got": [1, "a"]}'),
    (post("/json", b"["), 400, b"malformed JSON\n"),
    (post("/form", b"a=%zz"), 400, b"malformed form\n"),
    (post("/json", b"{}", "Content-Type: text/plain"), 415, b"send application/json\n"),
    (b"GET /ok HTTP/1.1\r\nHost: x\r\n\r\n", 200, b"ok"),
]


@pytest.mark.parametrize("step", [1, 2, 7, 100, 1460, 1 << 20])
def test_pipelined_requests_however_they_are_cut(connection, step):
    data = b"".join(request for request, _, _ in MIXED)
    for start in range(0, len(data), step):
        connection.send(data[start : start + step])
    for request, status, body in MIXED:
        response = connection.read_response()
        assert response.status == status, request
        assert body is None or response.body == body, request
        assert "connection" not in response.headers


def test_head_and_options_of_pieces_and_streams(connection):
    for path in ("/pieces", "/stream", "/events"):
        head = connection.get(path, method="HEAD")
        assert (head.status, head.body) == (200, b"")
    assert connection.get("/ok", method="OPTIONS").headers["allow"] == "GET, HEAD, OPTIONS"
    connection.send(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
    assert connection.read_response().status == 204
    assert connection.get("/ok").body == b"ok"


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET ok HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET ftp://x/ok HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://x/ok HTTP/1.1\r\n\r\n",
        b"GET http://x/ok HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET http://a,b/ok HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /ok HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET /ok HTTP/1.1\r\nHost: x/y\r\n\r\n",
        b"GET /ok HTTP/1.1\r\nHost: user@x\r\n\r\n",
        *(
            b"GET /ok HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
            for host in (
                b"b:x",
                b"x:80:80",
                b"[::1",
                b"[]",
                b"[zz]",
                b"[::1]80",
                b"[::1]:x",
                b"<x>",
                b"x%zz",
                b"x^",
                b"\xc3\xa9",
            )
        ),
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
        b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n",
    ],
)
def test_requests_that_are_refused(port, request_head):
    with Connection(port) as connection:
        # What follows must not be taken for a request.
        connection.send(request_head + b"GET /ok HTTP/1.1\r\nHost: x\r\n\r\n")
        response = connection.read_response()
        assert (response.status, response.headers["connection"]) == (400, "close")
        assert connection.read_to_end() == b""


@pytest.mark.parametrize(
    "host",
    [b"x", b"X.example:80", b"x:", b"[::1]", b"[fe80::1]:80", b"10.0.0.7:1", b"a_b-c~%41", b""],
)
def test_hosts_that_are_taken(port, host):
    with Connection(port) as connection:
        connection.send(b"GET /ok HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
        assert connection.read_response().status == 200


@pytest.mark.parametrize(
    "line",
    [b"bad trailer", b"X : b", b" X: y", b"X: a\rb", b"X: a\0b", b"X(: b", b": v", b"\xe4: v"],
)
def test_malformed_trailers_are_refused(port, line):
    with Connection(port) as connection:
        connection.send(
            b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nhi\r\n0\r\nX-Good: \xe4\t;\r\n" + line + b"\r\n\r\n"
            b"GET /ok HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        response = connection.read_response()
        assert (response.status, response.headers["connection"]) == (400, "close")
        assert connection.read_to_end() == b""


@pytest.mark.parametrize("body", [b"5\r\nhelloX\r\n", b"zz\r\n", b"5;a\nb\r\n", b"-1\r\n"])
def test_malformed_chunks_are_refused(port, body):
    for path in ("/echo", "/count"):
        with Connection(port) as connection:
            connection.send(post(path, body, CHUNKED))
            assert connection.read_response().status == 400
            assert connection.read_to_end() == b""


# Keeping and closing connections


def test_http_1_0_keeps_the_connection_when_asked_to(connection):
    for _ in range(2):
        connection.send(b"GET /ok HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
        response = connection.read_response()
        assert (response.body, response.headers["connection"]) == (b"ok", "keep-alive")
    # Never chunked to 1.0: the end of the connection is the end of the body.
    connection.send(b"GET /pieces HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
    head, _, body = connection.read_to_end().partition(b"\r\n\r\n")
    assert b"chunked" not in head and body == b"onetwo"


def test_stream_to_http_1_0(connection):
    connection.send(b"GET /stream HTTP/1.0\r\n\r\n")
    head, _, body = connection.read_to_end().partition(b"\r\n\r\n")
    assert b"chunked" not in head and body == b"onetwo"


def test_half_closed_connection_gets_its_answers(port):
    for path in ("/ok", "/soon"):
        with Connection(port) as connection:
            connection.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 2)
            connection.socket.shutdown(1)
            assert [connection.read_response().status for _ in range(2)] == [200, 200]
            assert connection.read_to_end() == b""


def test_half_closed_body_is_400(connection):
    connection.send(post("/echo", b"x" * 50)[:-10])
    connection.socket.shutdown(1)
    assert connection.read_response().status == 400
    assert connection.read_to_end() == b""


def test_expect_continue(connection):
    expect = "Expect: 100-continue"
    head = post("/echo", b"hello", expect)[:-5]
    connection.send(head)
    assert connection.read_line() == "HTTP/1.1 100 Continue"
    assert connection.read_line() == ""
    connection.send(b"hello")
    assert connection.read_response().body == b"hello"
    # The body came at once: nobody waits for the 100.
    connection.send(post("/echo", b"hello", expect))
    assert connection.read_response().body == b"hello"
    # Refused: no 100, and no guess at what the client sends next.
    connection.send(post("/refuse", b"hello", expect)[:-5])
    response = connection.read_response()
    assert (response.status, response.headers["connection"]) == (403, "close")


def test_unknown_expectation_is_417(connection):
    connection.send(post("/echo", b"hello", "Expect: magic"))
    assert connection.read_response().status == 417


@pytest.mark.parametrize("path", ["/refuse", "/refuse-late", "/nothing", "/echo"])
def test_early_answer_to_a_large_body_arrives(connection, path):
    # 200 kB is more than is thrown away to keep the connection, and more than socket buffers.
    body = b"x" * 200_000
    connection.send(post(path, body))
    response = connection.read_response()
    assert response.status == {"/nothing": 404, "/echo": 413}.get(path, 403)
    assert response.headers["connection"] == "close"


# Responses


def test_response_shorter_than_its_length_is_cut_off(connection):
    connection.send(b"GET /short HTTP/1.1\r\nHost: x\r\n\r\n")
    assert connection.read_to_end().endswith(b"\r\n\r\none")


def test_failures(port):
    with Connection(port) as connection:
        response = connection.get("/raises")
        assert (response.status, response.body) == (500, b"Internal Server Error\n")
        for path in ("/no-memory", "/no-memory-for-pieces"):
            response = connection.get(path)
            assert (response.status, response.headers["retry-after"]) == (503, "5")
        assert connection.get("/ok").body == b"ok"
    for path in ("/raises-in-pieces", "/stream-raises"):
        with Connection(port) as connection:
            connection.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            received = connection.read_to_end()
            assert b"one" in received and not received.endswith(b"0\r\n\r\n")
    assert status_of(port)["connections"] == 1


def test_cookies(connection):
    response = connection.get("/cookie", "Cookie: a=1; b=2")
    assert json.loads(response.body) == {"a": "1", "b": "2"}
    assert response.headers["set-cookie"] == (
        "session=abc; Path=/; HttpOnly; SameSite=Strict; Max-Age=60"
    )


# Streams


def test_events(port):
    connection = Connection(port)
    connection.send(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
    assert connection.read_line() == "HTTP/1.1 200 OK"
    while connection.read_line():
        pass
    received = b""
    while not received.endswith(b":\n\n"):
        received += connection.read_exactly(int(connection.read_line(), 16))
        assert connection.read_line() == ""
    assert received == (
        b'event: state\nid: 7\nretry: 500\ndata: {"a": 1}\n\ndata: two\ndata: lines\n\n:\n\n'
    )
    # The handler waits for something else: the client's leaving ends it.
    connection.close()
    wait_until(lambda: status_of(port)["ended"] == ["events"])


def test_stream_is_no_faster_than_its_reader(port):
    connection = Connection(port)
    connection.send(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.read_exactly(10_000)
    with Connection(port) as other:
        assert other.get("/ok").body == b"ok"
    assert 0 < status_of(port)["most"] < 5000
    connection.reset()
    wait_until(lambda: status_of(port)["ended"] == ["flood"])


def test_stream_ends_when_writing_fails(port, connection):
    # At once, when nothing is queued: the handler then never waits by itself.
    connection.send(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.read_exactly(50_000)
    connection.reset()
    wait_until(lambda: status_of(port)["ended"] == ["flood"])


# Files


def put(connection, path, body):
    return connection.get(path, method="PUT", body=body)


def test_upload_and_download(server):
    port, folder, _ = server
    body = bytes(range(256)) * 100
    with Connection(port) as connection:
        assert put(connection, "/file/a.txt", body).status == 201
        assert (folder / "a.txt").read_bytes() == body
        response = connection.get("/file/a.txt")
        assert response.body == body
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        part = connection.get("/file/a.txt", "Range: bytes=1000-3999")
        assert (part.status, part.body) == (206, body[1000:4000])
        assert part.headers["content-range"] == "bytes 1000-3999/25600"
        assert connection.get("/file/a.txt", "Range: bytes=99999-").status == 416
        response = put(connection, "/file/a.txt", b"new")
        assert (response.status, response.body) == (200, b"3")
        connection.send(b"PUT /file/b HTTP/1.1\r\nHost: x\r\n" + CHUNKED.encode() + b"\r\n\r\n")
        connection.send(chunks(b"chunked", b"!"))
        assert connection.read_response().status == 201
        assert connection.get("/file/b").body == b"chunked!"
        assert connection.get("/file/nothing").status == 404
        head = connection.get("/file/b", method="HEAD")
        assert head.headers["content-length"] == "8"
    assert {path.name for path in folder.iterdir()} == {"a.txt", "b"}


def test_upload_over_the_limit(server):
    port, folder, _ = server
    with Connection(port) as connection:
        assert put(connection, "/file/a", b"x" * 50_001).status == 413
    with Connection(port) as connection:
        connection.send(b"PUT /file/a HTTP/1.1\r\nHost: x\r\n" + CHUNKED.encode() + b"\r\n\r\n")
        connection.send(chunks(*[b"x" * 1000] * 51))
        assert connection.read_response().status == 413
    assert list(folder.iterdir()) == []


def test_upload_to_a_full_flash(port):
    with Connection(port) as connection:
        assert put(connection, "/flash/a", b"x" * 1000).status == 204
        for _ in range(2):
            response = put(connection, "/flash/b", b"x" * 30_000)
            assert (response.status, response.body) == (507, b"flash is full\n")
            assert json.loads(connection.get("/flash").body) == ["a"]


def test_abandoned_upload_leaves_nothing(server):
    port, folder, _ = server
    (folder / "a").write_bytes(b"old")
    for end in ("close", "reset"):
        connection = Connection(port)
        connection.send(b"PUT /file/a HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n")
        connection.send(b"x" * 10_000)
        wait_until(lambda: (folder / "a.part").exists())
        with Connection(port) as other:
            assert put(other, "/file/a", b"y").status == 409
        getattr(connection, end)()
        wait_until(lambda: not (folder / "a.part").exists())
    assert (folder / "a").read_bytes() == b"old"


# Clients that are too slow


def test_head_in_time(make_server):
    port, _, _ = make_server(HEAD_TIMEOUT_MS=300)
    with Connection(port) as connection:
        connection.send(b"GET /ok HTTP/1.1\r\n")
        assert connection.read_response().status == 408
        assert connection.read_to_end() == b""
    with Connection(port) as connection:
        assert connection.read_to_end() == b""


def test_body_in_time(make_server):
    port, folder, _ = make_server(BODY_TIMEOUT_MS=300)
    with Connection(port) as connection:
        connection.send(post("/echo", b"x" * 50)[:-10])
        assert connection.read_response().status == 408
        assert connection.read_to_end() == b""
    with Connection(port) as connection:
        connection.send(b"PUT /file/a HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\nx")
        assert connection.read_response().status == 408
    wait_until(lambda: list(folder.iterdir()) == [])


def test_body_that_trickles_in_is_given_up(make_server):
    port, _, _ = make_server(BODY_TIMEOUT_MS=1500, MIN_RATE=1000)
    with Connection(port) as connection:
        connection.send(post("/count", b"x" * 5000)[:-4999])
        connection.socket.settimeout(0.2)
        for _ in range(1000):
            connection.send(b"x")
            try:
                if connection.socket.recv(12) == b"HTTP/1.1 408":
                    return
            except TimeoutError:
                pass
    raise AssertionError("still waiting")


def test_reader_that_is_too_slow_is_given_up(make_server):
    port, _, _ = make_server(SEND_PERIOD_MS=500, MIN_RATE=10_000_000)
    with Connection(port) as connection:
        connection.send(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.read_exactly(1000)
        wait_until(lambda: status_of(port)["connections"] == 1)
        assert len(connection.read_to_end()) < 10_000_000


def test_idle_connection_is_closed_in_time(make_server):
    port, _, _ = make_server(IDLE_TIMEOUT_MS=300)
    with Connection(port) as connection:
        assert connection.get("/ok").body == b"ok"
        assert connection.read_to_end() == b""


# Many clients at once


def test_heads_that_never_end_make_room(make_server):
    port, _, _ = make_server()
    slow = [Connection(port) for _ in range(8)]
    try:
        for connection in slow:
            connection.send(b"GET /ok HTTP/1.1\r\nX-Slow: ")

        def served():
            with Connection(port) as connection:
                return connection.get("/ok").status == 200

        wait_until(served)
    finally:
        for connection in slow:
            connection.close()
