"""A WebSocket server on the image's interpreter and nothing else, for bench/ws_limits.py.

usage: micropython ws_echo.py PORT

Echoes at any path but /all, where each message goes to every client, and /mem, which answers each
message with the bytes of heap in use after a collection.
"""

import asyncio
import gc
import sys

from transport import Group
from websockets import ConnectionClosed, Server, broadcast

clients = set()


async def handle(websocket):
    path = websocket.request.path
    try:
        if path == "/all":
            clients.add(websocket)
            while True:
                broadcast(clients, await websocket.recv())
        elif path == "/mem":
            while True:
                await websocket.recv()
                gc.collect()
                await websocket.send(str(gc.mem_alloc()))
        else:
            # A suspended MicroPython coroutine keeps the arguments of its last call alive. In
            # this form the next call takes their place, where `async for` would hold one message
            # for each client.
            while True:
                await websocket.send(await websocket.recv())
    except ConnectionClosed:
        pass
    clients.discard(websocket)


async def main():
    server = Server(handle, group=Group(64), max_size=65_536)
    server.listen("127.0.0.1", int(sys.argv[1]))
    print("serving")
    await server.serve_forever()


asyncio.run(main())
