"""WebSocket load on an echo: clients with one binary message in flight each.

Only the length of what comes back is looked at, so that this side stays faster than a server on
MicroPython.
"""

import argparse
import dataclasses
import os
import selectors
import socket
import statistics
import struct
import time

from httpload import open_connection, receive

MASK = b"\x01\x02\x03\x04"


@dataclasses.dataclass
class Result:
    """Messages per second, and the times from sending a message to its echo in seconds."""

    rate: float
    latencies: list


def open_websocket(port, path):
    """A connected socket after the opening handshake.

    Raises:
        ConnectionError: the server refuses.
    """
    connection = open_connection(port)
    connection.sendall(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    head = b""
    try:
        while b"\r\n\r\n" not in head:
            head += receive(connection)
        status_line = head.split(b"\r\n", 1)[0]
        if b" 101 " not in status_line:
            raise ConnectionError(f"{path}: {status_line.decode()}")
    except OSError:
        connection.close()
        raise
    return connection


def length_field(size, mask_bit):
    if size < 126:
        return bytes([mask_bit | size])
    if size < 65536:
        return struct.pack(">BH", mask_bit | 126, size)
    return struct.pack(">BQ", mask_bit | 127, size)


def masked_frame(size):
    """A binary frame of `size` random bytes, as a client sends it (RFC 6455, 5.2)."""
    payload = os.urandom(size)
    masked = bytes(byte ^ MASK[i & 3] for i, byte in enumerate(payload))
    return b"\x82" + length_field(size, 0x80) + MASK + masked


@dataclasses.dataclass
class Client:
    socket: socket.socket
    missing: int = 0
    sent_at: float = 0.0

    def send(self, frame, reply_length):
        self.missing = reply_length
        self.sent_at = time.perf_counter()
        self.socket.sendall(frame)


def measure(port, path, size, clients=8, seconds=2.0):
    """Echoes of `size` bytes from 127.0.0.1:port at `path`.

    Raises:
        ConnectionError: the server refuses, closes early or sends more than the echo.
    """
    frame = masked_frame(size)
    reply_length = 1 + len(length_field(size, 0)) + size
    buffer = bytearray(262144)
    latencies = []
    with selectors.DefaultSelector() as selector:
        running = [Client(open_websocket(port, path)) for _ in range(clients)]
        start = now = time.perf_counter()
        for client in running:
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.send(frame, reply_length)
        while now - start < seconds:
            for key, _ in selector.select(1):
                client = key.data
                received = client.socket.recv_into(buffer)
                client.missing -= received
                if received == 0:
                    raise ConnectionError(f"{path}: closed before the echo was whole")
                if client.missing == 0:
                    latencies.append(time.perf_counter() - client.sent_at)
                    client.send(frame, reply_length)
                elif client.missing < 0:
                    raise ConnectionError(f"{path}: more than the echo came back")
            now = time.perf_counter()
        for client in running:
            client.socket.close()
    return Result(len(latencies) / (now - start), latencies)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("port", type=int)
    parser.add_argument("size", type=int, help="bytes per message")
    parser.add_argument("path", nargs="?", default="/bench/echo")
    parser.add_argument("--clients", type=int, default=8, help="connections (default: 8)")
    parser.add_argument("--seconds", type=float, default=2.0, help="duration (default: 2)")
    options = parser.parse_args()
    result = measure(options.port, options.path, options.size, options.clients, options.seconds)
    centiles = statistics.quantiles(result.latencies, n=100)
    print(
        f"{result.rate:.0f} messages/s  {result.rate * options.size / 1e6:.2f} MB/s  "
        f"p50 {centiles[49] * 1e3:.2f} ms  p99 {centiles[98] * 1e3:.2f} ms"
    )


if __name__ == "__main__":
    main()
