"""Accepting connections, with a limit that several listeners share."""

import gc
import socket
from errno import EAGAIN
from select import POLLIN
from time import ticks_ms

from micropython import const

from . import poller
from .connection import Connection

# Connections over the limit that are still told so (503) instead of being dropped unheard.
OVERFLOW = 2

# Pending handshakes; lwIP keeps at most LWIP_TCP_ACCEPTMBOX_SIZE (6) anyway.
BACKLOG = 6

# A peer that has said something so recently is not closed to make room: for a request, and for a
# connection that is to last itself. Clients that are too many would else take turns by the second.
QUIET_MS = 10_000
LASTING_QUIET_MS = 60_000

# Ticks that a client waits for one of the places with TLS, 5 s. To tell it that there is none
# would take TLS's memory, so it waits unaccepted and is dropped after that.
_PATIENCE = const(10)


class AddressError(OSError):
    """Nothing can listen at an address and port; the text says which and why."""


class Group:
    """The connections that share one limit, because they share the chip's sockets.

    Attributes:
        limit: how many are served at a time.
        secure_limit: how many of these may have TLS, because of its memory; None for all.
        kept: how many places connections that last leave to others (`may_last`).
        connections: the open ones, oldest first.
        accepted, refused, evicted: counters since start.
    """

    def __init__(self, limit, secure_limit=None, kept=0):
        self.limit = limit
        self.secure_limit = secure_limit
        self.kept = kept
        self.connections = []
        self.accepted = 0
        self.refused = 0
        self.evicted = 0

    def remove(self, connection):
        if connection in self.connections:
            self.connections.remove(connection)

    def make_room(self, secure=False):
        """Close the connection that has been idle longest, or else has been quiet longest.

        Args:
            secure: only one with TLS will do.

        Returns:
            False when there is none.
        """
        now = ticks_ms()
        candidates = [c for c in self.connections if c.secure or not secure]
        found = None
        longest = -1
        for connection in candidates:
            idle = connection.idle(now)
            if idle > longest:
                found, longest = connection, idle
        if found is None:
            # The requests of new connections are on their way; but not of as many as that.
            silent = [c for c in candidates if c.silent()]
            if len(silent) <= self.limit // 2:
                return self._close_quiet(candidates, now)
            found = silent[0]
        self.evicted += 1
        found.abort()
        return True

    def may_last(self):
        """Whether a connection may become one that lasts; one that is quiet is closed for it."""
        now = ticks_ms()
        lasting = [c for c in self.connections if c.quiet(now) >= 0]
        return len(lasting) < max(1, self.limit - self.kept) or self._close_quiet(
            lasting, now, LASTING_QUIET_MS
        )

    def _close_quiet(self, candidates, now, longest=QUIET_MS):
        found = None
        for connection in candidates:
            quiet = connection.quiet(now)
            if quiet > longest:
                found, longest = connection, quiet
        if found is None:
            return False
        self.evicted += 1
        try:
            found.protocol.make_way()
        except MemoryError:
            pass  # it goes without a word
        found.abort()
        return True


def bound_socket(host, port, kind, backlog=None):
    """Make a non-blocking socket of `kind` (SOCK_STREAM, SOCK_DGRAM), bound to an address.

    Args:
        backlog: pending connections, of one that listens.

    Raises:
        AddressError: the address isn't ours, or the port is taken.
    """
    sock = None
    try:
        info = socket.getaddrinfo(host, port, 0, kind)[0]
        sock = socket.socket(*info[:3])
        if backlog is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(info[-1])
        if backlog is not None:
            sock.listen(backlog)
        sock.setblocking(False)
    except OSError as error:
        if sock is not None:
            sock.close()
        raise AddressError(f"can't listen at {host} port {port}: {error}")
    return sock


class Listener:
    """Listens at (host, port) and starts a protocol for every connection.

    Args:
        host: address or name to listen at.
        port: TCP port, 0 for any free one.
        protocol_factory: called as `protocol_factory(connection, overloaded)`; `overloaded` asks
            for a protocol that refuses politely (HTTP 503) and closes.
        group: the `Group` that the connections count in.
        ssl: a `tls.SSLContext` with a certificate, to serve with TLS.

    Raises:
        AddressError: the address isn't ours, or the port is taken.
    """

    _waited = 0  # ticks that a client with TLS has waited

    def __init__(self, host, port, protocol_factory, group, backlog=BACKLOG, ssl=None):
        self._factory = protocol_factory
        self.group = group
        self._ssl = ssl
        self._resting = False
        self.sock = bound_socket(host, port, socket.SOCK_STREAM, backlog)
        poller.current().add(self, POLLIN)

    def close(self):
        """Stop listening; connections go on."""
        sock, self.sock = self.sock, None
        if sock is not None:
            poller.current().discard(sock)
            sock.close()

    def ready(self, events):
        group = self.group
        secure = self._ssl is not None
        over = False
        if secure:
            from .secure import accepted, is_full

            over = is_full(group)
            if not over:
                self._waited = 0
            elif self._waited < _PATIENCE:
                self._waited += 1
                self._rest()
                return
        try:
            sock, address = self.sock.accept()
        except OSError as error:
            if error.errno != EAGAIN:
                self._rest()
            return
        except MemoryError:
            self._rest()
            return
        over = over or (len(group.connections) >= group.limit and not group.make_room())
        if over:
            group.refused += 1
            if secure or len(group.connections) >= group.limit + OVERFLOW:
                sock.close()
                return
        try:
            if secure:
                connection = accepted(sock, group, address, self._ssl)
            else:
                connection = Connection(sock, group, address)
        except BaseException as error:
            if not over:
                group.refused += 1
            sock.close()
            if isinstance(error, OSError):
                # Reset before it was looked at, or no memory for TLS: nothing to look for here.
                poller.report(f"connection refused: {type(error).__name__}: {error}")
                return
            raise
        if not over:
            group.accepted += 1
        try:
            group.connections.append(connection)
            connection.start(self._factory(connection, over))
        except BaseException:
            connection.abort()
            raise

    def _rest(self):
        # Out of places, descriptors or memory (ENFILE, EMFILE, ENOMEM): the pending connection
        # stays pending, so wait for the next tick instead of trying in a loop.
        gc.collect()
        self._resting = True
        poller.current().modify(self.sock, 0)

    def tick(self, now):
        if self._resting:
            self._resting = False
            poller.current().modify(self.sock, POLLIN)

    def failed(self, error):
        poller.report("connection refused", error)
