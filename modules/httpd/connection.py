"""One HTTP connection: requests in, responses out, in order (RFC 9112 section 9)."""

from asyncio import CancelledError, core
from builtins import bytes, hasattr, isinstance  # see `transport.connection`
from errno import ECONNRESET
from time import ticks_add, ticks_diff, ticks_ms

import micropython
from http11 import BadMessage, parse_request, tokens
from lazy import load
from micropython import const
from transport import ConnectionLost, report, suspend, wake
from transport.poller import BLOCKED_MS, tell_blocked

from .assets import Asset
from .errors import HTTPError, from_exception
from .request import Request
from .response import JOIN_LIMIT, answer, from_error, make

# A client that has connected or begun a head must finish it, however slowly it trickles in.
HEAD_TIMEOUT_MS = 10_000

# A handler waits so long for a body's next bytes. Every byte gives the client more time, so that
# it must keep up MIN_RATE on average and can't hold the connection by sending one now and then.
BODY_TIMEOUT_MS = 10_000

# Bytes per second below which a client is too slow to be served, far below the poorest network.
MIN_RATE = 256

# How often a response under way is checked for MIN_RATE.
SEND_PERIOD_MS = 30_000

# A connection without a request. Browsers would keep theirs much longer, but sockets are few.
IDLE_TIMEOUT_MS = 30_000

# How much of a body that no handler read is thrown away to keep the connection for the next
# request. Beyond it the connection is closed, after lingering so that the client sees the answer:
# closing a socket with unread data makes TCP reset it.
DISCARD_LIMIT = 65_536
LINGER_TIMEOUT_MS = 2_000

_HEAD = const(0)  # waiting for a request
_BODY = const(1)  # a handler runs and may ask for the body
_BUSY = const(2)  # a handler runs, the body is complete
_SENDING = const(3)  # the response waits for the client to take it
_STREAM = const(4)  # a handler runs and sends the response's body
_DISCARD = const(5)  # throwing away the rest of a body
_LINGER = const(6)  # throwing away everything until the client closes


_NO_MEMORY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 14\r\nRetry-After: 5\r\nConnection: close\r\n\r\nout of memory\n"
)

_NO_PLACE = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 30\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"
    b"others wait for the resources\n"
)


