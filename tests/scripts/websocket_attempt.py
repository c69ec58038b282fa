"""One attempt to connect, whose failure is printed."""

import asyncio
import sys

from websockets import connect


async def main():
    try:
        async with connect(sys.argv[1], open_timeout=1):
            print("connected")
    except Exception as error:
        print(type(error).__name__, error)


asyncio.run(main())
