"""Connections with TLS, by MicroPython's `tls` module."""

from errno import ENOMEM
from time import ticks_diff, ticks_ms

from micropython import const

from . import poller
from .connection import Connection, ConnectionLost

# A handshake is seconds of arithmetic for a chip. A client that has asked for nothing for so long
# makes room for others, sooner than these are dropped (listener.py); its protocol's deadline ends
# it anyway.
HANDSHAKE_GRACE_MS = 4_000

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
        self._began = ticks_ms()  # None once there was something to write: an answer
        self.sock = context.wrap_socket(
            sock,
            server_side=hostname is None,
            server_hostname=hostname,
            do_handshake_on_connect=False,
        )

    def idle(self, now):
        began = self._began
        if began is not None and ticks_diff(now, began) < HANDSHAKE_GRACE_MS:
            return -1
        return super().idle(now)

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
            if not group.make_room(True):
                raise


def is_full(group):
    """Whether a `Group` has no place for one more with TLS; an idle one is closed for it."""
    limit = group.secure_limit
    if limit is None or sum([connection.secure for connection in group.connections]) < limit:
        return False
    return not group.make_room(True)
