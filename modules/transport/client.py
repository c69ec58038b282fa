"""Connecting to a server."""

import socket
from errno import EINPROGRESS

from .connection import Connection


def open_connection(host, port, protocol, group=None, ssl=None, server_hostname=None):
    """Begin to connect to `host`:`port` and return the `Connection` of `protocol`.

    Returns at once; what is written is sent when the connection stands. A refused connection
    ends in `protocol.connection_lost(error)`; one that is never answered is for the protocol's
    deadline. Name resolution blocks (MicroPython's getaddrinfo), so prefer addresses.

    Args:
        ssl: a `tls.SSLContext` to connect with TLS.
        server_hostname: what the server's certificate must be for, `host` by default.

    Raises:
        OSError: the name can't be resolved or no socket is free.
    """
    family, kind, proto, _, address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind, proto)
    try:
        if ssl is None:
            connection = Connection(sock, group, address)
        else:
            from .secure import SecureConnection

            connection = SecureConnection(sock, group, address, ssl, server_hostname or host)
        try:
            sock.connect(address)
        except OSError as error:
            if error.errno != EINPROGRESS:
                raise
        connection.start(protocol, connecting=True)
    except BaseException:
        sock.close()
        raise
    return connection
