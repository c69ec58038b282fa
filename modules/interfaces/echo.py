"""An interface without hardware: it answers each text with the same in upper case.

Something to try the page and the protocol with, and the shortest example of an interface.
"""

from interfaces.base import Interface


class Echo(Interface):
    type = "echo"
    title = "Fake Interface Example"
    takes_messages = True

    async def run(self):
        while True:
            text = await self.message()
            self.emit("msg", text.upper())
