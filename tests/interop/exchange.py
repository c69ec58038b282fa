"""What the peers in Python send and expect back."""

import sys

MESSAGES = (
    "hello",
    "",
    "\u010de\u0161tina \u2713 " * 100,
    b"\0",
    b"x" * 125,
    bytes(range(126)),
    b"compressible " * 300,
    bytes(i * i % 251 for i in range(20_000)),
)


def check(sent, received):
    """End the program when a message came back as another."""
    if received != sent:
        sys.exit(f"{sent[:40]!r} came back as {received[:40]!r}")


def done(extensions):
    """Say that all is well, and what was negotiated."""
    print("ok", extensions or "", flush=True)


def ready(port):
    """Say where the server is."""
    print("ready", port, flush=True)
