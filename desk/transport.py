"""`transport` on asyncio's own transports, as far as `httpd` uses it."""

import asyncio
import socket
import sys
import time
import traceback
from errno import ECONNRESET

BLOCK_SIZE = 4096
BLOCKED_MS = 500
LOW_WATER = 2880
TICK_SECONDS = 0.5


class ConnectionLost(OSError):
    """The connection is closed."""


class AddressError(OSError):
    """The address can't be listened at."""


class TaskQueue(list):
    """Who waits in `suspend`."""


def suspend(queue):
    """Await this to sleep until somebody wakes the tasks in `queue`."""
    future = asyncio.get_running_loop().create_future()
    queue.append(future)
    return future


def wake(queue):
    """Make every task in `queue` runnable."""
    while queue:
        future = queue.pop(0)
        if not future.done():
            future.set_result(None)


def report(message, error=None):
    """Tell of what ended something that nobody waits for."""
    print(message, file=sys.stderr)
    if error is not None:
        traceback.print_exception(error)


class _Loop:
    def stood(self):
        return 0  # asyncio's debug mode tells of what blocks


def current():
    """What stands for the poller."""
    return _Loop()


def tell_blocked(ms, task, what=None):
    """Report what everything has waited for."""
    report(f"{what or task} kept everything else waiting for {ms} ms")


class Group:
    """Connections with a common limit; more of them are told that there is no place."""

    def __init__(self, limit, secure_limit=None, kept=0):
        self.limit = limit
        self.connections = []
        self.accepted = self.refused = self.evicted = 0


class Connection(asyncio.Protocol):
    """One connection, see `modules/transport`."""

    def __init__(self, make_protocol, group):
        self._make_protocol = make_protocol
        self._group = group
        self.group = None  # whose budget of memory it would count in
        self.protocol = self.deadline = None
        self.over = self._closing = False
        self._reading = True
        self._tail = b""
        self._waiting = TaskQueue()

    def connection_made(self, transport):
        self._transport = transport
        transport.set_write_buffer_limits(0)
        peer = transport.get_extra_info("peername")
        self.remote_address = tuple(peer[:2]) if isinstance(peer, tuple) else None
        self.secure = transport.get_extra_info("ssl_object") is not None
        self._group.accepted += 1
        self.over = len(self._group.connections) >= self._group.limit
        self._group.refused += self.over
        self._group.connections.append(self)
        self.protocol = self._make_protocol(self)
        self._tick()

    def _tick(self):
        if self.protocol is None:
            return
        if self.deadline is not None and time.ticks_ms() >= self.deadline:
            self.deadline = None
            self.protocol.timed_out()
        asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    # Reading

    def data_received(self, data):
        self._tail += data
        self._deliver()

    def _deliver(self):
        while self._tail and self._reading and self.protocol is not None:
            block = bytearray(self._tail[:BLOCK_SIZE])
            n = self.protocol.data_received(block, 0, len(block))
            self._tail = self._tail[n:]
            if not n:
                return

    def pause_reading(self):
        self._reading = False
        self._transport.pause_reading()

    def resume_reading(self):
        if not self._reading and self.protocol is not None:
            self._reading = True
            self._transport.resume_reading()
            asyncio.get_running_loop().call_soon(self._deliver)

    def eof_received(self):
        if self.protocol is not None:
            self.protocol.eof_received()
        return True

    # Writing

    @property
    def queued(self):
        """Bytes written but not taken by the socket."""
        return 0 if self.protocol is None else self._transport.get_write_buffer_size()

    def write(self, data):
        if self.protocol is not None:
            self._transport.write(data.encode() if isinstance(data, str) else bytes(data))

    def pause_writing(self):
        pass

    def resume_writing(self):
        wake(self._waiting)
        if self.protocol is not None:
            self.protocol.sent()

    async def drained(self):
        while self.queued > LOW_WATER:
            await suspend(self._waiting)
        if self.protocol is None:
            raise ConnectionLost(ECONNRESET, "the connection is closed")

    # Its end

    def set_timeout(self, ms):
        self.deadline = None if ms is None else time.ticks_ms() + ms

    def set_protocol(self, protocol):
        self.protocol = protocol
        self.resume_reading()

    def reserve(self, size):
        return True

    def idle(self, now):
        since = self.protocol.idle_since
        return -1 if since is None else now - since

    def close(self):
        self._end(None)
        self._transport.close()

    def abort(self, error=None):
        self._end(error)
        self._transport.abort()

    def connection_lost(self, error):
        self._end(error)

    def _end(self, error):
        protocol, self.protocol = self.protocol, None
        if protocol is not None:
            self._group.connections.remove(self)
            wake(self._waiting)
            protocol.connection_lost(error)


class Listener:
    """Accepts connections at (host, port); to be made where an event loop runs.

    Raises:
        AddressError: the address can't be listened at.
    """

    def __init__(self, host, port, connected, group, backlog=8, ssl=None):
        loop = asyncio.get_running_loop()
        try:
            self.sock = socket.create_server((host, port), backlog=backlog)
        except OSError as error:
            raise AddressError(error.errno, f"{host}:{port}: {error.strerror}") from None
        self._server = None
        self._task = loop.create_task(self._serve(connected, group, ssl))

    async def _serve(self, connected, group, ssl):
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(connected, group), sock=self.sock, ssl=ssl
        )

    def close(self):
        """Stop accepting."""
        if self._server is None:
            self._task.cancel()
            self.sock.close()
        else:
            self._server.close()
