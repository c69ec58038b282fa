"""What a handler learns of a request."""

import json

import micropython
from http11 import BadMessage, unquote

from .errors import HTTPError
from .response import Response

_FORM = "application/x-www-form-urlencoded"

# What a host's name may have beside letters and digits (RFC 3986 section 3.2.2), but not the
# comma, by which repeated fields would be joined.
_IN_NAME = "-._~%!$&'()*+;="
_IN_ADDRESS = "0123456789abcdefABCDEF:."

# The last Host that was good: clients send the same one over and over.
_known_host = ""


def _check_host(host):
    # RFC 9110 section 7.2: uri-host [ ":" port ]
    global _known_host
    if host.startswith("["):
        name, good, port = host[1:].partition("]")
        good = good and name and (not port or port.startswith(":"))
        good = good and all([c in _IN_ADDRESS for c in name])
        port = port[1:]
    else:
        name, _, port = host.partition(":")
        good = all([c in _IN_NAME or (c <= "z" and (c.isalpha() or c.isdigit())) for c in name])
        if "%" in name:
            try:
                unquote(name)
            except ValueError:
                good = False
    if not good or (port and not port.isdigit()):
        raise BadMessage(400, "malformed host")
    _known_host = host


def parse_form(text):
    """Decode `application/x-www-form-urlencoded` into a dict; the last of equal names wins."""
    form = {}
    for pair in text.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            form[unquote(name, True)] = unquote(value, True)
    return form


def _cookies(value):
    # RFC 6265 section 4.2.
    cookies = {}
    for pair in value.split(";"):
        name, found, value = pair.partition("=")
        name = name.strip()
        # Section 5.4: of equal names the more specific comes first.
        if found and name not in cookies:
            cookies[name] = value.strip()
    return cookies


def _without_authority(method, target, headers):
    # RFC 9112 section 3.2: a path, "*" for OPTIONS, or an absolute URI as sent to a proxy.
    if target == "*" and method == "OPTIONS":
        return target
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        raise BadMessage(400, "malformed request target")
    authority = rest.split("/", 1)[0].split("?", 1)[0]
    if not authority:
        raise BadMessage(400, "malformed request target")
    _check_host(authority)
    # Section 3.2.2: the target's authority replaces the Host field.
    headers["host"] = authority
    rest = rest[len(authority) :]
    return rest if rest.startswith("/") else "/" + rest


