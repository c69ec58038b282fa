"""The image's client as Autobahn tests it: asks for every case and echoes what it is sent.

usage: micropython echo_client.py URI COMPRESSION     ("deflate" or "none")
"""

import asyncio
import sys

from websockets import ConnectionClosed, WebSocketException, connect

AGENT = "websock-client"

# The suite's largest message.
MAX_SIZE = 16 << 20


async def run_case(uri, compression):
    try:
        async with connect(uri, max_size=MAX_SIZE, compression=compression) as websocket:
            async for message in websocket:
                await websocket.send(message)
    except (ConnectionClosed, WebSocketException):
        pass


async def main():
    uri = sys.argv[1]
    compression = None if sys.argv[2] == "none" else sys.argv[2]
    async with connect(uri + "/getCaseCount") as websocket:
        count = int(await websocket.recv())
    for case in range(1, count + 1):
        await run_case(f"{uri}/runCase?case={case}&agent={AGENT}", compression)
        print("case", case, "of", count)
    async with connect(uri + "/updateReports?agent=" + AGENT) as websocket:
        await websocket.wait_closed()


asyncio.run(main())
