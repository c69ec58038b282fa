"""One HTTP connection: requests in, responses out, in order (RFC 9112 section 9)."""

from asyncio import core, create_task

from http11 import BadMessage, parse_request, tokens
from transport import report, suspend, wake

from .assets import Asset
from .body import framing
from .errors import HTTPError, from_exception
from .request import Request, unquote
from .response import JOIN_LIMIT, Response, from_error, make

# A client that has begun a head must finish it, however slowly it trickles in.
HEAD_TIMEOUT_MS = 10_000

# A body must go on arriving while a handler waits for it.
BODY_TIMEOUT_MS = 10_000

# A connection without a request. Browsers would keep theirs much longer, but sockets are few.
IDLE_TIMEOUT_MS = 30_000

# How much of a body that no handler read is thrown away to keep the connection for the next
# request. Beyond it the connection is closed, after lingering so that the client sees the answer:
# closing a socket with unread data makes TCP reset it.
DISCARD_LIMIT = 65_536
LINGER_TIMEOUT_MS = 2_000

_HEAD = 0  # waiting for a request
_BODY = 1  # a handler runs and may ask for the body
_BUSY = 2  # a handler runs, the body is complete
_SENDING = 3  # the response waits for the client to take it
_DISCARD = 4  # throwing away the rest of a body
_LINGER = 5  # throwing away everything until the client closes


