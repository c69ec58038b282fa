"""What the BOOT button does when it is held while the device runs: it lets back in who has the
device in hand and no password. Imported when that happens."""

import asyncio

import board
from interfaces.pins import refusal
from machine import Pin
from transport import poller

from ..settings import storage
from ..settings.config import ADMIN, FIELDS, TOKENS, Config

# How long it is held to reset the access when it is let go, and to reset everything. What takes
# longer is no finger: a serial adapter, say, that keeps DTR on and RTS off.
ACCESS_MS = 10_000
EVERYTHING_MS = 30_000
STUCK_MS = 60_000


def reset_access():
    """Remove the admin password, API tokens and the access point's settings, nothing else.

    Raises:
        OSError, MemoryError: it can't be done; what could be is.
    """
    config = Config()
    config.set_all({row[0]: None for row in FIELDS if row[0].startswith("ap/")})
    config.save()
    for name in (ADMIN, TOKENS):
        storage.erase(name)
    if board.chip is not None:
        from ..settings.copies import forget

        forget(board.chip.store)  # they are made anew


class Press:
    """The button from when it is held until it is let go, which does what the LED showed.

    Args:
        report: called with a level and a line.
    """

    def __init__(self, report):
        self._report = report
        self._ms = 0
        number = Config().get("device/led")
        usable = number >= 0 and not refusal(board.MACHINE, "output", number)
        self._led = Pin(number, Pin.OUT, value=1) if usable else None
        self._blinking = asyncio.create_task(self._blink()) if self._led else None

    async def _blink(self):
        while True:
            await asyncio.sleep_ms(100 if self._ms >= EVERYTHING_MS else 500)
            self._led.value(not self._led.value() if self._ms >= ACCESS_MS else 1)

    def goes_on(self, held, ms):
        """Note that it is held, or not, `ms` later; returns False when it is over."""
        if held:
            before, self._ms = self._ms, self._ms + ms
            for after, what in (
                (ACCESS_MS, "let go to reset password and access point"),
                (EVERYTHING_MS, "let go to reset everything"),
                (STUCK_MS, "it does nothing any more"),
            ):
                if before < after <= self._ms:
                    self._report("info", "BOOT is held: " + what)
            return True
        if self._blinking is not None:
            self._blinking.cancel()
            self._led.value(0)
        if ACCESS_MS <= self._ms < STUCK_MS:
            _reset(self._ms >= EVERYTHING_MS)
        return False


def _reset(everything):
    try:
        if everything:
            Config().factory_reset()
        else:
            reset_access()
    except (OSError, MemoryError) as error:
        poller.report("the BOOT button was held, and the settings can't be reset", error)
        return
    board.reset()
