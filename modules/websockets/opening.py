"""The opening handshake on a port of its own, without an HTTP server."""

from time import ticks_ms

from http11 import BadMessage, parse_request

from . import handshake
from .connection import LINGER_TIMEOUT_MS


class Opening:
    """The protocol of a connection whose request hasn't arrived.

    Args:
        server: the `server.Server` that accepts or refuses it.
    """

    wanted = None

    def __init__(self, transport, server):
        self.transport = transport
        self.remote_address = transport.remote_address
        self._server = server
        self._refused = False
        # Its request is on its way; None while it is the server's turn.
        self.idle_since = ticks_ms()
        transport.set_timeout(server.open_timeout)

    def data_received(self, buf, start, end):
        if self._refused:
            return end
        server = self._server
        try:
            head = parse_request(buf, start, end)
            if head is None:
                return start
            if self.transport.over:
                raise BadMessage(503, "too many connections")
            if "host" not in head.fields:
                raise BadMessage(400, "no Host header")
        except BadMessage as error:
            self._refuse(error.status, error.reason, ())
            return end
        transport = self.transport
        transport.set_timeout(None)
        self.idle_since = None
        server.begin(head.method, head.minor, head.target, head.fields, self)
        return head.end

    def accept(self, make_protocol):
        transport = self.transport
        if transport is not None:
            transport.set_protocol(make_protocol(transport))

    def refuse(self, status, detail, headers):
        if self.transport is not None:
            self._refuse(status, detail, headers)
            self.transport.resume_reading()

    def wait(self):
        self.transport.pause_reading()

    def _refuse(self, status, detail, headers):
        # What is still coming is read and thrown away.
        self._refused = True
        self.transport.write(handshake.refusal(status, detail, headers))
        self.transport.set_timeout(LINGER_TIMEOUT_MS)
        # It needn't keep its place for that.
        self.idle_since = ticks_ms()

    def sent(self):
        pass

    def eof_received(self):
        self.transport.close()

    def timed_out(self):
        self.transport.abort()

    def connection_lost(self, error):
        self.transport = None
