"""An interface of a user's own."""

import asyncio

from interfaces.base import Interface
from sensor import read


class Thermometer(Interface):
    type = "thermometer"
    title = "Thermometer"

    async def run(self):
        while True:
            self.emit("celsius", read())
            await asyncio.sleep(10)
