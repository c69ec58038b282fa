"""Connecting to a server."""

import socket
from errno import EINPROGRESS

from .connection import Connection


def resolve(host, port):
    """What a name stands for: the places that `open_connection` takes, in the order to try them.

    The families take turns, beginning with the first (RFC 8305 section 4). It blocks, as
    MicroPython's getaddrinfo does.

    Raises:
        OSError: the name can't be resolved.
    """
    found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    if len(found) == 1:
        return found
    first = [place for place in found if place[0] == found[0][0]]
    others = [place for place in found if place[0] != found[0][0]]
    ordered = []
    while first or others:
        ordered += first[:1] + others[:1]
        first, others = first[1:], others[1:]
    return ordered


def open_connection(host, port, protocol, group=None, ssl=None, server_hostname=None, place=None):
    """Begin to connect to `host`:`port` and return the `Connection` of `protocol`.

    Returns at once; what is written is sent when the connection stands. A refused connection
    ends in `protocol.connection_lost(error)`; one that is never answered is for the protocol's
    deadline. Name resolution blocks (MicroPython's getaddrinfo), so prefer addresses.

    Args:
        ssl: a `tls.SSLContext` to connect with TLS.
        server_hostname: what the server's certificate must be for, `host` by default.
        place: one of those that `resolve` gives, the first by default.

    Raises:
        OSError: the name can't be resolved or no socket is free.
    """
    family, kind, proto, _, address = place or resolve(host, port)[0]
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
