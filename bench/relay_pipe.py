"""A bare pipe with the API of Python's `websockets`: what devices and pages cost without a relay.

usage: relay_pipe.py DEVICE_PORT PAGE_PORT
"""

import asyncio
import sys

import uvloop
from websockets.asyncio.server import broadcast, serve

devices = {}
pages = {}


async def device(connection):
    name = connection.request.path
    devices[name] = connection
    async for message in connection:
        broadcast(pages.get(name, ()), message)


async def page(connection):
    name = connection.request.path
    pages.setdefault(name, set()).add(connection)
    try:
        async for message in connection:
            if name in devices:
                broadcast([devices[name]], message)
    finally:
        pages[name].discard(connection)


async def main():
    options = {"compression": None, "ping_interval": 20}
    async with (
        serve(device, "127.0.0.1", int(sys.argv[1]), **options),
        serve(page, "127.0.0.1", int(sys.argv[2]), **options),
    ):
        print("ready", flush=True)
        await asyncio.Future()


uvloop.run(main())