class HTTPConnection:
    """The protocol of a `transport.Connection` that speaks HTTP/1.1.

    Its states, and what leads from one to the next. A request that is answered at once, and whose
    client goes on, leaves it in HEAD. A body is complete with its last byte, or when there is
    none; it fails when it is malformed, too slow or cut off. An answer is the last one when either
    side says so ("Connection: close"), the body has failed, or too much of it is left to skip.
    A reset by the client closes it in any state.

        From                           When                                          To
        HEAD                           a request with a body needs time              BODY
        HEAD                           a request without a body needs time           BUSY
        BODY                           the body is complete, or has failed           BUSY
        BODY BUSY                      the handler opens a stream                    STREAM
        HEAD BODY BUSY STREAM          the client can't take all of the answer yet   SENDING
        BUSY STREAM SENDING            answered, the body complete                   HEAD
        HEAD BODY STREAM SENDING       answered, the body not complete               DISCARD
        DISCARD                        the body is complete                          HEAD
        HEAD BODY BUSY STREAM SENDING  answered for the last time, not complete      LINGER
        HEAD BUSY STREAM SENDING       answered for the last time, complete          closed
        HEAD                           a head that is malformed, slow or too big     LINGER
        HEAD SENDING DISCARD LINGER    the client does nothing for too long          closed
        HEAD STREAM DISCARD LINGER     the client leaves                             closed
    """

    def __init__(self, transport, server):
        self.wanted = None
        self.transport = transport
        self.server = server
        self._state = _HEAD
        self._await_head()

    # Further attributes once a request needs them; most requests don't.
    rests = False  # answered, and nothing of the next request is there
    held = 0  # bytes that the handler keeps of a body that isn't complete
    _partial = False  # a part of the next head is there
    _keep = True  # the connection goes on after the current request
    body = None  # of the current request: see `body.framing`
    _pieces = None  # iterator of the response's body
    _expect = False  # the client waits for 100 Continue
    _piece = None  # body bytes that the handler hasn't taken
    _failure = None  # why the body will not be complete
    _waiting = None  # the handler's task, waiting for body bytes
    _asked = 0  # time.ticks_ms() since when it waits
    _patience = BODY_TIMEOUT_MS  # how long the client may still keep the handler waiting
    _task = None  # the handler's, while it sends the response's body
    _left = None  # bytes that _pieces still has to give, None when that isn't known
    _chunked = False  # _pieces go out in the chunked coding
    _due = 0  # bytes queued at the last check of MIN_RATE and added since

    def __getattr__(self, name):
        # Not a property, see `transport.Connection`.
        if name != "idle_since":
            raise AttributeError(name)
        state = self._state
        if state == _HEAD or state == _LINGER or state == _DISCARD:
            return self._idle_since
        if state == _BODY and self._piece is None and self._asked:
            # Not by its last byte: one that trickles in has kept the handler waiting all along.
            return ticks_add(self._asked, self._patience - BODY_TIMEOUT_MS)
        return None

    def make_way(self):
        if self._state == _BODY or (self._state == _HEAD and self._partial):
            self.transport.write(_NO_PLACE)
            self.server.count(503)

    # From the transport

    @micropython.native
    def data_received(self, buf, start, end):
        transport = self.transport
        while start < end:
            state = self._state
            if state == _HEAD:
                # RFC 9112 section 2.2: ignore empty lines before a request line.
                while end - start > 1 and buf[start] == 13 and buf[start + 1] == 10:
                    start += 2
                try:
                    request = parse_request(buf, start, end, Request)
                except BadMessage as error:
                    self._refuse(error)
                    return end
                except MemoryError:
                    self._refuse_for_memory()
                    return end
                if request is None:
                    if not self._partial and start < end:
                        self._partial = True
                        self._await_head()
                    return start
                if self._partial:
                    self._partial = False
                start = request.end
                self._begin(request)
                if transport.protocol is not self:
                    return start
            elif state == _LINGER:
                return end
            else:
                if (state != _BODY and state != _DISCARD) or self._piece is not None:
                    # The next request can wait; what is kept of it must not outgrow a block.
                    transport.pause_reading()
                    return start
                stop = self._receive_body(buf, start, end)
                if stop == start:
                    return start
                start = stop
        return start

    def sent(self):
        if self._state == _SENDING:
            self._send_pieces()

    def eof_received(self):
        # A client may half-close after its last request (RFC 9112 section 9.6).
        self._keep = False
        if self._state == _BODY:
            self._fail_body(HTTPError(400, "body not complete"))
        elif self._state == _STREAM:
            # Not a polite end of requests: who listens to a stream has no reason to half-close.
            self.transport.abort()
        elif self._state != _BUSY and self._state != _SENDING:
            self.transport.close()

    def timed_out(self):
        if self._state == _HEAD and self._partial:
            self._refuse(HTTPError(408, "request head not complete in time"))
        elif self._state == _BODY:
            self._keep = False
            self._fail_body(HTTPError(408, "body not complete in time"))
        elif self._state == _SENDING or self._state == _STREAM:
            queued = self.transport.queued
            if self._due - queued < SEND_PERIOD_MS * MIN_RATE // 1000:
                self.transport.abort()
            else:
                self._due = queued
                self.transport.set_timeout(SEND_PERIOD_MS)
        else:
            self.transport.abort()

    def connection_lost(self, error):
        self.transport = None
        if self._state == _BODY:
            # The class: the connection may be lost for want of memory.
            self._fail_body(HTTPError)
        self._drop_pieces()
        if self._task is not None:
            # Not from here: asyncio may still hold it for the task that runs.
            core.create_task(_cancel(self._task))
            self._task = None

    # Requests

    def _await_head(self):
        if self.rests:
            self.rests = False
        self._idle_since = ticks_ms()
        self.transport.set_timeout(HEAD_TIMEOUT_MS)

    @micropython.native
    def _begin(self, request):
        fields = request.headers
        minor = request.minor
        if "connection" in fields:
            # RFC 9112 section 9.3.
            options = tokens(fields["connection"])
            self._keep = "close" not in options and (minor == 1 or "keep-alive" in options)
        else:
            self._keep = minor == 1
        request.connection = self
        try:
            # RFC 9112 section 6.3 rule 7: without these a request has no body.
            if "content-length" in fields or "transfer-encoding" in fields:
                from .body import framing

                self.body = framing(fields, minor)
            if self.transport.over:
                raise BadMessage(503, "too many connections")
        except BadMessage as error:
            self._refuse(error)
            return
        try:
            if self.body is not None:
                expect = fields.get("expect")
                # RFC 9110 section 10.1.1.
                if expect is not None and expect.lower() != "100-continue":
                    self._keep = False  # whether the body comes now is anyone's guess
                    raise HTTPError(417)
                self._expect = expect is not None and minor == 1
            began = ticks_ms()
            result = self.server.dispatch(request)
            took = ticks_diff(ticks_ms(), began)
            if took > BLOCKED_MS:
                tell_blocked(took, None, request.method + " " + request.path)
        except Exception as error:
            self._fail(request, error)
            return
        transport = self.transport
        if transport is None or transport.protocol is not self:
            return
        if hasattr(result, "throw"):  # a coroutine
            transport.pause_reading()
            transport.set_timeout(None)
            self._state = _BUSY if self.body is None else _BODY
            request.task = core.create_task(self._run(request, result))
        else:
            self._respond(request, result)

    async def _run(self, request, coroutine):
        try:
            try:
                result = await load("httpd.generators", "drive")(self, request, coroutine)
            except CancelledError:
                # The client of a stream left, or the stream was for a HEAD request.
                result = None
            except Exception as error:
                if self._state != _STREAM:
                    self._fail(request, error)
                    return
                # The head is gone: an unfinished body is all that can tell the client.
                self._task = None
                if not isinstance(error, ConnectionLost):
                    report("request failed", error)
                if self.transport is not None:
                    self.transport.abort()
                return
            if self.transport is None or self.transport.protocol is not self:
                return
            if self._state == _STREAM:
                self._task = None
                if self._left:
                    raise ValueError("body shorter than its length")
                if self._chunked:
                    self.transport.write(b"0\r\n\r\n")
                self._send_rest()
            else:
                self._respond(request, result)
        except Exception as error:
            # No memory for the answer: at least the socket is free again.
            report("response failed", error)
            if self.transport is not None:
                self.transport.abort()

    def upgrade(self, request, response, make_protocol):
        """Answer with the head `response` (101) and let another protocol have the connection."""
        transport = self.transport
        request.begun = True
        self.server.count(101, request)
        # First what may lack memory: then there is still somebody to tell.
        protocol = make_protocol(transport)
        transport.protocol = protocol
        if response:
            transport.write(response)
        transport.set_protocol(protocol)

    # Bodies

    async def next_piece(self):
        """The next bytes of the body, or None at its end; for `Request`."""
        while self._piece is None:
            if self._failure is not None:
                raise self._failure
            if self._state != _BODY:
                return None
            transport = self.transport
            if self._expect:
                self._expect = False
                transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            transport.set_timeout(self._patience)
            transport.resume_reading()
            if self._waiting is None:
                self._waiting = core.TaskQueue()
            self._asked = began = ticks_ms()
            await suspend(self._waiting)
            self._asked = 0
            self._patience -= ticks_diff(ticks_ms(), began)
        piece, self._piece = self._piece, None
        self._patience = min(BODY_TIMEOUT_MS, self._patience + len(piece) * 1000 // MIN_RATE)
        return piece

    def hold(self, size):
        """Note that the handler keeps `size` bytes of a body that isn't complete; for `Request`.

        Raises:
            ConnectionLost: that is too much, and the client has been told so.
        """
        self.held = size
        transport = self.transport
        if transport is not None and not transport.reserve(size):
            raise ConnectionLost(ECONNRESET)

    def _receive_body(self, buf, start, end):
        body = self.body
        self._expect = False
        try:
            first, last, stop = body.receive(buf, start, end)
        except BadMessage as error:
            if self._state == _DISCARD:
                self.transport.abort()
            else:
                self._keep = False
                self._fail_body(HTTPError(error.status, error.reason))
            return end
        if self._state == _DISCARD:
            if body.done:
                self._await_request()
        elif last > first or body.done:
            transport = self.transport
            transport.pause_reading()
            transport.set_timeout(None)
            if last > first:
                self._piece = bytes(memoryview(buf)[first:last])
            if body.done:
                self._state = _BUSY
            if self._waiting is not None:
                wake(self._waiting)
        return stop

    def _fail_body(self, error):
        self._failure = error
        self._state = _BUSY
        if self.transport is not None:
            self.transport.pause_reading()
            self.transport.set_timeout(None)
        if self._waiting is not None:
            wake(self._waiting)

    # Responses

    def _refuse(self, error):
        # The head or the framing is bad, so where the next request begins is unknown.
        self._keep = False
        self._failure = error
        self._fail(None, error)

    def _fail(self, request, error):
        answer, defect = from_exception(error)
        if defect and not isinstance(error, ConnectionLost):
            report("request failed", error)
        if isinstance(error, MemoryError):
            _relieve(self.server.group, self.transport)
        transport = self.transport
        if transport is None or transport.protocol is not self:
            return
        try:
            response = from_error(answer)
        except MemoryError:
            self._refuse_for_memory()
            return
        self._respond(request, response)

    def _refuse_for_memory(self):
        # From flash: there is no memory to make an answer of.
        transport = self.transport
        self._keep = False
        self._state = _LINGER
        self._idle_since = ticks_ms()
        transport.set_timeout(LINGER_TIMEOUT_MS)
        transport.write(_NO_MEMORY)
        self.server.count(503)
        _relieve(self.server.group, transport)

    def _connection_option(self, request):
        # The Connection option of the response; RFC 9112 section 9.3.
        body = self.body
        if body is not None and not body.done:
            if self._expect or body.length is None or body.remaining > DISCARD_LIMIT:
                self._keep = False
        if not self._keep:
            return "close"
        return "keep-alive" if request.minor == 0 else None

    @micropython.native
    def _respond(self, request, result):
        option = None
        if not self._keep or request.minor == 0 or self.body is not None:
            option = self._connection_option(request)
        transport = self.transport
        if isinstance(result, Asset):
            status = result.send(request, transport.write, option)
        else:
            try:
                if option is None and request.method != "HEAD":
                    result = answer(result)
                else:
                    result = make(result)
            except Exception as error:  # not something that can be sent
                self._fail(request, error)
                return
            if not isinstance(result, bytes):
                self._send(request, result, option)
                return
            status = 200
            transport.write(result)
        self._sent(request, status)

    def _send(self, request, response, option):
        transport = self.transport
        status = response.status
        content = response.body
        piece = None
        chunked = response.pieces and response.length is None
        if chunked and request.minor == 0:
            # RFC 9112 section 6.3 rule 8: without a length the end of the connection ends it.
            chunked = self._keep = False
            option = "close"
        head = response.head(option, chunked)
        bare = status == 204 or status == 304
        if bare or (request is not None and request.method == "HEAD"):
            transport.write(head)
            if response.pieces:
                _close(content)
        elif response.pieces and hasattr(content, "throw"):
            # A generator may await: it is a task's.
            transport.pause_reading()
            transport.set_timeout(None)
            body = self.body
            self._state = _BUSY if body is None or body.done else _BODY
            pieces = load("httpd.generators", "send_body")(self, request, response)
            request.task = core.create_task(self._run(request, pieces))
            return
        elif response.pieces:
            try:
                # Before the head, so that what it fails with, such as the lack of memory to
                # inflate an asset, can be told.
                piece = next(content, None)
                if piece is not None:
                    len(piece)
            except Exception as error:
                _close(content)
                self._fail(request, error)
                return
            transport.write(head)
            self._pieces = content
            self._chunked = chunked
            self._left = response.length
        elif response.length <= JOIN_LIMIT:
            if isinstance(content, str):
                content = content.encode()
            transport.write(head + content)
        else:
            transport.write(head)
            transport.write(content)
        self._sent(request, status, piece)

    @micropython.native
    def _sent(self, request, status, piece=None):
        # `piece` is the first one of a body that comes in pieces.
        transport = self.transport
        self.server.count(status, request)
        if (
            self._keep
            and self._state == _HEAD
            and self.body is None
            and self._pieces is None
            and not transport.queued
        ):
            # The usual end: a plain handler, whose client goes on. Reading never stopped.
            self.rests = True
            self._idle_since = now = ticks_ms()
            transport.deadline = ticks_add(now, IDLE_TIMEOUT_MS)
        else:
            self._send_rest(piece)

    def _send_rest(self, piece=None):
        transport = self.transport
        if self._pieces is None and not transport.queued:
            self._finish()
        else:
            self._state = _SENDING
            self._due = transport.queued
            transport.pause_reading()
            transport.set_timeout(SEND_PERIOD_MS)
            self._send_pieces(piece)

    def _send_pieces(self, piece=None):
        # `piece` is the first one.
        transport = self.transport
        try:
            while self._pieces is not None and (piece is not None or not transport.queued):
                if piece is None:
                    piece = next(self._pieces, None)
                if piece is None:
                    self._drop_pieces()
                    if self._left:
                        raise ValueError("body shorter than its length")
                    if self._chunked:
                        transport.write(b"0\r\n\r\n")
                    break
                size = len(piece)
                if self._left is not None:
                    self._left -= size
                    if self._left < 0:
                        raise ValueError("body longer than its length")
                self._due += size
                if not self._chunked:
                    transport.write(piece)
                elif size:
                    transport.write(_chunk(piece))
                piece = None
        except Exception as error:
            # The head is gone: an unfinished body is all that can tell the client.
            report("response failed", error)
            transport.abort()
            return
        if self._pieces is None and not transport.queued:
            self._finish()

    def _drop_pieces(self):
        pieces = self._pieces
        if pieces is not None:
            self._pieces = None
            _close(pieces)

    # Streams

    def open_stream(self, request, response):
        """Send the head of `response`, whose body the handler will send; for `Request.stream`."""
        from .stream import Stream

        if self.transport is None:
            raise ConnectionLost(ECONNRESET)
        if self._state == _STREAM:
            raise RuntimeError("the response has begun")
        chunked = request.minor == 1 and response.length is None
        if not chunked and response.length is None:
            self._keep = False
        transport = self.transport
        transport.write(response.head(self._connection_option(request), chunked))
        self.server.count(response.status, request)
        self._state = _STREAM
        request.begun = True
        self._chunked = chunked
        self._left = response.length
        self._task = request.task
        transport.set_timeout(None)
        transport.resume_reading()  # to notice when the client leaves
        if request.method == "HEAD":
            self._chunked = False
            self._left = None
            raise CancelledError
        return Stream(self, chunked)

    async def send_piece(self, data, chunked):
        """Send a part of the stream's body and wait until most of it is taken."""
        transport = self.transport
        if transport is None:
            raise ConnectionLost(ECONNRESET)
        if self._left is not None:
            if isinstance(data, str):
                data = data.encode()
            self._left -= len(data)
            if self._left < 0:
                raise ValueError("body longer than its length")
        transport.write(_chunk(data) if chunked else data)
        if transport.queued:
            self._due = transport.queued
            transport.set_timeout(SEND_PERIOD_MS)
            await transport.drained()
            transport.set_timeout(None)

    @micropython.native
    def _finish(self):
        transport = self.transport
        body = self.body
        complete = self._failure is None and (body is None or body.done)
        if self._keep and complete:
            self._await_request()
        elif self._keep:
            self._state = _DISCARD
            self._piece = None
            self._idle_since = ticks_ms()
            transport.set_timeout(LINGER_TIMEOUT_MS)
            transport.resume_reading()
        elif complete:
            transport.close()
        else:
            self._state = _LINGER
            self._idle_since = ticks_ms()
            transport.set_timeout(LINGER_TIMEOUT_MS)
            transport.resume_reading()

    @micropython.native
    def _await_request(self):
        self._state = _HEAD
        if self.body is not None:
            self.body = self._piece = None
        transport = self.transport
        self.rests = True
        self._idle_since = ticks_ms()
        transport.set_timeout(IDLE_TIMEOUT_MS)
        transport.resume_reading()


def _relieve(group, served):
    # For the answer, and for when the client comes again.
    try:
        load("transport.relief", "relieve")(group, served)
    except MemoryError:
        pass


async def _cancel(task):
    task.cancel()


def _chunk(data):
    # RFC 9112 section 7.1.
    if isinstance(data, str):
        data = data.encode()
    return b"%x\r\n" % len(data) + data + b"\r\n"


def _close(pieces):
    close = getattr(pieces, "close", None)
    if close is not None:
        close()
