"""Accepting connections, with a limit that several listeners share."""

import gc
import socket
from errno import EAGAIN
from select import POLLIN
from time import ticks_ms

from lazy import load

from . import poller
from .connection import Connection

# Sockets beyond the limit: of clients that wait for a place, or are told that there is none (503).
OVERFLOW = 2

# Pending handshakes; lwIP keeps at most LWIP_TCP_ACCEPTMBOX_SIZE (6) anyway.
BACKLOG = 6


class AddressError(OSError):
    """Nothing can listen at an address and port; the text says which and why."""


class Group:
    """The connections that share one limit, because they share the chip's sockets.

    Attributes:
        limit: how many are served at a time.
        secure_limit: how many of these may have TLS, because of its memory; None for all.
        kept: how many places connections that last leave to others (`may_last`).
        own: None, or called with a peer's (host, port): whether one place is kept for it and its
            like, or None while none is kept.
        connections: the open ones, oldest first.
        waiting: what has been accepted and has no place yet, see `places`.
        full: whether the one that waited last has waited in vain.
        accepted, refused, evicted: counters since start.
    """

    own = None
    full = False
    serving = False  # whether the task of `places` runs

    def __init__(self, limit, secure_limit=None, kept=0):
        self.limit = limit
        self.secure_limit = secure_limit
        self.kept = kept
        self.connections = []
        self.waiting = []
        self.accepted = 0
        self.refused = 0
        self.evicted = 0

    def remove(self, connection):
        if connection in self.connections:
            self.connections.remove(connection)
            if self.full and not connection.over:
                self.full = False

    def is_free(self, secure):
        """Whether there is a place for any client at all, which nobody waits for."""
        connections = self.connections
        if self.waiting or len(connections) >= self.limit - (self.own is not None):
            return False
        limit = self.secure_limit
        return not secure or limit is None or sum([c.secure for c in connections]) < limit

    def may_last(self, host=None):
        """Whether a connection may become one that lasts; one that is quiet is closed for it.

        Args:
            host: its peer's address.
        """
        now = ticks_ms()
        lasting = [c for c in self.connections if c.quiet(now) >= 0]
        if len(lasting) < max(1, self.limit - self.kept):
            return True
        return load("transport.places", "make_lasting")(self, lasting, now, host)


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
        protocol_factory: called with each `Connection`, gives its protocol; `connection.over` asks
            for one that refuses politely (HTTP 503) and closes.
        group: the `Group` that the connections count in.
        ssl: a `tls.SSLContext` with a certificate, to serve with TLS.

    Raises:
        AddressError: the address isn't ours, or the port is taken.
    """

    def __init__(self, host, port, protocol_factory, group, backlog=BACKLOG, ssl=None):
        self._factory = protocol_factory
        self.group = group
        self.ssl = ssl
        self._resting = False
        self.sock = bound_socket(host, port, socket.SOCK_STREAM, backlog)
        poller.current().add(self, POLLIN)

    def close(self):
        """Stop listening; connections go on."""
        sock, self.sock = self.sock, None
        if sock is not None:
            poller.current().discard(sock)
            sock.close()
            if self.group.waiting:
                load("transport.places", "dismiss")(self)

    def ready(self, events):
        group = self.group
        if len(group.connections) + len(group.waiting) >= group.limit + OVERFLOW:
            if not load("transport.places", "make_way")(group):
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
        seat = client = None
        try:
            if not group.is_free(self.ssl is not None):
                seat = load("transport.places", "seat")
                client = (self, sock, address)
        except BaseException:
            sock.close()
            raise
        if seat is None:
            self.start(sock, address)
        else:
            seat(client)

    def start(self, sock, address, over=False):
        """Begin to serve a client.

        Args:
            over: there is no place for it, which is all that it's told.
        """
        group = self.group
        try:
            if over:
                group.refused += 1
                if self.ssl is not None:
                    # To tell it would take TLS's memory.
                    sock.close()
                    return
            if self.ssl is not None:
                from .secure import accepted

                connection = accepted(sock, group, address, self.ssl)
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
        try:
            if over:
                connection.over = True
            else:
                group.accepted += 1
            group.connections.append(connection)
            connection.start(self._factory(connection))
        except BaseException:
            connection.abort()
            raise

    def _rest(self):
        # Out of places, descriptors or memory (ENFILE, EMFILE, ENOMEM): the pending connection
        # stays pending, so wait for the next tick instead of trying in a loop.
        gc.collect()
        self._resting = True
        poller.current().modify(self.sock, 0)

    def resume(self):
        """Look for clients again."""
        if self._resting and self.sock is not None:
            self._resting = False
            poller.current().modify(self.sock, POLLIN)

    def tick(self, now):
        self.resume()
        if self.group.waiting:
            load("transport.places", "serve")(self.group)

    def failed(self, error):
        poller.report("connection refused", error)
