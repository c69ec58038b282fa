"""An app of one's own with a page that never answers."""

import asyncio

from httpd import Server

server = Server()


@server.get("/")
def index(request):
    return "here"


@server.get("/block")
def block(request):
    while True:
        pass


async def app_main(config):
    server.listen("127.0.0.1", config.get("http/port"))
    await asyncio.sleep(100_000)
