"""What unit tests share: expecting exceptions, waiting, and stand-ins for parts of a chip."""

import asyncio
import time

WAIT_MS = 10_000


def raises(kind, call, *args, **kwargs):
    """Call a function that has to raise.

    Args:
        kind: the exception's class, or a tuple of them.
        call: what is called with the other arguments.

    Returns:
        What was raised.

    Raises:
        AssertionError: the function returned.
    """
    try:
        result = call(*args, **kwargs)
    except kind as error:
        return error
    raise AssertionError(f"returned {result}")


def refusal(kind, call, *args, **kwargs):
    """The text of what a call raises; the rest is as of `raises`."""
    return str(raises(kind, call, *args, **kwargs))


async def raises_later(kind, awaitable):
    """Await what has to raise; the rest is as of `raises`."""
    try:
        result = await awaitable
    except kind as error:
        return error
    raise AssertionError(f"returned {result}")


async def until(condition):
    """Wait until `condition()` is true.

    Raises:
        AssertionError: it wasn't within 10 s.
    """
    deadline = time.ticks_add(time.ticks_ms(), WAIT_MS)
    while not condition():
        assert time.ticks_diff(deadline, time.ticks_ms()) > 0, "not in time"
        await asyncio.sleep_ms(1)


class Store:
    """A chip's NVS, kept over restarts.

    Attributes:
        values: dict of what it holds.
        writes: how often it was written to.
        full: whether a write fails.
    """

    KEY_MAX = 15
    SIZE_MAX = 2048

    def __init__(self):
        self.values = {}
        self.writes = 0
        self.full = False

    def read(self, key):
        return self.values.get(key)

    def write(self, key, data):
        if self.full:
            raise OSError(-0x1105)  # ESP_ERR_NVS_NOT_ENOUGH_SPACE
        assert len(key) <= self.KEY_MAX and len(data) <= self.SIZE_MAX
        self.values[key] = bytes(data)
        self.writes += 1

    def remove(self, key):
        self.values.pop(key, None)


class Watchdog:
    """Counts how often it was fed."""

    def __init__(self):
        self.fed = 0

    def feed(self):
        self.fed += 1
