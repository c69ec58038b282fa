"""What a chip needs around the app: a safe mode, a watchdog, copies of its settings.

The board gives what is the chip's: `store`, a small store outside of the filesystem with
read(key), write(key, data) and remove(key); `watchdog(timeout_ms)`, which makes an object with
feed(); `feed_always(watchdog)`; `held()`, whether the user asks for safe mode; `deliberate()`,
whether this start follows an order and no failure; `restart()`. A board without `store`, which
the host is, has nothing of this.
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
        board: the module `board`.
        report: called with a level and a line.

    Attributes:
        safe: why this start is in safe mode, "" when it is not.
    """

    def __init__(self, board, report):
        self._board = board
        self._report = report
        self._watchdog = None
        self.safe = ""
        if board.deliberate():
            return
        count = self._count()
        if board.held():
            self.safe = "the BOOT button was held"
        elif count >= CRASHES:
            self.safe = "{} starts in a row ended within {} s".format(count, STABLE_MS // 1000)
        self._set_count(0 if self.safe else count + 1)
        if self.safe:
            report("error", "safe mode: " + self.safe)

    def _count(self):
        data = self._board.store.read(_COUNT)
        return data[0] if data else 0

    def _set_count(self, count):
        try:
            self._board.store.write(_COUNT, bytes([count]))
        except OSError as error:
            self._report("error", "the starts can't be counted: {}".format(error))

    def overrides(self):
        """The configuration that wins: the board's own, and in safe mode SAFE."""
        values = dict(self._board.overrides)
        if self.safe:
            values.update(SAFE)
        return values

    def start(self):
        """Have the event loop feed the watchdog, as soon as it runs. Once for each event loop."""
        asyncio.create_task(self._watch())

    async def _watch(self):
        from ..settings.copies import Copies

        if self._watchdog is None:
            self._watchdog = self._board.watchdog(WATCHDOG_MS)
        copies = Copies(self._board.store)
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
                    self._report("error", "the settings can't be copied: {}".format(error))
            await asyncio.sleep_ms(FEED_MS)
            elapsed += FEED_MS

    def release(self):
        """Somebody interrupted the app for the REPL: the watchdog must not end that."""
        self._set_count(0)
        if self._watchdog is not None:
            self._board.feed_always(self._watchdog)
