"""The log: the last lines in memory, all of them on the console."""

import io
import sys

import heap
from clock import uptime

# Lines kept, enough to see what led to a failure, and bytes of one.
MAX_LINES = 64
MAX_LINE = 160

# Of a traceback: where it happened, and how it came there.
MAX_FRAMES = 8

# Bytes of all lines: a share of what the firmware itself leaves of the heap.
MAX_SIZE = min(8192, (heap.SIZE - 32_768) // 32)

# A traceback may take half of them.
_FRAMES = min(MAX_FRAMES, MAX_SIZE // 256)

_lines = []
_size = 0


def log(level, text):
    """Note one line.

    Args:
        level: "info" or "error".
        text: what happened, without secrets. Line breaks become spaces.
    """
    try:
        text = _clean(" ".join(text.split()))
        line = _stamped(level, text)
        print(line, file=sys.stderr)
        _keep(line)
    except MemoryError:
        pass  # whatever is noted matters less than what goes on


def _stamped(level, text):
    return f"{uptime():.1f} {level} {text}"[:MAX_LINE]


def _keep(line):
    global _size
    _lines.append(line)
    _size += len(line)
    while _size > MAX_SIZE or len(_lines) > MAX_LINES:
        _size -= len(_lines.pop(0))


def lines():
    """The lines kept, oldest first."""
    return list(_lines)


def traceback(error):
    """An exception's traceback as text."""
    out = io.StringIO()
    sys.print_exception(error, out)
    # MicroPython joins the folder "/" and a module's file by a slash.
    return _clean(out.getvalue().replace('"//', '"/'))


def _clean(text):
    # What a peer or an app wrote may hold what is no Unicode, which a browser would not take, and
    # what a terminal takes for a command: C0, DEL and C1 (ECMA-48).
    data = text.encode()
    if len(data) != len(text):
        from utf8 import printable

        text = printable(data)
    if all([" " <= c < "\x7f" or c > "\x9f" or c == "\n" for c in text]):
        return text
    return "".join(
        [c if " " <= c < "\x7f" or c > "\x9f" or c == "\n" else f"\\x{ord(c):02x}" for c in text]
    )


def report(message, error=None):
    """Note what nobody awaits; an exception's whole traceback goes to the console."""
    if error is None:
        log("error", message)
    else:
        log("error", f"{message}: {type(error).__name__}: {error}")
        try:
            text = traceback(error)
        except MemoryError:
            sys.print_exception(error, sys.stderr)
        else:
            print(text, end="", file=sys.stderr)
            _keep_traceback(text)


def _keep_traceback(text):
    # Its last lines, after the first and before the exception's own, which the log has.
    try:
        for line in text.split("\n")[1:-2][-_FRAMES:]:
            _keep(_stamped("error", line))
    except MemoryError:
        pass
