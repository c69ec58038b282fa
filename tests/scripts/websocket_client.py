"""A WebSocket client that sends back what comes."""

import asyncio
import json
import sys

from websockets import ConnectionClosed, connect


async def main():
    async with connect(sys.argv[1], **json.loads(sys.argv[2])) as websocket:
        print("connected", websocket.subprotocol)
        try:
            async for message in websocket:
                await websocket.send(message)
        except ConnectionClosed:
            pass
        print("closed", websocket.close_code, websocket.close_reason)


asyncio.run(main())
