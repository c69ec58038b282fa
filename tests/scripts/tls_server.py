"""A server with TLS."""

import asyncio
import sys

import tls
from websockets import serve


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


async def main():
    context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
    with open(sys.argv[2] + "/cert.der", "rb") as file:
        certificate = file.read()
    with open(sys.argv[2] + "/cert.key.der", "rb") as file:
        context.load_cert_chain(certificate, file.read())
    options = {"ssl": context, "max_size": None, "open_timeout": 2}
    async with serve(echo, "127.0.0.1", int(sys.argv[1]), **options) as server:
        print("serving")
        await server.serve_forever()


asyncio.run(main())
