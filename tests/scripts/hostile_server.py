"""A server with short deadlines and small limits, that tells its memory."""

import asyncio
import gc
import sys

import transport.budget
import transport.places  # noqa: F401, both else come with the first crowd, and stay
from transport import Group
from websockets import ConnectionClosed, Server


async def handle(websocket):
    try:
        while True:
            message = await websocket.recv()
            if websocket.request.path == "/mem":
                message = None
                gc.collect()
                message = str(gc.mem_alloc())
            await websocket.send(message)
    except ConnectionClosed:
        pass


async def main():
    server = Server(
        handle,
        group=Group(64),
        max_size=10_000,
        compression="deflate",
        open_timeout=1,
        close_timeout=1,
        ping_interval=2,
        ping_timeout=2,
    )
    server.listen("127.0.0.1", int(sys.argv[1]))
    print("serving")
    await server.serve_forever()


asyncio.run(main())
