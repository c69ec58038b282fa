"""What the unit tests share that use sockets."""

import asyncio
import socket

HOST = "127.0.0.1"

# MicroPython's sockets don't tell which port they were given, so a free one is looked for here.
FIRST_PORT = 42_000
LAST_PORT = 42_999

_next = FIRST_PORT


def free_port():
    """A port of the loopback interface that nothing listens on, another one each time."""
    global _next
    while _next <= LAST_PORT:
        port = _next
        _next += 1
        sock = socket.socket()
        try:
            sock.bind(socket.getaddrinfo(HOST, port)[0][-1])
            return port
        except OSError:
            pass
        finally:
            sock.close()
    raise OSError("no free port")


async def wait_until(condition):
    """Wait until `condition()` is true, at most 10 s."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep_ms(5)
    raise AssertionError("never true")
