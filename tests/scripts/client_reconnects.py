"""A client that connects again whenever it is cut off."""

import asyncio
import sys

from websockets import ConnectionClosed, connect


async def main():
    count = 0
    async for websocket in connect(sys.argv[1]):
        try:
            print(await websocket.recv())
            await websocket.recv()
        except ConnectionClosed:
            count += 1
            if count == 3:
                return


asyncio.run(main())
