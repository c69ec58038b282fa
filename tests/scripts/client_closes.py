"""A client that closes with a code."""

import asyncio
import sys

from websockets import connect


async def main():
    websocket = await connect(sys.argv[1])
    await websocket.close(int(sys.argv[2]), "done")
    print("closed", websocket.close_code, websocket.close_reason)


asyncio.run(main())
