"""What drives the simulated pins, `gpio_sim.json`: a signal by the pin's number.

- `1` or `0`: a level.
- `{"mv": 1250}`: a voltage; `{"mv": [400, 2000], "period_s": 30}`: one that goes up and down.
- `{"hz": 50}`: so many pulses a second.

The file is read again whenever its text changes.
"""

import json
import math
import sys

from clock import uptime

import machine

# What a level is measured as, and from where on a voltage is one, in mV.
HIGH_MV = 3300
_THRESHOLD_MV = 1650

_text = ""
_signals = {}


def read():
    """Look whether the file has changed."""
    global _text, _signals
    try:
        with open(machine.FOLDER + "gpio_sim.json") as file:
            text = file.read()
    except OSError:
        text = "{}"
    if text == _text:
        return
    _text = text
    try:
        _signals = {int(id): _checked(signal) for id, signal in json.loads(text).items()}
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        print(f"gpio_sim.json: {error!r}", file=sys.stderr)


def _checked(signal):
    if not isinstance(signal, dict):
        return int(bool(signal))
    if "hz" in signal:
        if signal["hz"] < 0:
            raise ValueError("hz must not be negative")
    elif isinstance(signal["mv"], list):
        low, high = signal["mv"]
        if signal["period_s"] <= 0 or high - low < 0:
            raise ValueError("mv needs low, high and period_s")
    else:
        signal["mv"] + 0
    return signal


def level(id):
    """0 or 1; None for a pin that nothing drives."""
    signal = _signals.get(id)
    if isinstance(signal, dict):
        if "hz" in signal:
            return int(uptime() * signal["hz"] * 2) & 1
        return int(millivolts(id) >= _THRESHOLD_MV)
    return signal


def millivolts(id):
    """The voltage at a pin; 0 for one that nothing drives."""
    signal = _signals.get(id)
    if not isinstance(signal, dict):
        return HIGH_MV if signal else 0
    if "hz" in signal:
        return HIGH_MV * level(id)
    if not isinstance(signal["mv"], list):
        return signal["mv"]
    low, high = signal["mv"]
    turn = 2 * math.pi * uptime() / signal["period_s"]
    return low + (high - low) * (1 - math.cos(turn)) / 2


def pulses(id):
    """How many pulses there have been at a pin since the start, with a fraction."""
    signal = _signals.get(id)
    return uptime() * signal["hz"] if isinstance(signal, dict) and "hz" in signal else 0
