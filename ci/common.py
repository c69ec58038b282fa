"""What every build step shares: where things are, how a step fails, and writing files once."""

import contextlib
import fcntl
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"

# Enough to show a compiler's message with its context without scrolling it off the screen.
LOG_TAIL_LINES = 30


class BuildError(Exception):
    """A step can't go on. The text is for the person at the terminal: cause, then what to do."""


class Unavailable(Exception):
    """This way can't be taken here; the text says why. The next one is tried."""


def say(line):
    """Print one line of progress."""
    print(line, flush=True)


def main(step):
    """Run `step()` as a program: a BuildError becomes its text on stderr and exit code 1.

    Ctrl-C becomes one word and the exit code that shells give it.
    """
    try:
        step()
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def write_if_changed(path, data):
    """Write `data` (bytes) to `path` unless it already holds exactly that.

    Keeping the time stamp of unchanged output is what keeps later steps from running.
    Returns True when the file was written.
    """
    path = Path(path)
    if path.is_file() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    partial.write_bytes(data)
    os.replace(partial, path)
    return True


@contextlib.contextmanager
def locked(folder):
    """Hold the lock of `folder`, so that two builds started at once do not mix their output."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def log_tail(path):
    """The last lines of a log file, as one string."""
    lines = Path(path).read_text(errors="replace").splitlines()
    return "\n".join(lines[-LOG_TAIL_LINES:])