class HTTPConnection:
    """The protocol of a `transport.Connection` that speaks HTTP/1.1."""

    wanted = None

    def __init__(self, transport, server, overloaded=False):
        self.transport = transport
        self.server = server
        self._overloaded = overloaded
        self._state = _HEAD
        self._partial = False  # a part of the next head is there
        self._keep = True  # the connection goes on after the current request
        self._expect = False  # the client waits for 100 Continue
        self._body = None
        self._piece = None  # body bytes that the handler hasn't taken
        self._failure = None  # why the body will not be complete
        self._waiting = None  # the handler's task, waiting for body bytes
        self._pieces = None  # iterator of the response's body
        transport.set_timeout(HEAD_TIMEOUT_MS)

    @property
    def idle(self):
        return self._state == _HEAD and not self._partial

    # From the transport

    def data_received(self, buf, start, end):
        transport = self.transport
        while start < end:
            state = self._state
            if state == _HEAD:
                # RFC 9112 section 2.2: ignore empty lines before a request line.
                while end - start > 1 and buf[start] == 13 and buf[start + 1] == 10:
                    start += 2
                try:
                    head = parse_request(buf, start, end)
                except BadMessage as error:
                    self._refuse(error)
                    return end
                if head is None:
                    if not self._partial and start < end:
                        self._partial = True
                        transport.set_timeout(HEAD_TIMEOUT_MS)
                    return start
                self._partial = False
                start = head.end
                self._begin(head)
                if transport.protocol is not self:
                    return start
            elif state == _LINGER:
                return end
            else:
                if state != _BODY and state != _DISCARD or self._piece is not None:
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
        elif self._state != _BUSY and self._state != _SENDING:
            self.transport.close()

    def timed_out(self):
        if self._state == _HEAD and self._partial:
            self._refuse(HTTPError(408, "request head not complete in time"))
        elif self._state == _BODY:
            self._keep = False
            self._fail_body(HTTPError(408, "body not complete in time"))
        else:
            self.transport.abort()

    def connection_lost(self, error):
        self.transport = None
        if self._state == _BODY:
            self._fail_body(HTTPError(400, "connection lost"))

    # Requests

    def _begin(self, head):
        fields = head.fields
        options = fields.get("connection")
        if options is None:
            self._keep = head.minor == 1
        else:
            # RFC 9112 section 9.3.
            options = tokens(options)
            self._keep = "close" not in options and (head.minor == 1 or "keep-alive" in options)
        try:
            # RFC 9112 section 3.2. A repeated Host has been refused by the parser.
            if head.minor == 1 and "host" not in fields:
                raise BadMessage(400, "no Host header")
            self._body = framing(head)
            if self._overloaded:
                raise BadMessage(503, "too many connections")
        except BadMessage as error:
            self._refuse(error)
            return
        request = Request(head, self)
        try:
            if self._body is not None:
                expect = fields.get("expect")
                # RFC 9110 section 10.1.1.
                if expect is not None and expect.lower() != "100-continue":
                    raise HTTPError(417)
                self._expect = expect is not None and head.minor == 1
            result = self._dispatch(request)
        except Exception as error:
            self._fail(request, error)
            return
        transport = self.transport
        if transport is None or transport.protocol is not self:
            return
        if hasattr(result, "throw"):  # a coroutine
            transport.pause_reading()
            transport.set_timeout(None)
            self._state = _BUSY if self._body is None else _BODY
            create_task(self._run(request, result))
        else:
            self._respond(request, result)

    def _dispatch(self, request):
        if "%" in request.path:
            try:
                request.path = unquote(request.path)
            except ValueError as error:
                raise HTTPError(400, str(error))
        table, parameters = self.server.router.find(request.path)
        if table is None:
            raise HTTPError(404)
        method = request.method
        handler = table.get(method)
        if handler is None:
            if method == "HEAD" and "GET" in table:
                handler = table["GET"]
            else:
                # RFC 9110 section 15.5.6: a 405 names the methods that there are.
                methods = list(table)
                if "GET" in table:
                    methods.append("HEAD")
                methods.append("OPTIONS")
                allow = (("Allow", ", ".join(sorted(methods))),)
                if method == "OPTIONS":
                    return Response(b"", 204, headers=allow)
                raise HTTPError(405, headers=allow)
        if parameters is None:
            return handler(request)
        return handler(request, *parameters)

    async def _run(self, request, coroutine):
        try:
            result = await coroutine
        except Exception as error:
            self._fail(request, error)
        else:
            if self.transport is not None and self.transport.protocol is self:
                self._respond(request, result)

    def upgrade(self, response, make_protocol):
        """Answer with the head `response` (101) and let another protocol have the connection."""
        transport = self.transport
        self.server.count(101)
        transport.set_timeout(None)
        transport.write(response)
        transport.protocol = make_protocol(transport)
        transport.resume_reading()

    # Bodies

    @property
    def body_length(self):
        """Content-Length of the current request: 0 without a body, None when it isn't told."""
        return 0 if self._body is None else self._body.length

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
            transport.set_timeout(BODY_TIMEOUT_MS)
            transport.resume_reading()
            if self._waiting is None:
                self._waiting = core.TaskQueue()
            await suspend(self._waiting)
        piece, self._piece = self._piece, None
        return piece

    def _receive_body(self, buf, start, end):
        body = self._body
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
            self._wake()
        return stop

    def _fail_body(self, error):
        self._failure = error
        self._state = _BUSY
        if self.transport is not None:
            self.transport.pause_reading()
            self.transport.set_timeout(None)
        self._wake()

    def _wake(self):
        if self._waiting is not None:
            wake(self._waiting)

    # Responses

    def _refuse(self, error):
        # The head or the framing is bad, so where the next request begins is unknown.
        self._keep = False
        self._state = _BODY
        self._fail(None, error)

    def _fail(self, request, error):
        answer, defect = from_exception(error)
        if defect:
            report("request failed", error)
        if self.transport is not None:
            self._respond(request, from_error(answer))

    def _respond(self, request, result):
        body = self._body
        if body is not None and not body.done:
            if self._expect or body.length is None or body.remaining > DISCARD_LIMIT:
                self._keep = False
        if not self._keep:
            option = "close"
        elif request.minor == 0:
            option = "keep-alive"
        else:
            option = None
        transport = self.transport
        if isinstance(result, Asset):
            status = result.send(request, transport.write, option)
        else:
            try:
                response = make(result)
            except Exception as error:  # not something that can be sent
                self._fail(request, error)
                return
            status = response.status
            content = response.body
            chunked = response.pieces and response.length is None and request.minor == 1
            if response.pieces and response.length is None and not chunked:
                # RFC 9112 section 6.3 rule 8: without a length the end of the connection ends it.
                self._keep = False
                option = "close"
            head = response.head(option, chunked)
            if request is not None and request.method == "HEAD" or status == 204 or status == 304:
                transport.write(head)
            elif response.pieces:
                transport.write(head)
                self._pieces = _chunks(content) if chunked else content
            elif response.length <= JOIN_LIMIT:
                if isinstance(content, str):
                    content = content.encode()
                transport.write(head + content)
            else:
                transport.write(head)
                transport.write(content)
        self.server.count(status)
        if self._pieces is None and not transport.queued:
            self._finish()
        else:
            self._state = _SENDING
            transport.pause_reading()
            transport.set_timeout(None)
            self._send_pieces()

    def _send_pieces(self):
        transport = self.transport
        try:
            while self._pieces is not None and not transport.queued:
                piece = next(self._pieces, None)
                if piece is None:
                    self._pieces = None
                else:
                    transport.write(piece)
        except Exception as error:
            # The head is gone: an unfinished body is all that can tell the client.
            self._pieces = None
            report("response failed", error)
            transport.abort()
            return
        if not transport.queued:
            self._finish()

    def _finish(self):
        transport = self.transport
        body = self._body
        complete = self._state != _BODY and (body is None or body.done) and self._failure is None
        if self._keep and complete:
            self._await_request()
        elif self._keep:
            self._state = _DISCARD
            transport.set_timeout(LINGER_TIMEOUT_MS)
            transport.resume_reading()
        elif complete:
            transport.close()
        else:
            self._state = _LINGER
            transport.set_timeout(LINGER_TIMEOUT_MS)
            transport.resume_reading()

    def _await_request(self):
        self._state = _HEAD
        self._body = self._piece = self._failure = None
        transport = self.transport
        transport.set_timeout(IDLE_TIMEOUT_MS)
        transport.resume_reading()


def _chunks(pieces):
    # RFC 9112 section 7.1; an empty piece would end the body.
    for piece in pieces:
        if piece:
            piece = piece.encode() if isinstance(piece, str) else piece
            yield b"%x\r\n" % len(piece) + piece + b"\r\n"
    yield b"0\r\n\r\n"
