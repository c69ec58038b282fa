"""The API of Python's `websockets` beyond messages: opening handshakes, redirects, options."""

import asyncio
import json
import re

import pytest
import websockets
import websockets.exceptions
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.utils import accept_key

from support import ROOT, free_port, program

# A server whose every option is used; the path chooses what process_request answers.
SERVER = program("api_server")


@pytest.fixture
def uri(micropython):
    return served(micropython)


def served(micropython, *arguments):
    port = free_port()
    micropython(SERVER, str(port), *arguments).wait_line("serving")
    return f"ws://127.0.0.1:{port}"


async def test_request_and_addresses(uri):
    async with connect(uri + "/p?q=1", additional_headers={"x-test": "value"}) as client:
        assert await client.recv() == "/p?q=1 "
        assert await client.recv() == "value"
        host, port = client.local_address
        assert await client.recv() == f"{host} {port}"
        await client.send(["in ", "pieces"])
        assert await client.recv() == "in pieces"


async def test_process_request_refuses(uri):
    with pytest.raises(InvalidStatus) as refusal:
        await connect(uri + "/refused")
    assert refusal.value.response.status_code == 403
    assert b"not you" in refusal.value.response.body
    assert refusal.value.response.headers["X-Why"] == "because"


async def test_process_request_that_fails_is_500(uri):
    with pytest.raises(InvalidStatus) as refusal:
        await connect(uri + "/broken")
    assert refusal.value.response.status_code == 500


async def test_process_request_redirects(uri):
    async with connect(uri + "/moved") as client:
        assert await client.recv() == "/new?x=1 "


async def test_select_subprotocol(uri):
    async with connect(uri, subprotocols=["second", "first"]) as client:
        assert client.subprotocol == "first"
    async with connect(uri, subprotocols=["second"]) as client:
        assert client.subprotocol is None
    for name, status in (("bad", 500), ("none", 400)):
        with pytest.raises(InvalidStatus) as refusal:
            await connect(uri, subprotocols=[name])
        assert refusal.value.response.status_code == status


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_compression_is_negotiated(micropython, compression):
    uri = served(micropython, "deflate")
    async with connect(uri, compression=compression) as client:
        extensions = client.response.headers.get("Sec-WebSocket-Extensions")
        assert (extensions is not None) == (compression is not None)
        for _ in range(3):
            await client.recv()
        text = "compressible " * 1000
        await client.send(text)
        assert await client.recv() == text


async def test_compression_is_off_by_default(uri):
    async with connect(uri) as client:
        assert "Sec-WebSocket-Extensions" not in client.response.headers


# Connects to the URI in its first argument with the options in the second (JSON), and says which
# path it got to and what it was told, or what went wrong.
CLIENT = program("api_client")


async def run_client(micropython, uri, **options):
    script = micropython(CLIENT, uri, json.dumps(options))
    assert await asyncio.to_thread(script.wait) == 0, script.log()
    return script.lines


def port_of(server):
    return server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_client_follows_redirects(micropython, status):
    def process(connection, request):
        # An absolute path, a relative one, a whole URI.
        targets = {"/": "/a/b", "/a/b": "c", "/a/c": f"http://127.0.0.1:{port_of(server)}/end"}
        if request.path not in targets:
            return None
        response = connection.respond(status, "")
        response.headers["Location"] = targets[request.path]
        return response

    async def handler(websocket):
        await websocket.send(websocket.request.headers.get("Authorization", "nothing"))

    async with serve(handler, "127.0.0.1", 0, process_request=process) as server:
        uri = f"ws://127.0.0.1:{port_of(server)}/"
        headers = {"Authorization": "Bearer x"}
        lines = await run_client(micropython, uri, additional_headers=headers)
        assert lines == ["/end Bearer x", f"{port_of(server)} 101"]


async def test_credentials_do_not_go_to_another_server(micropython):
    async def handler(websocket):
        await websocket.send(websocket.request.headers.get("Authorization", "nothing"))

    def process(connection, request):
        response = connection.respond(302, "")
        response.headers["Location"] = f"ws://127.0.0.1:{port_of(target)}/x"
        return response

    async with serve(handler, "127.0.0.1", 0) as target:
        async with serve(handler, "127.0.0.1", 0, process_request=process) as server:
            uri = f"ws://127.0.0.1:{port_of(server)}/"
            headers = {"Authorization": "Bearer x", "X-Other": "y"}
            lines = await run_client(micropython, uri, additional_headers=headers)
    assert lines[0] == "/x nothing"


async def test_redirects_have_an_end(micropython):
    def process(connection, request):
        response = connection.respond(302, "")
        response.headers["Location"] = "/"
        return response

    async with serve(lambda websocket: None, "127.0.0.1", 0, process_request=process) as server:
        lines = await run_client(micropython, f"ws://127.0.0.1:{port_of(server)}/")
    assert lines == ["SecurityError more than 10 redirects"]


async def test_client_compresses(micropython):
    text = "compressible " * 200

    async def handler(websocket):
        await websocket.send(text)
        with pytest.raises(ConnectionClosed):
            await websocket.recv()

    async with serve(handler, "127.0.0.1", 0) as server:
        uri = f"ws://127.0.0.1:{port_of(server)}/"
        lines = await run_client(micropython, uri, compression="deflate")
    assert lines[0] == "/ " + text


