"""An app of a user's that serves until it fails."""

import asyncio

from websockets import serve


async def handler(websocket):
    await websocket.wait_closed()


async def run(config):
    async with serve(handler, config.get("websocket/ip"), config.get("websocket/port")):
        raise ValueError("after a while")


def app_main(config):
    asyncio.run(run(config))
