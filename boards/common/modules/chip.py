"""What a start of a chip needs around the app: `board.chip`. See boards/board.pyi."""

import sys
from time import sleep_ms

import machine
import network
import nvs_store

store = nvs_store.store


def restart():
    """Restart the chip after a failure, with time to read the console or to press Ctrl-C."""
    sleep_ms(5000)
    machine.reset()


def watchdog(timeout_ms):
    """Start the chip's watchdog; it can't be stopped again."""
    return machine.WDT(timeout=timeout_ms)


def feed_always(fed):
    """Feed the watchdog from a timer from now on, while the REPL has the chip."""
    machine.Timer(0).init(period=5000, callback=lambda timer: fed.feed())


def deliberate():
    """Whether this start follows an order: waking from deep sleep.

    A soft reset is no order. Before the one of Ctrl-D comes Ctrl-C, after which the starts count
    anew.
    """
    return machine.reset_cause() == machine.DEEPSLEEP_RESET


def held():
    """Whether the BOOT button is held.

    At reset itself that starts the ROM's bootloader: press it right after. An ESP32 with Ethernet
    may have the PHY's clock at that pin, and is not asked; the others have theirs on SPI.
    """
    chip = sys.implementation._machine
    if hasattr(network, "LAN") and "ESP32S3" not in chip and "ESP32C3" not in chip:
        return False
    number = 9 if "ESP32C3" in chip else 0
    button = machine.Pin(number, machine.Pin.IN, machine.Pin.PULL_UP)
    for _ in range(5):
        if button.value():
            return False
        sleep_ms(10)
    return True
