"""aiohttp: usage: aiohttp_peer.py server 0|1, or client 0|1 URI."""

import asyncio
import sys

from aiohttp import ClientSession, WSMsgType, web
from exchange import MESSAGES, check, done, ready

role, compress, *uri = sys.argv[1:]
COMPRESS = compress == "1"


async def echo(request):
    websocket = web.WebSocketResponse(compress=COMPRESS)
    await websocket.prepare(request)
    async for message in websocket:
        if message.type == WSMsgType.TEXT:
            await websocket.send_str(message.data)
        else:
            await websocket.send_bytes(message.data)
    return websocket


async def server():
    app = web.Application()
    app.add_routes([web.get("/", echo)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ready(runner.addresses[0][1])
    await asyncio.Event().wait()


async def client():
    async with ClientSession() as session:
        async with session.ws_connect(uri[0], compress=15 if COMPRESS else 0) as websocket:
            for message in MESSAGES:
                if isinstance(message, str):
                    await websocket.send_str(message)
                else:
                    await websocket.send_bytes(message)
                check(message, (await websocket.receive()).data)
            extensions = "permessage-deflate" if websocket.compress else ""
            await websocket.close()
            assert websocket.close_code == 1000
    done(extensions)


asyncio.run(server() if role == "server" else client())
