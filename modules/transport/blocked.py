"""Who kept everything else waiting: the name of what ran while the event loop stood.

Imported when that happens for the first time.
"""

from time import ticks_diff, ticks_ms

from . import poller

# One that blocks again and again is told of so often, so that the log keeps other lines.
REPEAT_MS = 60_000

# Meanwhile a program starts, and most is imported: nobody waits for it yet.
STARTING_MS = 5_000

_told = {}  # time.ticks_ms() by name
_MOST = 8


def tell(ms, task, what=None):
    """See `poller.tell_blocked`."""
    now = ticks_ms()
    if 0 <= ticks_diff(now, poller.started) < STARTING_MS:
        return
    name = what or _name(task)
    if name in _told and ticks_diff(now, _told[name]) < REPEAT_MS:
        return
    if len(_told) >= _MOST:
        _told.clear()
    _told[name] = now
    poller.report(f"{name} kept everything else waiting for {ms} ms")


def _name(task):
    name = None if poller.namer is None else poller.namer(task)
    if name is not None:
        return name
    # <generator object 'blink' at 3ffe8a10>
    parts = repr(task.coro).split("'")
    return "the task " + (parts[1] if len(parts) > 1 else parts[0])
