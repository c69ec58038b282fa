"""Who gets one of the device's few places, and who makes way."""

import asyncio
import contextlib
import http.client
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from certificates import Authority
from raw import CONTINUATION, HANDSHAKE, TEXT, Connection, metric
from support import DEADLINE, wait_until, with_constants

PLACES = {"limits": {"connections": 4}}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("authority"))
    authority.issue("server")
    return authority


async def open_all(stack, image):
    """Fill the places that WebSockets can have."""
    return [await stack.enter_async_context(connect(image.ws)) for _ in range(3)]


@pytest.mark.image(files={"app.json": PLACES})
async def test_a_place_is_kept_for_requests(image):
    async with contextlib.AsyncExitStack() as stack:
        held = await open_all(stack, image)
        for path in ("/", "/health"):
            for _ in range(3):
                with Connection(image.http_port) as connection:
                    assert connection.get(path).status == 200
        for uri in (image.ws, f"ws://127.0.0.1:{image.http_port}/ws"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(uri)
            response = refused.value.response
            assert (response.status_code, response.reason_phrase) == (503, "Service Unavailable")
        for connection in held:
            await (await connection.ping())


async def test_the_quietest_websocket_makes_way(make_image):
    image = make_image(
        files=with_constants(PLACES, {"transport.places": {"LASTING_QUIET_MS": 300}})
    )
    async with contextlib.AsyncExitStack() as stack:
        held = await open_all(stack, image)
        # The first has said something since, the second has not.
        await held[0].send('["GET", "state", []]')
        while "version" not in await held[0].recv():
            pass
        with pytest.raises(ConnectionClosed):
            newcomer = None
            while newcomer is None:
                with contextlib.suppress(InvalidStatus):
                    newcomer = await stack.enter_async_context(connect(image.ws))
            while True:
                await held[1].recv()
        assert held[1].close_code == 1013
        assert held[1].close_reason == "another connection needs the place"
        for connection in (held[0], held[2], newcomer):
            await (await connection.ping())
        assert metric(image, "connections_evicted_total") >= 1


@pytest.mark.image(
    files={
        "app.json": PLACES,
        "wifi_sim.json": {"clients": ["127.0.0.2"]},
    }
)
async def test_a_place_is_kept_for_the_access_point(image):
    async with contextlib.AsyncExitStack() as stack:
        for number in (3, 4, 5):
            address = (f"127.0.0.{number}", 0)
            await stack.enter_async_context(connect(image.ws, local_addr=address))
        assert await asyncio.to_thread(visit_from, "127.0.0.6", image) == 503
        assert await asyncio.to_thread(visit_from, "127.0.0.2", image) == 200


def visit_from(address, image):
    connection = http.client.HTTPConnection(
        "127.0.0.1", image.http_port, timeout=DEADLINE, source_address=(address, 0)
    )
    with contextlib.closing(connection):
        connection.request("GET", "/health")
        return connection.getresponse().status


# What peers leave unfinished


def test_unfinished_heads_are_bounded(image):
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 3950
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Connection(image.ws_port)) for _ in range(50)]
        for peer in peers:
            peer.send(head)
        with Connection(image.http_port) as connection:
            assert connection.get("/").status == 200
        assert metric(image, "connections_evicted_total") > 30
        # Who came last and asks for no more than others is still there.
        peers[-1].send(b"\r\n\r\n")
        assert peers[-1].read_response().status == 426


@pytest.mark.image(build="host32", heap="128k")
def test_unfinished_messages_are_bounded(image):
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Connection(image.ws_port)) for _ in range(11)]
        for peer in peers:
            assert peer.upgrade().status == 101
            peer.send_frame(TEXT, b"x" * 8_000, fin=False)
        assert peers[0].read_close() == 1013
        with Connection(image.http_port) as connection:
            assert connection.get("/").status == 200
        # Who came last keeps no more than others, and stays.
        peers[-1].send_frame(CONTINUATION)
        while b"error" not in (message := peers[-1].read_frame()[2]):
            pass
        assert message == b'{"error": "message over 4096 bytes"}'


def test_unfinished_bodies_are_bounded(image):
    head = b"POST /password HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1024\r\n\r\n"
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Connection(image.http_port)) for _ in range(50)]
        for peer in peers:
            peer.send(head + b"new=" + b"x" * 900)
        assert peers[0].read_response().status == 503
        with Connection(image.http_port) as connection:
            # As a browser asks: inflating would take 4 KiB in one piece of what is left.
            assert connection.get("/", "Accept-Encoding: gzip").status == 200


# Attackers: what they send, again and again, as soon as they are closed.

# A ClientHello, byte by byte.
DROPS = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)

PHASES = {
    "silent": ("http", b""),
    "head": ("http", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "),
    "body": ("http", b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n{"),
    "request": ("http", b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "reader that stops": ("http", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50),
    "silent to port 7777": ("ws", b""),
    "handshake": ("ws", HANDSHAKE[:60]),
    "websocket": ("ws", HANDSHAKE),
    "silent with TLS": ("https", b""),
    "hello": ("https", b"\x16\x03\x01\x02\x00\x01\x00"),
    "hello in drops": ("https", DROPS),
}


def attack(port, data, address, over):
    while not over.is_set():
        with contextlib.suppress(OSError), socket.socket() as attacker:
            attacker.settimeout(0.5)
            attacker.bind((address, 0))
            attacker.connect(("127.0.0.1", port))
            if data is DROPS:
                for i in range(len(data)):
                    attacker.sendall(data[i : i + 1])
                    over.wait(0.1)
            else:
                attacker.sendall(data)
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    if len(data) > 1000:
                        over.wait(0.5)  # it reads nothing
                    elif not attacker.recv(9):
                        break


def visit(port, context):
    """Ask for what the page asks for; as a browser does, again where the connection is reset."""
    for attempt in range(5):
        try:
            with Connection(port, context) as owner:
                for path in ("/", "/api/state"):
                    assert owner.get(path).status == 200
            return
        except (OSError, EOFError):
            # On a busy computer the owner may be too slow itself.
            assert attempt < 4


@pytest.mark.parametrize("addresses", ["its own", "one", "many"])
@pytest.mark.parametrize("phase", PHASES)
def test_the_owner_gets_in(make_image, authority, phase, addresses):
    port, data = PHASES[phase]
    limits = {"connections": 11, "secure_connections": 2}
    image = make_image(
        files={**authority.files(), "app.json": {"limits": limits}}, args=("--https-port", "0")
    )
    port = {"http": image.http_port, "ws": image.ws_port, "https": image.https_port}[port]
    context = authority.client() if port == image.https_port else None
    of = {"its own": "127.0.0.1", "one": "127.0.0.2", "many": "127.0.1.{}"}[addresses]
    over = threading.Event()
    with ThreadPoolExecutor(11) as attackers:
        try:
            for number in range(1, 12):
                attackers.submit(attack, port, data, of.format(number), over)
            wait_until(lambda: metric(image, "connections") >= 3)
            for _ in range(3):
                visit(port if context else image.http_port, context)
        finally:
            over.set()
