"""A client that expects back what it sends; usage: interop_client.py 0|1 URI."""

import asyncio
import sys

from websockets import connect

MESSAGES = (
    "hello",
    "",
    "\u010de\u0161tina \u2713 " * 100,
    b"\0",
    b"x" * 125,
    bytes(range(126)),
    b"compressible " * 300,
    bytes([i * i % 251 for i in range(20_000)]),
)


async def main():
    compression = "deflate" if sys.argv[1] == "1" else None
    async with connect(sys.argv[2], compression=compression) as websocket:
        for message in MESSAGES:
            await websocket.send(message)
            received = await websocket.recv()
            assert received == message, (message[:40], received[:40])
        extensions = websocket.response.headers.get("Sec-WebSocket-Extensions", "")
    assert websocket.close_code == 1000
    print("ok", extensions)


asyncio.run(main())
