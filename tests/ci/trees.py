"""Trees of files and git repositories for the tests to work on."""

import subprocess
from pathlib import Path

MPCONFIG = """\
#define MICROPY_VERSION_MAJOR {0}
#define MICROPY_VERSION_MINOR {1}
#define MICROPY_VERSION_MICRO {2}
#define MICROPY_VERSION_PRERELEASE {3}
"""


def write_files(folder, files):
    """Write `files`, name -> text, below `folder`; return it."""
    for name, text in files.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Path(folder)


def micropython_files(version="1.28.0", prerelease=0, mbedtls=True):
    """The fewest files that are taken for MicroPython's source."""
    files = {
        "py/mpconfig.h": MPCONFIG.format(*version.split("."), prerelease),
        "ports/unix/Makefile": "all:\n",
        "mpy-cross/Makefile": "all:\n",
        "extmod/asyncio/core.py": "\n",
        "lib/README.md": "libraries\n",
    }
    if mbedtls:
        files["lib/mbedtls/library/ssl_tls.c"] = "// TLS\n"
    return files


def git(folder, *arguments):
    """Run git in `folder` with an author; return its stdout."""
    author = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]
    command = ["git", "-C", str(folder), *author, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def git_repository(folder, files, tag=None):
    """Make `folder` a repository with one commit of `files`; return the commit's hash."""
    write_files(folder, files)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Files.")
    if tag:
        git(folder, "tag", tag)
    return git(folder, "rev-parse", "HEAD")
