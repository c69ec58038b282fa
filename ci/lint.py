"""Look for what can be found in the sources without running them, and repair what can be repaired.

``lint.py`` runs every check and fails when one finds something; ``lint.py --fix`` lets ruff put
the Python code in order. The tools are pinned in tests/requirements.txt.
"""

import subprocess
import sys
from pathlib import Path

import environment
from common import BUILD, ROOT, BuildError, main, say

# Not with the stubs: the relay's `websockets` is Python's. Nor with a cache that another run uses.
RELAY_TYPES = ("--config-file=", "--cache-dir=/dev/null", "--strict", "--no-error-summary")

REQUIREMENTS = ROOT / "tests" / "requirements.txt"


def shell_scripts(root=ROOT):
    """The tracked files that a shell runs, by their first line."""
    done = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z"], capture_output=True, text=True
    )
    if done.returncode:
        raise BuildError(f"git can't list the files of {root}: {done.stderr.strip()}")
    files = [root / name for name in done.stdout.split("\0") if name]
    return [file for file in files if file.is_file() and first_line(file) == b"#!/bin/sh\n"]


def stubs(root=ROOT):
    """The type stubs: of the public API, and what every board has."""
    return [path for path in (root / "typings", root / "boards" / "board.pyi") if path.exists()]


def first_line(file):
    with open(file, "rb") as opened:
        return opened.readline(32)


def checks(tools, root=ROOT):
    """The commands that look, as lists.

    Args:
        tools: the folder of the programs.
        root: the folder that they look at.
    """
    workflows = sorted((root / ".github" / "workflows").glob("*.yml"))
    relay = root / "relay"
    return [
        [tools / "ruff", "check", "--no-cache", root],
        [tools / "ruff", "format", "--check", "--no-cache", root],
        [tools / "actionlint", "-no-color", "-shellcheck", tools / "shellcheck", *workflows],
        [tools / "zizmor", "--offline", "--no-progress", "--pedantic", *workflows],
        [tools / "shellcheck", *shell_scripts(root)],
        [tools / "mypy", "--no-error-summary", *stubs(root)],
        *([[tools / "mypy", *RELAY_TYPES, relay]] if relay.exists() else []),
    ]


def repairs(tools, root=ROOT):
    """The commands that repair, as lists."""
    return [
        [tools / "ruff", "check", "--fix", "--no-cache", root],
        [tools / "ruff", "format", "--no-cache", root],
    ]


def run_all(commands):
    """Run every command, whatever the ones before it found.

    Raises:
        BuildError: names the tools that found something.
    """
    failed = []
    for command in commands:
        name = Path(command[0]).name
        say(f"lint: {name}")
        if subprocess.run([str(part) for part in command]).returncode and name not in failed:
            failed.append(name)
    if failed:
        raise BuildError(f"found something: {', '.join(failed)}")


def step():
    if sys.argv[1:] not in ([], ["--fix"]):
        raise BuildError("usage: lint.py [--fix]")
    tools = environment.ensure(BUILD / "venv-test", REQUIREMENTS).parent
    run_all(repairs(tools) if sys.argv[1:] else checks(tools))


if __name__ == "__main__":
    main(step)
