"""Sends each text to an echo server and prints what comes back.

usage: echo_client.py URI TEXT...
"""

import asyncio
import sys

from websockets.asyncio.client import connect


async def main(uri, texts):
    async with connect(uri) as websocket:
        for text in texts:
            await websocket.send(text)
            print(await websocket.recv())


asyncio.run(main(sys.argv[1], sys.argv[2:]))
