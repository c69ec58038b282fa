"""One side of a WebSocket connection: bytes in, messages and bytes out (RFC 6455). No I/O.

Feed received bytes to `receive`, write what is in `output`, look at `event`. Nothing that a peer
sends raises: a violation becomes a `fault`, and nothing is parsed any more; `fail` tells the peer,
once the messages before it are dealt with. Every rule's close code is given where the rule is
checked.
"""

from builtins import bytearray, memoryview, str  # see `transport.connection`
from os import urandom

import micropython
from micropython import const
from utf8 import validate

from . import frames
from .frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, Close

OPEN = 1
CLOSING = 2
CLOSED = 3

# An event beside those that have a frame's opcode: the peer broke a rule or a limit.
FAULT = 0x10


class State:
    """States of a connection, as numbers; it begins to exist when it is open."""

    OPEN = OPEN
    CLOSING = CLOSING
    CLOSED = CLOSED


_NOT_UTF8 = "text is not UTF-8"
_CUT_UTF8 = "text ends within a character"

# No memory holds a longer message. Up to here a length is a small integer on a chip.
_LONGEST = const(0x3FFFFFFF)

# The first reserved bit, in the opcode of a message: it is compressed (RFC 7692 section 6).
_COMPRESSED = 0x40


class Violation(Exception):
    """The peer broke a rule or a limit: (close code, reason)."""


