"""What a chip needs around the app: a safe mode, a watchdog, copies of its settings.

A program on a computer, whose `board.chip` is None, has nothing of this.
"""

import asyncio

import board
from transport import poller

# A device that ran this long has not crashed at the start.
STABLE_MS = 60_000

# Starts in a row that did not last until the next one is in safe mode.
CRASHES = 3

# The longest things that block the loop are looking up a host name with no answer, some 20 s, and
# erasing the filesystem's flash, some 10 s; a TLS handshake takes a few.
WATCHDOG_MS = 60_000
FEED_MS = 1_000

# An app that begins so serves nobody, nor does it reach anybody.
UNFOUND = f"the app has opened no socket within {STABLE_MS // 1000} s"

_COUNT = "starts"

# In safe mode, whatever is stored: the device's own app, without interfaces and without phoning
# home, and its page where somebody who knows nothing of the settings looks for it: at port 80 of
# an access point that every phone sees, with its password.
SAFE = {
    "app": "demo",
    "interfaces": [],
    "home/ip": "",
    "home/host": "",
    "ap/authmode": 3,  # network.AUTH_WPA2_PSK
    "ap/channel": 6,
    "ap/hidden": False,
    "ap/mode": "always",
    "http/ip": "0.0.0.0",
    "http/port": 80,
    "http/proxy": "",
    "https/port": 0,
    "portal/dns_port": 53,
    "websocket/ip": "0.0.0.0",
    "websocket/port": 7777,
    "limits/connections": board.CONNECTIONS,
    "limits/secure_connections": board.SECURE_CONNECTIONS,
}


class Boot:
    """One start of the device.

    Args:
        chip: `board.chip`.
        report: called with a level and a line.

    Attributes:
        safe: why this start is in safe mode, "" when it is not.
        guest: what runs is an app, not the device itself.
    """

    guest = False

    def __init__(self, chip, report):
        self._chip = chip
        self._report = report
        self._watchdog = None
        self._released = False
        self._held = False
        self._press = None  # a button.Press
        self._let_go = False  # who held BOOT to get to safe mode has to do that first
        self.safe = ""
        if chip.deliberate():
            return
        count = self._count()
        self._held = chip.held()
        if self._held:
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
        if not self.safe:
            return values
        # Who has the device in hand may get in where the password on flash can't be used.
        safe = dict(SAFE)
        safe["access/opened"] = self._held
        for path, value in values.items():
            # The ports of the program's user, not what he would run.
            if path not in ("app", "interfaces"):
                safe[path] = value
        return safe

    def start(self):
        """Start the watchdog. From now on it is fed only by an event loop that turns.

        Whatever event loop that is: an app may make one of its own.
        """
        if self._watchdog is None:
            self._watchdog = self._chip.watchdog(WATCHDOG_MS)
            poller.each_loop(self._begin)
        else:
            # Another app begins, which may block as long as the one before it.
            self._watchdog.feed()

    def _begin(self):
        if not self._released:
            asyncio.create_task(self._watch())

    async def _watch(self):
        from ..settings.copies import Copies

        copies = Copies(self._chip.store)
        elapsed = 0
        lasted = served = False
        while True:
            self._watchdog.feed()
            try:
                self._watch_button()
            except (OSError, MemoryError, ValueError) as error:
                self._press = None
                poller.report("the BOOT button can't be watched", error)
            served = served or len(poller.current().map) > 0
            if elapsed >= STABLE_MS:
                elapsed = 0
                try:
                    if not lasted and not self.safe:
                        self._set_count(0)
                    lasted = True
                    copies.update()
                except (OSError, MemoryError) as error:
                    # By what never raises: without this task the watchdog would end the device.
                    poller.report("the settings can't be copied", error)
                if self.guest and not served:
                    # Out of its event loop, to the launcher: nobody would find the device.
                    raise SystemExit(UNFOUND)
            await asyncio.sleep_ms(FEED_MS)
            elapsed += FEED_MS

    def _watch_button(self):
        held = self._chip.held()
        if self._press is not None:
            if not self._press.goes_on(held, FEED_MS):
                self._press = None
        elif not held:
            self._let_go = True
        elif self._let_go:
            from .button import Press

            self._press = Press(self._report)

    def release(self):
        """The app has ended, or was interrupted: the watchdog must not end the REPL."""
        self._released = True
        self._set_count(0)
        if self._watchdog is not None:
            self._chip.feed_always(self._watchdog)
