"""The device on a board that has a system heap, as a chip has."""

import asyncio

import board
from device.device import Device


def app_main(config):
    board.system_heap = lambda: (68_228, 40_000, 7_300)
    asyncio.run(Device(config).run())
