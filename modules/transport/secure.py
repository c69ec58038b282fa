"""Connections with TLS."""

from .connection import Connection, ConnectionLost


class SecureConnection(Connection):
    """The same with TLS, whose handshake happens as bytes come and go.

    Args:
        context: a `tls.SSLContext`.
        hostname: what the server's certificate must be for; None makes this the server's side.

    Raises:
        OSError: there isn't the memory for it.
    """

    def __init__(self, sock, group, address, context, hostname=None):
        super().__init__(sock, group, address)
        self._plain = sock
        self.sock = context.wrap_socket(
            sock,
            server_side=hostname is None,
            server_hostname=hostname,
            do_handshake_on_connect=False,
        )

    def abort(self, error=None):
        super().abort(error)
        # After a handshake that failed, an SSLSocket doesn't close the socket below any more.
        self._plain.close()

    def failed(self, error):
        if isinstance(error, ValueError):
            # How the tls module tells of a certificate that it doesn't accept.
            error = ConnectionLost("TLS: " + str(error).strip())
        super().failed(error)
