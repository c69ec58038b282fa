"""Runs the Autobahn WebSocket test suite against the image's server and client.

``run.py`` runs everything (about half an hour with compression) and prints a table per direction;
exit code 1 when a case failed, closed wrongly, is missing, or is less than strict without being
one of TIMING. ``--only server|client``, ``--cases 6.*,7.*`` and ``--write FILE`` narrow it down.
"""

import argparse
import collections
import contextlib
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from support import free_port  # noqa: E402

ROOT = HERE.parents[1]
FOLDER = ROOT / "build" / "conformance"
INTERPRETER = ROOT / "build" / "host" / "micropython"
HEAP = "128M"

# Sections 1-7, 9, 10 are RFC 6455; 12 and 13 are permessage-deflate (RFC 7692).
PLAIN = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*")
COMPRESSED = ("12.*", "13.*")

# The compression cases with messages of up to 4,096 bytes; a pattern would match more.
SHORT_COMPRESSED = tuple(
    f"{section}.{part}.{case}"
    for section, parts in ((12, 5), (13, 7))
    for part in range(1, parts + 1)
    for case in range(1, 6)
)

# Their verdict (OK or NON-STRICT) depends on whether two writes of the suite arrive together.
TIMING = ("3.4", "4.1.5", "4.2.5")

START_DEADLINE = 30
# Seconds that the suite waits for a close frame. It counts in whole ones and rounds down, so that
# its own 1 s is next to nothing where a case begins late in a second.
CLOSE_TIMEOUT = 10
# A run that is stuck ends; all compression cases take some minutes.
RUN_DEADLINE = 3600

# Cases that are listed when something is broken altogether.
MAX_SHOWN = 20

OPTIONS = {"failByDrop": False, "closeHandshakeTimeout": CLOSE_TIMEOUT}

VERDICTS = ("OK", "NON-STRICT", "INFORMATIONAL", "FAILED", "UNIMPLEMENTED")
CLEAN = ("OK", "INFORMATIONAL")


class ConformanceError(Exception):
    """The suite could not be run; the text says why."""


def set_up():
    """Make `wstest` in build/conformance, when it is not there."""
    if subprocess.run([str(HERE / "setup.sh"), str(FOLDER)]).returncode:
        raise ConformanceError("the Autobahn suite could not be set up")


def write_spec(folder, cases, **fields):
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("*.json"), *folder.glob("*.html")):
        old.unlink()
    spec = {
        "outdir": str(folder),
        "cases": list(cases),
        "exclude-cases": [],
        "exclude-agent-cases": {},
        **fields,
    }
    path = folder / "spec.txt"
    path.write_text(json.dumps(spec))
    return path


@contextlib.contextmanager
def running(command, folder, name):
    """A process whose output goes to a file; it is ended on the way out."""
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def wait_for_port(port, process, log):
    end = time.monotonic() + START_DEADLINE
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise ConformanceError(f"nothing listens at port {port}; see {log}")


def wstest(mode, spec, *arguments):
    return [FOLDER / "venv/bin/wstest", "-m", mode, *arguments, "-s", spec]


def interpreter(script, *arguments):
    return [INTERPRETER, "-X", f"heapsize={HEAP}", HERE / script, *arguments]


def run_server(cases, compression, folder):
    """Run `cases` against the image's server; return case -> verdict."""
    port = free_port()
    url = f"ws://127.0.0.1:{port}"
    servers = [{"url": url, "agent": "websock-server"}]
    spec = write_spec(folder, cases, options=OPTIONS, servers=servers)
    with running(interpreter("echo_server.py", port, compression), folder, "image") as server:
        wait_for_port(port, server, folder / "image.log")
        with running(wstest("fuzzingclient", spec), folder, "wstest") as suite:
            if suite.wait(RUN_DEADLINE):
                raise ConformanceError(f"wstest failed; see {folder}/wstest.log")
    expected = None
    for line in (folder / "wstest.log").read_text(errors="replace").splitlines():
        if line.startswith("Ok, will run "):
            expected = int(line.split()[3])
    return verdicts(folder, expected)


