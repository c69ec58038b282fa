"""A WebSocket connection: `protocol.Protocol` on a `transport.Connection`."""

from asyncio import core
from builtins import isinstance, len, str  # see `transport.connection`
from os import urandom
from time import ticks_diff, ticks_ms

import micropython
from micropython import const
from transport import suspend, wake

from . import frames
from .frames import BINARY, CLOSE, CONT, PING, TEXT, Close
from .protocol import CLOSED, CLOSING, FAULT, OPEN, Protocol

# After a violation the close frame must reach the peer before the socket is closed, and closing
# with unread data resets it; so what the peer sends is read and thrown away for so long.
LINGER_TIMEOUT_MS = 1_000

# POLLIN, known when compiling.
_IN = const(1)

_BYTES_LIKE = (bytes, bytearray, memoryview)


class Pong:
    """Awaitable: completes when the ping is answered, with the round trip in seconds."""

    def __init__(self, connection, payload):
        self.payload = payload
        self._connection = connection
        self.sent_at = ticks_ms()
        self._latency = None
        self._waiting = core.TaskQueue()

    def answered(self, latency):
        """Complete; `latency` None means that the connection is gone."""
        self._latency = latency
        wake(self._waiting)

    def age(self):
        """Seconds since the ping was sent."""
        return ticks_diff(ticks_ms(), self.sent_at) / 1000

    async def _wait(self):
        while self._latency is None:
            if self._connection.transport is None:
                raise self._connection.closed_error()
            await suspend(self._waiting)
        return self._latency

    def __iter__(self):
        return self._wait()

    __await__ = __iter__


class _Pieces:
    """What `Connection.recv_streaming` gives."""

    def __init__(self, connection, decode):
        self._connection = connection
        self._decode = decode

    def __aiter__(self):
        return self

    async def __anext__(self):
        connection, self._connection = self._connection, None
        if connection is None:
            raise StopAsyncIteration
        return await connection.recv(self._decode)


