"""Python's `websockets`: usage: websockets_peer.py server 0|1, or client 0|1 URI."""

import asyncio
import sys

from exchange import MESSAGES, check, done, ready
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

role, compress, *uri = sys.argv[1:]
COMPRESSION = "deflate" if compress == "1" else None


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


async def server():
    async with serve(echo, "127.0.0.1", 0, compression=COMPRESSION) as listening:
        ready(listening.sockets[0].getsockname()[1])
        await listening.serve_forever()


async def client():
    async with connect(uri[0], compression=COMPRESSION) as websocket:
        for message in MESSAGES:
            await websocket.send(message)
            check(message, await websocket.recv())
        extensions = websocket.response.headers.get("Sec-WebSocket-Extensions")
    assert websocket.close_code == 1000
    done(extensions)


asyncio.run(server() if role == "server" else client())