async def test_unknown_options_are_refused(micropython):
    for option in (
        {"compression": "brotli"},
        {"nonsense": 1},
        {"proxy": "http://x"},
        {"ssl": 1},
        {"subprotocols": "chat"},
        {"server_hostname": "x"},
    ):
        (line,) = await run_client(micropython, "ws://127.0.0.1:1/", **option)
        assert line.startswith(("ValueError", "TypeError"))


async def test_user_and_password_in_the_uri(micropython):
    async def handler(websocket):
        await websocket.send(websocket.request.headers["Authorization"])

    async with serve(handler, "127.0.0.1", 0) as server:
        port = port_of(server)
        lines = await run_client(micropython, f"ws://user:s%20t@127.0.0.1:{port}/x")
    assert lines[0] == "/x Basic dXNlcjpzIHQ="


async def answered(micropython, change, **options):
    """What a client says of a server whose right response is changed by `change`."""

    async def answer(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        (key,) = [
            line[19:] for line in head.split("\r\n") if line.startswith("Sec-WebSocket-Key: ")
        ]
        response = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept_key(key)}\r\n\r\n"
        )
        writer.write(change(response).encode("latin-1"))
        await writer.drain()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        lines = await run_client(micropython, f"ws://127.0.0.1:{port}/", **options)
    return lines[0]


async def test_responses_that_a_client_refuses(micropython):
    def field(name, value):
        return lambda response: response[:-2] + f"{name}: {value}\r\n\r\n"

    for change, options, start in (
        (field("Sec-WebSocket-Protocol", "chat"), {}, "NegotiationError"),
        (field("Sec-WebSocket-Protocol", "b"), {"subprotocols": ["a"]}, "NegotiationError"),
        (field("Sec-WebSocket-Extensions", "x"), {}, "NegotiationError"),
        (field("Sec-WebSocket-Extensions", "x"), {"compression": "deflate"}, "NegotiationError"),
        (lambda response: response.replace("/1.1", "/1.0"), {}, "InvalidMessage HTTP/1.0"),
        (lambda response: response.replace("Accept: ", "Accept: x"), {}, "InvalidHandshake"),
        (lambda response: response.replace("101", "500"), {}, "InvalidStatus"),
        (lambda response: "220 mail.example SMTP\r\n\r\n", {}, "InvalidMessage"),
    ):
        assert (await answered(micropython, change, **options)).startswith(start), start


async def test_responses_that_a_client_takes(micropython):
    interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    second = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    extension = f"Sec-WebSocket-Extensions: {second}\r\n\r\n"
    # A text, and the end.
    frames = "\x81\x02hi\x88\x02\x03\xe8"
    for change, options in (
        (lambda response: interim + response + frames, {}),
        (lambda response: response[:-2] + extension + frames, {"compression": "deflate"}),
    ):
        assert await answered(micropython, change, **options) == "/ hi"


async def test_a_server_that_compresses_in_its_own_way_is_asked_again(micropython):
    extensions = iter(("Sec-WebSocket-Extensions: permessage-deflate\r\n", ""))

    def change(response):
        return response[:-2] + next(extensions) + "\r\n\x81\x02hi\x88\x02\x03\xe8"

    assert await answered(micropython, change, compression="deflate") == "/ hi"


async def test_handshake_with_a_body_is_refused(uri):
    for field in ("Content-Length", "3"), ("Transfer-Encoding", "chunked"):
        with pytest.raises(InvalidStatus) as refusal:
            await connect(uri, additional_headers=[field])
        assert refusal.value.response.status_code == 400


STAR = """
from websockets{} import *

for name in {!r}:
    assert name in globals(), name
"""


def test_names_imported_by_a_star(micropython):
    ours = micropython("import websockets\nprint(*websockets.__all__)")
    names = ours.wait_line("(.*)")[1].split()
    assert {"connect", "serve", "broadcast", "ConnectionClosed", "InvalidURI"} <= set(names)
    ours = micropython("import websockets.exceptions as e\nprint(*e.__all__)")
    exceptions = ours.wait_line("(.*)")[1].split()
    assert set(exceptions) <= set(names) and set(exceptions) <= set(websockets.exceptions.__all__)
    for module, expected in (("", names), (".exceptions", exceptions)):
        script = micropython(STAR.format(module, expected))
        assert script.wait() == 0, script.log()


def test_every_public_name_of_pythons_is_in_the_documentation(micropython):
    text = (ROOT / "docs" / "websockets.md").read_text()
    row = r"^\| (`.*?) \| (same|differs|missing|added) \|(.*)\|$"
    rows = re.findall(row, text, re.MULTILINE)
    kinds = {}
    for names, kind, rest in rows:
        for name in re.findall(r"`(\w+)", names):
            kinds.setdefault(name, kind)
        if "finer kinds of InvalidHandshake" in rest:
            finer = "missing"
    ours = micropython("import websockets\nprint(*websockets.__all__)")
    ours = ours.wait_line("(.*)")[1].split()
    for name in [*websockets.__all__, "__version__"]:
        kind = kinds.get(name)
        if kind is None:
            # Exceptions that have no name of their own here.
            assert issubclass(getattr(websockets, name), Exception), name
            kind = finer
        assert (name in ours) == (kind != "missing"), (name, kind)


BROADCAST = program("broadcasts")


async def test_kind_of_a_broadcast(micropython):
    port = free_port()
    micropython(BROADCAST, str(port)).wait_line("serving")
    async with connect(f"ws://127.0.0.1:{port}") as client:
        assert [await client.recv() for _ in range(4)] == ["a", b"b", b"c", "d"]
