"""An app of a user's that serves HTTP and WebSockets with the frozen servers."""

import asyncio

import board
from httpd import Server
from websockets import Server as WebSocketServer


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message.upper())


async def run(config):
    web = Server()
    web.route("/", lambda request: "my page")
    sockets = WebSocketServer(echo)
    http = web.listen(config.get("http/ip"), config.get("http/port"))
    websocket = sockets.listen(config.get("websocket/ip"), config.get("websocket/port"))
    board.ready(http, websocket)
    await sockets.serve_forever()


def app_main(config):
    asyncio.run(run(config))
