"""The image's server as Autobahn tests it: echoes every message.

usage: micropython echo_server.py PORT COMPRESSION     ("deflate" or "none")
"""

import asyncio
import sys

from websockets import serve

# The suite's largest message.
MAX_SIZE = 16 << 20


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


async def main():
    compression = None if sys.argv[2] == "none" else sys.argv[2]
    options = {"max_size": MAX_SIZE, "compression": compression}
    async with serve(echo, "127.0.0.1", int(sys.argv[1]), **options) as server:
        print("serving")
        await server.serve_forever()


asyncio.run(main())
