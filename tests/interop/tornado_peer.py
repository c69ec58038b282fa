"""Tornado: usage: tornado_peer.py server 0|1, or client 0|1 URI."""

import asyncio
import sys

from exchange import MESSAGES, check, done, ready
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler, websocket_connect

role, compress, *uri = sys.argv[1:]
OPTIONS = {} if compress == "1" else None


class Echo(WebSocketHandler):
    def get_compression_options(self):
        return OPTIONS

    async def on_message(self, message):
        await self.write_message(message, binary=isinstance(message, bytes))


async def server():
    sockets = bind_sockets(0, "127.0.0.1")
    HTTPServer(Application([("/", Echo)])).add_sockets(sockets)
    ready(sockets[0].getsockname()[1])
    await asyncio.Event().wait()


async def client():
    websocket = await websocket_connect(uri[0], compression_options=OPTIONS)
    for message in MESSAGES:
        await websocket.write_message(message, binary=isinstance(message, bytes))
        check(message, await websocket.read_message())
    extensions = websocket.headers.get("Sec-WebSocket-Extensions")
    websocket.close(1000)
    assert await websocket.read_message() is None and websocket.close_code == 1000
    done(extensions)


asyncio.run(server() if role == "server" else client())
