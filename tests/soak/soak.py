"""Runs a chip-like image under honest and hostile load, with faults, and says what became of it.

usage: python tests/soak/soak.py [--minutes N] [--heap SIZE] [--seed N] [--warm-up SECONDS]

The image has objects as large as on the ESP32, a heap of 100k and 11 places. Three honest clients
have WebSockets; one sends numbered messages to an interface, which answers each to all of them. A
visitor loads the page, changes a setting and asks for the state. Beside them there are attackers
from other addresses in every phase of a connection, a relay that goes and comes back, and a
network that does so too. Exits with 1 when a message was lost, doubled or out of order, when the
image ended or restarted, or when something isn't given back.
"""

import argparse
import asyncio
import collections
import contextlib
import json
import random
import socket
import struct
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import websockets.asyncio.client
import websockets.asyncio.server
from websockets.exceptions import WebSocketException

import raw
from support import ROOT, Image, free_port, wait_until

PLACES = 11
ATTACKERS = 8

# Messages under way: half of what an interface queues.
WINDOW = 8

# Seconds between messages, visits, and the faults of relay and network.
PAUSE = 0.05
VISIT = 0.5
RELAY_DROP = 10
NETWORK_GONE = 15

# Bytes that the heap in use may differ by: a set or a list that has grown, lines of the log.
SLACK = 4096

# Seconds before the start's figures are taken, and that everything has to come to rest in.
WARM_UP = 30
REST = 60

INTERFACE = "fake_interface"
KEY = INTERFACE + "/msg"


class Count(collections.Counter):
    """What is counted, by name."""

    longest = 0.0  # seconds without an answer


class Listener:
    """Looks at the messages that one client gets: each once, in order."""

    def __init__(self, count, unknown):
        self._count = count
        self._unknown = unknown  # numbers whose sender was cut off: they may be missing
        self._last = None  # of this connection
        self._seen = set()

    def connected(self):
        self._last = None

    def take(self, number):
        if number in self._seen:
            self._count["doubled"] += 1
        elif self._last is not None and number < self._last:
            self._count["out of order"] += 1
        elif self._last is not None:
            missing = set(range(self._last + 1, number)) - self._unknown
            self._count["lost"] += len(missing)
        self._seen.add(number)
        self._last = number
        self._count["received"] += 1


class Honest:
    """A WebSocket client that comes back; with `sends` it is the one that sends."""

    def __init__(self, url, count, unknown, sends=False):
        self._url = url
        self._count = count
        self._unknown = unknown
        self._listener = Listener(count, unknown)
        self._sends = sends
        self._next = 0
        self._under_way = set()

    async def run(self):
        while True:
            try:
                async with websockets.asyncio.client.connect(
                    self._url, open_timeout=10, ping_interval=5, close_timeout=2
                ) as client:
                    await self._converse(client)
            except (OSError, TimeoutError, WebSocketException) as error:
                self._count[f"honest closed: {type(error).__name__}"] += 1
            self._unknown |= self._under_way
            self._under_way.clear()
            await asyncio.sleep(0.2)

    async def _converse(self, client):
        self._listener.connected()
        json.loads(await client.recv())
        await client.send(json.dumps(["CMD", "start_interface"]))
        sender = asyncio.create_task(self._send(client))
        try:
            async for message in client:
                values = json.loads(message)
                if "error" in values:
                    self._count["honest told: " + values["error"][:40]] += 1
                if KEY in values:
                    number = int(values[KEY])
                    self._under_way.discard(number)
                    self._listener.take(number)
        finally:
            sender.cancel()

    async def _send(self, client):
        with contextlib.suppress(WebSocketException):
            while True:
                await asyncio.sleep(PAUSE if self._sends else 5)
                if not self._sends:
                    await client.send(json.dumps(["GET", "hal"]))  # as the page does
                elif len(self._under_way) < WINDOW:
                    number = self._next
                    self._next += 1
                    self._under_way.add(number)
                    self._count["sent"] += 1
                    await client.send(
                        json.dumps(["CMD", "send_message", [INTERFACE, str(number)]])
                    )


