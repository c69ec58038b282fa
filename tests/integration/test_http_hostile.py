"""Clients that mean no good, or have bad luck, against the image: each gets the right answer, the
others are served meanwhile, and afterwards no descriptor and no memory is missing."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from raw import Connection
from support import DEADLINE, program, wait_until

# An app of the user: the device, with the deadlines of app.json and handlers that fail.
APP = program("hostile_app")

CONNECTIONS = 8
DEADLINES = {
    "HEAD_TIMEOUT_MS": 2000,
    "BODY_TIMEOUT_MS": 400,
    "SEND_PERIOD_MS": 400,
    "LINGER_TIMEOUT_MS": 300,
}
# Bytes that the heap in use may differ by: a set or a list that has grown.
SLACK = 512


@pytest.fixture
def make_device(make_image):
    """A function that starts the image with the app; arguments are further deadlines."""

    def make(data=None, **deadlines):
        settings = {
            "app": "hostile",
            "hostile": {**DEADLINES, **deadlines},
            "limits": {"connections": CONNECTIONS},
        }
        return make_image(data, files={"app.json": settings, "hostile.py": APP}, bench=True)

    return make


@pytest.fixture
def device(make_device):
    return make_device()


def post(path, body=b"", *fields, method="POST"):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + body


def others_are_served(device):
    with Connection(device.http_port) as connection:
        assert connection.get("/bench/ok").body == b"ok"
        assert connection.get("/", "Accept-Encoding: gzip").status == 200


def at_rest(device):
    """(descriptors, heap in use) once all connections are gone."""

    def alone():
        with Connection(device.http_port) as connection:
            return json.loads(connection.get("/health").body)["connections"] == 1

    wait_until(alone)
    folder = Path(f"/proc/{device.process.pid}/fd")
    with Connection(device.http_port) as connection:
        connection.get("/bench/mem")
        used = json.loads(connection.get("/bench/mem").body)["alloc"]
        return len(list(folder.iterdir())), used


def leaves_nothing(device, attack):
    """Attack twice: the first time may make the image import what it then keeps."""
    with crowd(device, CONNECTIONS + 4):
        # Lists and tables are now as long as they ever get.
        wait_until(lambda: served(device))
    attack()
    descriptors, used = at_rest(device)
    attack()
    others_are_served(device)

    def as_before():
        now = at_rest(device)
        return now[0] == descriptors and now[1] <= used + SLACK

    wait_until(as_before)


def refused(device, data, status):
    """What is sent is answered with `status`, and the connection ends in good order."""
    with Connection(device.http_port) as connection:
        connection.send(data)
        response = connection.read_response()
        assert response.status == status, response
        assert response.headers["connection"] == "close"
        assert connection.socket.recv(1) == b""  # not a reset


@contextlib.contextmanager
def crowd(device, count):
    connections = [Connection(device.http_port) for _ in range(count)]
    try:
        yield connections
    finally:
        for connection in connections:
            connection.close()


# Slow clients


def test_heads_that_trickle_in(device):
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"y" * 1000

    def attack():
        with crowd(device, CONNECTIONS // 2) as slow:
            ended = set()
            for byte in head:
                for connection in slow:
                    if connection in ended:
                        continue
                    try:
                        connection.send(bytes([byte]))
                        connection.socket.settimeout(0.01)
                        if connection.socket.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 408":
                            ended.add(connection)
                    except TimeoutError:
                        pass
                if len(ended) == len(slow):
                    break
                others_are_served(device)
            assert len(ended) == len(slow)

    leaves_nothing(device, attack)


def test_heads_that_trickle_in_on_every_connection(make_device):
    device = make_device(HEAD_TIMEOUT_MS=60_000)

    def attack():
        with crowd(device, CONNECTIONS) as slow:
            for connection in slow:
                connection.send(b"GET / HTTP/1.1\r\nX-Slow: ")
            wait_until(lambda: served(device))

    leaves_nothing(device, attack)


def served(device):
    try:
        with Connection(device.http_port) as connection:
            return connection.get("/bench/ok").status == 200
    except (ConnectionError, EOFError):
        return False


def test_connections_that_say_nothing(device):
    def attack():
        with crowd(device, CONNECTIONS) as silent:
            others_are_served(device)
            for connection in silent:
                assert connection.read_to_end() == b""

    leaves_nothing(device, attack)


@pytest.mark.parametrize("path", ["/api/command", "/login", "/raises-later"])
def test_bodies_that_stop(device, path):
    request = post(path, b'{"a', "Content-Type: application/json", "Content-Length: 100")

    def attack():
        with crowd(device, CONNECTIONS - 2) as slow:
            for connection in slow:
                connection.send(request)
            others_are_served(device)
            for connection in slow:
                response = connection.read_response()
                assert (response.status, response.headers["connection"]) == (408, "close")
                assert connection.read_to_end() == b""

    leaves_nothing(device, attack)


def slow_reader(device):
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.settimeout(DEADLINE)
    reader.connect(("127.0.0.1", device.http_port))
    return reader


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_readers_that_stop(device, encoding):
    request = (
        f"GET /bench/90k.txt HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {encoding}\r\n\r\n"
    )

    def attack():
        readers = [slow_reader(device) for _ in range(3)]
        try:
            for reader in readers:
                # More than this computer's buffers hold.
                with contextlib.suppress(ConnectionError):
                    reader.sendall(request.encode() * 100)
            others_are_served(device)
            for reader in readers:
                received = 0
                with contextlib.suppress(ConnectionError):
                    wait_until_ended(reader)
                    while piece := reader.recv(65536):
                        received += len(piece)
                assert received < 100 * 90_000
        finally:
            for reader in readers:
                reader.close()

    leaves_nothing(device, attack)


def wait_until_ended(reader):
    """Read nothing until the other side has closed the connection."""
    # The state of struct tcp_info; 1 is ESTABLISHED.
    wait_until(lambda: reader.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != 1)


# Too much of everything


def test_a_thousand_connects(device):
    def attack():
        clients = []
        try:
            for number in range(1000):
                client = socket.socket()
                clients.append(client)
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", device.http_port))
                if number % 3 == 0:
                    with contextlib.suppress(OSError):
                        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        finally:
            for client in clients:
                client.close()

    leaves_nothing(device, attack)


@pytest.mark.parametrize(
    ("beginning", "piece", "status"),
    [
        (b"GET /", b"a", 414),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ", b"a", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"X-More: and more\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"a:\r\n", 431),
    ],
    ids=["line", "field", "fields", "small fields"],
)
def test_heads_without_an_end(device, beginning, piece, status):
    def attack():
        others_are_served(device)
        refused(device, beginning + piece * (30_000 // len(piece)), status)

    leaves_nothing(device, attack)


def test_empty_lines_without_an_end(device):
    def attack():
        with Connection(device.http_port) as connection:
            with contextlib.suppress(ConnectionError):
                while True:
                    connection.send(b"\r\n" * 100)
                    others_are_served(device)

    leaves_nothing(device, attack)


@pytest.mark.parametrize(
    ("piece", "status"),
    [(b"1;" + b"x" * 300, 400), (b"0\r\n" + b"x: y\r\n" * 500, 431), (b"1\r\nx\r\n" * 9000, 413)],
    ids=["extension", "trailer", "body"],
)
def test_chunks_without_an_end(device, piece, status):
    def attack():
        others_are_served(device)
        refused(device, post("/api/command", piece, "Transfer-Encoding: chunked"), status)

    leaves_nothing(device, attack)


# Wrong lengths


@pytest.mark.parametrize("length", ["-1", "1x", "", "0x10", "1 1", "99999999999", "1, 2"])
def test_lengths_that_are_none(device, length):
    request = post("/api/command", b"x", f"Content-Length: {length}")
    leaves_nothing(device, lambda: refused(device, request, 400))


def test_a_length_over_the_limit(device):
    request = post("/api/command", b"x", "Content-Length: 9999999999")
    leaves_nothing(device, lambda: refused(device, request, 413))


def test_a_body_shorter_than_its_length(device):
    def attack():
        with Connection(device.http_port) as connection:
            connection.send(post("/api/command", b'["GET"', "Content-Length: 50"))
            connection.socket.shutdown(socket.SHUT_WR)
            others_are_served(device)
            assert connection.read_response().status == 400
            assert connection.read_to_end() == b""

    leaves_nothing(device, attack)


def test_a_body_longer_than_its_length(device):
    def attack():
        with Connection(device.http_port) as connection:
            connection.send(post("/nothing", b"body, no request\r\n\r\n", "Content-Length: 4"))
            assert connection.read_response().status == 404
            assert connection.read_response().status == 400
            assert connection.read_to_end() == b""

    leaves_nothing(device, attack)


# Clients that leave


@pytest.mark.parametrize("end", ["close", "reset"])
def test_abandoned_uploads(device, end):
    old = device.data / "www" / "a.txt"
    part = device.data / "www" / "a.txt.part"

    def attack():
        connection = Connection(device.http_port)
        connection.send(
            post("/api/www/a.txt", b"x" * 20_000, "Content-Length: 100000", method="PUT")
        )
        wait_until(part.exists)
        others_are_served(device)
        getattr(connection, end)()
        wait_until(lambda: not part.exists())
        assert old.read_bytes() == b"old"

    with Connection(device.http_port) as connection:
        assert connection.get("/api/www/a.txt", method="PUT", body=b"old").status == 201
    leaves_nothing(device, attack)


def test_an_upload_that_stops(device):
    def attack():
        upload = post("/api/www/a.txt", b"x" * 20_000, "Content-Length: 100000", method="PUT")
        refused(device, upload, 408)
        assert not (device.data / "www").exists()

    leaves_nothing(device, attack)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"",
        b"GET / HT",
        b"GET /static/jquery.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20,
        b"GET /bench/90k.txt HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20,
        post("/api/command", b"[", "Content-Length: 100"),
        post("/raises-later", b"1\r\n", "Transfer-Encoding: chunked"),
    ],
    ids=["silent", "in a head", "file", "asset", "in a body", "in chunks"],
)
def test_clients_that_reset(device, request_bytes):
    def attack():
        for _ in range(20):
            connection = Connection(device.http_port)
            connection.send(request_bytes)
            others_are_served(device)
            connection.reset()

    leaves_nothing(device, attack)


# Answers before the body has come


@pytest.mark.parametrize(
    ("path", "status"), [("/api/command", 413), ("/nothing", 404), ("/", 405), ("/login", 413)]
)
def test_an_early_answer_arrives(device, path, status):
    body = b"x" * 300_000

    def attack():
        with Connection(device.http_port) as connection:
            connection.send(post(path, body, f"Content-Length: {len(body)}"))
            response = connection.read_response()
            assert (response.status, response.headers["connection"]) == (status, "close")
            others_are_served(device)

    leaves_nothing(device, attack)


def test_a_body_that_nobody_reads_makes_way_for_the_next_request(device):
    def attack():
        with Connection(device.http_port) as connection:
            for _ in range(3):
                response = connection.get("/nothing", method="POST", body=b"x" * 20_000)
                assert response.status == 404
                assert "connection" not in response.headers

    leaves_nothing(device, attack)


# Failures inside


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /raises HTTP/1.1\r\nHost: localhost\r\n\r\n", 500),
        (post("/raises-later", b"x", "Content-Length: 1"), 500),
        (b"GET /no-memory HTTP/1.1\r\nHost: localhost\r\n\r\n", 503),
        (post("/no-memory-later", b"x", "Content-Length: 1"), 503),
    ],
    ids=["raises", "raises later", "no memory", "no memory later"],
)
def test_handlers_that_fail(device, data, status):
    def attack():
        with Connection(device.http_port) as connection:
            # As often as the log has lines, so that it doesn't grow any more.
            for _ in range(64):
                connection.send(data)
                response = connection.read_response()
                assert response.status == status
                assert b"secret" not in response.body
                assert response.headers.get("retry-after") == ("5" if status == 503 else None)
            # The connection goes on, and so do the others.
            assert connection.get("/bench/ok").body == b"ok"
            others_are_served(device)

    leaves_nothing(device, attack)


@pytest.fixture
def small_flash(tmp_path):
    """A folder on a filesystem of 64 KiB."""
    folder = tmp_path / "flash"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
    if os.geteuid() or not shutil.which("mount") or subprocess.run(mount).returncode:
        pytest.skip("only root can mount a small filesystem")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(path):
    """Fill a filesystem to its last byte."""
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(b"x" * 512)


def test_flash_that_is_full(make_device, small_flash):
    device = make_device(data=small_flash)
    with Connection(device.http_port) as connection:
        assert connection.get("/api/www/a.txt", method="PUT", body=b"old").status == 201

    def attack():
        for name in ("a.txt", "b.txt"):
            with Connection(device.http_port) as connection:
                response = connection.get(f"/api/www/{name}", method="PUT", body=b"x" * 100_000)
                assert (response.status, response.body) == (507, b"flash is full\n")
        with Connection(device.http_port) as connection:
            for path, body in (
                ("/password", b'{"new": "long enough"}'),
                ("/api/command", b'["CMD", "set", ["device/dev", "x"]]'),
            ):
                filling = Path(device.data, "filling")
                fill(filling)
                response = connection.get(
                    path, "Content-Type: application/json", method="POST", body=body
                )
                assert response.status == 507 and b"flash is full" in response.body
                filling.unlink()
        others_are_served(device)
        assert [path.name for path in (device.data / "www").iterdir()] == ["a.txt"]
        assert (device.data / "www" / "a.txt").read_bytes() == b"old"

    leaves_nothing(device, attack)
    with Connection(device.http_port) as connection:
        assert connection.get("/api/www/b.txt", method="PUT", body=b"fits").status == 201
