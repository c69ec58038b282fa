"""A client that verifies the server's certificate."""

import asyncio
import sys

import tls
from websockets import ConnectionClosed, connect


async def main():
    context = None
    if sys.argv[2]:
        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        with open(sys.argv[2], "rb") as cert:
            context.load_verify_locations(cert.read())
    hostname = sys.argv[3] if len(sys.argv) > 3 else None
    options = {"ssl": context, "max_size": None, "server_hostname": hostname, "open_timeout": 5}
    try:
        async with connect(sys.argv[1], **options) as websocket:
            print("connected")
            try:
                async for message in websocket:
                    await websocket.send(message)
            except ConnectionClosed:
                pass
            print("closed", websocket.close_code)
    except Exception as error:
        print(type(error).__name__, error)


asyncio.run(main())
