"""RFC 6455 over real sockets, with Python's `websockets` as the peer of server and client."""

import asyncio
import contextlib
import json
import os
import re
import socket
import struct

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.utils import accept_key

from raw import (
    ACCEPT,
    BINARY,
    CLOSE,
    CONTINUATION,
    HANDSHAKE,
    PING,
    PONG,
    TEXT,
    Connection,
    close_frame,
    frame,
)
from support import free_port, program

MIB = 1 << 20

MESSAGES = [
    "text",
    "",
    b"",
    b"\x00\xffbinary",
    "größer – 大きい 🙂",
    "x" * 125,
    "x" * 126,
    b"y" * 127,
    "x" * 65535,
    b"y" * 65536,
    os.urandom(100_000),
]

# Serves an echo on the port in its first argument, with the options in the second (JSON), and
# says how each connection ended. A path /close/CODE has the server close with that code.
SERVER = program("websocket_server")

# Connects to the URI in its first argument, with the options in the second, and echoes.
CLIENT = program("websocket_client")


@pytest.fixture
def make_server(micropython):
    """A function that starts the echo server with options and returns (port, script)."""

    def make(**options):
        port = free_port()
        script = micropython(SERVER, str(port), json.dumps({"max_size": 2 * MIB, **options}))
        script.wait_line("serving")
        return port, script

    return make


@pytest.fixture
def server(make_server):
    return make_server()


def uri(port, path="/"):
    return f"ws://127.0.0.1:{port}{path}"


# The image's own endpoints


async def test_same_protocol_at_ws_and_at_any_path_of_the_other_port(image):
    http = image.http.replace("http", "ws")
    for address in (http + "/ws", image.ws + "/", image.ws + "/ws", image.ws + "/any/path?x=y"):
        async with connect(address) as page:
            assert "iam" in json.loads(await page.recv())


async def test_other_paths_of_the_http_port_are_not_websockets(image):
    with pytest.raises(InvalidStatus) as refusal:
        async with connect(image.http.replace("http", "ws") + "/other"):
            pass
    assert refusal.value.response.status_code == 404


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1.evil.example", "null"]
)
async def test_foreign_origin_is_refused(image, origin):
    for address in (image.http.replace("http", "ws") + "/ws", image.ws + "/"):
        with pytest.raises(InvalidStatus) as refusal:
            async with connect(address, origin=origin):
                pass
        assert refusal.value.response.status_code == 403


async def test_own_page_is_accepted_on_both_ports(image):
    for address in (image.http.replace("http", "ws") + "/ws", image.ws + "/"):
        async with connect(address, origin=image.http) as page:
            assert "iam" in json.loads(await page.recv())


def test_get_on_the_websocket_port_is_426(image):
    with Connection(image.ws_port) as connection:
        response = connection.get("/")
    assert response.status == 426
    assert response.headers["upgrade"].lower() == "websocket"


def test_get_on_ws_is_426(image):
    with Connection(image.http_port) as connection:
        assert connection.get("/ws").status == 426


def test_handshake_is_that_of_the_rfc(image):
    for port in (image.http_port, image.ws_port):
        with Connection(port) as connection:
            response = connection.upgrade()
            assert response.status == 101
            assert response.headers["sec-websocket-accept"] == ACCEPT
            assert response.headers["upgrade"].lower() == "websocket"
            assert response.headers["connection"].lower() == "upgrade"
            assert connection.read_frame()[1] == TEXT


@pytest.mark.parametrize(
    ("good", "bad", "status"),
    [
        (b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 8", 426),
        (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b"", 400),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"short", 400),
        (b"Connection: Upgrade", b"Connection: keep-alive", 400),
        (b"GET /ws", b"POST /ws", (400, 405)),
        (b"Host: 127.0.0.1\r\n", b"", 400),
        (b"HTTP/1.1", b"HTTP/1.0", 400),
    ],
)
def test_bad_handshake_is_refused(image, good, bad, status):
    assert good in HANDSHAKE
    for port in (image.http_port, image.ws_port):
        with Connection(port) as connection:
            connection.send(HANDSHAKE.replace(good, bad, 1))
            response = connection.read_response()
            assert response.status in (status if isinstance(status, tuple) else (status,))
            if response.status == 426:
                assert response.headers["sec-websocket-version"] == "13"


