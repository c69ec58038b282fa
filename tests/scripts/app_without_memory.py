"""A user's app that fails; the device in its place lacks memory from its first client on."""

import asyncio

from device.device import Device

_run = Device.run


async def run(self):
    asyncio.create_task(_run(self))
    while not self.sockets.connections:
        await asyncio.sleep_ms(1)
    raise MemoryError("later")


Device.run = run


def app_main(config):
    raise ValueError("at once")
