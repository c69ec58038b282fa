"""What the unit tests share that use sockets."""

import os
import socket

HOST = "127.0.0.1"

# MicroPython's sockets don't tell which port they were given, so a free one is looked for here.
# Linux takes the ports of outgoing connections from 32,768 on.
FIRST_PORT = 10_000
LAST_PORT = 32_767


def free_port():
    """A port of the loopback interface that nothing listens on.

    Chosen at random: other processes test at the same time.
    """
    while True:
        number = int.from_bytes(os.urandom(4), "big")
        port = FIRST_PORT + number % (LAST_PORT + 1 - FIRST_PORT)
        sock = socket.socket()
        try:
            sock.bind(socket.getaddrinfo(HOST, port)[0][-1])
            return port
        except OSError:
            pass
        finally:
            sock.close()
