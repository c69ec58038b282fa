"""A client for tests that needs no socket: `answer = await TestClient(server).get("/")`."""

import asyncio
import json

from micropython import const

from .connection import HTTPConnection

# The state of this name in connection.py.
_LINGER = const(6)

# Bytes that are delivered at a time, as from a socket.
_BLOCK = 1024


class _Connection(HTTPConnection):
    @property
    def lingers(self):
        """Whether it is over but for the peer, which still sends."""
        return self._state == _LINGER


class _Transport:
    # A `transport.Connection` whose peer takes everything at once.

    queued = 0
    over = False
    remote_address = ("test", 0)
    group = None

    def __init__(self, server, data, secure):
        self.secure = secure
        self.out = bytearray()
        self.closed = asyncio.Event()
        self._data = data
        self._reading = True
        self._delivering = False
        self.protocol = _Connection(self, server)

    def write(self, data):
        self.out.extend(data.encode() if isinstance(data, str) else data)

    async def drained(self):
        await asyncio.sleep(0)

    def set_timeout(self, ms):
        pass

    def reserve(self, size):
        return True

    def set_protocol(self, protocol):
        self.protocol = protocol

    def pause_reading(self):
        self._reading = False

    def resume_reading(self):
        self._reading = True
        asyncio.create_task(self._later())

    async def _later(self):
        self.deliver()

    def deliver(self):
        """Give the protocol what it takes."""
        if self._delivering:
            return
        self._delivering = True
        while self._reading and self._data and not self.closed.is_set():
            block = bytearray(self._data[:_BLOCK])
            n = self.protocol.data_received(block, 0, len(block))
            self._data = self._data[n:]
            if not n:
                break
        self._delivering = False

    def close(self):
        self.abort()

    def abort(self):
        if not self.closed.is_set():
            self.closed.set()
            self.protocol.connection_lost(None)


class Answer:
    """What a server has answered.

    Attributes:
        status: the status code.
        headers: dict of field values by lower-case name; of equal names a list.
        body: bytes.
    """

    def __init__(self, data, bare=False):
        head, _, body = bytes(data).partition(b"\r\n\r\n")
        lines = str(head, "utf-8").split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            name = name.lower()
            known = self.headers.get(name)
            if known is None:
                self.headers[name] = value
            elif isinstance(known, list):
                known.append(value)
            else:
                self.headers[name] = [known, value]
        if self.headers.get("transfer-encoding") == "chunked" and not bare:
            body = _joined(body)
        self.body = body

    @property
    def text(self):
        """The body as str."""
        return str(self.body, "utf-8")

    def json(self):
        """The body as JSON."""
        return json.loads(self.body)


class TestClient:
    """Asks a server as a browser would, and keeps its cookies.

    Args:
        server: the `Server`, which need not listen.
        secure: whether the requests come over TLS.

    Attributes:
        cookies: dict of what it has been given.
    """

    def __init__(self, server, secure=False):
        self._server = server
        self._secure = secure
        self.cookies = {}

    async def request(self, method, target, body=b"", headers=None):
        """The `Answer` to a request.

        Args:
            body: bytes or str; dict or list is sent as JSON.
            headers: a dict.
        """
        fields = {"Host": "test", "Connection": "close"}
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            fields["Content-Type"] = "application/json"
        if isinstance(body, str):
            body = body.encode()
        if body:
            fields["Content-Length"] = str(len(body))
        if self.cookies:
            fields["Cookie"] = "; ".join([k + "=" + self.cookies[k] for k in self.cookies])
        fields.update(headers or {})
        head = method + " " + target + " HTTP/1.1\r\n"
        for name in fields:
            head += name + ": " + fields[name] + "\r\n"
        transport = _Transport(self._server, head.encode() + b"\r\n" + body, self._secure)
        transport.deliver()
        while not transport.closed.is_set() and not transport.protocol.lingers:
            await asyncio.sleep(0)
        answer = Answer(transport.out, method == "HEAD")
        self._keep(answer.headers.get("set-cookie", ()))
        return answer

    async def get(self, target, headers=None):
        """The `Answer` to a GET."""
        return await self.request("GET", target, headers=headers)

    async def post(self, target, body=b"", headers=None):
        """The `Answer` to a POST."""
        return await self.request("POST", target, body, headers)

    def _keep(self, cookies):
        for cookie in [cookies] if isinstance(cookies, str) else cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
            if not value or "Max-Age=0" in cookie:
                del self.cookies[name]


def _joined(body):
    # RFC 9112 section 7.1.
    content = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        size = int(str(size, "utf-8"), 16)
        if not size:
            return content
        content += body[:size]
        body = body[size + 2 :]
    raise ValueError("the body has not come to its end")
