"""Simulated ADC and PWM, see the package."""

from . import signals
from .pin import Pin


class ADC:
    """An analog input of the ESP32; what drives it says `signals`."""

    ATTN_0DB = 0
    ATTN_2_5DB = 1
    ATTN_6DB = 2
    ATTN_11DB = 3

    # Where the converter is at its end, in mV.
    _FULL = (1100, 1500, 2200, 3300)

    def __init__(self, id, *, atten=ATTN_0DB):
        pin = id if isinstance(id, Pin) else Pin(id)
        if not 32 <= pin.id <= 39:
            raise ValueError("invalid pin")
        if atten not in (0, 1, 2, 3):
            raise ValueError("invalid attenuation")
        self._id = pin.id
        self._full = self._FULL[atten]

    def read_uv(self):
        """The voltage in microvolts, in steps of a millivolt."""
        signals.read()
        return 1000 * int(min(max(signals.millivolts(self._id), 0), self._full))

    def read_u16(self):
        return self.read_uv() * 65535 // (1000 * self._full)

    def deinit(self):
        pass


class PWM:
    """A PWM output of the ESP32: 16 channels, whose duty and frequency can be read back."""

    CHANNELS = 16

    # By the pin's number: (frequency, duty).
    running = {}

    def __init__(self, dest, *, freq=5000, duty_u16=None):
        pin = dest if isinstance(dest, Pin) else Pin(dest)
        if pin.id >= 34:
            raise ValueError("pin can only be input")
        if pin.id not in self.running and len(self.running) >= self.CHANNELS:
            raise RuntimeError(f"out of PWM channels:{self.CHANNELS}")
        self._id = pin.id
        before = self.running.get(self._id, (0, 32768))
        self.running[self._id] = before
        self.freq(freq)
        self.duty_u16(before[1] if duty_u16 is None else duty_u16)

    def freq(self, value=None):
        if value is None:
            return self.running[self._id][0]
        if not 1 <= value <= 40_000_000:
            raise ValueError("frequency must be from 1Hz to 40MHz")
        self.running[self._id] = value, self.running[self._id][1]

    def duty_u16(self, value=None):
        if value is None:
            return self.running[self._id][1]
        if not 0 <= value <= 65535:
            raise ValueError("duty_u16 must be from 0 to 65535")
        self.running[self._id] = self.running[self._id][0], value

    def deinit(self):
        self.running.pop(self._id, None)
