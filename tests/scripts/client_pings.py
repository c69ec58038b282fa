"""A client that pings and is pinged."""

import asyncio
import sys

from websockets import connect


async def main():
    async with connect(sys.argv[1]) as websocket:
        latency = await (await websocket.ping(b"anyone"))
        print("latency", latency >= 0)
        print(await websocket.recv())


asyncio.run(main())
