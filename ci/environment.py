"""Make a virtual environment from a requirements file whose every package is pinned by hash.

``environment.py FOLDER REQUIREMENTS`` makes or updates it, and does nothing when it is up to date.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from common import BuildError, locked, main, say, write_if_changed

PIP_TIMEOUT_SECONDS = 20
PIP_RETRIES = 1


def key_of(requirements):
    return f"{sys.version}\n{hashlib.sha256(requirements.read_bytes()).hexdigest()}\n".encode()


def run(command):
    """Run a command.

    Raises:
        BuildError: it failed; the text is the line of its output that says most.
    """
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        text = done.stdout + done.stderr
        if "ensurepip" in text or "No module named venv" in text:
            raise BuildError("Python has no venv module; on Debian: apt-get install python3-venv")
        lines = text.strip().splitlines()
        errors = [line for line in lines if line.startswith("ERROR:")]
        raise BuildError((errors or lines or [f"{command[0]} ended with {done.returncode}"])[-1])


def ensure(folder, requirements):
    """Make `folder` an environment with exactly `requirements`; return its Python.

    Raises:
        BuildError: Python has no venv, or a package can't be had.
    """
    folder = Path(folder)
    python = folder / "bin" / "python"
    stamp = folder / "requirements"
    key = key_of(Path(requirements))
    with locked(folder.parent):
        if not (stamp.is_file() and stamp.read_bytes() == key):
            shutil.rmtree(folder, ignore_errors=True)
            run([sys.executable, "-m", "venv", str(folder)])
            install = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
            install += ["--timeout", str(PIP_TIMEOUT_SECONDS), "--retries", str(PIP_RETRIES)]
            run([*install, "--require-hashes", "--requirement", str(requirements)])
            write_if_changed(stamp, key)
    return python


def step():
    if len(sys.argv) != 3:
        raise BuildError("usage: environment.py FOLDER REQUIREMENTS")
    folder, requirements = Path(sys.argv[1]), Path(sys.argv[2])
    if not (folder / "requirements").is_file():
        say(f"environment: {folder} from {requirements}")
    ensure(folder, requirements)


if __name__ == "__main__":
    main(step)
