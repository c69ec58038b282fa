"""What a chip needs around the app: a safe mode, a watchdog, copies of its settings.

A program on a computer, whose `board.chip` is None, has nothing of this.
"""

import asyncio

# A device that ran this long has not crashed at the start.
STABLE_MS = 60_000

# Starts in a row that did not last until the next one is in safe mode.
CRASHES = 3

# The longest thing that blocks the loop is looking up a host name with no answer, some 20 s.
WATCHDOG_MS = 60_000
FEED_MS = 1_000

_COUNT = "starts"

# In safe mode: the device's own app, without interfaces and without phoning home.
SAFE = {"app": "demo", "interfaces": [], "home/ip": "", "home/host": "", "ap/hidden": False}


class Boot:
    """One start of the device.

    Args:
        chip: `board.chip`.
        report: called with a level and a line.

    Attributes:
        safe: why this start is in safe mode, "" when it is not.
    """

    def __init__(self, chip, report):
        self._chip = chip
        self._report = report
        self._watchdog = None
        self.safe = ""
        if chip.deliberate():
            return
        count = self._count()
        if chip.held():
            self.safe = "the BOOT button was held"
        elif count >= CRASHES:
            self.safe = f"{count} starts in a row ended within {STABLE_MS // 1000} s"
        self._set_count(0 if self.safe else count + 1)
        if self.safe:
            report("error", "safe mode: " + self.safe)

    def _count(self):
        data = self._chip.store.read(_COUNT)
        return data[0] if data else 0

    def _set_count(self, count):
        try:
            self._chip.store.write(_COUNT, bytes([count]))
        except OSError as error:
            self._report("error", f"the starts can't be counted: {error}")

    def overrides(self, values):
        """The configuration that wins: `values`, the board's own, and in safe mode SAFE."""
        values = dict(values)
        if self.safe:
            values.update(SAFE)
        return values

    def start(self):
        """Have the event loop feed the watchdog, as soon as it runs. Once for each event loop."""
        asyncio.create_task(self._watch())

    async def _watch(self):
        from ..settings.copies import Copies

        if self._watchdog is None:
            self._watchdog = self._chip.watchdog(WATCHDOG_MS)
        copies = Copies(self._chip.store)
        elapsed = 0
        lasted = False
        while True:
            self._watchdog.feed()
            if elapsed >= STABLE_MS:
                elapsed = 0
                if not lasted and not self.safe:
                    self._set_count(0)
                lasted = True
                try:
                    copies.update()
                except (OSError, MemoryError) as error:
                    self._report("error", f"the settings can't be copied: {error}")
            await asyncio.sleep_ms(FEED_MS)
            elapsed += FEED_MS

    def release(self):
        """Somebody interrupted the app for the REPL: the watchdog must not end that."""
        self._set_count(0)
        if self._watchdog is not None:
            self._chip.feed_always(self._watchdog)
