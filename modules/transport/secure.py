"""Connections with TLS, by MicroPython's `tls` module."""

from errno import ENOMEM
from time import ticks_diff, ticks_ms

from lazy import load
from micropython import const

from . import poller
from .connection import Connection, ConnectionLost

# How often a peer that takes its time for the handshake gets more of it, before it makes room for
# others: a handshake in order takes no more than so many segments.
_STEPS = const(8)

# mbedTLS's own errors begin here (mbedtls/error.h); MBEDTLS_ERR_SSL_CONN_EOF.
_MBEDTLS = const(-0x1000)
_CONN_EOF = const(-0x7280)


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
        self._heard = ticks_ms()  # None once there was something to write: an answer
        self._steps = _STEPS
        self.sock = context.wrap_socket(
            sock,
            server_side=hostname is None,
            server_hostname=hostname,
            do_handshake_on_connect=False,
        )

    def idle(self, now):
        heard = self._heard
        return super().idle(now) if heard is None else ticks_diff(now, heard)

    def ready(self, events):
        super().ready(events)
        if self._heard is not None and self._steps:
            # Afterwards: the arithmetic of a handshake is not the peer's time.
            self._steps -= 1
            self._heard = ticks_ms()

    def write(self, data):
        self._heard = None
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