class Protocol:
    """The protocol's state.

    Args:
        is_client: which side this is.
        max_size: largest message in bytes, None for no limit.
        deflate: the `deflate.Deflate` that was negotiated, or None.

    Attributes:
        plain: whether the next message may go out neither masked nor compressed, nor within
            another one.
        deaf: whether nothing is parsed any more: the peer has closed, or broken a rule.
        event: what the last `receive` or `filled` completed: TEXT, BINARY or PONG; CLOSE, the
            peer's close frame, which is an event after a FAULT too; FAULT, see `fault`; or None.
        data: a str for TEXT, a bytearray for BINARY and PONG.
        output: a tuple of buffers to be sent, in order; the caller empties it.
        message: a bytearray, the message being received as far as its frames have begun, or None.
        wanted: a memoryview to read the next bytes into (then call `filled`), or None.
        state: OPEN; CLOSING once a close frame was sent or received; CLOSED when there is nothing
            to wait for any more.
        fault: the `Close` that a violation asks for, None when there was none. Nothing more is
            parsed then; `fail` tells the peer.
        close_sent, close_rcvd: the `Close` sent and received.
        close_rcvd_then_sent: whether the peer's came first; None unless there are both.
    """

    # Further attributes once they are needed; an idle connection does without.
    event = None
    deflate = None
    data = None
    close_sent = None
    close_rcvd = None
    close_rcvd_then_sent = None
    fault = None
    _opcode = 0  # of the message being received: TEXT or BINARY, and _COMPRESSED
    _key = None
    _frame = 0  # where in `message` the frame begins
    _fill = 0  # where its next byte goes
    _utf8 = 0  # state of the text's validation
    _left = 0  # how many of the current frame's bytes are missing

    def __init__(self, is_client, max_size, deflate=None):
        self.is_client = is_client
        self.max_size = max_size
        if deflate is not None:
            self.deflate = deflate
        self.set_plain()
        self.state = OPEN
        self.output = ()
        self.wanted = None
        self.message = None
        self.deaf = False

    def set_plain(self):
        """Let frames go out neither masked nor compressed, where that is what was agreed."""
        self.plain = not self.is_client and self.deflate is None

    # Receiving

    @micropython.native
    def receive(self, buf, start, end):
        """Consume `buf[start:end]`, a bytearray, up to the end of one event.

        Returns:
            Where it stopped: at `end`, behind the event, before an incomplete frame header, or, at
            a FAULT, wherever the next call goes on.
        """
        self.event = None
        if self.deaf:
            return self._skip(buf, start, end)
        try:
            if self.message is None:
                frame = frames.whole(buf, start, end, self.is_client)
                if frame and (self.max_size is None or frame >> 4 <= self.max_size):
                    return self._receive_whole(buf, start, frame)
            while True:
                if self._left:
                    n = min(self._left, end - start)
                    if n:
                        fill = self._fill
                        self.message[fill : fill + n] = memoryview(buf)[start : start + n]
                        start += n
                        self._take(n)
                    if self._left:
                        self.wanted = memoryview(self.message)[self._fill :]
                        return start
                    self.wanted = None
                    if self._end_frame():
                        return start
                size = self._receive_head(buf, start, end)
                start += size
                if not size or self.event is not None:
                    return start
        except Violation as violation:
            self._fault(*violation.args)
        except MemoryError:
            self._fault(frames.TRY_AGAIN_LATER, "out of memory")
        return start

    @micropython.native
    def _receive_whole(self, buf, start, frame):
        # A message in one frame that is here: most are, so this does at once, and in place, what
        # the rest does piece by piece.
        opcode = buf[start] & 0x0F
        start += frame & 15
        stop = start + (frame >> 4)
        if not self.is_client:
            frames.unmask(buf, start, stop)
        data = memoryview(buf)[start:stop]
        if opcode == TEXT:
            state = validate(buf, start, stop, 0)
            if state:
                raise Violation(frames.INVALID_DATA, _NOT_UTF8 if state < 0 else _CUT_UTF8)
            self.data = str(data, "utf-8")
        else:
            self.data = bytearray(data)
        self.event = opcode
        return stop

    @micropython.native
    def _receive_head(self, buf, start, end):
        """Consume a frame's header in `buf[start:end]`, with the payload of a control frame.

        Returns:
            How many bytes it took, 0 when some are missing. A close frame takes all that follow.

        Raises:
            Violation: the frame breaks a rule; nothing is consumed.
        """
        have = end - start
        if have < 2:
            return 0
        first = buf[start]
        length = buf[start + 1]
        opcode = first & 0x0F
        # Section 5.2: reserved bits need an extension that defines them. The first one marks a
        # compressed message in its first frame (RFC 7692 section 6).
        if first & 0x70 and (
            first & 0x30 or self.deflate is None or (opcode != TEXT and opcode != BINARY)
        ):
            raise Violation(frames.PROTOCOL_ERROR, "reserved bits are set")
        # Section 5.1: a client masks, a server doesn't.
        if (length & 0x80 == 0) is not self.is_client:
            raise Violation(
                frames.PROTOCOL_ERROR, "masked frame" if self.is_client else "unmasked frame"
            )
        length &= 0x7F
        if opcode & 0x08:
            # Section 5.5: control frames are short and not fragmented.
            if length > 125 or not first & 0x80:
                raise Violation(frames.PROTOCOL_ERROR, "long or fragmented control frame")
            size = length + (2 if self.is_client else 6)
            if have < size:
                return 0
            view = memoryview(buf)[start : start + size]
            payload = bytearray(view[size - length :])
            if not self.is_client:
                frames.mask(payload, 0, length, view[2:6], 0)
            self._control(opcode, payload)
            return have if self.deaf else size
        head = 2
        if length == 126:
            if have < 4:
                return 0
            head = 4
            length = buf[start + 2] << 8 | buf[start + 3]
            # Section 5.2: the shortest form of the length must be used.
            if length < 126:
                raise Violation(frames.PROTOCOL_ERROR, "length not in its shortest form")
        elif length == 127:
            if have < 10:
                return 0
            head = 10
            length = int.from_bytes(memoryview(buf)[start + 2 : start + 10], "big")
            if length < 65536 or length >> 63:
                raise Violation(frames.PROTOCOL_ERROR, "malformed length")
        if not self.is_client:
            if have < head + 4:
                return 0
            self._key = bytes(memoryview(buf)[start + head : start + head + 4])
            head += 4
        self._begin_frame(opcode, first, length)
        if not length:
            self._end_frame()
        return head

    @micropython.native
    def filled(self, n):
        """Take note of `n` bytes read into `wanted`."""
        self.event = None
        try:
            self._take(n)
            if not self._left:
                self.wanted = None
                self._end_frame()
            elif n:
                self.wanted = memoryview(self.message)[self._fill :]
        except Violation as violation:
            self._fault(*violation.args)
        except MemoryError:
            self._fault(frames.TRY_AGAIN_LATER, "out of memory")

    def _fault(self, code, reason):
        self.deaf = True
        self.message = self.wanted = None
        self.fault = Close(code, reason)
        self.event = FAULT

    def fail(self):
        """Send the close frame that `fault` asks for (RFC 6455 section 7.1.7)."""
        self.close(self.fault.code, self.fault.reason)

    def _skip(self, buf, start, end):
        # What follows a violation is passed over frame by frame, only to notice the peer's close
        # frame, behind which nothing comes: the connection needn't be kept any longer then.
        while self.state != CLOSED and self.close_rcvd is None:
            n = min(self._left, end - start)
            self._left -= n
            start += n
            have = end - start
            if have < 2:
                return start
            length = buf[start + 1] & 0x7F
            if buf[start] & 0x0F == CLOSE:
                self.state = CLOSED
                self.event = CLOSE
                break
            head = 2
            if length > 125:
                head = 4 if length == 126 else 10
                if have < head:
                    return start
                length = int.from_bytes(memoryview(buf)[start + 2 : start + head], "big")
            if buf[start + 1] & 0x80:
                length += 4
            self._left = length
            start += head
        return end

    @micropython.native
    def _begin_frame(self, opcode, first, length):
        message = self.message
        # Section 5.4: a message's frames follow one another.
        if opcode == CONT:
            if message is None:
                raise Violation(frames.PROTOCOL_ERROR, "continuation without a beginning")
        elif opcode == TEXT or opcode == BINARY:
            if message is not None:
                raise Violation(frames.PROTOCOL_ERROR, "message within a message")
        else:
            raise Violation(frames.PROTOCOL_ERROR, "unknown opcode")
        size = length if message is None else length + len(message)
        if self.max_size is not None and size > self.max_size:
            raise Violation(frames.MESSAGE_TOO_BIG, f"message over {self.max_size} bytes")
        if size > _LONGEST:
            raise MemoryError
        if message is None:
            self.message = bytearray(length)
            self._opcode = first & (_COMPRESSED | 0x0F)
            self._utf8 = 0
            self._frame = self._fill = 0
        else:
            self._frame = self._fill = len(message)
            message.extend(bytes(length))
        self._fin = first & 0x80  # of the current frame
        self._left = length

    @micropython.native
    def _take(self, n):
        start = self._fill
        self._fill = stop = start + n
        self._left -= n
        if self._key is not None:
            frames.mask(self.message, start, stop, self._key, start - self._frame)
        if self._opcode == TEXT:
            # Section 8.1; checked as it arrives, so that a bad message ends at once.
            self._utf8 = validate(self.message, start, stop, self._utf8)
            if self._utf8 < 0:
                raise Violation(frames.INVALID_DATA, _NOT_UTF8)

    @micropython.native
    def _end_frame(self):
        if not self._fin:
            return False
        message, self.message = self.message, None
        opcode = self._opcode
        if opcode & _COMPRESSED:
            opcode &= 0x0F
            message = self._expand(message, opcode)
        elif opcode == TEXT and self._utf8:
            raise Violation(frames.INVALID_DATA, _CUT_UTF8)
        self.data = str(message, "utf-8") if opcode == TEXT else message
        self.event = opcode
        return True

    def _expand(self, payload, opcode):
        # RFC 7692 section 6.2. The limit is that of the message, whatever its compressed size.
        from .deflate import TooBig

        try:
            message, size = self.deflate.expand(payload, self.max_size)
        except TooBig:
            raise Violation(frames.MESSAGE_TOO_BIG, f"message over {self.max_size} bytes")
        except ValueError:
            raise Violation(frames.PROTOCOL_ERROR, "malformed compressed message")
        if opcode == TEXT:
            if validate(message, 0, size, 0):
                raise Violation(frames.INVALID_DATA, _NOT_UTF8)
            return memoryview(message)[:size]
        message[size:] = b""
        return message

    def _control(self, opcode, payload):
        if opcode == PING:
            # Section 5.5.2, except after a close frame.
            if self.close_sent is None:
                self.output += self.encode(PONG, payload)
        elif opcode == PONG:
            self.event = PONG
            self.data = payload
        elif opcode == CLOSE:
            self._closed(payload)
        else:
            raise Violation(frames.PROTOCOL_ERROR, "unknown opcode")

    def _closed(self, payload):
        # Section 5.5.1.
        if not payload:
            close = Close(frames.NO_STATUS_RCVD)
        else:
            if len(payload) == 1:
                raise Violation(frames.PROTOCOL_ERROR, "close code of one byte")
            close = Close(payload[0] << 8 | payload[1])
            if not frames.is_close_code(close.code):
                raise Violation(frames.PROTOCOL_ERROR, "invalid close code")
            if validate(payload, 2, len(payload), 0):
                raise Violation(frames.INVALID_DATA, "close reason is not UTF-8")
            close.reason = str(memoryview(payload)[2:], "utf-8")
        self.close_rcvd = close
        self.close_rcvd_then_sent = self.close_sent is None
        self.deaf = True
        self.message = self.wanted = None
        self.close(close.code, close.reason)
        self.state = CLOSING
        self.event = CLOSE

    # Sending

    def encode(self, opcode, payload, fin=True):
        """A frame as a tuple of buffers (`frames.encode`), masked with a fresh key by a client.

        A message in one frame is compressed when that was negotiated and makes it shorter.
        """
        if self.deflate is not None and fin and (opcode == TEXT or opcode == BINARY):
            compressed = self.deflate.compress(payload)
            if compressed is not None:
                opcode |= _COMPRESSED
                payload = compressed
        # Section 5.3: the key must not be predictable.
        return frames.encode(opcode, payload, fin, urandom(4) if self.is_client else None)

    def close(self, code=frames.NORMAL_CLOSURE, reason=""):
        """Send a close frame, unless one was sent. 1005 stands for a frame without a code."""
        if self.close_sent is not None:
            return
        if self.state == OPEN:
            self.state = CLOSING
        self.close_sent = Close(code, reason)
        payload = b""
        if code != frames.NO_STATUS_RCVD:
            payload = code.to_bytes(2, "big") + reason.encode()
        self.output += self.encode(CLOSE, payload)