class Request:
    """A request, as `http11.parse_request` makes it.

    Attributes:
        method: "GET"...
        minor: minor version of HTTP/1, 0 or 1.
        target: the request target as sent.
        path: the target's path, percent-decoded once the server has routed it.
        headers: dict of field values by lower-case name.
        query: the query string as a dict; HTTPError 400 when it is malformed.
        cookies: the cookies sent, a dict.
        peer: the client's (host, port), None once it is gone.
        secure: whether it came over TLS.
        length: bytes of the body: 0 without one, None when it comes chunked.
        begun: whether the answer is on its way, as a stream or in another protocol.
        end: offset of the first byte after the head.

    Raises:
        BadMessage: the target or the Host field is malformed.
    """

    minor = 1
    begun = False
    task = None  # its handler's, when that is a coroutine
    connection = None  # the `connection.HTTPConnection`, once it has accepted the request

    @micropython.native
    def __init__(self, method, target, minor, headers, end):
        # RFC 9112 section 3.2. A repeated Host has been refused by the parser.
        if "host" in headers:
            host = headers["host"]
            if host != _known_host:
                _check_host(host)
        elif minor == 1:
            raise BadMessage(400, "no Host header")
        if not target.startswith("/"):
            target = _without_authority(method, target, headers)
        self.method = method
        self.target = target
        self.headers = headers
        self.path = target.split("?", 1)[0] if "?" in target else target
        self.end = end
        if minor != 1:
            self.minor = minor

    def __getattr__(self, name):
        # Not properties, see `transport.Connection`.
        if name == "query":
            try:
                return parse_form(self.target.partition("?")[2])
            except ValueError as error:
                raise HTTPError(400, str(error))
        if name == "cookies":
            return _cookies(self.headers.get("cookie", ""))
        if name == "peer":
            transport = self.connection.transport
            return None if transport is None else transport.remote_address
        if name == "secure":
            transport = self.connection.transport
            return transport is not None and transport.secure
        if name == "length":
            body = self.connection.body
            return 0 if body is None else body.length
        raise AttributeError(name)

    async def read(self, limit=None):
        """The whole body.

        Args:
            limit: bytes at most; the server's `max_body` when None.

        Returns:
            A bytearray, empty when the request has no body.

        Raises:
            HTTPError: 413 over the limit, before anything is allocated for it; 408 when the
                client stops sending.
            transport.ConnectionLost: it is more than peers may leave unfinished.
        """
        connection = self.connection
        if limit is None:
            limit = connection.server.max_body
        length = self.length
        if length is not None and length > limit:
            raise HTTPError(413, f"body over {limit} bytes")
        connection.hold(length or 0)
        try:
            body = bytearray(length or 0)
            size = 0
            while True:
                piece = await connection.next_piece()
                if piece is None:
                    return body
                if length is None:
                    if size + len(piece) > limit:
                        raise HTTPError(413, f"body over {limit} bytes")
                    connection.hold(size + len(piece))
                    body.extend(piece)
                else:
                    body[size : size + len(piece)] = piece
                size += len(piece)
        finally:
            connection.held = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        piece = await self.connection.next_piece()
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def json(self, limit=None):
        """The body as JSON; HTTPError 400 when it isn't, 415 when it says that it isn't."""
        kind = self.headers.get("content-type", "application/json").split(";")[0].strip().lower()
        if kind != "application/json":
            raise HTTPError(415, "send application/json")
        body = await self.read(limit)
        try:
            return json.loads(body)
        except (ValueError, RuntimeError):  # RuntimeError: nested too deep
            raise HTTPError(400, "malformed JSON")

    async def form(self, limit=None):
        """The body as a form, a dict; HTTPError 400 when it is malformed, 415 for another type."""
        kind = self.headers.get("content-type", _FORM).split(";")[0].strip().lower()
        if kind != _FORM:
            raise HTTPError(415, "send " + _FORM)
        try:
            return parse_form(str(await self.read(limit), "utf-8"))
        except ValueError:  # UnicodeError is one
            raise HTTPError(400, "malformed form")

    def parts(self):
        """The parts of a form with files, as they come: see `multipart.Form`."""
        from .multipart import Form

        return Form(self)

    async def save(self, path, limit, check=None):
        """Store the body as the file at `path`: see `files.receive_file`."""
        from .files import receive_file

        return await receive_file(self, path, limit, check)

    async def stream(self, status=200, content_type=None, headers=()):
        """Begin a response whose body the handler sends while time goes on.

        Returns:
            A `stream.Stream`. The handler's own return value is ignored from here on. A HEAD
            request is answered and ends the handler here.

        Raises:
            transport.ConnectionLost: the client is gone.
        """
        response = Response(iter(()), status, content_type, headers)
        return self.connection.open_stream(self, response)

    async def events(self, headers=()):
        """Begin a response of Server-Sent Events: as `stream`, returns a `stream.EventStream`."""
        from .stream import EventStream

        headers = (("Cache-Control", "no-store"),) + tuple(headers)
        return EventStream(await self.stream(200, "text/event-stream", headers))

    def upgrade(self, response, protocol):
        """Answer 101 with `response` and hand the connection to another protocol.

        Args:
            response: the complete response head, bytes; empty when `protocol` writes it.
            protocol: called with the `transport.Connection`, returns the protocol object.

        Returns:
            What the handler must return to the server.
        """
        return self.connection.upgrade(self, response, protocol)
