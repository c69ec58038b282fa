"""How much peers may have the device keep, over all connections.

Imported when they are near it.
"""

import heap

from .places import evict

# Bytes of what peers have begun and not finished, heads, bodies and messages, and of messages that
# nobody has taken yet.
BUDGET = heap.SIZE // 8


def reserve(group, connection, size):
    """See `Connection.reserve`."""
    others = [c for c in group.connections if c is not connection]
    kept = size + sum([_kept(other) for other in others])
    while kept > BUDGET:
        # Of those that keep as much, the oldest.
        largest = None
        most = 0
        for other in others:
            if _kept(other) > most:
                largest, most = other, _kept(other)
        if size > most:
            largest = connection
        evict(group, largest)
        if largest is connection:
            return False
        others.remove(largest)
        kept -= most
    return True


def _kept(connection):
    tail = connection.tail
    return getattr(connection.protocol, "held", 0) + (0 if tail is None else len(tail))