async def visit(image, count):
    """Load the page again and again; where that fails, at once."""
    number = 0
    while True:
        began = time.monotonic()
        while True:
            try:
                async with asyncio.timeout(10):
                    await ask(image, number)
                break
            except (OSError, EOFError, ValueError, TimeoutError) as error:
                count[f"visit failed: {type(error).__name__}"] += 1
                await asyncio.sleep(0.05)
        count.longest = max(count.longest, time.monotonic() - began)
        count["visits"] += 1
        number += 1
        await asyncio.sleep(VISIT)


async def ask(image, number):
    body = json.dumps(["CMD", "set", ["device/dev", f"soak {number}"]])
    change = (
        f"POST /api/command HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    requests = ["GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\n\r\n"]
    if number % 10 == 0:
        requests.append(change + body)
    requests.append("GET /api/state HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", image.http_port)
    try:
        for request in requests:
            writer.write(request.encode())
            head = await reader.readuntil(b"\r\n\r\n")
            fields = head.lower().split(b"\r\n")
            if b" 200 " not in head.split(b"\r\n")[0]:
                raise ValueError(head)
            if b"transfer-encoding: chunked" in fields:
                while size := int(await reader.readline(), 16):
                    await reader.readexactly(size + 2)
                await reader.readline()
            else:
                (length,) = [f[16:] for f in fields if f.startswith(b"content-length: ")]
                await reader.readexactly(int(length))
    finally:
        writer.close()


# Attackers


def phases(dice):
    """What an attacker sends before it waits."""
    upgrade = raw.HANDSHAKE
    head = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    return (
        b"",
        head + b"X: " + b"x" * dice.randrange(1500),
        b"POST /api/command HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4000\r\n\r\n"
        + b"[" * 900,
        b"\x16\x03\x01\x02\x00\x01\x00" + dice.randbytes(300),
        (head + b"\r\n") * 30,
        dice.randbytes(500),
        upgrade,  # and no pong, ever
        upgrade + raw.frame(raw.TEXT, b"x" * 8000)[: dice.randrange(8000)],
        upgrade + raw.frame(raw.TEXT, b"[" * dice.randrange(5000)),
        upgrade + raw.frame(raw.TEXT, b"x" * 20_000),
        upgrade + dice.randbytes(200),
        upgrade + raw.frame(raw.TEXT, b'["GET", "state"]') * 200,
        b"PUT /api/www/static/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 90000\r\n\r\n"
        + b"x" * 999,
    )


async def attack(image, count, dice):
    loop = asyncio.get_running_loop()
    while True:
        with socket.socket() as attacker, contextlib.suppress(OSError, TimeoutError):
            attacker.setblocking(False)
            attacker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            attacker.bind((f"127.0.0.{dice.randrange(2, 10)}", 0))
            port = dice.choice((image.http_port, image.ws_port))
            count["attacks"] += 1
            # Not wait_for: up to Python 3.11 it may swallow a cancellation.
            async with asyncio.timeout(5):
                await loop.sock_connect(attacker, ("127.0.0.1", port))
                await loop.sock_sendall(attacker, dice.choice(phases(dice)))
            # It reads nothing, or until it is closed; it goes politely or with a reset.
            if dice.randrange(2):
                await asyncio.sleep(dice.random() * 3)
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(dice.random() * 8):
                        while await loop.sock_recv(attacker, 4096):
                            pass
            if dice.randrange(2):
                linger = struct.pack("ii", 1, 0)
                attacker.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        await asyncio.sleep(0)


# Faults


class Relay:
    def __init__(self, count):
        self._count = count
        self._connections = set()

    async def serve(self, connection):
        self._count["phoned home"] += 1
        self._connections.add(connection)
        try:
            async for _ in connection:
                pass
        except WebSocketException:
            pass
        finally:
            self._connections.discard(connection)

    async def drop(self):
        while True:
            await asyncio.sleep(RELAY_DROP)
            for connection in tuple(self._connections):
                connection.transport.abort()


async def network(image, count):
    """The site's network goes and comes back."""
    site = {"ssid": "site", "password": "correct-horse"}
    while True:
        for networks in ([], [site]):
            await asyncio.sleep(NETWORK_GONE)
            image.write("wifi_sim.json", {"networks": networks})
            count["network changes"] += 1


# The run


class Figures:
    """What the image holds while it rests."""

    def __init__(self, image):
        with raw.Connection(image.http_port) as client:
            lines = client.get("/metrics").body.decode().splitlines()
        values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        self.heap = int(values["websock_heap_allocated_bytes"])
        self.connections = int(values["websock_connections"])
        self.descriptors = len(list(Path(f"/proc/{image.process.pid}/fd").iterdir()))


async def rest(image, expected):
    """Wait until there are `expected` connections beside the one that asks."""
    for _ in range(REST * 2):
        await asyncio.sleep(0.5)
        with contextlib.suppress(OSError, EOFError, KeyError):
            figures = Figures(image)
            if figures.connections == expected + 1:
                return figures
    raise AssertionError(f"{figures.connections - 1} connections, not {expected}")


async def disturb(image, count, relay, honest, seconds, seed):
    """Have the visitor, the attackers and the faults for a time; raises what one of them does."""
    parts = [
        *(attack(image, count, random.Random(seed + n)) for n in range(ATTACKERS)),
        visit(image, count),
        relay.drop(),
        network(image, count),
    ]
    tasks = [asyncio.create_task(part) for part in parts]
    done, _ = await asyncio.wait(
        [*tasks, *honest], timeout=seconds, return_when=asyncio.FIRST_COMPLETED
    )
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def soak(image, seconds, seed, warm_up):
    count = Count()
    unknown = set()
    relay = Relay(count)
    port = image.read_json("app.json")["home"]["port"]
    async with websockets.asyncio.server.serve(relay.serve, "127.0.0.1", port):
        on_page = image.http.replace("http", "ws") + "/ws"
        honest = [
            Honest(image.ws, count, unknown, sends=True),
            Honest(image.ws, count, unknown),
            Honest(on_page, count, unknown),
        ]
        tasks = [asyncio.create_task(client.run()) for client in honest]
        try:
            # All of it once, so that what it imports is there.
            await disturb(image, count, relay, tasks, warm_up, seed - ATTACKERS)
            start = await rest(image, len(honest))
            await disturb(image, count, relay, tasks, seconds, seed)
            end = await rest(image, len(honest))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    return count, start, end


def show(count, start, end, deaths):
    """Print the table; returns what is wrong, a list of texts."""
    rows = [
        ("messages sent", count["sent"]),
        ("messages received by three clients", count["received"]),
        ("lost", count["lost"]),
        ("out of order", count["out of order"]),
        ("doubled", count["doubled"]),
        ("deaths and restarts", deaths),
        ("heap at the start, bytes", start.heap),
        ("heap at the end, bytes", end.heap),
        ("descriptors at the start", start.descriptors),
        ("descriptors at the end", end.descriptors),
        ("longest time without an answer, s", f"{count.longest:.2f}"),
        ("visits of the page", count["visits"]),
        ("attacks", count["attacks"]),
        ("times phoned home", count["phoned home"]),
        ("changes of the network", count["network changes"]),
    ]
    rows += sorted((name, n) for name, n in count.items() if ": " in name)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:{width}}  {value}")
    wrong = [name for name in ("lost", "out of order", "doubled") if count[name]]
    if not count["received"] or not count["visits"] or not count["attacks"]:
        wrong.append("nothing happened")
    if deaths:
        wrong.append("deaths and restarts")
    if end.heap > start.heap + SLACK:
        wrong.append("heap")
    if end.descriptors > start.descriptors:
        wrong.append("descriptors")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--heap", default="100k")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--warm-up", type=float, default=WARM_UP)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        app = {
            "limits": {"connections": PLACES},
            "home": {"host": "127.0.0.1", "port": free_port()},
        }
        image = Image(
            Path(folder) / "device",
            Path(folder) / "log",
            build="host32",
            heap=options.heap,
            files={
                "app.json": app,
                "network.json": {"sta": {"ssid": "site"}},
                "secrets.json": {"sta": {"site": "correct-horse"}},
                "wifi_sim.json": {"networks": [{"ssid": "site", "password": "correct-horse"}]},
            },
        ).start()
        try:
            wait_until(lambda: image.running)
            count, start, end = asyncio.run(
                soak(image, options.minutes * 60, options.seed, options.warm_up)
            )
            restarts = sum(line.startswith("ready ") for line in image.lines) - 1
            deaths = restarts + (not image.running)
            wrong = show(count, start, end, deaths)
            if wrong:
                print("WRONG: " + ", ".join(wrong))
                print(image.log()[-4000:])
        except BaseException:
            print(image.log()[-4000:])
            raise
        finally:
            image.kill()
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
