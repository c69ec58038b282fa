"""Measures what the HTTP server promises about memory, on the 32-bit build.

- bytes of MicroPython's heap for each of 4 slow clients while they take an asset of 90 kB, as it
  is frozen (gzip) and inflated for a client that takes no gzip: the largest figure of all seen
  while the clients read on, above what the idle connections take
- bytes for an idle keep-alive connection
- the smallest heap with which the image serves its page to 6 connections at once, each of which
  asks as Chromium does for the page and what it refers to; one becomes the WebSocket, as the six
  of a browser do, or all, as those of six browsers

``http_limits.py [--heap SIZE]`` prints a table and exits with 1 when a promise isn't kept. With
--heap it only loads the page in one browser, with a heap of that size.
"""

import argparse
import contextlib
import gzip
import json
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import httpload
import run

IMAGE = run.BUILD / "host32" / "websock"
INTERPRETER = run.BUILD / "host32" / "micropython"

# Heap where its size doesn't matter: the image's default.
ROOMY = 256 << 10

# What is promised, in bytes; for the smallest heap what a chip has left for us at the worst.
PER_SLOW_CLIENT = 2000
PER_IDLE_CONNECTION = 700
SMALLEST_HEAP = 54 << 10

CLIENTS = 4
ASSET = "/90k.txt"
# Bytes that a slow client takes between two looks at the heap, and that its kernel holds for it.
STEP = 3000
RECEIVE_BUFFER = 4096

CONNECTIONS = 6
LOADS = 3
HEAP_STEP = 2 << 10
FIRST_HEAP = 20 << 10
LAST_HEAP = 256 << 10
STARTS = 3

ANY_PORTS = ("--http-port", "0", "--ws-port", "0")
BOOT_DEADLINE = 10.0


class NotServed(Exception):
    """The image did not do what it was asked to; the text says what happened."""


