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


def relieve(group, served=None):
    """Close the connections of a `Group` that owe nothing and aren't owed anything: their clients
    open others when they need them.

    Args:
        group: the `Group`.
        served: the connection for which room is made, which may have rested until now.
    """
    unload(__name__)
    gc.collect()
    free = gc.mem_free()
    if free >= heap.RESERVE:
        return  # somebody asked for too much: others are not in the way
    # Where next to nothing is left, a browser that has to connect anew is the lesser evil.
    rest = _REST_MS if free >= heap.RESERVE // 4 else 0
    now = ticks_ms()
    for connection in list(group.connections):
        if connection is served or not getattr(connection.protocol, "rests", False):
            continue
        if connection.idle(now) >= rest:
            group.evicted += 1
            connection.abort()
    gc.collect()
