"""The API of Python's `websockets` beyond messages: opening handshakes, redirects, options."""

import asyncio
import json

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from support import free_port

# A server whose every option is used; the path chooses what process_request answers.
SERVER = """
import asyncio
import sys

from websockets import NegotiationError, Response, State, serve


async def process(connection, request):
    if request.path == "/refused":
        response = connection.respond(403, "not you\\n")
        response.headers["X-Why"] = "because"
        return response
    if request.path == "/moved":
        return Response(302, "Found", (("Location", "/new?x=1"),), b"")
    if request.path == "/broken":
        raise ValueError("this hook fails")
    await asyncio.sleep(0)


def select(connection, subprotocols):
    if "first" in subprotocols:
        return "first"
    if "none" in subprotocols:
        raise NegotiationError("not without")
    if "bad" in subprotocols:
        return "unknown"
    return None


async def handler(websocket):
    host, port = websocket.remote_address
    request = websocket.request
    assert websocket.state == State.OPEN
    await websocket.send([request.path, " "])
    await websocket.send(request.headers.get("X-Test", "none"))
    await websocket.send("{} {}".format(host, port))
    parts = []
    async for part in websocket.recv_streaming():
        parts.append(part)
    await websocket.send("".join(parts))
    await websocket.wait_closed()
    assert websocket.state == State.CLOSED


async def main():
    async with serve(
        handler,
        "127.0.0.1",
        int(sys.argv[1]),
        process_request=process,
        select_subprotocol=select,
        compression=sys.argv[2] if len(sys.argv) > 2 else None,
    ) as server:
        assert server.is_serving()
        print("serving")
        await server.serve_forever()


asyncio.run(main())
"""


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
        assert await client.recv() == "{} {}".format(*client.local_address)
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
CLIENT = """
import asyncio
import json
import sys

from websockets import connect


async def main():
    try:
        async with connect(sys.argv[1], **json.loads(sys.argv[2])) as websocket:
            print(websocket.request.path, await websocket.recv())
            print(websocket.remote_address[1], websocket.response.status_code)
    except Exception as error:
        print(type(error).__name__, error)


asyncio.run(main())
"""


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
    for option in ({"compression": "brotli"}, {"nonsense": 1}, {"proxy": "http://x"}):
        (line,) = await run_client(micropython, "ws://127.0.0.1:1/", **option)
        assert line.startswith(("ValueError", "TypeError"))
