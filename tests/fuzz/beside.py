"""Has verdicts.py and a peer look at the same inputs.

usage: python tests/fuzz/beside.py PEER COUNT SEED [BUILD]

Exits with 1 when they disagree, and says about what; with COUNT 1 and the SEED that it names it
does so again.
"""

import contextlib
import random
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from peers import PEERS

ROOT = Path(__file__).resolve().parents[2]
VERDICTS = Path(__file__).with_name("verdicts.py")

# Disagreements that are shown of a run.
SHOWN = 5


def main(name, count, seed, build="host"):
    interpreter = ROOT / "build" / build / "micropython"
    peer = PEERS[name]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [interpreter, "-X", "heapsize=16M", VERDICTS, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
            text=True,
        )

        def feed():
            with contextlib.suppress(BrokenPipeError), process.stdin:
                for number in range(seed, seed + count):
                    process.stdin.write(peer.make(random.Random(number)).hex() + "\n")

        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        wrong = 0
        for number in range(seed, seed + count):
            data = peer.make(random.Random(number))
            line = process.stdout.readline()
            if not line:
                print(f"{name}: seed {number} ended the interpreter: {data.hex()}")
                wrong += 1
                break
            verdict = line.rstrip("\n")
            opinion = verdict if verdict.startswith("! ") else peer.opinion(data, verdict)
            if opinion:
                wrong += 1
                if wrong <= SHOWN:
                    print(f"{name}: seed {number}: {data!r}\n  {verdict[:500]}\n  {opinion[:500]}")
        process.kill()
        process.wait()
        feeder.join()
    print(f"{name}: {count} inputs from seed {seed}: {wrong or 'no'} disagreements")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]))
