"""A server that sends back what it gets; usage: interop_server.py PORT 0|1."""

import asyncio
import sys

from websockets import serve


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


async def main():
    compression = "deflate" if sys.argv[2] == "1" else None
    async with serve(echo, "127.0.0.1", int(sys.argv[1]), compression=compression) as server:
        print("serving")
        await server.serve_forever()


asyncio.run(main())
