"""Bundle the page's ES modules with esbuild (npm, pinned by hash in versions.toml).

One script is one request, and compresses better than ten. A machine that can't have esbuild still
builds: the modules are then packed each by itself, and the page loads them one after the other.
"""

import platform
import re
import subprocess
import tempfile
from pathlib import Path

import npm
import versions
from common import BuildError, say

PIN = versions.load()["esbuild"]

# Of Python's platform module -> of npm.
MACHINES = {
    ("Linux", "x86_64"): "linux-x64",
    ("Linux", "aarch64"): "linux-arm64",
    ("Darwin", "x86_64"): "darwin-x64",
    ("Darwin", "arm64"): "darwin-arm64",
}

# What a phone that is some years old knows.
TARGET = "es2020"

MODULE_SCRIPT = re.compile(rb'<script\s+src="([^"]+)"\s+type="module"')
IMPORT = re.compile(rb'^(?:import|export)\s[^"\']*["\']\./([^"\']+)["\'];', re.MULTILINE)


def program():
    """Path of esbuild; None where it can't be had."""
    target = npm.FOLDER / f"esbuild-{PIN['version']}"
    if target.is_file():
        return target
    machine = MACHINES.get((platform.system(), platform.machine()))
    if machine is None:
        say(f"assets: no esbuild for {platform.system()} {platform.machine()}")
        return None
    pin = {"version": PIN["version"], "integrity": PIN[machine]}
    package = npm.fetch_if_possible(
        f"@esbuild/{machine}", pin, "assets: modules are packed singly"
    )
    if package is None:
        return None
    unfinished = target.with_suffix(".new")
    unfinished.write_bytes(npm.read(package, "bin/esbuild"))
    unfinished.chmod(0o755)
    unfinished.rename(target)
    return target


def entries(files):
    """Names of the scripts that pages load as modules."""
    found = []
    for name, data in files.items():
        if name.endswith((".htm", ".html")):
            found += [match[1].decode() for match in MODULE_SCRIPT.finditer(data)]
    return sorted(set(found))


def modules(files, entry):
    """Names of the modules that `entry` imports, directly or not, itself included."""
    folder, _, _ = entry.rpartition("/")
    found, due = set(), [entry]
    while due:
        name = due.pop()
        if name in found:
            continue
        if name not in files:
            raise BuildError(f"{entry}: imports {name}, which is not in the folder")
        found.add(name)
        for match in IMPORT.finditer(files[name]):
            due.append(f"{folder}/{match[1].decode()}" if folder else match[1].decode())
    return found


def bundle(files, esbuild):
    """`files` (name -> bytes) with each page's modules as one script, by the name of the first.

    Args:
        esbuild: the program; None leaves everything as it is.

    Raises:
        BuildError: a module imports what isn't there, or is no JavaScript.
    """
    if esbuild is None:
        return files
    bundled = dict(files)
    for entry in entries(files):
        parts = modules(files, entry)
        with tempfile.TemporaryDirectory() as folder:
            for name in parts:
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(files[name])
            command = [esbuild, entry, "--bundle", "--format=esm", "--minify", "--charset=utf8"]
            command += [f"--target={TARGET}", "--log-level=error"]
            done = subprocess.run(command, cwd=folder, capture_output=True)
        if done.returncode:
            raise BuildError(f"{entry}: {done.stderr.decode(errors='replace').strip()[:500]}")
        for name in parts - {entry}:
            bundled.pop(name, None)
        bundled[entry] = done.stdout
    return bundled
