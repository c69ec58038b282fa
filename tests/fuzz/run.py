"""Runs a fuzzer in several processes, each with seeds of its own.

usage: python tests/fuzz/run.py [COUNT] [SEED]

COUNT inputs in all, 1,000,000 by default. Exits with 1 and the input's seed when one fails.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FUZZER = Path(__file__).with_name("http.py")
INTERPRETER = ROOT / "build/host/micropython"


def main(count=1_000_000, seed=1):
    processes = os.cpu_count() or 1
    share = -(-count // processes)
    running = []
    for number in range(processes):
        arguments = [str(share), str(seed + number * share)]
        command = [INTERPRETER, "-X", "heapsize=16M", FUZZER, *arguments]
        running.append(subprocess.Popen(command))
    codes = [process.wait() for process in running]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
