"""A simulated pulse counter, see the package."""

from . import signals
from .pin import Pin


class Counter:
    """machine.Counter of the ESP32, which has eight; what pulses there are says `signals`."""

    RISING = 1
    FALLING = 2
    UP = 1
    DOWN = 2
    UNITS = 8

    def __init__(self, id, src, *, edge=RISING, direction=UP, filter_ns=0):
        if not 0 <= id < self.UNITS:
            raise ValueError("invalid id")
        if edge not in (1, 2, 3):
            raise ValueError("invalid edge")
        pin = src if isinstance(src, Pin) else Pin(src)
        self._id = pin.id
        self._sign = 1 if direction == self.UP else -1
        signals.read()
        self._since = signals.pulses(self._id)

    def value(self, value=None):
        """The pulses counted; with an argument, and from now on this."""
        signals.read()
        now = signals.pulses(self._id)
        if now < self._since:
            self._since = now  # another signal
        count = int(now - self._since)
        if value is not None:
            # The fraction belongs to the pulse that comes next.
            self._since += count - self._sign * value
        return self._sign * count

    def deinit(self):
        pass
