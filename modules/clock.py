"""How long the device has run: what times in its state and its log are counted in."""

from time import ticks_diff, ticks_ms

_last = ticks_ms()
_elapsed = 0  # ms up to _last


def uptime_ms():
    """Milliseconds since this module was imported, at boot.

    The ticks wrap after twelve days, so they are summed up; right as long as this is called, by a
    line of the log, a client or an interface, once in six.
    """
    global _last, _elapsed
    now = ticks_ms()
    _elapsed += ticks_diff(now, _last)
    _last = now
    return _elapsed


def uptime():
    """Seconds since the start, with fractions."""
    return uptime_ms() / 1000


def seconds():
    """Whole seconds since the start."""
    return uptime_ms() // 1000
