"""Reference for speed: what the interpreter can do when the protocol costs almost nothing.

usage: micropython limit.py PORT

Raw non-blocking sockets on asyncio's poller, block reads, minimal parsing, no checks and no
limits: not a server to copy. Serves GET /bench/ok, /bench/30k and /bench/mem, and a WebSocket
echo at /bench/echo.
"""

import asyncio
import gc
import os
import socket
import sys
from asyncio import core

import micropython

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
LARGE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 30000\r\n\r\n"
    + (os.urandom(64) * 470)[:30000]
)


@micropython.viper
def unmask(buffer: ptr8, length: int, key: ptr8):
    key0 = key[0]
    key1 = key[1]
    key2 = key[2]
    key3 = key[3]
    i = 0
    quads = length & ~3
    while i < quads:
        buffer[i] ^= key0
        buffer[i + 1] ^= key1
        buffer[i + 2] ^= key2
        buffer[i + 3] ^= key3
        i += 4
    while i < length:
        buffer[i] ^= key[i & 3]
        i += 1


async def readable(sock):
    yield core._io_queue.queue_read(sock)


async def writable(sock):
    yield core._io_queue.queue_write(sock)


async def send(sock, data):
    sent = sock.write(data)
    if sent == len(data):
        return
    data = memoryview(data)
    sent = sent or 0
    while sent < len(data):
        await writable(sock)
        sent += sock.write(data[sent:]) or 0


class Connection:
    """A socket and its receive buffer; what is unread lies between `start` and `end`."""

    def __init__(self, sock):
        sock.setblocking(False)
        self.sock = sock
        self.buffer = bytearray(1024)
        self.view = memoryview(self.buffer)
        self.start = self.end = 0

    async def fill(self):
        if self.start == self.end:
            self.start = self.end = 0
        elif self.end == len(self.buffer):
            length = self.end - self.start
            self.buffer[:length] = self.view[self.start : self.end]
            self.start, self.end = 0, length
        while True:
            received = self.sock.readinto(self.view[self.end :])
            if received is None:
                await readable(self.sock)
            elif received == 0:
                raise EOFError
            else:
                self.end += received
                return


async def http(connection):
    while True:
        head_end = connection.buffer.find(b"\r\n\r\n", connection.start, connection.end)
        while head_end < 0:
            await connection.fill()
            head_end = connection.buffer.find(b"\r\n\r\n", connection.start, connection.end)
        lines = connection.buffer[connection.start : head_end].split(b"\r\n")
        connection.start = head_end + 4
        path = lines[0].split(b" ")[1]
        headers = {}
        for line in lines[1:]:
            name, value = line.split(b":", 1)
            headers[bytes(name).lower()] = value.strip()
        if path == b"/bench/echo":
            return await echo(connection)
        if path == b"/bench/30k":
            await send(connection.sock, LARGE)
        elif path == b"/bench/mem":
            gc.collect()
            body = b'{"alloc": %d, "free": %d}' % (gc.mem_alloc(), gc.mem_free())
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
            await send(connection.sock, head + body)
        else:
            await send(connection.sock, OK)


async def echo(connection):
    sock = connection.sock
    await send(
        sock,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    )
    while True:
        while connection.end - connection.start < 2:
            await connection.fill()
        length = connection.buffer[connection.start + 1] & 127
        head = 6
        if length == 126:
            head = 8
            while connection.end - connection.start < 4:
                await connection.fill()
            start = connection.start
            length = connection.buffer[start + 2] << 8 | connection.buffer[start + 3]
        while connection.end - connection.start < head:
            await connection.fill()
        start = connection.start + head
        key = bytes(connection.view[start - 4 : start])
        reply_head = 2 if length < 126 else 4
        reply = bytearray(reply_head + length)
        body = memoryview(reply)[reply_head:]
        received = min(length, connection.end - start)
        body[:received] = connection.view[start : start + received]
        connection.start = start + received
        while received < length:
            more = sock.readinto(body[received:])
            if more is None:
                await readable(sock)
            elif more == 0:
                raise EOFError
            else:
                received += more
        unmask(body, length, key)
        reply[0] = 0x82
        if length < 126:
            reply[1] = length
        else:
            reply[1] = 126
            reply[2] = length >> 8
            reply[3] = length & 255
        await send(sock, reply)


async def serve(connection):
    try:
        await http(connection)
    except (OSError, EOFError):
        pass
    finally:
        connection.sock.close()


async def main(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
    listener.listen(64)
    listener.setblocking(False)
    while True:
        await readable(listener)
        sock, _ = listener.accept()
        asyncio.create_task(serve(Connection(sock)))


asyncio.run(main(int(sys.argv[1])))