def run_client(cases, compression, folder):
    """Run `cases` against the image's client; return case -> verdict."""
    port = free_port()
    url = f"ws://127.0.0.1:{port}"
    options = {**OPTIONS, "allowNullOrigin": True}
    spec = write_spec(folder, cases, options=options, url=url, interface="127.0.0.1")
    with running(wstest("fuzzingserver", spec, "-u", "0"), folder, "wstest") as suite:
        wait_for_port(port, suite, folder / "wstest.log")
        with running(interpreter("echo_client.py", url, compression), folder, "image") as client:
            if client.wait(RUN_DEADLINE):
                raise ConformanceError(f"the client failed; see {folder}/image.log")
    lines = (folder / "image.log").read_text(errors="replace").splitlines()
    return verdicts(folder, int(lines[-1].split()[-1]))


def verdicts(folder, expected):
    index = folder / "index.json"
    if not index.exists():
        raise ConformanceError(f"no report in {folder}")
    (results,) = json.loads(index.read_text()).values()
    if expected != len(results):
        raise ConformanceError(f"{expected} cases were asked for, {len(results)} have a result")
    return results


def case_key(case):
    return [int(part) for part in case.split(".")]


def faults(results):
    """case -> what is wrong with it, for the cases that are not as they should be."""
    found = {}
    for case, result in sorted(results.items(), key=lambda item: case_key(item[0])):
        verdict, closing = result["behavior"], result["behaviorClose"]
        strict = verdict in CLEAN or (verdict == "NON-STRICT" and case in TIMING)
        if not strict or closing not in CLEAN:
            found[case] = f"{verdict}, close {closing}, code {result['remoteCloseCode']}"
    return found


def table(results):
    """The verdicts per section as lines of a Markdown table."""
    lines = ["| section | cases | " + " | ".join(VERDICTS) + " | unclean close |"]
    lines.append("| --- " * (len(VERDICTS) + 3) + "|")
    sections = collections.defaultdict(list)
    for case, result in results.items():
        sections[int(case.split(".")[0])].append(result)
    rows = [(str(section), sections[section]) for section in sorted(sections)]
    rows.append(("all", list(results.values())))
    for name, members in rows:
        counts = [sum(m["behavior"] == verdict for m in members) for verdict in VERDICTS]
        unclean = sum(m["behaviorClose"] not in CLEAN for m in members)
        numbers = [len(members), *counts, unclean]
        lines.append(f"| {name} | " + " | ".join(map(str, numbers)) + " |")
    return lines


DIRECTIONS = {"server": run_server, "client": run_client}


def run(direction, cases, folder=None):
    """Run cases in one direction; return case -> verdict.

    cases: patterns such as "6.*"; the compression cases run with compression on, the others
    without.

    Raises:
        ConformanceError: the suite can't be run, or cases have no result.
    """
    folder = folder or FOLDER / "reports" / direction
    results = {}
    compressed = [case for case in cases if case.split(".")[0] in ("12", "13")]
    plain = [case for case in cases if case not in compressed]
    for part, compression in ((plain, "none"), (compressed, "deflate")):
        if part:
            results.update(DIRECTIONS[direction](part, compression, folder / compression))
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=sorted(DIRECTIONS))
    parser.add_argument("--cases", help="patterns separated by commas")
    parser.add_argument("--write", type=Path, help="also write the tables to a file")
    options = parser.parse_args()
    cases = options.cases.split(",") if options.cases else [*PLAIN, *COMPRESSED]
    if not INTERPRETER.exists():
        raise ConformanceError('run "make host" first')
    set_up()
    report = []
    good = True
    for direction in [options.only] if options.only else ["server", "client"]:
        start = time.monotonic()
        results = run(direction, cases)
        lines = [f"### The image's {direction}", "", *table(results), ""]
        weak = [case for case, r in results.items() if r["behavior"] == "NON-STRICT"]
        if weak:
            lines += ["NON-STRICT: " + ", ".join(sorted(weak, key=case_key)), ""]
        print("\n".join(lines))
        print(f"{time.monotonic() - start:.0f} s")
        wrong = faults(results)
        for case in list(wrong)[:MAX_SHOWN]:
            print(f"{case}: {wrong[case]}")
        if len(wrong) > MAX_SHOWN:
            print(f"and {len(wrong) - MAX_SHOWN} more")
        good = good and not wrong
        report += lines
    if options.write:
        options.write.write_text("\n".join(report))
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ConformanceError as error:
        sys.exit(f"conformance: {error}")
