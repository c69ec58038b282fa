"""A client that waits for each message with a time-out that comes in the same moment."""

import asyncio
import sys

from websockets import ConnectionClosedOK, connect


async def main():
    got = []
    websocket = await asyncio.wait_for(connect(sys.argv[1]), 10)
    while True:
        try:
            got.append(int(await asyncio.wait_for(websocket.recv(), 0.001)))
        except asyncio.TimeoutError:
            pass
        except ConnectionClosedOK:
            break
    print(len(got), got == list(range(len(got))))


asyncio.run(main())
