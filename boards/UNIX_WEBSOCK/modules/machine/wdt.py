"""The simulated watchdog, see the package."""

import json
import os

import hostio

from . import FOLDER, RESET_VARIABLE, WDT_RESET


class WDT:
    """The watchdog: the program starts anew unless it is fed in time, whatever it does.

    Args:
        timeout: milliseconds. What "watchdog_ms" of `chip_sim.json` says wins, if there is such a
            file: nobody waits a minute for a simulation.
    """

    def __init__(self, id=0, timeout=5000):
        try:
            with open(FOLDER + "chip_sim.json") as file:
                timeout = json.load(file)["watchdog_ms"]
        except (OSError, ValueError, KeyError):
            pass
        self._timeout = timeout
        os.putenv(RESET_VARIABLE, str(WDT_RESET))
        self.feed()

    def feed(self):
        hostio.watchdog(self._timeout)
