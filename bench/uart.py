"""Shows whether a serial line at 921,600 baud reaches four pages without a lost byte.

usage: python bench/uart.py [--seconds S] [--baud B] [--pages N]

Lines of text go into the simulated UART at the pace of the line, ten bits a byte. Each page is a
WebSocket client of the device. Printed is what each of them missed, and how long a request for the
state takes meanwhile, beside the same request on an idle device of the same run.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
import tty
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from websockets.asyncio.client import connect

from support import Image, wait_until

LINE = "{:08d} the quick brown fox jumps over the lazy dog and comes back for more"

# What is written at a time, as a UART's FIFO gives it.
TICK = 0.005

REQUESTS = 40


class Page:
    """One client: what it has received of the line."""

    def __init__(self):
        self.expected = 0
        self.missed = 0

    def take(self, text):
        number = int(text[:8])
        self.missed += number - self.expected
        self.expected = number + 1

    async def follow(self, image, joined):
        async with connect(image.ws, max_queue=None) as client:
            joined.set()
            async for message in client:
                keys = json.loads(message)
                if "line/msg" in keys:
                    self.take(keys["line/msg"])


async def request_times(image):
    """Seconds that each of some requests for the state takes."""

    def ask():
        begun = time.perf_counter()
        urllib.request.urlopen(image.http + "/api/state", timeout=30).read()
        return time.perf_counter() - begun

    times = []
    for _ in range(REQUESTS):
        times.append(await asyncio.to_thread(ask))
        await asyncio.sleep(0.02)
    return times


async def send_lines(wire, count, baud):
    """Write `count` lines at the pace of the line; return how long it took."""
    begun = time.perf_counter()
    written = 0
    pending = b""
    for number in range(count):
        pending += LINE.format(number).encode() + b"\n"
        due = (time.perf_counter() - begun + TICK) * baud / 10
        while written + len(pending) > due:
            await asyncio.sleep(TICK)
            due = (time.perf_counter() - begun + TICK) * baud / 10
        if len(pending) > 256:
            written += len(pending)
            while pending:
                pending = pending[os.write(wire, pending) :]
    os.write(wire, pending)
    return time.perf_counter() - begun


async def measure(image, options):
    pages = [Page() for _ in range(options.pages)]
    joined = [asyncio.Event() for _ in pages]
    idle = await request_times(image)
    tasks = [
        asyncio.create_task(page.follow(image, event))
        for page, event in zip(pages, joined, strict=True)
    ]
    for event in joined:
        await event.wait()
    path = image.data / "uart1.pty"
    await asyncio.to_thread(wait_until, path.exists)
    wire = os.open(path.read_text(), os.O_RDWR | os.O_NOCTTY)
    tty.setraw(wire)
    size = len(LINE.format(0)) + 1
    count = int(options.seconds * options.baud / 10 / size)
    sending = asyncio.create_task(send_lines(wire, count, options.baud))
    busy = await request_times(image)
    seconds = await sending
    for _ in range(100):
        await asyncio.sleep(0.1)
        if all(page.expected == count for page in pages):
            break
    for task in tasks:
        task.cancel()
    os.close(wire)
    return pages, count, size, seconds, idle, busy


def report(pages, count, size, seconds, idle, busy, baud):
    print(
        f"{count * size} bytes in {seconds:.1f} s: {count * size / seconds * 10:,.0f} of {baud:,}"
    )
    print(f"{'page':>6}{'lines':>10}{'missed':>10}{'bytes lost':>12}")
    for number, page in enumerate(pages, 1):
        missed = page.missed + count - page.expected
        print(f"{number:>6}{count:>10}{missed:>10}{missed * size:>12}")
    ratio = statistics.median(busy) / statistics.median(idle)
    longest = max(busy) / statistics.median(idle)
    print(
        f"a request for the state: {ratio:.1f} times that of an idle device; at most {longest:.0f}"
    )
    return all(page.expected == count and not page.missed for page in pages)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--baud", type=int, default=921_600)
    parser.add_argument("--pages", type=int, default=4)
    options = parser.parse_args()
    entry = {"name": "line", "type": "uart", "id": 1, "baudrate": options.baud}
    with tempfile.TemporaryDirectory() as folder:
        files = {"app.json": {"interfaces": [entry]}}
        image = Image(Path(folder, "data"), Path(folder, "log"), files=files)
        image.start()
        try:
            found = asyncio.run(measure(image, options))
        finally:
            image.stop()
        if not report(*found, options.baud):
            sys.exit(1)


if __name__ == "__main__":
    main()
