"""Fails every allocation of the device once, and every two that follow one another.

usage: python tests/failing/survive.py [--step N] [--offset N] [--count N] [SESSION...]

Each session (session.py), and a start of the device ("boot"), is run with its n-th allocation
failing, for n from 1 to its end, or for every --step-th n from --offset on; --count says how many
fail in a row, by default one and then two. Exits with 1 when something was not survived.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import boot
from session import SESSIONS, Device

from certificates import Authority
from support import ROOT


def attempts(device, session, step, offset, count, first=1):
    """Run a session with failures until there is no allocation left to fail; yields each n."""
    # What else the device does meanwhile is never the same: a few more than it takes.
    allocations = device.run(session) + step
    for n in range(first + offset, allocations + 1, step):
        device.run(session, n, count)
        what = f"{session.__name__} without allocation {n}"
        device.check(what)
        device.check_descriptors(what)
        yield n


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--offset", type=int, default=0)
    parser.add_argument("--count", type=int, action="append")
    parser.add_argument("sessions", nargs="*")
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        folder = Path(folder)
        authority = Authority(folder)
        authority.issue("server")
        files = authority.read("server.pem"), authority.read("server.key")
        for count in options.count or (1, 2):
            if not options.sessions or "boot" in options.sessions:
                failed += not _boots(folder, options, count)
            for session in SESSIONS:
                if options.sessions and session.__name__ not in options.sessions:
                    continue
                failed += not _survives(folder, files, session, options, count)
    return int(failed > 0)


def _boots(folder, options, count):
    began = time.monotonic()
    n, failures = boot.failures(folder, options.step, options.offset, count)
    for failure in failures:
        print(f"FAILED {failure}", flush=True)
    seconds = time.monotonic() - began
    print(f"boot, {count} in a row: {n} allocations, {seconds:.0f} s", flush=True)
    return not failures


def _survives(folder, files, session, options, count):
    name = session.__name__
    first = 1
    survived = True
    began = time.monotonic()
    while True:
        device = Device(folder / f"{name}-{count}-{first}", files)
        n = first - 1
        try:
            for n in attempts(  # noqa: B007
                device, session, options.step, options.offset, count, first
            ):
                pass
        except AssertionError as error:
            n = n + options.step
            print(f"FAILED {count} in a row, n={n}: {error}", flush=True)
            survived = False
            first = n + 1
        else:
            seconds = time.monotonic() - began
            print(f"{name}, {count} in a row: {n} allocations, {seconds:.0f} s", flush=True)
            return survived
        finally:
            device.image.kill()
            device.close()


if __name__ == "__main__":
    sys.exit(main())
