"""The history of a numeric value: samples at even intervals, as many as the heap has room for.

The interval begins at a second. When there is no room for another sample every second one is
given up and the interval doubles, so that the history reaches back to the start, at most for a
day; from then on the older half goes. A value that isn't published stays what it was until its
interface ends.
"""

from array import array

import heap
from micropython import const

# Samples of one value: 4 bytes each, and 16 interfaces with two values take an eighth of the heap
# at most.
SAMPLES = max(32, min(720, heap.SIZE // 1024))

# Values of one interface that have a history; what has more is no gauge.
VALUES_MAX = 4

# Seconds that the history reaches back at most.
REACH_S = const(86_400)

_NONE = float("nan")  # no value at that time


def remember(interface, key, value, now):
    """Add a value to the histories of an interface."""
    histories = interface.histories
    try:
        if histories is None:
            histories = interface.histories = {}
        history = histories.get(key)
        if history is None:
            if len(histories) >= VALUES_MAX:
                return
            history = histories[key] = History(now)
        history.add(now, value)
    except MemoryError:
        pass  # the value itself matters more


class History:
    """Samples of one value.

    Attributes:
        begin: when the first sample was taken, in seconds since the device's start.
        interval: seconds from one sample to the next.
        count: how many there are.
    """

    # Made with the second value: many a one never changes.
    _samples = None

    def __init__(self, now):
        self.begin = now
        self.interval = 1
        self.count = 0
        self._last = _NONE

    def add(self, now, value):
        """Take the value that holds from `now`, in seconds since the start, on."""
        if self._samples is None and self.count and value != self._last:
            self._store()
        self.reach(now)
        self._last = value
        if self._samples is not None:
            self._samples[self.count - 1] = value

    def end(self, now):
        """Note that no value holds from `now` on: the interface has ended."""
        if self._last == self._last:
            if self._samples is None:
                self._store()
            self.reach(now)
            self._last = _NONE

    def _store(self):
        samples = array("f", bytes(4 * SAMPLES))
        for i in range(self.count):
            samples[i] = self._last
        self._samples = samples

    def reach(self, now):
        """Fill up to the sample of `now`, which is the last one then: nothing has changed."""
        wanted = (now - self.begin) // self.interval + 1
        if wanted - self.count > 2 * SAMPLES and self.interval * SAMPLES >= REACH_S:
            # Longer than a history reaches: all of it would go one half after the other.
            self.begin = now
            self.count = 0
            wanted = 1
        while wanted > SAMPLES:
            self._fill(SAMPLES)
            self._make_room()
            wanted = (now - self.begin) // self.interval + 1
        self._fill(wanted)

    def _fill(self, count):
        samples, last = self._samples, self._last
        if samples is not None:
            for i in range(self.count, count):
                samples[i] = last
        if count > self.count:
            self.count = count

    def _make_room(self):
        samples, half = self._samples, SAMPLES // 2
        if self.interval * SAMPLES >= REACH_S:
            if samples is not None:
                for i in range(SAMPLES - half):
                    samples[i] = samples[half + i]
            self.begin += half * self.interval
            self.count = SAMPLES - half
            return
        self.interval *= 2
        self.count = (SAMPLES + 1) // 2
        if samples is not None:
            for i in range(self.count):
                samples[i] = samples[2 * i]

    def rows(self):
        """Yields (seconds since the start, value) of each sample; a value that there was none at
        that time is None."""
        for i in range(self.count):
            value = self._last if self._samples is None else self._samples[i]
            # Not NaN, nor what is beyond single precision: JSON has no infinity.
            yield self.begin + i * self.interval, value if value - value == 0 else None
