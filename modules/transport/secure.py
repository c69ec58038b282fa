"""Connections with TLS, by MicroPython's `tls` module."""

from errno import ENOMEM
from time import ticks_add, ticks_diff, ticks_ms

from lazy import load
from micropython import const

from . import poller
from .connection import Connection, ConnectionLost

# mbedTLS's own errors begin here (mbedtls/error.h); MBEDTLS_ERR_SSL_CONN_EOF.
_MBEDTLS = const(-0x1000)
_CONN_EOF = const(-0x7280)

# How long handshakes have taken of the processor, all together, as ticks.
_spent = 0


class SecureConnection(Connection):
    """A `Connection` with TLS, whose handshake happens as bytes come and go.

    Poll tells of what mbedTLS has decrypted and kept (`mbedtls_ssl_check_pending`), so reading a
    block at a time leaves nothing behind. A write that mbedTLS couldn't finish must be repeated
    with the same bytes, which is what the queue does.

    Args:
        context: a `tls.SSLContext`.
        hostname: what the server's certificate must be for; None makes this the server's side.

    Raises:
        OSError, MemoryError: there isn't the memory for it.
    """

    secure = True

    def __init__(self, sock, group, address, context, hostname=None):
        super().__init__(sock, group, address)
        self._plain = sock
        self._began = ticks_ms()  # None once there was something to write: an answer
        self._spent = _spent
        self.sock = context.wrap_socket(
            sock,
            server_side=hostname is None,
            server_hostname=hostname,
            do_handshake_on_connect=False,
        )

    def idle(self, now):
        idle = super().idle(now)
        began = self._began
        if idle < 0 or began is None:
            return idle
        # All of its handshake, however many pieces that comes in; the arithmetic of handshakes,
        # this one's and others', is not the peer's time.
        return ticks_diff(now, began) - ticks_diff(_spent, self._spent)

    def ready(self, events):
        global _spent
        if self._began is None:
            super().ready(events)
            return
        before = ticks_ms()
        super().ready(events)
        _spent = ticks_add(_spent, ticks_diff(ticks_ms(), before))

    def write(self, data):
        self._began = None
        super().write(data)

    def abort(self, error=None):
        super().abort(error)
        # After a handshake that failed, an SSLSocket doesn't close the socket below any more.
        self._plain.close()

    def failed(self, error):
        if isinstance(error, ValueError):
            # How the tls module tells of a certificate that it doesn't accept.
            error = ConnectionLost("TLS: " + str(error).strip())
        elif isinstance(error, OSError) and (error.errno or 0) <= _MBEDTLS:
            # Most of mbedTLS's errors come as a number only.
            if error.errno == _CONN_EOF:
                error = ConnectionLost("TLS: the peer ended the connection")
            else:
                error = ConnectionLost(f"TLS: mbedTLS error -0x{-error.errno:04X}")
        super().failed(error)
        if isinstance(error, OSError) and error.errno == ENOMEM:
            poller.report("no memory for TLS", error)


def accepted(sock, group, address, context):
    """The `SecureConnection` of a client; idle ones are closed while the memory for it lacks.

    Raises:
        OSError, MemoryError: none is idle.
    """
    while True:
        try:
            return SecureConnection(sock, group, address, context)
        except (OSError, MemoryError):
            if not load("transport.places", "free_memory")(group):
                raise
