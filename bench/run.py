"""Measures the image beside its references, in one run on one interpreter.

Speed comes from the 64-bit host build and memory from the 32-bit one, whose objects are as large
as on the ESP32. Rounds are interleaved (every server once, then all over again) and the figures
are medians, because only ratios within one run mean anything on a shared machine.
"""

import argparse
import contextlib
import dataclasses
import importlib.util
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpload
import wsload

BENCH = Path(__file__).resolve().parent
BUILD = BENCH.parent / "build"

SERVERS = ("image", "limit", "streams", "microdot")
MESSAGE_SIZES = (64, 4096, 60000)
ECHO = "/bench/echo"

# Heap of the servers while speed is measured: what they need for 8 messages of 60 kB at once,
# with room to spare, so that all of them collect garbage equally seldom.
SPEED_HEAP = "8M"
# Heap while memory is measured: that of the image by default.
MEMORY_HEAP = "256k"

START_DEADLINE = 20.0


@dataclasses.dataclass
class Server:
    """A running server: where it listens and where its WebSocket echo is."""

    name: str
    http_port: int
    ws_port: int
    process: subprocess.Popen


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def command_of(name, build, heap, http_port, ws_port, folder):
    """The command that starts server `name`, as a list."""
    if name == "image":
        ports = ["--http-port", str(http_port), "--ws-port", str(ws_port)]
        data = ["--data", str(folder / "data")]
        return [str(build / "websock"), *data, *ports, "--heap", heap, "--bench"]
    interpreter = [str(build / "micropython"), "-X", f"heapsize={heap}"]
    if name == "limit":
        return [*interpreter, str(BENCH / "limit.py"), str(http_port)]
    if name == "streams":
        return [*interpreter, str(BENCH / "streams.py"), str(http_port), str(ws_port)]
    return [*interpreter, str(BENCH / "microdot_server.py"), str(http_port), str(folder / "lib")]


def copy_microdot(folder):
    """Put the installed package where MicroPython finds it and nothing else."""
    package = importlib.util.find_spec("microdot")
    if package is None:
        sys.exit("microdot is not installed; run this with the Python of tests/requirements.txt")
    shutil.copytree(package.submodule_search_locations[0], folder / "lib" / "microdot")


