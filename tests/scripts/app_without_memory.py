"""An app of a user's that fails, and a device in its place that runs out of memory later."""

import asyncio

import board
from device.device import Device

_run = Device.run


async def run(self):
    asyncio.create_task(_run(self))
    while not board.served:
        await asyncio.sleep_ms(1)
    raise MemoryError("later")


Device.run = run


def app_main(config):
    raise ValueError("at once")
