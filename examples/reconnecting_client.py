"""Prints what a server sends, and connects again whenever the connection is lost.

usage: reconnecting_client.py URI
"""

import asyncio
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


async def main(uri):
    async for websocket in connect(uri, ping_interval=10, ping_timeout=10):
        print("connected")
        try:
            async for message in websocket:
                print(message)
        except ConnectionClosed:
            pass
        print("disconnected", websocket.close_code)


asyncio.run(main(sys.argv[1]))
