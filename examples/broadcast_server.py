"""Sends what any client says to all of them, as JSON with the number of clients.

usage: broadcast_server.py [PORT]
"""

import asyncio
import json
import sys

from websockets.asyncio.server import broadcast, serve
from websockets.exceptions import ConnectionClosed

clients = set()


async def handle(websocket):
    clients.add(websocket)
    try:
        async for message in websocket:
            # Waits for nobody: a slow client doesn't delay the others.
            broadcast(clients, json.dumps({"clients": len(clients), "text": message}))
    except ConnectionClosed:
        pass
    finally:
        clients.remove(websocket)


async def main(port):
    async with serve(handle, "127.0.0.1", port) as server:
        print("serving at port", port)
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 7000))
