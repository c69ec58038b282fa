"""Count the instructions of one request or message, which is what a chip pays.

usage: instructions.py [--check]    after `make host`, with Debian's valgrind

On Linux system calls cost more than the interpreter's work; instructions are that work, and repeat
within a per cent on a busy machine. Each server runs twice under callgrind, for few and for many
requests on one connection that is kept: the difference, divided by their number, is what one costs
when all is warm. What a server does by the clock meanwhile is measured idle and taken off. With
`--check` it fails where the image is above its aim.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpload
import run
import wsload

FEW, MANY = 100, 400
IDLE_SECONDS = (1, 6)

SERVERS = ("image", "limit", "streams")

# Instructions that the image is to stay below.
AIMS = {
    "HTTP 2 B": 74_000,
    "HTTP 30 kB": 66_000,
    "WebSocket 64 B": 50_000,
    "WebSocket 4 KiB": 175_000,
    "WebSocket 60 kB": 1_120_000,
}


def http(path):
    """A load: so many requests for a path, one after another."""

    def load(server, count):
        with httpload.open_connection(server.http_port) as connection:
            for _ in range(count):
                httpload.get(connection, path)

    return load


def echo(size):
    """A load: so many messages of a size, one after another."""

    def load(server, count):
        with wsload.open_websocket(server.ws_port, run.ECHO) as connection:
            frame = wsload.masked_frame(size)
            answer = len(wsload.length_field(size, 0)) + 1 + size
            for _ in range(count):
                connection.sendall(frame)
                left = answer
                while left:
                    left -= len(httpload.receive(connection))

    return load


def wait(server, seconds):
    """The load of nobody, for so many seconds."""
    time.sleep(seconds)


LOADS = {
    "HTTP 2 B": http("/bench/ok"),
    "HTTP 30 kB": http("/bench/30k"),
    "WebSocket 64 B": echo(64),
    "WebSocket 4 KiB": echo(4096),
    "WebSocket 60 kB": echo(60_000),
}


def command(name, http_port, ws_port, folder):
    """The command of a server without the shell script that `websock` is."""
    found = run.command_of(name, run.BUILD / "host", run.SPEED_HEAP, http_port, ws_port, folder)
    if name != "image":
        return found
    program = 'import sys; sys.path[:] = [".frozen"]\nimport websock\n'
    interpreter = str(run.BUILD / "host" / "micropython")
    options = [word for word in found[1:] if word not in ("--heap", run.SPEED_HEAP)]
    return [interpreter, "-X", f"heapsize={run.SPEED_HEAP}", "-c", program, *options]


def count(name, load, amount):
    """(instructions, seconds) of a server from its start to the end of a load."""
    http_port = run.free_port()
    ws_port = http_port if name == "limit" else run.free_port()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        out = folder / "callgrind.out"
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        with (folder / "log").open("w+b") as log:
            process = subprocess.Popen(
                [*valgrind, *command(name, http_port, ws_port, folder)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
            try:
                run.wait_for_port(name, process, http_port, log)
                echo_port = ws_port if name == "streams" else http_port
                run.wait_for_port(name, process, echo_port, log)
                server = run.Server(name, http_port, echo_port, process)
                began = time.monotonic()
                load(server, amount)
                took = time.monotonic() - began
                # Asked for from outside: not every reference ends on a signal.
                dump = ["callgrind_control", "-d", str(process.pid)]
                subprocess.run(dump, check=True, capture_output=True)
                return total(folder), took
            finally:
                process.kill()
                process.wait()


def total(folder):
    """The sum in the file that callgrind is writing."""
    while True:
        for path in folder.glob("callgrind.out*"):
            found = re.search(r"^totals: (\d+)", path.read_text(), re.MULTILINE)
            if found:
                return int(found[1])
        time.sleep(0.1)


def idle(name):
    """Instructions of a server in a second without a client."""
    (short, a), (long, b) = (count(name, wait, seconds) for seconds in IDLE_SECONDS)
    return (long - short) / (b - a)


def cost(name, load, rate):
    """Instructions of one request or message."""
    (few, a), (many, b) = (count(name, load, amount) for amount in (FEW, MANY))
    return (many - few - rate * (b - a)) / (MANY - FEW)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is missing; on Debian: apt-get install valgrind")
    rates = {name: idle(name) for name in SERVERS}
    print("| | aim | " + " | ".join(SERVERS) + " | limit / image | streams / image |")
    print("| --- " * (len(SERVERS) + 4) + "|")
    above = []
    for what, load in LOADS.items():
        costs = {name: cost(name, load, rate) for name, rate in rates.items()}
        shown = [f"{AIMS[what]:,}", *(f"{each:,.0f}" for each in costs.values())]
        shown += [f"{costs[name] / costs['image']:.2f}" for name in ("limit", "streams")]
        print(f"| {what} | " + " | ".join(shown) + " |", flush=True)
        if costs["image"] > AIMS[what]:
            above.append(what)
    if options.check and above:
        sys.exit("above the aim: " + ", ".join(above))


if __name__ == "__main__":
    main()
