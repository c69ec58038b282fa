"""Starts of the device, as a chip's, of which each has an allocation that fails.

`start` makes one whose n-th allocation fails: the device may restart itself, and must then serve
with the settings that it had. `failures` goes through all n.
"""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import raw
from support import READY, ROOT, Program, wait_until

PATIENCE = 20

FILES = {
    "network.json": {"sta": {"ssid": "site"}, "device": {"iam": "bench-7"}},
    "secrets.json": {"sta": {"site": "correct-horse"}},
    "app.json": {
        "home": {"host": "127.0.0.1", "port": 9},
        "interfaces": [{"type": "echo", "name": "echo"}],
    },
    "wifi_sim.json": {"networks": [{"ssid": "site", "password": "correct-horse"}]},
}

# What the program `websock` does, with failures from where a chip's start begins; once only, for
# the folder's mark is there after it. A line tells what of it has been seen.
PROGRAM = """
import os, sys
sys.path[:] = [".frozen"]
import arguments, failing
arguments.prepare(sys.argv[1:])
try:
    os.stat("/started")
    number = 0
except OSError:
    open("/started", "w").close()
    number = {number}
import board
ready = board.ready
def counted_ready(*ports):
    count = failing.counted()
    failing.at(0)
    ready(*ports)
    print("allocations", count)
board.ready = counted_ready
failing.at(number, {count})
import main
"""


# What it takes to enter main.py at all; on a chip that is C's.
ENTERED = 8

# Starts at a time: most of one is waiting.
AT_ONCE = 6


def start(folder, n=0, count=1):
    """Start a device while the allocations `n` to `n` + `count` - 1 of that fail (0: none).

    Args:
        folder: for its files.

    Returns:
        How many allocations the last start took.

    Raises:
        AssertionError: it didn't come to serve, or not as it was before.
    """
    n = n and n + ENTERED
    data = folder / f"start-{n}-{count}"
    data.mkdir()
    for name, content in FILES.items():
        (data / name).write_text(json.dumps(content))
    program = Program(
        [
            ROOT / "build/host-failing/micropython",
            *("-X", "heapsize=1M", "-c", PROGRAM.format(number=n, count=count)),
            *("--data", data, "--chip", "--http-port", "0", "--ws-port", "0"),
            *("--dns-port", "0"),
        ],
        folder / f"start-{n}-{count}.log",
    )
    program.spawn()
    try:
        seen = program.wait_line(r"allocations (\d+)", timeout=PATIENCE)
        port = int(program.wait_line(READY, timeout=PATIENCE)[1])
        with raw.Connection(port) as client:
            client.socket.settimeout(PATIENCE)
            state = json.loads(client.get("/api/state").body)
        assert state["iam"] == "bench-7" and state["wifi/stored/ssid"] == "site", state
        assert "recovery" not in state, state["recovery"]
        for name, content in FILES.items():
            stored = json.loads((data / name).read_text())
            assert {key: stored.get(key) for key in content} == content, name
        wait_until(lambda: program.running, PATIENCE)
        return int(seen[1])
    except AssertionError as error:
        what = f"start with {count} failures from allocation {n} on"
        raise AssertionError(f"{what}: {error}\n{program.log()[-3000:]}") from None
    finally:
        program.kill()
        shutil.rmtree(data)


def failures(folder, step, offset, count):
    """What went wrong in the starts without allocation 1 + `offset`, `step` further and so on.

    Returns:
        (how many allocations a start has, list of texts).
    """

    def attempt(n):
        try:
            start(folder, n, count)
        except AssertionError as error:
            return str(error)
        return None

    allocations = start(folder) + step
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(attempt, range(1 + offset, allocations, step)))
    return allocations, [text for text in found if text]
