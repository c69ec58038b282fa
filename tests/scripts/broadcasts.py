"""A server that broadcasts messages of each kind."""

import asyncio
import sys

from websockets import broadcast, serve


async def handler(websocket):
    for message, text in (("a", None), (b"b", None), ("c", False), (b"d", True)):
        broadcast([websocket], message, text=text)
    await websocket.wait_closed()


async def main():
    async with serve(handler, "127.0.0.1", int(sys.argv[1])) as server:
        print("serving")
        await server.serve_forever()


asyncio.run(main())
