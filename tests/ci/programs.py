"""Running programs in tests."""

import subprocess


def run(command, **options):
    """Run a program and return what it did, with its output as text."""
    command = [str(part) for part in command]
    return subprocess.run(command, capture_output=True, text=True, **options)