def test_handshake_in_single_bytes_with_a_frame_behind_it(image):
    with Connection(image.ws_port) as connection:
        for byte in HANDSHAKE + frame(PING, b"early"):
            connection.send(bytes([byte]))
        assert connection.read_response().status == 101
        # The state, in fragments, may come before it.
        while (received := connection.read_frame()[1:])[0] != PONG:
            assert received[0] in (TEXT, CONTINUATION)
        assert received == (PONG, b"early")


# The firmware's server, a client of Python's websockets


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: f"{type(m).__name__}-{len(m)}")
async def test_server_echoes(server, message):
    async with connect(uri(server[0]), max_size=None) as client:
        await client.send(message)
        assert await client.recv() == message


async def test_server_echoes_many_on_one_connection(server):
    async with connect(uri(server[0]), max_size=None) as client:
        for message in MESSAGES:
            await client.send(message)
            assert await client.recv() == message


async def test_server_serves_several_clients_at_once(server):
    async def run(number):
        async with connect(uri(server[0]), max_size=None) as client:
            for count in range(20):
                await client.send(f"{number} {count} " + "x" * 5000)
                assert (await client.recv()).startswith(f"{number} {count} ")

    await asyncio.gather(*[run(number) for number in range(8)])


@pytest.mark.parametrize("kind", [str, bytes])
async def test_1_mib_fragmented_both_ways(server, kind):
    message = "0123456789abcde\n" * (MIB // 16) if kind is str else os.urandom(MIB)
    async with connect(uri(server[0], "/fragments"), max_size=None) as client:
        await client.send(message[i : i + 10_000] for i in range(0, MIB, 10_000))
        assert await client.recv() == message
        await client.send(message)
        parts = [part async for part in client.recv_streaming()]
        assert len(parts) > 1
        assert kind().join(parts) == message


async def test_server_answers_pings(server):
    async with connect(uri(server[0])) as client:
        for payload in (b"", b"x", b"p" * 125):
            await (await client.ping(payload))


async def test_server_pings(server):
    async with connect(uri(server[0], "/ping")) as client:
        assert await client.recv() == "pong arrived"


@pytest.mark.parametrize("code", [1000, 1001, 1003, 3000, 4999])
async def test_client_closes(server, code):
    async with connect(uri(server[0])) as client:
        await client.close(code, "enough")
    assert (client.close_code, client.close_reason) == (code, "enough")
    assert client.protocol.close_rcvd.code == code
    server[1].wait_line(f"closed {code} enough")


async def test_client_closes_without_a_code(server):
    with Connection(server[0]) as client:
        client.upgrade()
        client.send_frame(CLOSE)
        assert client.read_close() is None
        assert client.read_to_end() == b""
    server[1].wait_line(r"closed 1005 ?")


@pytest.mark.parametrize("code", [1000, 1001, 1012, 3000, 4999])
async def test_server_closes(server, code):
    async with connect(uri(server[0], f"/close/{code}")) as client:
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, "as asked")
    server[1].wait_line(f"closed {code} as asked")


async def test_failing_handler_closes_with_1011_and_the_server_lives_on(server):
    async with connect(uri(server[0], "/raise")) as client:
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
    assert closed.value.rcvd.code == 1011
    assert "this handler fails" not in closed.value.rcvd.reason
    assert "ValueError: this handler fails" in server[1].log()
    async with connect(uri(server[0])) as client:
        await client.send("on")
        assert await client.recv() == "on"


