"""The parts that keep the device on its networks, and what keeps these running."""

from asyncio import sleep_ms

from transport import poller

# One that failed is run again after so long.
RESTART_MS = 1_000


async def keep_running(part):
    """Run `part.run()` until it ends by itself, again after each failure."""
    while True:
        try:
            await part.run()
            return
        except Exception as error:  # such as a lack of memory
            # A literal: to format a text here could fail as well. The traceback names the part.
            poller.report("a part of the device failed and starts again", error)
        await sleep_ms(RESTART_MS)
