"""Who gets a place when none is free, and who makes way for whom.

A client for whom there is no place waits, accepted but not listened to, until somebody else's turn
is over; clients that reconnect without end can't keep others out that way, as they wait too.
Imported with the first client that finds no place.
"""

from asyncio import create_task, sleep_ms
from time import ticks_diff, ticks_ms

from micropython import const

from .connection import peer_address

# A peer that owes something, its first request or the rest of one, is left alone for so long: some
# round trips on a poor network. So is one that has had an answer and may go on.
GRACE_MS = 500

# And one of a connection that lasts with its pong: closed, it would lose what its client has open.
PONG_GRACE_MS = 1_000

# Who has waited for so long takes the place of one that has rested for only so long, which is more
# than a browser that loads a page does. And who has waited for so long is told that there is none;
# with TLS nobody is told, but closed.
HURRY_MS = 750
REST_MS = 150
PATIENCE_MS = 3_000
SECURE_PATIENCE_MS = 8_000

# A peer that has said something so recently is not closed to make room: for a request, and for a
# connection that is to last itself. Clients that are too many would else take turns by the second.
QUIET_MS = 10_000
LASTING_QUIET_MS = 60_000

# How often it is looked for who may be served now.
_STEP_MS = const(100)

_LISTENER = const(0)
_SOCKET = const(1)
_ADDRESS = const(2)
_PEER = const(3)  # (host, port)
_SINCE = const(4)  # time.ticks_ms()


def seat(client):
    """Give a client a place, or have it wait for one.

    Args:
        client: (listener, its socket, its address as the socket module gives it). The socket is
            closed where this raises.
    """
    listener, sock, address = client
    try:
        group = listener.group
        group.waiting.append((listener, sock, address, peer_address(address), ticks_ms()))
    except BaseException:
        sock.close()
        raise
    serve(group)
    if group.waiting and not group.serving:
        # Where the memory for it lacks, the listener's tick does the same.
        create_task(_serve_waiting(group))
        group.serving = True


async def _serve_waiting(group):
    try:
        while group.waiting:
            before = ticks_ms()
            await sleep_ms(_STEP_MS)
            # After a TLS handshake's arithmetic, what peers have sent meanwhile is read first.
            if ticks_diff(ticks_ms(), before) < 2 * _STEP_MS:
                serve(group)
    finally:
        group.serving = False


def serve(group):
    """Serve those who wait and can be served, and refuse those who have waited for too long."""
    now = ticks_ms()
    for client in list(group.waiting):
        listener = client[_LISTENER]
        secure = listener.ssl is not None
        waited = ticks_diff(now, client[_SINCE])
        over = False
        if not _make_room(group, client[_PEER], secure, waited >= HURRY_MS):
            # Once one has waited in vain, others needn't until a place becomes free.
            over = group.full or waited >= (SECURE_PATIENCE_MS if secure else PATIENCE_MS)
            if not over:
                continue
            group.full = True
        group.waiting.remove(client)
        listener.start(client[_SOCKET], client[_ADDRESS], over)
        listener.resume()


def dismiss(listener):
    """Close what waits for a place at a listener that is closed."""
    waiting = listener.group.waiting
    for client in list(waiting):
        if client[_LISTENER] is listener:
            waiting.remove(client)
            client[_SOCKET].close()


def make_way(group):
    """Close one of those who are told that there is no place; False when there is none."""
    now = ticks_ms()
    for connection in group.connections:
        if connection.over and connection.idle(now) >= GRACE_MS:
            connection.abort()
            return True
    return False


def make_lasting(group, lasting, now, host):
    """Close one of the connections that last for another, of `host`; False when none is quiet."""
    crowd = _crowd(_by_host(lasting), host, group.limit - group.kept)
    found = _longest(lasting, now, GRACE_MS)
    if found is None and crowd is not None:
        found = _quietest(crowd, now, 0) or crowd[0]
    if found is None:
        found = _quietest(lasting, now, LASTING_QUIET_MS)
    return _evict_or_ask(group, found, lasting)


def free_memory(group):
    """Close the connection with TLS that has been idle longest; False when none is idle."""
    found = _longest([c for c in group.connections if c.secure], ticks_ms(), 0)
    if found is None:
        return False
    evict(group, found)
    return True


def evict(group, connection):
    """Close a connection for the sake of others; its protocol may say so first."""
    group.evicted += 1
    try:
        make_way = getattr(connection.protocol, "make_way", None)
        if make_way is not None:
            make_way()
    except MemoryError:
        pass  # it goes without a word
    connection.abort()


def _make_room(group, peer, secure, hurry):
    # Whether a client may be served now, if need be in another's place.
    seated = [c for c in group.connections if not c.over]
    limit = group.limit
    candidates = seated
    if group.own is not None and group.own(peer) is False:
        strangers = [c for c in seated if not group.own(c.remote_address)]
        if len(strangers) >= limit - 1:
            limit -= 1
            candidates = strangers
    if len(candidates) < limit:
        candidates = None
    if secure and group.secure_limit is not None:
        with_tls = [c for c in seated if c.secure]
        if len(with_tls) >= group.secure_limit:
            limit = group.secure_limit
            candidates = with_tls
    if candidates is None:
        return True
    now = ticks_ms()
    host = peer[0]
    by_host = _by_host(candidates)
    crowd = _crowd(by_host, host, limit)
    found = None
    if crowd is not None:
        found = _longest(crowd, now, 0) or crowd[0]
    elif len(by_host.get(host, ())) >= _share(limit):
        candidates = by_host[host]
    if found is None:
        found = _longest(candidates, now, GRACE_MS)
    if found is None and hurry:
        resting = [c for c in candidates if getattr(c.protocol, "rests", False)]
        found = _longest(resting, now, REST_MS)
    if found is None:
        found = _quietest(candidates, now, QUIET_MS)
    return _evict_or_ask(group, found, candidates)


def _share(limit):
    # An address may have more places than this only as long as nobody else wants one.
    return max(1, limit * 3 // 4)


def _crowd(by_host, host, limit):
    # The connections of another address that has more than its share; or None.
    share = _share(limit)
    if len(by_host.get(host, ())) < share:
        for crowd in by_host.values():
            if len(crowd) > share:
                return crowd
    return None


def _by_host(connections):
    by_host = {}
    for connection in connections:
        by_host.setdefault(connection.remote_address[0], []).append(connection)
    return by_host


def _longest(connections, now, least):
    # Who has been idle longest, and no shorter than `least`; or None.
    found = None
    for connection in connections:
        idle = connection.idle(now)
        if idle >= least and (idle >= PONG_GRACE_MS or connection.quiet(now) < 0):
            found, least = connection, idle + 1
    return found


def _quietest(connections, now, least):
    # Likewise of those that last, by their peer's last message.
    found = None
    for connection in connections:
        quiet = connection.quiet(now)
        if quiet > least:
            found, least = connection, quiet
    return found


def _evict_or_ask(group, found, candidates):
    # Close the one that was found; else have those that last tell whether they are still there:
    # who doesn't answer will be idle.
    if found is not None:
        evict(group, found)
        return True
    for connection in candidates:
        probe = getattr(connection.protocol, "probe", None)
        if probe is not None:
            probe()
    return False