@contextlib.contextmanager
def running(names, build_name, heap):
    """Start the servers, wait until they accept connections, and end them afterwards."""
    build = BUILD / build_name
    if not (build / "websock").exists():
        sys.exit(f'run "make {build_name}" first')
    servers = []
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as processes:
        folder = Path(folder)
        if "microdot" in names:
            copy_microdot(folder)
        for name in names:
            http_port = free_port()
            # Only streams.py needs a port of its own for WebSocket.
            ws_port = free_port() if name in ("image", "streams") else http_port
            log = processes.enter_context((folder / f"{name}.log").open("w+b"))
            process = subprocess.Popen(
                command_of(name, build, heap, http_port, ws_port, folder),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
            processes.callback(process.wait)
            processes.callback(process.kill)
            wait_for_port(name, process, http_port, log)
            echo_port = ws_port if name == "streams" else http_port
            servers.append(Server(name, http_port, echo_port, process))
        yield servers


def wait_for_port(name, process, port, log):
    end = time.monotonic() + START_DEADLINE
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    log.seek(0)
    sys.exit(f"{name} did not start: {log.read().decode(errors='replace')}")


def speed_measures(clients, seconds):
    """label -> function that measures one server, per second."""

    def http(path):
        return lambda server: httpload.measure(server.http_port, path, clients, seconds)

    def echo(size):
        return lambda server: wsload.measure(server.ws_port, ECHO, size, clients, seconds).rate

    measures = {
        "HTTP 2 B, responses/s": http("/bench/ok"),
        "HTTP 30 kB, responses/s": http("/bench/30k"),
    }
    for size in MESSAGE_SIZES:
        measures[f"echo {size:,} B, messages/s"] = echo(size)
    return measures


def measure_speed(names, rounds, clients, seconds):
    """label -> server -> median."""
    measures = speed_measures(clients, seconds)
    figures = {label: {name: [] for name in names} for label in measures}
    with running(names, "host", SPEED_HEAP) as servers:
        for number in range(rounds):
            print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
            for label, measure in measures.items():
                for server in servers:
                    figures[label][server.name].append(attempt(server, label, measure))
        print(file=sys.stderr)
    return {
        label: {name: statistics.median(values) for name, values in row.items()}
        for label, row in figures.items()
    }


def attempt(server, label, measure):
    try:
        return measure(server)
    except OSError as error:
        sys.exit(f"\n{server.name}: {label}: {error}")


def allocated(connection):
    """Bytes of heap in use after a collection, asked for on an open connection."""
    _, body = httpload.get(connection, "/bench/mem")
    return json.loads(body)["alloc"]


def measure_memory(names, idle):
    """label -> server -> bytes, None where there is no such thing; and the connections taken.

    A server may take fewer than `idle` connections; the figures are per connection that it took.
    """
    boot, websocket, keep_alive = "heap at boot", "per idle WebSocket", "per idle HTTP connection"
    figures = {label: {} for label in (boot, websocket, keep_alive)}
    taken = {}
    with running(names, "host32", MEMORY_HEAP) as servers:
        for server in servers:
            name = server.name
            figures[boot][name] = ask_allocated(server)
            figures[websocket][name], taken[name] = per_connection(
                server, server.ws_port, idle, lambda port: wsload.open_websocket(port, ECHO)
            )
            figures[keep_alive][name] = None
            if keeps_connections(server):
                figures[keep_alive][name], _ = per_connection(
                    server, server.http_port, idle, open_kept
                )
    return figures, taken


# Runs the image as build/host/websock does; prints the heap in use when it begins to serve.
BOOT = """
import sys
sys.path[:] = [".frozen"]
import gc, board
def ready(*listeners):
    gc.collect()
    print(gc.mem_alloc())
    sys.exit()
board.ready = ready
import websock
"""


def heap_at_boot():
    """Bytes of heap that the image takes before its first request, without --bench."""
    with tempfile.TemporaryDirectory() as folder:
        program = BUILD / "host32/micropython"
        command = [program, "-X", f"heapsize={MEMORY_HEAP}", "-c", BOOT, "--data", folder]
        command += ["--http-port", "0", "--ws-port", "0"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        if not done.stdout.strip().isdigit():
            sys.exit(f"the image doesn't boot: {done.stderr.strip()[-200:]}")
        return int(done.stdout)


def flash_accesses():
    """What flash_reads.py counts, for a start of a device that was set up."""
    program = BUILD / "host/micropython"
    command = [program, "-X", "heapsize=16M", BENCH / "flash_reads.py"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder)
    if done.returncode:
        sys.exit(f"flash_reads.py: {done.stderr.strip()[-200:]}")
    return json.loads(done.stdout.splitlines()[-1])


def ask_allocated(server):
    """Heap in use with no other connection than the one that asks."""
    for _ in range(2):
        # Once for what a first request sets up for good, once for the figure.
        with httpload.open_connection(server.http_port) as connection:
            result = allocated(connection)
    return result


def per_connection(server, port, idle, open_one):
    """(bytes of heap for each idle connection, how many there were)."""
    # The first one imports what it needs, which is no connection's.
    open_one(port).close()
    time.sleep(0.5)
    before = ask_allocated(server)
    opened = open_up_to(idle, lambda: open_one(port))
    figure = round((ask_allocated(server) - before) / len(opened))
    for connection in opened:
        connection.close()
    # The server notices in its own time.
    time.sleep(0.5)
    return figure, len(opened)


def open_kept(port):
    """A connection that has had one answer and stays open."""
    connection = httpload.open_connection(port)
    try:
        httpload.get(connection, "/bench/ok")
    except OSError:
        connection.close()
        raise
    return connection


def keeps_connections(server):
    with httpload.open_connection(server.http_port) as connection:
        head, _ = httpload.get(connection, "/bench/ok")
    return httpload.keeps_connection(head)


def open_up_to(count, open_one):
    """Open connections until there are `count` or the server refuses, one less then: to ask on."""
    opened = []
    try:
        while len(opened) < count:
            opened.append(open_one())
    except OSError:
        opened.pop().close()
    return opened


def table(title, figures, names):
    """Lines of text: the figures of every server, and what the image makes of each reference."""
    width = max(len(label) for label in figures)
    lines = ["", title, " " * width + "".join(f"{name:>18}" for name in names)]
    for label, row in figures.items():
        cells = []
        for name in names:
            value, image = row[name], row.get("image")
            cell = "-" if value is None else f"{value:,.0f}"
            if value and image and name != "image":
                cell += f" ({image / value:5.2f})"
            elif name != "image":
                cell += " " * 8
            cells.append(f"{cell:>18}")
        lines.append((f"{label:<{width}}" + "".join(cells)).rstrip())
    return lines


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], epilog="bench/README.md says more."
    )
    parser.add_argument("--quick", action="store_true", help="3 rounds of 0.5 s")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--seconds", type=float, default=2.0, help="per figure; default: 2")
    parser.add_argument("--clients", type=int, default=8, help="connections; default: 8")
    parser.add_argument(
        "--idle", type=int, default=20, help="connections while memory is measured; default: 20"
    )
    parser.add_argument(
        "--only", choices=("speed", "memory"), help="leave out the other; default: both"
    )
    parser.add_argument(
        "--servers",
        default=",".join(SERVERS),
        help="which ones, separated by commas; default: %(default)s",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args(arguments)
    options.servers = options.servers.split(",")
    unknown = set(options.servers) - set(SERVERS)
    if unknown:
        parser.error(f"no such server: {', '.join(sorted(unknown))}")
    if options.quick:
        options.rounds, options.seconds = 3, 0.5
    return options


def main(arguments=None):
    options = parse_arguments(arguments)
    names = options.servers
    lines, record = [], {}
    if options.only != "memory":
        speed = measure_speed(names, options.rounds, options.clients, options.seconds)
        record["speed"] = speed
        lines += table(
            f"Speed: 64-bit build, {SPEED_HEAP} of heap, {options.clients} connections, median of "
            f"{options.rounds} rounds of {options.seconds:g} s (ratio: image / reference)",
            speed,
            names,
        )
    if options.only != "speed":
        memory, taken = measure_memory(names, options.idle)
        record["memory"] = memory
        lines += table(
            f"Memory: 32-bit build, {MEMORY_HEAP} of heap, bytes (ratio: image / reference)",
            memory,
            names,
        )
        counts = ", ".join(f"{name} {count}" for name, count in taken.items())
        record["boot"] = heap_at_boot()
        lines.append(
            f"The image at boot, without --bench and before a request: {record['boot']:,}."
        )
        record["flash"] = flash = flash_accesses()
        reads, writes = (
            sum(flash[phase][kind] for phase in ("mount", "start")) for kind in ("reads", "writes")
        )
        lines.append(
            f"Accesses to flash at boot, with five files: {reads} reads, {writes} writes."
        )
        lines.append(f"Idle WebSockets held open: {counts}.")
        lines.append("The references run from source: their figure at boot has their bytecode in.")
    print("\n".join(lines))
    if options.json:
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
