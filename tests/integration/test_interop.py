"""Other people's WebSocket libraries against ours, both ways, with and without compression."""

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
import sys

import pytest

from support import ROOT, free_port, program

PEERS = ROOT / "tests" / "interop"
BUILT = ROOT / "build" / "interop"

# Fetching and compiling what the first test of a language needs.
TEST_DEADLINE = 900

# For a registry that doesn't answer, and a machine that is busy.
BUILD_SECONDS = 400

WS_VERSION = "8.23.0"

SERVER = program("interop_server")
CLIENT = program("interop_client")

PYTHON = ("websockets", "aiohttp", "tornado")
GO = ("gorilla", "coder")
# tungstenite has no compression.
PLAIN_ONLY = ("tungstenite",)
# Tornado's server keeps its context, asked not to, and is asked again without compression.
DECLINED = ("tornado",)
LIBRARIES = (*PYTHON, "ws", *GO, *PLAIN_ONLY)


def tool(name):
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


# Why what a command makes can't be had; it isn't tried again.
_refused = {}


def made(command, folder):
    """Run what fetches or compiles a peer; skip the test where the registry can't be reached."""
    BUILT.mkdir(parents=True, exist_ok=True)
    key = " ".join(map(str, command))
    if key not in _refused:
        _refused[key] = refusal(command, folder)
    if _refused[key]:
        pytest.skip(_refused[key])


def refusal(command, folder):
    """Why a command fails, None when it doesn't."""
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=BUILD_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"{command[0]}: not done within {BUILD_SECONDS} s"
    return f"{command[0]}: {done.stderr.strip()[-300:]}" if done.returncode else None


def command_of(library):
    """The command of a peer and its environment; it is fetched and compiled where it must be."""
    if library in PYTHON:
        return [sys.executable, PEERS / f"{library}_peer.py"], {}
    if library == "ws":
        node, npm = tool("node"), tool("npm")
        package = BUILT / "node_modules" / "ws"
        if not package.is_dir():
            options = ["--prefix", BUILT, "--no-save", "--no-audit", "--no-fund"]
            BUILT.mkdir(parents=True, exist_ok=True)
            made([npm, "install", *options, f"ws@{WS_VERSION}"], BUILT)
        return [node, PEERS / "ws_peer.mjs"], {"WS": str(package)}
    if library in GO:
        peer = BUILT / "go-peer"
        if not peer.is_file():
            made([tool("go"), "build", "-o", peer, "."], PEERS / "go")
        return [peer, library], {}
    target = BUILT / "rust"
    made([tool("cargo"), "build", "--locked", "--quiet", "--target-dir", target], PEERS / "rust")
    return [target / "debug" / "peer"], {}


@contextlib.contextmanager
def peer(library, *arguments):
    command, environment = command_of(library)
    process = subprocess.Popen(
        [*command, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def combinations():
    return [
        pytest.param(library, compress, id=f"{library}-{'compressed' if compress else 'plain'}")
        for library in LIBRARIES
        for compress in (False, True)
        if not (compress and library in PLAIN_ONLY)
    ]


def negotiated(extensions, compress):
    return ("permessage-deflate" in extensions) == compress


@pytest.mark.parametrize(("library", "compress"), combinations())
async def test_their_client_and_our_server(micropython, library, compress):
    command_of(library)
    port = free_port()
    micropython(SERVER, str(port), str(int(compress))).wait_line("serving")
    with peer(library, "client", str(int(compress)), f"ws://127.0.0.1:{port}/") as process:
        out, errors = await asyncio.to_thread(process.communicate)
    found = re.fullmatch(r"ok (.*)\n", out)
    assert found, errors
    assert negotiated(found[1], compress)


@pytest.mark.parametrize(("library", "compress"), combinations())
async def test_our_client_and_their_server(micropython, library, compress):
    with peer(library, "server", str(int(compress))) as process:
        line = await asyncio.to_thread(process.stdout.readline)
        found = re.fullmatch(r"ready (\d+)\n", line)
        assert found, process.stderr.read()
        uri = f"ws://127.0.0.1:{found[1]}/"
        client = micropython(CLIENT, str(int(compress)), uri)
        assert await asyncio.to_thread(client.wait) == 0, client.log()
        (said,) = client.lines
    assert said.startswith("ok") and negotiated(said, compress and library not in DECLINED)
