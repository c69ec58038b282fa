"""Room for who comes when memory is short, by those who need none now.

Seldom needed, and itself in the way then: it is gone from memory after each time.
"""

import gc
from time import ticks_ms

import heap
from lazy import unload
from micropython import const

# A browser that loads a page goes on sooner.
_REST_MS = const(150)


def relieve(group):
    """Close the connections of a `Group` that owe nothing and aren't owed anything: their clients
    open others when they need them."""
    unload(__name__)
    gc.collect()
    if gc.mem_free() >= heap.RESERVE:
        return  # somebody asked for too much: others are not in the way
    now = ticks_ms()
    for connection in list(group.connections):
        if getattr(connection.protocol, "rests", False) and connection.idle(now) >= _REST_MS:
            group.evicted += 1
            connection.abort()
    gc.collect()
