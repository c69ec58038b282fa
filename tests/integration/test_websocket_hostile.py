"""Peers that mean harm or vanish: the server stays whole, serves the others, and forgets them."""

import contextlib
import os
import random
import socket
import struct
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raw import BINARY, CLOSE, CONTINUATION, HANDSHAKE, PING, PONG, TEXT, Connection, frame
from support import DEADLINE, free_port, program, wait_until

# Echoes at any path; /mem answers a message with the bytes of heap in use.
SERVER = program("hostile_server")

# What a list or a table of the server may have grown by; a leaked connection is over 1,500 bytes.
SLACK = 3000

DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"

# Each example is a connection of its own; the time of one says nothing.
FUZZ = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


class Server:
    """The server under attack, with a well-behaved client that is served throughout."""

    def __init__(self, port, script):
        self.port = port
        self.script = script
        self.answers = []
        self.failure = None
        self.ended = False
        self.thread = threading.Thread(target=self.behave)
        self.thread.start()
        # What connections set up for good: tables that hold as many as the server takes.
        with contextlib.ExitStack() as crowd:
            for _ in range(60):
                connection = crowd.enter_context(Connection(port))
                connection.upgrade("/", DEFLATE)
                connection.send_frame(TEXT, b"x" * 1000)
                connection.read_frame()
        wait_until(lambda: self.descriptors() == self.least_descriptors())
        self.before = self.descriptors(), self.heap()

    def least_descriptors(self):
        # Standard streams, the listener, the good client.
        return 5

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.script.process.pid}/fd"))

    def behave(self):
        """The well-behaved client: asks again and again, and every question is answered."""
        try:
            with Connection(self.port) as connection:
                connection.upgrade("/mem")
                while not self.ended:
                    connection.send_frame(TEXT, b"?")
                    while (received := connection.read_frame())[1] == PING:
                        connection.send_frame(PONG, received[2])
                    self.answers.append(int(received[2]))
                    time.sleep(0.01)
        except Exception as failure:
            self.failure = failure

    def heap(self):
        """Bytes in use, asked for after this call."""
        count = len(self.answers) + 2
        wait_until(lambda: len(self.answers) >= count or self.failure)
        if self.failure:
            raise AssertionError("the good client was not served") from self.failure
        return self.answers[-1]

    def close(self):
        self.ended = True
        self.thread.join()

    def recovered(self):
        """Wait until everything but the good client is forgotten."""
        descriptors, heap = self.before
        wait_until(lambda: self.heap() and self.descriptors() == descriptors)
        wait_until(lambda: self.heap() <= heap + SLACK)
        assert self.script.running
        assert "Traceback" not in self.script.log()


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The `micropython` fixture's function for a whole module."""
    from support import Script

    folder = tmp_path_factory.mktemp("hostile")
    path = folder / "server.py"
    path.write_text(SERVER)
    scripts = []

    def start(*arguments):
        script = Script(path, folder / f"server{len(scripts)}.log", arguments, heap="4M")
        scripts.append(script)
        script.spawn()
        return script

    yield start
    for script in scripts:
        script.kill()


@pytest.fixture(scope="module")
def server(programs):
    port = free_port()
    script = programs(str(port))
    script.wait_line("serving")
    server = Server(port, script)
    yield server
    server.close()


def send_in_pieces(connection, data, cuts):
    start = 0
    for cut in sorted({cut % (len(data) + 1) for cut in cuts} | {len(data)}):
        connection.send(data[start:cut])
        start = cut


def talk(connection, data, cuts=()):
    """Send, and read until the server closes or nothing more comes; what came is not checked."""
    connection.socket.settimeout(DEADLINE)
    with contextlib.suppress(ConnectionError):
        send_in_pieces(connection, data, cuts)
        # A well-formed close in the end: a server that still listens answers and closes.
        connection.send(frame(CLOSE, struct.pack(">H", 1000)))
    connection.read_to_end()


FRAMES = st.builds(
    frame,
    st.sampled_from([CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG]) | st.integers(0, 15),
    st.binary(max_size=200) | st.text(max_size=50).map(str.encode),
    fin=st.booleans(),
    mask=st.sampled_from([True, True, True, False]),
    reserved=st.sampled_from([0, 0, 0, 4, 1]),
)
LARGE = st.builds(
    frame, st.sampled_from([TEXT, BINARY]), st.binary(min_size=9_000, max_size=9_100)
)
CUTS = st.lists(st.integers(0, 20_000), max_size=6)


