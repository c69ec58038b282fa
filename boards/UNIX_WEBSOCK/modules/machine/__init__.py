"""The hardware of the host board: what the unix port's `machine` has, and simulated peripherals.

Follows docs/library/machine of MicroPython and the ESP32 port for what the product uses. What
stands for the hardware is in the device's filesystem:

- `unique_id`: the chip's number, made at first use.
- `gpio_sim.json`: what drives the pins, such as {"4": 1, "34": {"mv": 1250}, "35": {"hz": 50}},
  see `signals`. It is read again whenever its text changes, each time a pin is read, and every
  `Pin.WATCH_MS` while a pin has a handler.
- `chip_sim.json`: how long the watchdog waits (`WDT`).
- `uart<N>.pty`: the path of the pseudo-terminal that is the wire of UART N, written when the
  UART is opened; `screen $(cat uart1.pty)` is the device at its other end.
"""

import os

import hostio
import lazy

# The built-in module, which this one hides.
from umachine import *  # noqa: F403

# Where the files are: the device's filesystem.
FOLDER = "/"

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_ID_SIZE = 6
RESET_VARIABLE = "WEBSOCK_RESET_CAUSE"
_cause = int(os.getenv(RESET_VARIABLE) or PWRON_RESET)

__getattr__ = lazy.loader(
    globals(),
    (
        ("analog", ("ADC", "PWM")),
        ("counter", ("Counter",)),
        ("pin", ("Pin",)),
        ("signals", ()),
        ("uart", ("UART",)),
        ("wdt", ("WDT",)),
    ),
)


def unique_id():
    """6 bytes, as on the ESP32 the chip's MAC address: unicast, locally administered."""
    path = FOLDER + "unique_id"
    try:
        with open(path, "rb") as file:
            own = file.read(_ID_SIZE)
    except OSError:
        own = b""
    if len(own) != _ID_SIZE:
        own = bytearray(os.urandom(_ID_SIZE))
        own[0] = own[0] & 0xFC | 2
        with open(path, "wb") as file:
            file.write(own)
    return bytes(own)


def reset():
    """Start the program anew, as a chip does when it is reset."""
    os.putenv(RESET_VARIABLE, str(HARD_RESET))
    hostio.restart()


def reset_cause():
    """PWRON_RESET after a start from outside, HARD_RESET after `reset()`, WDT_RESET."""
    return _cause
