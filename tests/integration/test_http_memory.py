"""What HTTP clients take of the heap, with objects as large as on the ESP32."""

import gzip
import json
import subprocess
import sys

import pytest

from raw import Connection
from support import ROOT, Script, free_port

CLIENTS = 4
STEP = 10_000

# Less than the asset of 90 kB, so there is no place for a copy of it.
HEAP = "64k"


@pytest.fixture
def port(tmp_path):
    """The port of bench/http_assets.py, whose sockets take as little at a time as lwIP's."""
    if not (ROOT / "build/host32/micropython").exists():
        pytest.skip('run "make host32" first')
    port = free_port()
    log = tmp_path / "log"
    script = Script(ROOT / "bench/http_assets.py", log, [port], heap=HEAP, build="host32")
    script.spawn()
    script.wait_line("ready")
    yield port
    script.kill()


@pytest.fixture
def connections(port):
    """The slow clients' connections and one to ask on, each of which has had an answer."""
    connections = [Connection(port) for _ in range(CLIENTS + 1)]
    for connection in connections:
        in_use(connection)
    yield connections
    for connection in connections:
        connection.close()


def in_use(connection):
    """Bytes of heap in use after a collection."""
    return json.loads(connection.get("/mem").body)["alloc"]


def take_slowly(connections, encoding):
    """(body, most): what all clients get, and the most heap in use while they read on."""
    *clients, probe = connections
    heads, bodies, most = [], [], 0
    for client in clients:
        client.send(
            f"GET /90k.txt HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {encoding}\r\n\r\n".encode()
        )
    for client in clients:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.read_exactly(1)
        assert head.startswith(b"HTTP/1.1 200 ")
        heads.append(head)
        bodies.append(b"")
    length = int(heads[0].lower().partition(b"content-length: ")[2].split()[0])
    while len(bodies[0]) < length:
        most = max(most, in_use(probe))
        for number, client in enumerate(clients):
            bodies[number] += client.read_exactly(min(STEP, length - len(bodies[number])))
    assert len(set(bodies)) == 1
    return bodies[0], most


def test_slow_clients_of_a_frozen_asset_take_little_memory(connections):
    idle = in_use(connections[-1])
    body, most = take_slowly(connections, "gzip")
    assert len(body) > 90_000
    assert len(gzip.decompress(body)) > 100_000
    assert most - idle <= CLIENTS * 2000


def test_slow_clients_of_an_inflated_asset(connections):
    idle = in_use(connections[-1])
    body, most = take_slowly(connections, "identity")
    assert body == gzip.decompress(take_slowly(connections, "gzip")[0])
    # A window of 4 KiB to inflate with, a block of the result, and the inflater's tables.
    assert most - idle <= CLIENTS * 8000


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_slow_clients_leave_nothing_behind(connections, encoding):
    take_slowly(connections, encoding)
    idle = in_use(connections[-1])
    take_slowly(connections, encoding)
    assert in_use(connections[-1]) <= idle


def test_idle_connections_take_little_memory(port):
    count = 8
    with Connection(port) as probe:
        in_use(probe)
        before = in_use(probe)
        connections = [Connection(port) for _ in range(count)]
        for connection in connections:
            in_use(connection)
        assert in_use(probe) - before <= count * 700
        for connection in connections:
            connection.close()


def test_page_is_served_in_a_small_heap():
    if not (ROOT / "build/host32/websock").exists():
        pytest.skip('run "make host32" first')
    command = [sys.executable, ROOT / "bench/http_limits.py", "--heap", "54k"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
