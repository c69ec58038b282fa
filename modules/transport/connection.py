"""One TCP connection: a non-blocking socket between the event loop and a protocol."""

import gc
import socket
from asyncio import core
from builtins import len, memoryview
from errno import ECONNRESET
from select import POLLERR, POLLHUP, POLLOUT
from time import ticks_add, ticks_diff, ticks_ms

import micropython
from heap import BLOCK_SIZE, SIZE
from lazy import load
from micropython import const

from . import poller

# A writer waits in `drained` while more than this is queued: half of lwIP's send buffer, so that
# the socket never runs dry before the writer is woken.
LOW_WATER = 2880

# A peer that takes nothing for so long is gone; bounds how long a queue can be held in memory.
WRITE_TIMEOUT_MS = 30_000

# A peer that takes nothing for so long, twice the first retransmission time-out of TCP, counts as
# idle from then on.
STALL_MS = 2_000

# How often a protocol that lacks memory to end in order is told again that it is over.
LOST_ATTEMPTS = 2

# Bytes that connections may keep for their peers, in all, without a look at what others keep.
_UNASKED = SIZE // 32

# The same numbers on lwIP and Linux; the unix port's socket module doesn't name them.
_IPPROTO_TCP = const(6)
_TCP_NODELAY = const(1)

# Every message passes here and through the modules above. They import the builtins that they use
# for each: one that isn't a global is found behind them all, after a look at each.

# POLLIN, known when compiling.
_IN = const(1)

# Where all connections receive. Its size is also the most that a protocol can leave unconsumed.
_block = bytearray(BLOCK_SIZE)
_view = memoryview(_block)


class ConnectionLost(OSError):
    """The connection is closed; `errno` says why when the system gave a reason."""


def peer_address(address):
    """(host, port) of a peer, from what the socket module gives for it; None for None."""
    if isinstance(address, (bytes, bytearray)):
        # The unix port's sockets give the system's structure.
        family, host, port = socket.sockaddr(address)[:3]
        return socket.inet_ntop(family, host), port
    return address and address[:2]