@contextlib.contextmanager
def image(heap, *options):
    """The 32-bit image with `heap` bytes and further options; gives its HTTP port.

    Raises:
        NotServed: it doesn't come up.
    """
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        process = subprocess.Popen(
            [IMAGE, "--data", f"{folder}/data", "--heap", str(heap), *ANY_PORTS, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        # Ends the wait for the line of one that hangs.
        timer = threading.Timer(BOOT_DEADLINE, process.kill)
        timer.start()
        try:
            ready = re.match(r"ready http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
            timer.cancel()
            if ready is None:
                log.seek(0)
                raise NotServed(f"doesn't boot: {log.read().strip()[-200:]}")
            yield int(ready[1])
        finally:
            timer.cancel()
            process.kill()
            process.wait()
            process.stdout.close()


# Slow clients


@contextlib.contextmanager
def asset_server():
    """http_assets.py; gives its port."""
    port = run.free_port()
    command = [INTERPRETER, "-X", f"heapsize={ROOMY}", run.BENCH / "http_assets.py", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            process.stdout.readline()
            yield port
        finally:
            process.kill()


def slow_connection(port):
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    connection.settimeout(10)
    connection.connect(("127.0.0.1", port))
    return connection


def in_use(probe):
    """Bytes of heap, from /mem."""
    _, body = httpload.get(probe, "/mem")
    return json.loads(body)["alloc"]


def per_slow_client(port, accept_encoding):
    """(largest, median, size): bytes of heap for each slow client, and what each was sent."""
    probe = httpload.open_connection(port)
    clients = [slow_connection(port) for _ in range(CLIENTS)]
    # Each has had an answer; the last one tells what they take while they are idle.
    for connection in (*clients, probe):
        idle = in_use(connection)
    for client in clients:
        client.sendall(browser_request(ASSET, {"Accept-Encoding": accept_encoding}))
    figures = []
    received = [b""] * CLIENTS
    missing = None
    while missing != 0:
        figures.append((in_use(probe) - idle) / CLIENTS)
        for number, client in enumerate(clients):
            received[number] += receive_exactly(client, STEP if missing is None else missing)
        head, _, body = received[0].partition(b"\r\n\r\n")
        missing = min(STEP, httpload.content_length(head) - len(body))
    for connection in (probe, *clients):
        connection.close()
    if len(set(received)) != 1 or not head.startswith(b"HTTP/1.1 200"):
        raise NotServed("the slow clients didn't get the same asset")
    return max(figures), statistics.median(figures), len(body)


def receive_exactly(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionError(f"closed after {len(data)} of {size} bytes")
        data += piece
    return data


# Browsers

COMMON = {
    "Host": "127.0.0.1",
    "Connection": "keep-alive",
    "sec-ch-ua-platform": '"Linux"',
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/141.0.0.0 Safari/537.36",
    "sec-ch-ua": '"Google Chrome";v="141", "Not?A_Brand";v="8", "Chromium";v="141"',
    "sec-ch-ua-mobile": "?0",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
    "Cookie": "session=0123456789abcdef0123456789abcdef",
}
NAVIGATION = {
    "Upgrade-Insecure-Requests": "1",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
    "image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
    "Sec-Fetch-Site": "none",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-User": "?1",
    "Sec-Fetch-Dest": "document",
}
SUBRESOURCE = {
    "Accept": "*/*",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Mode": "no-cors",
    "Sec-Fetch-Dest": "script",
    "Referer": "http://127.0.0.1/",
}
HANDSHAKE = {
    "Connection": "Upgrade",
    "Pragma": "no-cache",
    "Cache-Control": "no-cache",
    "Upgrade": "websocket",
    "Origin": "http://127.0.0.1",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
}


def browser_request(path, fields):
    """A GET with the fields that Chromium sends."""
    lines = [f"GET {path} HTTP/1.1", *(f"{n}: {v}" for n, v in {**COMMON, **fields}.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def exchange(port, connections, request):
    """The same request on all connections at once; the (head, body) that all answer with.

    One that the server has closed meanwhile, as it may while nothing is under way, is made anew
    once, as browsers do (RFC 9112 section 9.3.1).
    """
    lost = set()
    for number, connection in enumerate(connections):
        try:
            connection.sendall(request)
        except ConnectionError:
            lost.add(number)
    answers = set()
    for number, connection in enumerate(connections):
        try:
            if number not in lost:
                answers.add(read_response(connection))
                continue
        except ConnectionError:
            pass
        connection.close()
        connections[number] = httpload.open_connection(port)
        connections[number].sendall(request)
        answers.add(read_response(connections[number]))
    if len(answers) != 1:
        raise NotServed("the answers differ")
    return answers.pop()


def read_response(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        data += httpload.receive(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 101"):
        # The state, which comes in the first message, is another for each client.
        while len(body) < 2 or len(body) < 2 + (body[1] & 127):
            body += httpload.receive(connection)
        return b"101", b""
    while len(body) < httpload.content_length(head):
        body += httpload.receive(connection)
    return head, body


def expect(status, path, head):
    if status not in head.split(b"\r\n", 1)[0]:
        raise NotServed(f"{path}: {head.decode()[:60]!r}")


def load_page(port, sockets):
    """What CONNECTIONS connections do at once, of which `sockets` become WebSockets.

    Raises:
        NotServed, OSError: one isn't served.
    """
    connections = [httpload.open_connection(port) for _ in range(CONNECTIONS)]
    try:
        head, body = exchange(port, connections, browser_request("/", NAVIGATION))
        expect(b"200", "/", head)
        names = set(re.findall(rb'(?:href|src)=["\']?/?(static/[^"\' >]+)', gzip.decompress(body)))
        if len(names) < 3:
            raise NotServed("the page refers to too little")
        for name in sorted(names):
            request = browser_request(f"/{name.decode()}", SUBRESOURCE)
            head, _ = exchange(port, connections, request)
            expect(b"200", name.decode(), head)
        upgraded = connections[:sockets]
        try:
            head, _ = exchange(port, upgraded, browser_request("/ws", HANDSHAKE))
        finally:
            connections += upgraded  # one that was made anew is to be closed, too
        expect(b"101", "/ws", head)
    finally:
        for connection in connections:
            connection.close()


def serves_page(heap, sockets=1):
    """None when the image serves its page with `heap` bytes, else why not."""
    try:
        for _ in range(STARTS):
            with image(heap) as port:
                for _ in range(LOADS):
                    load_page(port, sockets)
    except (NotServed, OSError) as error:
        return str(error)
    return None


def smallest_heap(sockets):
    """Bytes of the smallest heap that will do, in steps of HEAP_STEP; and why less doesn't."""
    reason = None
    for heap in range(FIRST_HEAP, LAST_HEAP, HEAP_STEP):
        failed = serves_page(heap, sockets)
        if failed is None:
            return heap, reason
        reason = failed
    raise NotServed(reason)


def measure():
    """(label, figure, limit or None, remark) of everything, in bytes."""
    with image(ROOMY, "--bench") as port:
        idle, count = run.per_connection(
            run.Server("image", port, 0, None), port, 10, run.open_kept
        )
    rows = [("idle keep-alive connection", idle, PER_IDLE_CONNECTION, f"{count} connections")]
    with asset_server() as port:
        for label, encoding, limit in (
            ("slow client of a frozen asset", "gzip", PER_SLOW_CLIENT),
            ("slow client of an inflated asset", "identity", None),
        ):
            peak, median, size = per_slow_client(port, encoding)
            remark = f"{CLIENTS} clients of {size:,} bytes, median {median:,.0f}"
            rows.append((label, round(peak), limit, remark))
    for label, sockets, limit in (
        ("smallest heap for a browser", 1, SMALLEST_HEAP),
        ("smallest heap for six browsers", CONNECTIONS, None),
    ):
        heap, reason = smallest_heap(sockets)
        remark = f"{CONNECTIONS} connections; with {HEAP_STEP >> 10} KiB less: {reason}"
        rows.append((label, heap, limit, remark))
    return rows


def parse_size(text):
    digits, factor = (text[:-1], 1024) if text.endswith("k") else (text, 1)
    return int(digits) * factor


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--heap", type=parse_size, help="only load the page, with so many bytes")
    heap = parser.parse_args().heap
    if not IMAGE.exists():
        sys.exit('run "make host32" first')
    if heap is not None:
        reason = serves_page(heap)
        print(f"heap of {heap:,} bytes: {'serves the page' if reason is None else reason}")
        sys.exit(reason is not None)
    rows = measure()
    print(f"{'bytes of heap':34}{'figure':>10}{'limit':>10}")
    for label, figure, limit, remark in rows:
        print(f"{label:34}{figure:>10,}{f'{limit:,}' if limit else '-':>10}   {remark}")
    sys.exit(any(limit and figure > limit for _, figure, limit, _ in rows))


if __name__ == "__main__":
    main()
