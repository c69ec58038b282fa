"""Measures what the WebSocket code promises about memory, on the 32-bit build.

- the whole image with a heap of 64 KiB: 8 clients exchange messages of 4 KiB for 10,000 rounds
- 100,000 messages on one connection: the heap in use stays the same
- one message to 50 clients: how long it takes, and what it leaves behind

``ws_limits.py [--quick]`` prints a line for each and exits with 1 when one isn't kept; --quick
runs a tenth.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import wsload
from http_limits import image
from run import free_port

BENCH = Path(__file__).resolve().parent
INTERPRETER = BENCH.parent / "build" / "host32" / "micropython"

# Heap in use may differ by what a hash table or a list has grown.
SLACK = 2048


@contextlib.contextmanager
def echo_server():
    """Start ws_echo.py; gives (port, process)."""
    if not INTERPRETER.exists():
        sys.exit('run "make host32" first')
    port = free_port()
    command = [str(INTERPRETER), "-X", "heapsize=256k", str(BENCH / "ws_echo.py"), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            process.stdout.readline()
            yield port, process
        finally:
            process.kill()


def frame(payload):
    """A binary frame as a client sends it."""
    masked = bytes(byte ^ wsload.MASK[i & 3] for i, byte in enumerate(payload))
    return b"\x82" + wsload.length_field(len(payload), 0x80) + wsload.MASK + masked


def receive(sock, length):
    """Exactly `length` bytes.

    Raises:
        ConnectionError: the server closes before.
    """
    data = bytearray()
    while len(data) < length:
        piece = sock.recv(length - len(data))
        if not piece:
            raise ConnectionError(f"closed after {len(data)} of {length} bytes")
        data += piece
    return bytes(data)


def in_use(probe):
    """Bytes of heap, from /mem."""
    probe.sendall(frame(b"?"))
    return int(receive(probe, receive(probe, 2)[1]))


def exchange(sockets, rounds, size):
    """Each socket has one message in flight; every answer must be the message."""
    payload = os.urandom(size)
    data = frame(payload)
    head = 2 if size < 126 else 4
    for _ in range(rounds):
        for sock in sockets:
            sock.sendall(data)
        for sock in sockets:
            answer = receive(sock, head + size)
            if answer[head:] != payload:
                raise ConnectionError("an answer differs from its message")


def small_heap(rounds):
    with image(64 << 10, "--bench") as port:
        sockets = [wsload.open_websocket(port, "/bench/echo") for _ in range(8)]
        start = time.monotonic()
        exchange(sockets, rounds, 4096)
        rate = 8 * rounds / (time.monotonic() - start)
    return f"{rounds:,} rounds of 8 x 4 KiB in 64 KiB of heap, {rate:,.0f} messages/s"


def flat_memory(count):
    with echo_server() as (port, _):
        probe = wsload.open_websocket(port, "/mem")
        sock = wsload.open_websocket(port, "/")
        exchange([sock], 100, 100)
        before = in_use(probe)
        exchange([sock], count, 100)
        after = in_use(probe)
    if after > before + SLACK:
        raise ConnectionError(f"heap in use grew from {before:,} to {after:,} bytes")
    return f"heap in use {before:,} bytes before {count:,} messages and {after:,} after"


def fan_out(count):
    with echo_server() as (port, _):
        probe = wsload.open_websocket(port, "/mem")
        sockets = [wsload.open_websocket(port, "/all") for _ in range(50)]
        payload = os.urandom(1000)
        times = []
        for number in range(count):
            start = time.perf_counter()
            sockets[0].sendall(frame(payload))
            for sock in sockets:
                if receive(sock, 4 + 1000)[4:] != payload:
                    raise ConnectionError("a client got something else")
            times.append(time.perf_counter() - start)
            if number == count // 10:
                before = in_use(probe)
        after = in_use(probe)
    if after > before + SLACK:
        raise ConnectionError(f"heap in use grew from {before:,} to {after:,} bytes")
    times.sort()
    return f"1,000 bytes to 50 clients: median {times[count // 2] * 1000:.2f} ms"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    part = 10 if parser.parse_args().quick else 1
    good = True
    for check, count in ((small_heap, 10_000), (flat_memory, 100_000), (fan_out, 1_000)):
        try:
            print(check(count // part))
        except OSError as error:
            print(f"{check.__name__}: {error}")
            good = False
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
