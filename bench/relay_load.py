"""The load of a relay: devices and pages with as little code as there can be, on one core."""

import asyncio
import base64
import os
import random
import statistics
import struct
import time

# What a device of this firmware tells first: 40 keys, some 1,200 characters.
STATE_KEYS = 36


class Peer(asyncio.Protocol):
    """A WebSocket client: calls `take` with itself and each message.

    opened, closed: futures.
    """

    def __init__(self, path, subprotocol=None, take=None):
        self._path = path
        self._subprotocol = subprotocol
        self._take = take
        self._buffer = b""
        self.open = False
        loop = asyncio.get_running_loop()
        self.opened = loop.create_future()
        self.closed = loop.create_future()

    def connection_made(self, transport):
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        extra = f"Sec-WebSocket-Protocol: {self._subprotocol}\r\n" if self._subprotocol else ""
        transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            f"{extra}\r\n".encode()
        )

    def connection_lost(self, error):
        self.open = False
        for future in (self.opened, self.closed):
            if not future.done():
                future.set_result(False)

    def data_received(self, data):
        data = self._buffer + data if self._buffer else data
        at = 0
        if not self.open:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._buffer = data
                return
            if not data.startswith(b"HTTP/1.1 101"):
                self.transport.abort()
                return
            self.open = True
            self.opened.set_result(True)
            at = end + 4
        while len(data) - at >= 2:
            size, head = data[at + 1] & 0x7F, 2
            if size == 126:
                if len(data) - at < 4:
                    break
                size, head = struct.unpack_from(">H", data, at + 2)[0], 4
            elif size == 127:
                if len(data) - at < 10:
                    break
                size, head = struct.unpack_from(">Q", data, at + 2)[0], 10
            if len(data) - at < head + size:
                break
            payload = data[at + head : at + head + size]
            opcode = data[at] & 0x0F
            if opcode == 9:
                self._write(0x8A, payload)
            elif opcode == 8:
                self.transport.close()
            elif self._take is not None:
                self._take(self, payload)
            at += head + size
        self._buffer = data[at:]

    def send(self, payload):
        """Send a text message (bytes)."""
        self._write(0x81, payload)

    def _write(self, first, payload):
        size = len(payload)
        # A mask of zeros leaves the payload as it is (RFC 6455 section 5.3).
        if size < 126:
            head = bytes((first, 0x80 | size))
        else:
            head = struct.pack(">BBH", first, 0x80 | 126, size)
        self.transport.write(head + b"\0\0\0\0" + payload)


async def connect(port, path, subprotocol=None, take=None):
    """A peer that is open.

    Raises:
        ConnectionError: it was refused.
    """
    loop = asyncio.get_running_loop()
    _, peer = await loop.create_connection(
        lambda: Peer(path, subprotocol, take), "127.0.0.1", port
    )
    if not await peer.opened:
        raise ConnectionError(path)
    return peer


def state(name):
    """What a device tells first."""
    keys = {f"interface-{n // 3}/key-{n}": f"value {n}" for n in range(STATE_KEYS)}
    parts = [f'"{key}": "{value}"' for key, value in keys.items()]
    head = f'{{"uptime": 5, "iam": "{name}", "dev": "ESP32", "version": "0.1.0", '
    return (head + ", ".join(parts) + "}").encode()


async def many(count, at_a_time, make):
    """The results of `make(n)` for n in range(count), so many at a time."""
    places = asyncio.Semaphore(at_a_time)

    async def one(n):
        async with places:
            return await make(n)

    return await asyncio.gather(*(one(n) for n in range(count)))


async def stream(tell, rate, seconds):
    """Call `tell(n)` so many times a second; gives how many times it was."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    sent = 0
    while (now := loop.time()) < began + seconds:
        due = int((now - began) * rate)
        while sent < due:
            tell(sent)
            sent += 1
        await asyncio.sleep(0.001)
    return sent


class Latencies:
    """Takes messages that have the time at which they were sent as "t"."""

    def __init__(self):
        self.values = []

    def take(self, peer, payload):
        at = payload.find(b'"t": ')
        if at >= 0:
            end = payload.find(b"}", at)
            self.values.append(time.perf_counter() - float(payload[at + 5 : end]))

    def quantile(self, share):
        """In milliseconds."""
        return 1000 * statistics.quantiles(self.values, n=1000)[round(share * 1000) - 1]


async def return_by_itself(connect_one, delay_first=5.0, factor=1.5, longest=60.0, jitter=0.2):
    """A device that comes back as the firmware does; gives its new peer."""
    attempt = 0
    while True:
        pause = min(delay_first * factor**attempt, longest)
        await asyncio.sleep(pause * (1 + jitter * (2 * random.random() - 1)))
        try:
            return await connect_one()
        except OSError:
            attempt += 1