class Connection:
    """The connection that handlers get and `connect` returns.

    Attributes:
        request: the handshake request: `.path` and `.headers`.
        subprotocol: the one negotiated, or None.
        latency: seconds of the last keepalive round trip, 0 at first.
        dropped: messages that `broadcast` didn't send because the queue was full.
        id: a number that no other open connection has.
        state: one of `protocol.State`.
        remote_address: the peer's (host, port); None when the connection is closed.
        close_code: the close code received: 1005 for a frame without, 1006 for none; None while
            open.
        close_reason: the close reason received; None while open.
    """

    # Further attributes once they are needed; an idle connection does without.
    subprotocol = None
    wanted = None
    latency = 0
    dropped = 0
    _others = None  # tasks that wait for the end, or for a fragmented message to be sent
    _pings = None  # Pongs not answered yet, oldest first; not the keepalive's
    _keepalive = None
    _unfinished = None  # the message that the keepalive's last ping has found incomplete
    _fragmenting = False

    def __init__(self, transport, options, request, subprotocol, deflate, is_client):
        self.transport = transport
        self.protocol = Protocol(is_client, options.max_size, deflate)
        self.options = options
        self.request = request
        if subprotocol is not None:
            self.subprotocol = subprotocol
        self._messages = []
        self._receivers = core.TaskQueue()
        self.quiet_since = ticks_ms()
        transport.set_timeout(options.ping_interval)

    # From the transport

    @micropython.native
    def data_received(self, buf, start, end):
        protocol = self.protocol
        while start < end:
            start = protocol.receive(buf, start, end)
            event = protocol.event
            if event is None:
                break
            if event <= BINARY:  # or TEXT
                self._take()
            else:
                self._handle(event)
            if start < end:
                transport = self.transport
                if transport is None or not transport.events & _IN:
                    break
        if protocol.output:
            self._write_output()
        wanted = protocol.wanted
        if protocol.message is not None and self.transport is not None:
            # What it holds of a message that isn't complete.
            if not self.transport.reserve(self._held()):
                return end
        self.wanted = wanted
        return start

    @micropython.native
    def filled(self, n):
        protocol = self.protocol
        protocol.filled(n)
        self.wanted = protocol.wanted
        event = protocol.event
        if event is not None:
            if event <= BINARY:  # or TEXT
                self._take()
            else:
                self._handle(event)
            if protocol.output:
                self._write_output()

    def sent(self):
        if self.transport is not None and len(self._messages) < self.options.max_queue:
            self.transport.resume_reading()

    def eof_received(self):
        self.transport.abort()

    def timed_out(self):
        options = self.options
        protocol = self.protocol
        if protocol.state != OPEN:
            self.transport.abort()
        elif protocol.fault is not None:
            self._fail()
        elif self._keepalive is None:
            message = protocol.message
            if message is not None and message is self._unfinished:
                # Its end has been due since the ping before.
                protocol.close(frames.TRY_AGAIN_LATER, "message not completed in time")
                self._write_output()
                self.transport.set_timeout(options.close_timeout)
                return
            self._unfinished = message
            self._ping()
        else:
            # The peer is most likely gone: nothing to wait for.
            protocol.close(frames.INTERNAL_ERROR, "keepalive ping timeout")
            self._write_output()
            self.transport.abort()

    def __getattr__(self, name):
        # Not properties, see `transport.Connection`.
        if name == "idle_since":
            # It lasts, as long as its peer answers.
            return None if self._keepalive is None else self._keepalive.sent_at
        if name == "held":
            return self._held()
        transport = self.transport
        if name == "remote_address":
            return None if transport is None else transport.remote_address
        if name == "state":
            return CLOSED if transport is None else min(self.protocol.state, CLOSING)
        if name == "id":
            return id(self)
        close = self.protocol.close_rcvd
        if name == "close_code":
            if transport is not None:
                return None
            return frames.ABNORMAL_CLOSURE if close is None else close.code
        if name == "close_reason":
            if transport is not None:
                return None
            return "" if close is None else close.reason
        raise AttributeError(name)

    def _held(self):
        message = self.protocol.message
        size = 0 if message is None else len(message)
        for message in self._messages:
            size += len(message)
        return size

    def probe(self):
        """Ask whether the peer is still there, unless that is so already or nobody wants it."""
        protocol = self.protocol
        if protocol.state == OPEN and protocol.fault is None and self._keepalive is None:
            if self.options.ping_timeout is not None:
                self._ping()

    def _ping(self):
        payload = urandom(4)
        self._keepalive = Pong(self, payload)
        self._write(self.protocol.encode(PING, payload))
        self.transport.set_timeout(self.options.ping_timeout)

    def make_way(self):
        self.protocol.close(frames.TRY_AGAIN_LATER, "another connection needs the place")
        self._write_output()

    def connection_lost(self, error):
        self.transport = None
        self.wanted = None
        wake(self._receivers)
        if self._others is not None:
            wake(self._others)
        for pong in self._pings or ():
            pong.answered(None)
        self._pings = self._keepalive = None

    @micropython.native
    def _take(self):
        # A message.
        protocol = self.protocol
        message, protocol.data = protocol.data, None
        self.quiet_since = ticks_ms()
        # After our close frame nobody receives any more.
        if protocol.state == OPEN:
            messages = self._messages
            messages.append(message)
            if len(messages) > 1 and not self.transport.reserve(self._held()):
                return
            if len(messages) >= self.options.max_queue:
                self.transport.pause_reading()
            wake(self._receivers)

    def _handle(self, event):
        protocol = self.protocol
        if event == CLOSE:
            if protocol.fault is not None:
                protocol.fail()
            self._write_output()
            if protocol.is_client:
                # RFC 6455 section 7.1.1: the server closes the TCP connection first.
                self.transport.set_timeout(self.options.close_timeout)
            else:
                self.transport.close()
            wake(self._receivers)
        elif event == FAULT:
            # The messages before it are still answered, if that is done in time.
            self.transport.set_timeout(LINGER_TIMEOUT_MS)
            if not self._messages:
                self._fail()
            wake(self._receivers)
        else:
            self._ponged(protocol.data)

    def _fail(self):
        self.protocol.fail()
        self._write_output()
        self.transport.set_timeout(LINGER_TIMEOUT_MS)

    def _ponged(self, payload):
        if self._keepalive is not None and self._keepalive.payload == payload:
            self.latency = self._keepalive.age()
            self._keepalive = None
            self.transport.set_timeout(self.options.ping_interval)
        pings = self._pings
        for i, pong in enumerate(pings or ()):
            if pong.payload == payload:
                # RFC 6455 section 5.5.3: a pong may answer several pings at once.
                for earlier in pings[: i + 1]:
                    earlier.answered(earlier.age())
                del pings[: i + 1]
                break

    def _write_output(self):
        output = self.protocol.output
        if self.transport is not None:
            self._write(output)
            if self.transport.queued > self.options.write_limit:
                # A peer that pings but doesn't read must not fill the memory with pongs.
                self.transport.pause_reading()
        self.protocol.output = ()

    @micropython.native
    def _write(self, pieces):
        write = self.transport.write
        for piece in pieces:
            write(piece)

    # State

    def closed_error(self):
        """The exception for an operation on this closed connection."""
        protocol = self.protocol
        rcvd, sent = protocol.close_rcvd, protocol.close_sent
        fine = rcvd is not None and sent is not None
        for close in (rcvd, sent):
            fine = fine and close.code in (
                frames.NORMAL_CLOSURE,
                frames.GOING_AWAY,
                frames.NO_STATUS_RCVD,
            )
        # Imported with the first connection that ends.
        from .exceptions import ConnectionClosedError, ConnectionClosedOK

        kind = ConnectionClosedOK if fine else ConnectionClosedError
        return kind(rcvd, sent, protocol.close_rcvd_then_sent)

    def _ended(self):
        # Whether no more messages come. The receiver having taken all there were, it is also the
        # moment to answer a violation that came behind them.
        protocol = self.protocol
        if self.transport is None or protocol.close_rcvd is not None:
            return True
        if protocol.fault is not None:
            self._fail()
            return True
        return False

    def _resume(self):
        # There is room for a message.
        if not self.transport.queued:
            self.transport.resume_reading()

    # Receiving

    async def recv(self, decode=None):
        """Receive the next message.

        Args:
            decode: True for str, False for bytes; None for what the peer sent.

        Returns:
            str for a text message, bytearray for a binary one.

        Raises:
            ConnectionClosed: the connection is closed and all messages have been received.
            ConcurrencyError: another task is receiving.
        """
        while not self._messages:
            if (self.transport is None or self.protocol.deaf) and self._ended():
                await self.wait_closed()
                raise self.closed_error()
            if self._receivers.peek():
                raise _concurrent("another task receives already")
            await suspend(self._receivers)
        message = self._messages.pop(0)
        if self.transport is not None and not self.transport.events & _IN:
            self._resume()
        if decode is None:
            return message
        if decode:
            return message if isinstance(message, str) else str(message, "utf-8")
        return message.encode() if isinstance(message, str) else message

    def __aiter__(self):
        return self

    async def __anext__(self):
        while not self._messages:
            if (self.transport is None or self.protocol.deaf) and self._ended():
                await self.wait_closed()
                from .exceptions import ConnectionClosedOK

                error = self.closed_error()
                if isinstance(error, ConnectionClosedOK):
                    raise StopAsyncIteration
                raise error
            if self._receivers.peek():
                raise _concurrent("another task receives already")
            await suspend(self._receivers)
        message = self._messages.pop(0)
        if self.transport is not None and not self.transport.events & _IN:
            self._resume()
        return message

    def recv_streaming(self, decode=None):
        """Receive the next message piece by piece: an async iterator, as `recv` fails.

        A message is kept until its end is checked, so there is one piece.
        """
        return _Pieces(self, decode)

    # Sending

    async def send(self, message, text=None):
        """Send a message.

        Args:
            message: str for a text message, bytes-like for a binary one; or an iterable or async
                iterator of either, sent as one fragmented message. Large buffers aren't copied:
                don't change one before the connection has sent it.
            text: True or False to override the kind of frame.

        Raises:
            ConnectionClosed: the connection is closed.
            TypeError: anything else.
        """
        if isinstance(message, str):
            opcode = TEXT
        elif isinstance(message, _BYTES_LIKE):
            opcode = BINARY
        elif isinstance(message, dict) or not (
            hasattr(message, "__iter__")
            or hasattr(message, "__anext__")
            or hasattr(message, "__next__")
            or isinstance(message, (list, tuple))
        ):
            raise TypeError("a message is str, bytes-like, or an iterable of them")
        else:
            await self._send_fragments(message, text)
            return
        if text is not None:
            opcode = TEXT if text else BINARY
        transport = self.transport
        protocol = self.protocol
        if transport is None or transport.queued > self.options.write_limit or not protocol.plain:
            await self._writable()
        if protocol.state != OPEN:
            await self.wait_closed()
        transport = self.transport
        if transport is None:
            raise self.closed_error()
        frame = frames.encode_short(opcode, message) if protocol.plain else None
        if frame is None:
            self._write(protocol.encode(opcode, message))
        else:
            transport.write(frame)

    async def _send_fragments(self, message, text):
        while self._fragmenting:
            await self._wait_for_others()
        self._fragmenting = True
        self.protocol.plain = False
        try:
            opcode = None
            if hasattr(message, "__anext__"):
                async for piece in message:
                    opcode = await self._send_fragment(opcode, piece, text)
            else:
                for piece in message:
                    opcode = await self._send_fragment(opcode, piece, text)
            if opcode is not None:
                self._write(self.protocol.encode(CONT, b""))
        except BaseException:
            if self.transport is not None and self.protocol.state == OPEN:
                # The message can be neither completed nor taken back.
                self.protocol.close(frames.INTERNAL_ERROR, "message not completed")
                self._write_output()
                self.transport.set_timeout(self.options.close_timeout)
            raise
        finally:
            self._fragmenting = False
            self.protocol.set_plain()
            if self._others is not None:
                wake(self._others)

    async def _send_fragment(self, opcode, piece, text):
        kind = TEXT if isinstance(piece, str) else BINARY
        if text is not None:
            kind = TEXT if text else BINARY
        if opcode is not None and opcode != kind:
            raise TypeError("str and bytes in one message")
        await self._room()
        if self.protocol.state != OPEN:
            raise self.closed_error()
        first = opcode is None
        self._write(self.protocol.encode(kind if first else CONT, piece, False))
        return kind

    async def _writable(self):
        while self._fragmenting:
            await self._wait_for_others()
        await self._room()

    async def _room(self):
        while self.transport is not None and self.transport.queued > self.options.write_limit:
            try:
                await self.transport.drained()
            except OSError:
                break
        if self.transport is None:
            raise self.closed_error()

    async def ping(self, data=None):
        """Send a ping.

        Args:
            data: str or bytes of at most 125 bytes; random when None.

        Returns:
            An awaitable that gives the round trip in seconds when the pong arrives, and is a
            `ConnectionClosed` when it never will.

        Raises:
            ConcurrencyError: a ping with this data is under way.
            ConnectionClosed: the connection is closed.
            ValueError: more than 125 bytes.
        """
        if data is None:
            data = urandom(4)
        elif isinstance(data, str):
            data = data.encode()
        if len(data) > 125:
            raise ValueError("a ping carries at most 125 bytes")
        await self._open()
        pong = Pong(self, bytes(data))
        if self._pings is None:
            self._pings = []
        for other in self._pings:
            if other.payload == pong.payload:
                raise _concurrent("a ping with this data is under way")
        self._pings.append(pong)
        self._write(self.protocol.encode(PING, data))
        return pong

    async def pong(self, data=b""):
        """Send an unsolicited pong (RFC 6455 section 5.5.3)."""
        if isinstance(data, str):
            data = data.encode()
        if len(data) > 125:
            raise ValueError("a pong carries at most 125 bytes")
        await self._open()
        self._write(self.protocol.encode(frames.PONG, data))

    async def _open(self):
        await self._room()
        if self.protocol.state != OPEN:
            await self.wait_closed()
            raise self.closed_error()

    # Closing

    async def close(self, code=frames.NORMAL_CLOSURE, reason=""):
        """Close the connection and wait until it is closed; closing twice does nothing.

        Raises:
            ValueError: a code or reason that may not be sent.
        """
        self.start_closing(code, reason)
        await self.wait_closed()

    def start_closing(self, code=frames.NORMAL_CLOSURE, reason=""):
        """Begin to close without waiting: the peer gets `close_timeout` to answer.

        Without the memory for a close frame the connection just ends.
        """
        if not frames.is_close_code(code):
            raise ValueError(f"close code {code} may not be sent")
        if len(reason.encode()) > 123:
            raise ValueError("a close reason has at most 123 bytes")
        transport = self.transport
        if transport is not None and self.protocol.state == OPEN:
            try:
                self.protocol.close(code, reason)
                self._write_output()
            except MemoryError:
                transport.abort()
                return
            transport.set_timeout(self.options.close_timeout)
            # The answer must be read even when nobody takes the messages before it.
            self._messages.clear()
            transport.resume_reading()

    async def wait_closed(self):
        """Wait until the connection is closed."""
        while self.transport is not None:
            await self._wait_for_others()

    def _wait_for_others(self):
        if self._others is None:
            self._others = core.TaskQueue()
        return suspend(self._others)


