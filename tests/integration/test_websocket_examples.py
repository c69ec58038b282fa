"""The programs in examples/, each on CPython and on the image, against each other."""

import asyncio
import itertools
import json
import sys

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from support import ROOT, Program, free_port

EXAMPLES = ROOT / "examples"
RUNTIMES = {
    "python": [sys.executable, "-u"],
    "image": [ROOT / "build/host/micropython"],
}
PAIRS = list(itertools.product(RUNTIMES, RUNTIMES))


@pytest.fixture
def run(tmp_path):
    """A function that starts an example: run(runtime, name, arguments...)."""
    programs = []

    def start(runtime, name, *arguments):
        log = tmp_path / f"{name}{len(programs)}.log"
        command = [*RUNTIMES[runtime], EXAMPLES / f"{name}.py", *map(str, arguments)]
        program = Program(command, log)
        programs.append(program)
        program.spawn()
        return program

    yield start
    for program in programs:
        program.kill()


def serving(run, runtime, name, *arguments):
    port = free_port()
    run(runtime, name, port, *arguments).wait_line(f"serving at port {port}")
    return f"ws://127.0.0.1:{port}"


@pytest.mark.parametrize(("server", "client"), PAIRS)
def test_echo(run, server, client):
    uri = serving(run, server, "echo_server")
    # An argument of the host program can't be longer than 255 bytes.
    texts = ["hello", "größer 🙂", "x" * 200]
    program = run(client, "echo_client", uri + "/", *texts)
    assert program.wait() == 0, program.log()
    assert program.lines == texts


async def received(client, text):
    """The first message with `text`, whatever comes before it."""
    while True:
        message = json.loads(await client.recv())
        if message["text"] == text:
            return message


@pytest.mark.parametrize("server", RUNTIMES)
async def test_broadcast(run, server):
    uri = serving(run, server, "broadcast_server")
    async with connect(uri) as first, connect(uri) as second:
        # A client is in the set, at the latest, when it has been served once.
        for client, text in ((first, "one"), (second, "two")):
            await client.send(text)
            await received(client, text)
        await first.send("three")
        for client in (first, second):
            assert await received(client, "three") == {"clients": 2, "text": "three"}


@pytest.mark.parametrize("client", RUNTIMES)
async def test_reconnecting_client(run, client):
    count = 0
    done = asyncio.Event()

    async def handler(websocket):
        nonlocal count
        count += 1
        await websocket.send(f"time {count}")
        if count == 2:
            websocket.transport.abort()
        elif count == 3:
            done.set()
            await websocket.wait_closed()

    async with serve(handler, "127.0.0.1", 0) as server:
        program = run(client, "reconnecting_client", uri_of(server))
        await done.wait()
        await asyncio.to_thread(program.wait_line, "time 3")
    expected = ["connected", "time 1", "disconnected 1000", "connected"]
    assert program.lines[:4] == expected
    # The second connection was reset, which may overtake its message.
    rest = [line for line in program.lines[4:8] if line != "time 2"]
    assert rest[:3] == ["disconnected 1006", "connected", "time 3"]


def uri_of(server):
    return f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@pytest.mark.parametrize(("server", "client"), PAIRS)
def test_authentication(run, server, client):
    uri = serving(run, server, "authenticated_server", "secret")
    for token, line in (("secret", "welcome to /office?x=1"), ("guess", "refused with 401")):
        program = run(client, "authenticated_client", uri + "/office?x=1", token)
        assert program.wait() == 0, program.log()
        assert program.lines == [line]