VIOLATIONS = {
    "not masked": frame(TEXT, b"x", mask=False),
    "reserved bit 1": frame(TEXT, b"x", reserved=4),
    "reserved bit 2": frame(TEXT, b"x", reserved=2),
    "reserved bit 3": frame(PING, b"x", reserved=1),
    "unknown opcode": frame(3, b"x"),
    "unknown control opcode": frame(11, b"x"),
    "fragmented ping": frame(PING, b"x", fin=False),
    "long ping": frame(PING, b"x" * 126),
    "continuation of nothing": frame(CONTINUATION, b"x"),
    "message within a message": frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"),
    "close with one byte": frame(CLOSE, b"\x03"),
    "close code 999": close_frame(999),
    "close code 1004": close_frame(1004),
    "close code 1005": close_frame(1005),
    "close code 1006": close_frame(1006),
    "close code 1015": close_frame(1015),
    "close code 2999": close_frame(2999),
    "close code 5000": close_frame(5000),
    "length with the top bit set": b"\x82\xff" + b"\xff" * 8 + b"\x00" * 4,
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation_is_closed_with_1002(server, name):
    with Connection(server[0]) as client:
        client.upgrade()
        client.send(VIOLATIONS[name])
        assert client.read_close() == 1002
        assert client.read_to_end() == b""


@pytest.mark.parametrize(
    "data",
    [
        frame(TEXT, b"\xff"),
        frame(TEXT, b"\xc0\x80"),
        frame(TEXT, b"\xed\xa0\x80"),
        frame(TEXT, b"\xf4\x90\x80\x80"),
        frame(TEXT, b"cut \xe2\x82"),
        frame(TEXT, b"\xe2", fin=False) + frame(CONTINUATION, b"\x28\xa1"),
        frame(CLOSE, struct.pack(">H", 1000) + b"\xff"),
    ],
)
def test_text_that_is_not_utf_8_is_closed_with_1007(server, data):
    with Connection(server[0]) as client:
        client.upgrade()
        client.send(data)
        assert client.read_close() == 1007


def test_character_split_between_fragments_is_text(server):
    with Connection(server[0]) as client:
        client.upgrade()
        client.send(frame(TEXT, b"\xe2", fin=False) + frame(CONTINUATION, b"\x82\xac"))
        assert client.read_frame() == (True, TEXT, "€".encode())


def test_control_frames_between_fragments(server):
    with Connection(server[0]) as client:
        client.upgrade()
        client.send(frame(BINARY, b"one ", fin=False) + frame(PING, b"now"))
        assert client.read_frame() == (True, PONG, b"now")
        client.send(frame(PONG, b"unasked") + frame(CONTINUATION, b"two"))
        assert client.read_frame() == (True, BINARY, b"one two")


def test_frames_in_single_bytes(server):
    with Connection(server[0]) as client:
        client.upgrade()
        for byte in frame(TEXT, b"x" * 200) + frame(BINARY, b"y"):
            client.send(bytes([byte]))
        assert client.read_frame() == (True, TEXT, b"x" * 200)
        assert client.read_frame() == (True, BINARY, b"y")


@pytest.mark.parametrize("fragments", [1, 10])
def test_message_over_max_size_is_closed_with_1009(make_server, fragments):
    port, _ = make_server(max_size=1000)
    with Connection(port) as client:
        client.upgrade()
        client.send_frame(BINARY, b"x" * 1000)
        assert client.read_frame() == (True, BINARY, b"x" * 1000)
        part = b"x" * (1010 // fragments)
        client.send_frame(BINARY, part, fin=fragments == 1)
        for number in range(1, fragments):
            client.send_frame(CONTINUATION, part, fin=number == fragments - 1)
        assert client.read_close() == 1009


def test_announced_length_over_max_size_is_refused_before_it_arrives(make_server):
    port, _ = make_server(max_size=1000)
    with Connection(port) as client:
        client.upgrade()
        client.send(b"\x82\xff" + struct.pack(">Q", 1 << 40) + b"\x00" * 4)
        assert client.read_close() == 1009


def test_silent_client_is_dropped(make_server):
    port, script = make_server(ping_interval=0.2, ping_timeout=0.2, close_timeout=0.2)
    with Connection(port) as client:
        client.upgrade()
        assert client.read_frame()[1] == PING
        client.read_to_end()
    script.wait_line("closed 1006 ?")


def test_a_message_that_never_ends_is_not_waited_for(make_server):
    port, _ = make_server(ping_interval=0.2, ping_timeout=5, close_timeout=0.2)
    with Connection(port) as client:
        client.upgrade()
        client.send_frame(TEXT, b"begun", fin=False)
        for _ in range(10):
            _, opcode, payload = client.read_frame()
            if opcode == CLOSE:
                break
            # It is alive, and says more now and then.
            client.send_frame(PONG, payload)
            client.send_frame(CONTINUATION, b".", fin=False)
        assert payload == b"\x03\xf5message not completed in time"  # 1013


def test_lost_connection_is_1006(server):
    client = Connection(server[0])
    client.upgrade()
    client.reset()
    server[1].wait_line(r"closed 1006 ?")


# The firmware's client, a server of Python's websockets


class Peer:
    """A server of Python's websockets that runs `handler` for the one client under test."""

    def __init__(self, micropython, handler, serve_options=None, **client_options):
        self.micropython = micropython
        self.handler = handler
        self.serve_options = serve_options or {}
        self.client_options = {"max_size": 2 * MIB, **client_options}
        self.failure = None

    async def run(self, path="/"):
        """Start both, wait until both have ended; returns the script."""

        async def handler(websocket):
            try:
                await self.handler(websocket)
            except BaseException as error:
                self.failure = error
                raise

        options = {"max_size": None, **self.serve_options}
        async with serve(handler, "127.0.0.1", 0, **options) as server:
            port = server.sockets[0].getsockname()[1]
            script = self.micropython(CLIENT, uri(port, path), json.dumps(self.client_options))
            await asyncio.to_thread(script.wait)
        if self.failure:
            raise self.failure
        return script


async def test_client_echoes(micropython):
    async def handler(websocket):
        for message in MESSAGES:
            await websocket.send(message)
            assert await websocket.recv() == message

    script = await Peer(micropython, handler).run()
    assert script.lines == ["connected None", "closed 1000 "]
    assert script.process.returncode == 0


async def test_client_sends_the_path_and_the_host(micropython):
    async def handler(websocket):
        assert websocket.request.path == "/path/of?query=1"
        port = websocket.local_address[1]
        assert websocket.request.headers["Host"] == f"127.0.0.1:{port}"

    await Peer(micropython, handler).run("/path/of?query=1")


async def test_client_receives_1_mib_in_fragments(micropython):
    message = os.urandom(MIB)

    async def handler(websocket):
        await websocket.send(message[i : i + 10_000] for i in range(0, MIB, 10_000))
        assert await websocket.recv() == message

    script = await Peer(micropython, handler).run()
    assert script.lines[-1] == "closed 1000 "


async def test_client_sends_1_mib_in_fragments(micropython):
    text = program("client_fragments")
    received = []

    async def handler(websocket):
        received.extend([part async for part in websocket.recv_streaming()])
        await websocket.send(str(len(received)))

    async with serve(handler, "127.0.0.1", 0, max_size=None) as server:
        script = micropython(text, uri(server.sockets[0].getsockname()[1]))
        await asyncio.to_thread(script.wait)
    assert b"".join(received) == b"".join(b"%05d" % i * 2048 for i in range(103))
    assert int(script.lines[0]) > 1


async def test_client_answers_pings_and_its_pings_are_answered(micropython):
    text = program("client_pings")

    async def handler(websocket):
        await (await websocket.ping(b"client"))
        await websocket.send("answered")
        await websocket.wait_closed()

    async with serve(handler, "127.0.0.1", 0) as server:
        script = micropython(text, uri(server.sockets[0].getsockname()[1]))
        await asyncio.to_thread(script.wait)
    assert script.lines == ["latency True", "answered"], script.log()


@pytest.mark.parametrize("code", [1000, 1001, 1012, 3000, 4999])
async def test_client_is_told_the_close_code(micropython, code):
    async def handler(websocket):
        await websocket.close(code, "good bye")
        assert websocket.close_code == code

    script = await Peer(micropython, handler).run()
    assert script.lines[-1] == f"closed {code} good bye"


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
async def test_client_closes_with_a_code(micropython, code):
    text = program("client_closes")
    closed = []

    async def handler(websocket):
        await websocket.wait_closed()
        closed.append((websocket.close_code, websocket.close_reason))

    async with serve(handler, "127.0.0.1", 0) as server:
        script = micropython(text, uri(server.sockets[0].getsockname()[1]), str(code))
        await asyncio.to_thread(script.wait)
    assert closed == [(code, "done")]
    assert script.lines == [f"closed {code} done"]


async def test_client_offers_subprotocols(micropython):
    async def handler(websocket):
        assert websocket.subprotocol == "second"

    peer = Peer(
        micropython, handler, {"subprotocols": ["second"]}, subprotocols=["first", "second"]
    )
    script = await peer.run()
    assert script.lines[0] == "connected second"


async def test_client_refuses_more_than_max_size_with_1009(micropython):
    async def handler(websocket):
        await websocket.send(b"x" * 1001)
        with pytest.raises(ConnectionClosed) as closed:
            await websocket.recv()
        assert closed.value.rcvd.code == 1009

    script = await Peer(micropython, handler, max_size=1000).run()
    assert script.lines[-1] == "closed 1006 "


async def open_raw(reader, writer, accept=accept_key):
    """A server's side of the opening handshake, by hand."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    (key,) = re.findall(r"(?mi)^sec-websocket-key: *(\S+)\r$", head)
    writer.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept(key)}\r\n\r\n".encode()
    )


async def run_against(micropython, handle, **options):
    """Run the client against a server made of `handle(reader, writer)`; returns the script."""

    async def handle_and_close(reader, writer):
        with contextlib.suppress(ConnectionError):
            await handle(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle_and_close, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        script = micropython(CLIENT, uri(port), json.dumps(options))
        await asyncio.to_thread(script.wait)
    return script


async def test_client_drops_a_silent_server(micropython):
    async def handle(reader, writer):
        await open_raw(reader, writer)
        await reader.read(-1)

    options = {"ping_interval": 0.2, "ping_timeout": 0.2, "close_timeout": 0.2}
    script = await run_against(micropython, handle, **options)
    assert script.lines[-1] == "closed 1006 "


async def test_client_masks_its_frames(micropython):
    received = []

    async def handle(reader, writer):
        await open_raw(reader, writer)
        for _ in range(2):
            writer.write(frame(TEXT, b"mask me", mask=False))
            received.append(await reader.readexactly(2 + 4 + 7))

    await run_against(micropython, handle)
    keys = set()
    for data in received:
        assert data[:2] == bytes([0x81, 0x87])
        key, payload = data[2:6], data[6:]
        assert bytes(byte ^ key[i & 3] for i, byte in enumerate(payload)) == b"mask me"
        keys.add(key)
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b"masked"), 1002),
        (frame(3, b"x", mask=False), 1002),
        (frame(PING, b"x", fin=False, mask=False), 1002),
        (frame(CONTINUATION, b"x", mask=False), 1002),
        (frame(TEXT, b"x", mask=False, reserved=4), 1002),
        (frame(TEXT, b"\xff", mask=False), 1007),
    ],
)
async def test_client_closes_after_a_violation(micropython, data, code):
    received = []

    async def handle(reader, writer):
        await open_raw(reader, writer)
        writer.write(data)
        received.append(await reader.readexactly(2 + 4 + 2))

    script = await run_against(micropython, handle)
    head, key, payload = received[0][:2], received[0][2:6], received[0][6:]
    assert head[0] == 0x88
    assert struct.pack(">H", code) == bytes(byte ^ key[i] for i, byte in enumerate(payload))
    # As with Python's `websockets`, the code is the one received, and here none was.
    assert script.lines[-1] == "closed 1006 "


async def test_client_of_a_server_that_vanishes_is_1006(micropython):
    async def handle(reader, writer):
        await open_raw(reader, writer)
        writer.write(frame(TEXT, b"here", mask=False))
        await reader.readexactly(2 + 4 + 4)
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    script = await run_against(micropython, handle)
    assert script.lines[-1] == "closed 1006 "


# Tries to connect and names the exception.
ATTEMPT = program("websocket_attempt")


async def attempt(micropython, handle):
    """Why the client could not connect to a server made of `handle(reader, writer)`."""
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        script = micropython(ATTEMPT, uri(server.sockets[0].getsockname()[1]))
        assert await asyncio.to_thread(script.wait) == 0, script.log()
    return script.lines[0]


async def test_client_checks_the_accept_header(micropython):
    async def handle(reader, writer):
        await open_raw(reader, writer, accept=lambda key: accept_key(key[::-1]))
        await reader.read(-1)
        writer.close()

    assert (await attempt(micropython, handle)).startswith("InvalidHandshake")


async def test_client_reports_another_status(micropython):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    failure = await attempt(micropython, handle)
    assert failure.startswith("InvalidStatus") and "403" in failure


async def test_client_reports_a_server_that_closes_at_once(micropython):
    async def handle(reader, writer):
        writer.close()

    failure = await attempt(micropython, handle)
    assert failure.startswith(("InvalidMessage", "OSError"))


async def test_client_gives_up_on_a_server_that_does_not_answer(micropython):
    async def handle(reader, writer):
        await reader.read(-1)
        writer.close()

    assert (await attempt(micropython, handle)).startswith("TimeoutError")


def test_client_reports_a_refused_connection(micropython):
    script = micropython(ATTEMPT, uri(free_port()))
    assert script.wait() == 0, script.log()
    assert script.lines[0].startswith("OSError")


def test_client_reports_a_bad_uri(micropython):
    script = micropython(ATTEMPT, "http://127.0.0.1/")
    assert script.wait() == 0, script.log()
    assert script.lines[0].startswith("InvalidURI")


async def test_client_in_a_loop_connects_again(micropython):
    text = program("client_reconnects")

    async def handler(websocket):
        await websocket.send("hello")

    async with serve(handler, "127.0.0.1", 0) as server:
        script = micropython(text, uri(server.sockets[0].getsockname()[1]))
        assert await asyncio.to_thread(script.wait) == 0, script.log()
    assert script.lines == ["hello"] * 3