def _concurrent(text):
    from .exceptions import ConcurrencyError

    return ConcurrencyError(text)


def broadcast(connections, message, text=None):
    """Send a message to many connections without waiting for any.

    The frame is made once and shared. A connection whose queue is over its `write_limit` doesn't
    get it: it is closed with 1013, so that its client can come back and start afresh, and its
    `dropped` counts it.

    Args:
        connections: `Connection` objects; those that are closed or closing are passed over.
        message: str or bytes-like.
        text: whether to send a text frame; by default a str makes one.

    Raises:
        TypeError: the message is neither.
    """
    if not isinstance(message, (str,) + _BYTES_LIKE):
        raise TypeError("a message is str or bytes-like")
    if text is None:
        text = isinstance(message, str)
    opcode = TEXT if text else BINARY
    # Frames by the window that they are compressed for, None without compression.
    shared = {}
    for connection in connections:
        transport = connection.transport
        protocol = connection.protocol
        if transport is None or protocol.state != OPEN:
            continue
        if transport.queued > connection.options.write_limit or connection._fragmenting:
            connection.dropped += 1
            connection.start_closing(frames.TRY_AGAIN_LATER, "too slow")
            continue
        if protocol.is_client:
            frame = protocol.encode(opcode, message)
        else:
            window = None if protocol.deflate is None else protocol.deflate.bits
            frame = shared.get(window)
            if frame is None:
                frame = shared[window] = protocol.encode(opcode, message)
        try:
            connection._write(frame)
        except MemoryError:
            pass  # that one is closed; the others get it


__all__ = ("Close", "Connection", "broadcast")