class Connection:
    """Bytes between a socket and `protocol` (see the package's docstring).

    Everything happens in the event loop: reading and the protocol in `ready`, writing in `write`
    while nothing is queued and in `ready` after that, so bytes can't interleave and a task that
    is cancelled leaves the stream whole.

    Attributes:
        remote_address: the peer's (host, port), None when it isn't known.
        queued: bytes written but not taken by the socket.
        events: what the socket is polled for: POLLIN while reading, POLLOUT while some are queued.

    A class with a property looks each attribute that is stored up in itself and its bases first.
    Those that pass a message have none: what a program asks for now and then comes by
    `__getattr__`.
    """

    secure = False  # whether the bytes travel in TLS

    # Further attributes once they are needed; an idle connection does without.
    deadline = None  # time.ticks_ms() at which protocol.timed_out() is called
    tail = None  # received but not consumed
    _progress = 0  # ticks_ms of the last byte that the peer took while bytes are queued
    _waiting = None  # tasks in drained()
    _closing = False
    over = False  # there is no place for it, which is all that its peer is told

    def __init__(self, sock, group=None, address=None):
        sock.setblocking(False)
        # Without it a second small write waits for the peer's delayed ACK, about 40 ms.
        sock.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
        self.sock = sock
        self.group = group
        # The unix port's socket module gives the system's structure, not (host, port).
        if address is not None and len(address) != 2:
            address = peer_address(address)
        self.remote_address = address
        self.protocol = None
        self.queued = 0
        self._queue = None
        self.events = 0

    def start(self, protocol, connecting=False):
        """Begin to deliver to `protocol`. `connecting`: the socket is not connected yet."""
        self.protocol = protocol
        self.events = _IN
        if connecting:
            # lwIP refuses to send before the handshake is done: queue what is written till then.
            self.events |= POLLOUT
            self._queue = []
            self._progress = ticks_ms()
        poller.current().add(self, self.events)

    def set_protocol(self, protocol):
        """Deliver to `protocol` from now on, first what the one before it hasn't consumed."""
        self.protocol = protocol
        self.resume_reading()

    def idle(self, now):
        """How long its peer has owed something, or asked for nothing.

        Args:
            now: `time.ticks_ms()`.

        Returns:
            Milliseconds; below 0 while it is the protocol's turn, or the connection is to last.
        """
        if self._queue is not None:
            return ticks_diff(now, self._progress) - STALL_MS
        since = None if self.protocol is None else self.protocol.idle_since
        return -1 if since is None else ticks_diff(now, since)

    def reserve(self, size):
        """Make sure that there is memory for what the connection is going to keep for its peer.

        Beyond what all may have (`budget.BUDGET`), the connection that keeps most is closed.

        Args:
            size: bytes that this one will keep in all.

        Returns:
            False when this one has been closed.
        """
        group = self.group
        if group is None or size * len(group.connections) <= _UNASKED:
            return True
        return load("transport.budget", "reserve")(group, self, size)

    def quiet(self, now):
        """Milliseconds since the peer's last message; below 0 on a connection that doesn't last.

        Args:
            now: `time.ticks_ms()`.
        """
        since = getattr(self.protocol, "quiet_since", None)
        return -1 if since is None else ticks_diff(now, since)

    @micropython.native
    def set_timeout(self, ms):
        """Call `protocol.timed_out()` in `ms` milliseconds, or never (None)."""
        self.deadline = None if ms is None else ticks_add(ticks_ms(), ms)

    # Reading

    def pause_reading(self):
        """Deliver nothing until `resume_reading`; the peer is held back by TCP's window."""
        self._watch(self.events & ~_IN)

    @micropython.native
    def resume_reading(self):
        """Deliver again, beginning with what was left over."""
        if self.sock is not None and not self.events & _IN:
            self._watch(self.events | _IN)
            if self.tail:
                poller.current().defer(self._deliver_tail, self.tail)

    def _deliver_tail(self, tail):
        # Only if nothing has happened since: not closed, paused or delivered.
        if self.tail is not tail or not self.events & _IN:
            return
        self.tail = None
        _view[: len(tail)] = tail
        try:
            self._deliver(len(tail))
        except Exception as error:
            self.failed(error)

    @micropython.native
    def _receive(self):
        protocol = self.protocol
        wanted = protocol.wanted
        if wanted is None:
            if self.tail is None:
                n = self.sock.readinto(_block)
                if n:
                    start = protocol.data_received(_block, 0, n)
                    if start < n:
                        self._keep(protocol, start, n)
            else:
                kept = len(self.tail)
                n = self.sock.readinto(_view[kept:])
                if n:
                    tail, self.tail = self.tail, None
                    _view[:kept] = tail
                    self._deliver(kept + n)
            if n and self.events & _IN:
                # The rest of what began in the block has most likely arrived too; waiting for
                # the next poll, it would be one more message that is only half there.
                wanted = self.protocol.wanted
        if wanted is not None:
            n = self.sock.readinto(wanted)
            if n:
                self.protocol.filled(n)
        if n == 0:
            # At end of file poll() would report POLLIN for ever.
            self.pause_reading()
            self.protocol.eof_received()

    def _deliver(self, end):
        protocol = self.protocol
        start = protocol.data_received(_block, 0, end)
        if start < end:
            self._keep(protocol, start, end)

    @micropython.native
    def _keep(self, protocol, start, end):
        # `protocol` consumed what is before `start`. It may have been exchanged on the way (an
        # HTTP upgrade), paused or closed.
        while self.protocol is not protocol and self.events & _IN and start < end:
            protocol = self.protocol
            start = protocol.data_received(_block, start, end)
        if start < end and self.sock is not None:
            if self.reserve(end - start + getattr(protocol, "held", 0)):
                self.tail = bytes(_view[start:end])

    # Writing

    @micropython.native
    def write(self, data):
        """Send `data` (bytes-like or str as UTF-8), at once or as the peer takes it.

        Queues a reference, not a copy: a buffer must not be changed afterwards. Does nothing on
        a closed connection. The queue's bound is the writer's to keep: see `queued`, `drained`.

        Raises:
            MemoryError: the data can't be queued; the connection is closed.
        """
        sock = self.sock
        if sock is None:
            return
        try:
            if self._queue is None:
                try:
                    n = sock.write(data)
                except (OSError, ValueError) as error:
                    # Not from here: the caller may be in the middle of the protocol's work. Until
                    # then the queue fills, so that whoever awaits `drained` lets it happen.
                    poller.current().defer(self.failed, error)
                    n = None
                data = memoryview(data)
                if n == len(data):
                    return
                if n:
                    data = data[n:]
                self._queue = []
                self._progress = ticks_ms()
                self._watch(self.events | POLLOUT)
            else:
                data = memoryview(data)
            if len(data):
                self._queue.append(data)
                self.queued += len(data)
        except MemoryError as error:
            # Whatever followed would come behind a gap.
            self.abort()
            raise error

    async def drained(self):
        """Wait until the socket has taken all but `LOW_WATER` bytes of the queue.

        Raises:
            ConnectionLost: the connection closed instead.
        """
        while self.queued > LOW_WATER:
            if self._waiting is None:
                self._waiting = core.TaskQueue()
            await poller.suspend(self._waiting)
        if self.sock is None:
            raise ConnectionLost(ECONNRESET)

    def _flush(self):
        queue = self._queue
        while queue:
            data = queue[0]
            n = self.sock.write(data)
            if not n:
                break
            self._progress = ticks_ms()
            self.queued -= n
            if n < len(data):
                queue[0] = data[n:]
                break
            queue.pop(0)
        if not queue:
            self._queue = None
            self._watch(self.events & ~POLLOUT)
            if self._closing:
                self.abort()
                return
        if self._waiting and self.queued <= LOW_WATER:
            poller.wake(self._waiting)
        if not queue:
            self.protocol.sent()

    # Closing

    def close(self):
        """Close once everything written is sent, or the peer stopped taking it."""
        if self._queue is None:
            self.abort()
        else:
            self._closing = True

    def abort(self, error=None):
        """Close now and tell the protocol why; closing twice does nothing."""
        sock = self.sock
        if sock is None:
            return
        poller.current().discard(sock)
        self.sock = None
        sock.close()
        self.events = self.queued = 0
        self._queue = None
        # What has never been set would take memory.
        if self.tail is not None:
            self.tail = None
        if self.deadline is not None:
            self.deadline = None
        if self.group is not None:
            self.group.remove(self)
        if self._waiting:
            poller.wake(self._waiting)
        protocol, self.protocol = self.protocol, None
        if protocol is None:
            return
        for _ in range(LOST_ATTEMPTS):
            try:
                protocol.connection_lost(error)
                return
            except MemoryError:
                # What the connection held is free by now.
                gc.collect()
        protocol.connection_lost(error)

    # What the poller calls

    @micropython.native
    def ready(self, events):
        if events == _IN:
            if self.events & _IN:
                self._receive()
            return
        if events & POLLOUT:
            self._flush()
        if events & ~POLLOUT and self.sock is not None:
            if self.events & _IN:
                self._receive()
            if events & (POLLERR | POLLHUP) and self.sock is not None:
                # Reset or closed on both sides. What could be read may not be read yet.
                if not self.events & _IN:
                    self.abort(ConnectionLost(ECONNRESET))

    def tick(self, now):
        if self._queue is not None and ticks_diff(now, self._progress) > WRITE_TIMEOUT_MS:
            self.abort(ConnectionLost(ECONNRESET))
        elif self.deadline is not None and ticks_diff(now, self.deadline) >= 0:
            self.deadline = None
            self.protocol.timed_out()

    def failed(self, error):
        # Closed first: what it held may be the memory that the report needs.
        self.abort(error)
        # A socket's errors are the peer's business; anything else is a defect or lack of memory.
        if not isinstance(error, OSError):
            poller.report("connection closed", error)

    def _watch(self, events):
        if events != self.events and self.sock is not None:
            self.events = events
            poller.current().modify(self.sock, events)
