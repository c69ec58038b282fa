"""A chip's start, simulated: `board.chip` with --chip. See boards/board.pyi.

What a chip keeps in NVS is in the folder `nvs_sim` of the device's filesystem, its BOOT button is
pin 0 of `gpio_sim.json`.
"""

import os
from time import sleep_ms

import hostio
import machine


class _Store:
    """A file for each key, written as a whole or not at all, as in NVS."""

    def __init__(self, folder):
        self._folder = folder

    def read(self, key):
        try:
            with open(self._folder + key, "rb") as file:
                return file.read()
        except OSError:
            return None

    def write(self, key, data):
        try:
            os.mkdir(self._folder[:-1])
        except OSError:
            pass  # there is one
        scratch = self._folder + key + ".new"
        with open(scratch, "wb") as file:
            file.write(data)
        os.rename(scratch, self._folder + key)

    def remove(self, key):
        try:
            os.remove(self._folder + key)
        except OSError:
            pass


store = _Store(machine.FOLDER + "nvs_sim/")


def restart():
    """As a chip, but sooner."""
    sleep_ms(500)
    machine.reset()


def watchdog(timeout_ms):
    return machine.WDT(timeout=timeout_ms)


def feed_always(fed):
    """Stop it: there is no timer that could go on under Python."""
    hostio.watchdog(0)


def deliberate():
    return machine.reset_cause() == machine.DEEPSLEEP_RESET


def held():
    return machine.Pin(0, machine.Pin.IN, machine.Pin.PULL_UP).value() == 0