@FUZZ
@given(frames=st.lists(FRAMES | LARGE, max_size=8), cuts=CUTS, deflate=st.booleans())
def test_any_frames_in_any_cuts(server, frames, cuts, deflate):
    with Connection(server.port) as connection:
        connection.upgrade("/", *([DEFLATE] if deflate else []))
        talk(connection, b"".join(frames), cuts)


@FUZZ
@given(data=st.binary(max_size=300), cuts=CUTS)
def test_any_bytes_after_the_handshake(server, data, cuts):
    with Connection(server.port) as connection:
        connection.upgrade("/", DEFLATE)
        with contextlib.suppress(ConnectionError):
            send_in_pieces(connection, data, cuts)


@FUZZ
@given(
    place=st.integers(0, len(HANDSHAKE) - 1),
    change=st.binary(max_size=10),
    length=st.integers(0, 10),
    cuts=CUTS,
)
def test_any_change_of_the_handshake(server, place, change, length, cuts):
    data = HANDSHAKE[:place] + change + HANDSHAKE[place + length :]
    with Connection(server.port) as connection, contextlib.suppress(ConnectionError):
        send_in_pieces(connection, data, cuts)


@FUZZ
@given(payload=st.binary(max_size=300), tail=st.booleans())
def test_any_compressed_payload(server, payload, tail):
    with Connection(server.port) as connection:
        connection.upgrade("/", DEFLATE)
        talk(connection, frame(BINARY, payload + (b"\x00" if tail else b""), reserved=4))


def test_everything_is_forgotten_after_fuzzing(server):
    server.recovered()


CONVERSATION = HANDSHAKE + b"".join(
    (
        frame(TEXT, b"hello"),
        frame(BINARY, b"x" * 9000),
        frame(TEXT, b"frag", fin=False),
        frame(PING, b"?"),
        frame(CONTINUATION, b"ment"),
        frame(CLOSE, struct.pack(">H", 1000)),
    )
)
STAGES = sorted({*range(0, len(HANDSHAKE) + 40, 7), *range(0, len(CONVERSATION), 700)})


@pytest.mark.parametrize("end", ["reset", "close", "silence"])
def test_peers_that_vanish_at_every_stage(server, end):
    silent = []
    for stage in STAGES:
        connection = Connection(server.port)
        connection.send(CONVERSATION[:stage])
        if end == "reset":
            connection.reset()
        elif end == "close":
            connection.close()
        else:
            silent.append(connection)
        if len(silent) == 20:
            for connection in silent:
                connection.read_to_end()
                connection.close()
            silent.clear()
    for connection in silent:
        connection.read_to_end()
        connection.close()
    server.recovered()


def test_a_peer_that_reads_nothing(server):
    with Connection(server.port) as connection:
        connection.upgrade("/")
        connection.socket.settimeout(1)
        data = frame(BINARY, os.urandom(9000)) + frame(PING, b"x" * 125)
        with contextlib.suppress(OSError):
            for _ in range(10_000):
                connection.send(data)
        assert server.heap() < server.before[1] + 100_000
    server.recovered()


def test_500_connects_at_once(server):
    sockets = []
    for _ in range(500):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", server.port))
        sockets.append(sock)
    for _ in range(5):
        assert server.heap()
    for number, sock in enumerate(sockets):
        with contextlib.suppress(OSError):
            sock.send(HANDSHAKE[: random.Random(number).randrange(len(HANDSHAKE))])
    assert server.heap()
    for sock in sockets:
        sock.close()
    server.recovered()


def test_many_good_clients_beside_bad_ones(server):
    failures = []

    def good():
        try:
            for _ in range(10):
                with Connection(server.port) as connection:
                    assert connection.upgrade("/").status == 101
                    connection.send_frame(BINARY, b"y" * 3000)
                    assert connection.read_frame() == (True, BINARY, b"y" * 3000)
        except BaseException as failure:
            failures.append(failure)

    def bad():
        for stage in STAGES[:60]:
            connection = Connection(server.port)
            connection.send(CONVERSATION[:stage])
            connection.reset()

    threads = [threading.Thread(target=target) for target in (good, good, good, bad, bad)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    server.recovered()
