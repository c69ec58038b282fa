"""A client that sends 1 MiB in fragments."""

import asyncio
import sys

from websockets import connect


async def main():
    async with connect(sys.argv[1]) as websocket:
        await websocket.send(b"%05d" % i * 2048 for i in range(103))
        print(await websocket.recv())


asyncio.run(main())
