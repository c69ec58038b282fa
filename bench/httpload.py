"""HTTP load: keep-alive connections with one request in flight each.

The first response tells how long every response is and whether the server keeps the connection;
where it does not, each request gets a new one after the server has closed the old one. Only the
first bytes and the length of the others are looked at, so that this side stays faster than a
server on MicroPython.
"""

import argparse
import os
import selectors
import socket
import time


def open_connection(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def request_for(path):
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def get(connection, path):
    """One request on an open connection: (head, body).

    Raises:
        ConnectionError: it was cut short.
    """
    connection.sendall(request_for(path))
    received = b""
    while b"\r\n\r\n" not in received:
        received += receive(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    length = content_length(head)
    while len(body) < length:
        body += receive(connection)
    return head + b"\r\n\r\n", body


def receive(connection):
    data = connection.recv(262144)
    if not data:
        raise ConnectionError("the server closed the connection")
    return data


def content_length(head):
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError(f"no Content-Length in {head!r}")


def keeps_connection(head):
    return head.startswith(b"HTTP/1.1") and b"connection: close" not in head.lower()


class Client:
    """One connection and how much of the response under way is still to come."""

    def __init__(self, port, request, length, selector):
        self.port = port
        self.request = request
        self.length = length
        self.selector = selector
        self.socket = open_connection(port)
        selector.register(self.socket, selectors.EVENT_READ, self)
        self.send()

    def send(self):
        self.missing = self.length
        self.socket.sendall(self.request)

    def reconnect(self):
        """Start a new connection; send() is due when it is writable. Does not wait: a full
        backlog would hold up all other clients."""
        self.close()
        self.missing = None
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.connect_ex(("127.0.0.1", self.port))
        self.selector.register(self.socket, selectors.EVENT_WRITE, self)

    def connected(self):
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise ConnectionError(os.strerror(error))
        self.socket.setblocking(True)
        self.selector.modify(self.socket, selectors.EVENT_READ, self)
        self.send()

    def close(self):
        self.selector.unregister(self.socket)
        self.socket.close()


def measure(port, path, clients=8, seconds=2.0):
    """Responses per second from 127.0.0.1:port at `path`.

    Raises:
        ConnectionError: the server refuses, closes early or answers another status.
    """
    with open_connection(port) as probe:
        head, body = get(probe, path)
    status = head.split(b" ", 2)[1]
    if status != b"200":
        raise ConnectionError(f"{path}: status {status.decode()}")
    start_of_head = head[:12]
    length = len(head) + len(body)
    keep_alive = keeps_connection(head)
    buffer = bytearray(262144)
    responses = 0
    with selectors.DefaultSelector() as selector:
        running = [Client(port, request_for(path), length, selector) for _ in range(clients)]
        start = now = time.perf_counter()
        while now - start < seconds:
            for key, _ in selector.select(1):
                client = key.data
                if client.missing is None:
                    client.connected()
                    continue
                received = client.socket.recv_into(buffer)
                if received == 0 and client.missing == 0 and not keep_alive:
                    client.reconnect()
                    continue
                if client.missing == length and not buffer.startswith(start_of_head):
                    raise ConnectionError(f"{path}: {bytes(buffer[:received])!r:.80}")
                client.missing -= received
                if received == 0 or client.missing < 0:
                    raise ConnectionError(f"{path}: a response shorter or longer than the first")
                if client.missing == 0:
                    responses += 1
                    if keep_alive:
                        client.send()
            now = time.perf_counter()
        for client in running:
            client.close()
    return responses / (now - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("port", type=int)
    parser.add_argument("path", nargs="?", default="/bench/ok")
    parser.add_argument("--clients", type=int, default=8, help="connections (default: 8)")
    parser.add_argument("--seconds", type=float, default=2.0, help="duration (default: 2)")
    options = parser.parse_args()
    rate = measure(options.port, options.path, options.clients, options.seconds)
    print(f"{rate:.0f} responses/s")


if __name__ == "__main__":
    main()
