"""A client that prints what it learns of the handshake."""

import asyncio
import json
import sys

from websockets import connect


async def main():
    try:
        async with connect(sys.argv[1], **json.loads(sys.argv[2])) as websocket:
            print(websocket.request.path, await websocket.recv())
            print(websocket.remote_address[1], websocket.response.status_code)
    except Exception as error:
        print(type(error).__name__, error)


asyncio.run(main())
