"""Feeds damaged inputs to whatever here takes bytes from strangers.

usage: python tests/fuzz/run.py [COUNT] [SEED] [NAME...]

COUNT inputs for each, 1,000,000 by default; names are "server", server.py, and the peers of
peers.py, by default all. As many at once as there are processors. Exits with 1 when one fails, and
says with which seed.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from peers import PEERS

HERE = Path(__file__).resolve().parent
INTERPRETER = HERE.parents[1] / "build/host/micropython"


def fuzz(name, count, seed):
    if name == "server":
        command = [INTERPRETER, "-X", "heapsize=16M", HERE / "server.py"]
    else:
        command = [sys.executable, HERE / "beside.py", name]
    return subprocess.run([*command, str(count), str(seed)]).returncode


def main(count="1000000", seed="1", *names):
    count, seed = int(count), int(seed)
    workers = os.cpu_count() or 1
    share = -(-count // workers)
    with ThreadPoolExecutor(workers) as pool:
        codes = [
            pool.submit(fuzz, name, share, seed + number * share)
            for name in names or ("server", *PEERS)
            for number in range(workers)
        ]
    return int(any(code.result() for code in codes))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
