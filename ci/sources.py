"""Obtain MicroPython's source in build/src/micropython.

Three ways, in this order; the one taken is printed and recorded:

1. ``dir``: the tree that MICROPYTHON_DIR names, copied;
2. ``git``: a shallow clone of the pinned tag, verified by its commit;
3. ``debian``: Debian's source packages ``micropython`` and ``mbedtls``, through an apt
   configuration that lives in the build folder. Nothing changes on the machine, and root is
   not needed. apt verifies the archive's signature and each file's SHA-256.

The pins are in versions.toml. The tree is left as it came: patches go to a copy (patches.py).
"""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from common import BUILD, BuildError, Unavailable, locked, main, say, write_if_changed
from debian import Debian
from versions import Pins, numbers

SOURCE = BUILD / "src"

# A refused or silently dropped connection must not hold up a build that can go another way.
GIT_ANSWER_SECONDS = 15
# Below this rate for this long, git gives up on a transfer.
GIT_SLOW_BYTES_PER_SECOND = 1000
GIT_SLOW_SECONDS = 20

# Files that any release since 1.25 has, and which the build starts from.
LANDMARKS = ("py/mpconfig.h", "ports/unix/Makefile", "mpy-cross/Makefile", "extmod/asyncio")


@dataclasses.dataclass(frozen=True)
class Source:
    """A tree that was obtained: `way` is dir, git or debian; `date` is seconds since 1970."""

    way: str
    version: str
    detail: str
    date: int


def tree_version(tree):
    """The release that a MicroPython tree is, read from py/mpconfig.h: "1.28.0"."""
    text = (Path(tree) / "py" / "mpconfig.h").read_text()
    values = dict(re.findall(r"#define MICROPY_VERSION_(\w+)\s+\(?(\d+)", text))
    try:
        version = ".".join(values[part] for part in ("MAJOR", "MINOR", "MICRO"))
    except KeyError as error:
        raise BuildError(f"{tree}/py/mpconfig.h does not define its version") from error
    return version + ("-preview" if values.get("PRERELEASE") == "1" else "")


def check_tree(tree, pins):
    """Check that `tree` is MicroPython, of a release that the code runs on.

    Raises:
        BuildError: it isn't.
    """
    missing = [name for name in LANDMARKS if not (Path(tree) / name).exists()]
    if missing:
        raise BuildError(f"{tree} is not a MicroPython tree: it has no {missing[0]}")
    version = tree_version(tree)
    if numbers(version) < numbers(pins.minimum):
        raise BuildError(f"{tree} is MicroPython {version}; at least {pins.minimum} is needed")


def has_mbedtls(tree):
    return (Path(tree) / "lib" / "mbedtls" / "library" / "ssl_tls.c").is_file()


def git(*arguments, folder=None, timeout=None):
    """Run git and return its stdout.

    Raises:
        Unavailable: it failed; the text is git's last line of stderr.
    """
    environment = dict(os.environ, GIT_TERMINAL_PROMPT="0", LC_ALL="C")
    command = ["git"] if folder is None else ["git", "-C", str(folder)]
    command += ["-c", f"http.lowSpeedLimit={GIT_SLOW_BYTES_PER_SECOND}"]
    command += ["-c", f"http.lowSpeedTime={GIT_SLOW_SECONDS}"]
    try:
        done = subprocess.run(
            command + list(arguments),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except FileNotFoundError as error:
        raise Unavailable("git is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"no answer in {timeout} s") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"git ended with {done.returncode}"]
        raise Unavailable(lines[-1])
    return done.stdout.strip()


def git_head(tree):
    """The commit that is checked out in `tree`, or None when it is not a git tree of its own."""
    try:
        top = git("rev-parse", "--show-toplevel", folder=tree)
        if Path(top).resolve() != Path(tree).resolve():
            return None
        return git("rev-parse", "HEAD", folder=tree)
    except Unavailable:
        return None


def fingerprint(tree):
    """A hash that changes when a file of `tree` does: names, sizes and times, not contents."""
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(tree):
        folders[:] = sorted(name for name in folders if name not in not_source(folder, folders))
        for name in sorted(files):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def not_source(folder, names):
    """Names in `folder` that are no part of the source: git's data and earlier builds' output."""
    in_mpy_cross = os.path.basename(folder) == "mpy-cross"
    return {
        name
        for name in names
        if name in (".git", "__pycache__")
        or name.startswith("build-")
        or (name == "build" and in_mpy_cross)
    }


def file_date(tree):
    return int((Path(tree) / "py" / "mpconfig.h").stat().st_mtime)


def from_directory(directory, pins, target):
    """Copy the tree `directory` to `target`."""
    directory = Path(directory)
    if not directory.is_dir():
        raise BuildError(f"MICROPYTHON_DIR={directory} is not a folder")
    check_tree(directory, pins)
    head = git_head(directory)
    if head not in (None, pins.commit):
        say(f"warning: MICROPYTHON_DIR is at commit {head[:12]}, not {pins.tag} as pinned")
    shutil.copytree(directory, target, symlinks=True, ignore=not_source)
    date = int(git("log", "-1", "--format=%ct", folder=directory)) if head else file_date(target)
    detail = f"{directory}" + (f" at {head[:12]}" if head else "")
    return Source("dir", tree_version(target), detail, date)


def from_git(pins, target):
    """Clone the pinned tag to `target`. A tag at another commit is an error, not a way out."""
    git("ls-remote", "--exit-code", pins.url, f"refs/tags/{pins.tag}", timeout=GIT_ANSWER_SECONDS)
    clone = ["clone", "--quiet", "--depth", "1", "--branch", pins.tag]
    git("-c", "advice.detachedHead=false", *clone, pins.url, str(target))
    head = git("rev-parse", "HEAD", folder=target)
    if head != pins.commit:
        raise BuildError(
            f"tag {pins.tag} of {pins.url} is commit {head}, but {pins.commit} is pinned.\n"
            "Either the tag was moved or ci/versions.toml is wrong; nothing was built."
        )
    check_tree(target, pins)
    try:
        update = ["submodule", "--quiet", "update", "--init", "--depth", "1"]
        git(*update, "lib/mbedtls", folder=target)
    except Unavailable as error:
        say(f"lib/mbedtls: git submodule: {error}")
    date = int(git("log", "-1", "--format=%ct", folder=target))
    for inside in list(target.glob("**/.git")):
        if inside.is_dir():
            shutil.rmtree(inside)
        else:
            inside.unlink()
    return Source("git", tree_version(target), f"{pins.url} {pins.tag}", date)


def from_debian(pins, target, folder):
    """Unpack Debian's micropython and mbedtls to `target`."""
    archive = Debian(pins, folder)
    version = archive.micropython(target)
    check_tree(target, pins)
    detail = f"Debian source package micropython {version}, mbedtls {archive.mbedtls(target)}"
    return Source("debian", tree_version(target), detail, file_date(target))


def complete(source, pins, target, folder):
    """See to lib/mbedtls where the tree came without that submodule."""
    if has_mbedtls(target):
        return source
    version = Debian(pins, folder).mbedtls(target)
    return dataclasses.replace(source, detail=f"{source.detail}, Debian's mbedtls {version}")


def obtain(pins, directory, target, work):
    """Obtain the source in the folder `target` by the first way that works.

    `directory` is the value of MICROPYTHON_DIR ("" when unset): whoever sets it wants that tree,
    so a tree that can't be used is an error. `work` is a scratch folder.

    Raises:
        BuildError: no way led to one; the text has what each said.
    """
    if directory:
        ways = {"dir": lambda: from_directory(directory, pins, target)}
    else:
        ways = {
            "git": lambda: from_git(pins, target),
            "debian": lambda: from_debian(pins, target, work),
        }
    refusals = []
    for name, way in ways.items():
        for leftover in (target, work):
            shutil.rmtree(leftover, ignore_errors=True)
        work.mkdir(parents=True)
        try:
            source = complete(way(), pins, target, work)
        except Unavailable as error:
            say(f"source: not by {name}: {error}")
            refusals.append(f"  {name}: {error}")
            continue
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return source
    shutil.rmtree(target, ignore_errors=True)
    raise BuildError(
        "MicroPython's source could not be obtained.\n"
        + "\n".join(refusals)
        + f"\nEither let this machine reach {pins.url} or a Debian archive, or unpack\n"
        f"MicroPython {pins.tag} with its submodule lib/mbedtls and set MICROPYTHON_DIR to it."
    )


def wanted(pins, directory):
    """What decides whether the tree at hand is still the right one."""
    key = {"pins": dataclasses.asdict(pins)}
    if directory:
        key["directory"] = os.path.abspath(directory)
        key["fingerprint"] = fingerprint(directory)
    return json.loads(json.dumps(key))


def recorded(folder=SOURCE):
    """The Source that is in `folder`.

    Raises:
        BuildError: there is none yet.
    """
    record = read_record(folder)
    if record is None:
        raise BuildError(f"there is no source in {folder}; run ci/sources.py first")
    return Source(**record["source"])


def read_record(folder):
    """What `ensure` wrote about the source in `folder`: its key and its Source, or None."""
    try:
        return json.loads((Path(folder) / "source.json").read_text())
    except (OSError, ValueError):
        return None


def ensure(pins, directory="", folder=SOURCE):
    """Obtain the source in `folder`/micropython unless the right one is there already."""
    folder = Path(folder)
    target = folder / "micropython"
    key = wanted(pins, directory)
    record = read_record(folder)
    if record and record["key"] == key and target.is_dir():
        return Source(**record["source"])
    (folder / "source.json").unlink(missing_ok=True)
    source = obtain(pins, directory, target, folder / "work")
    record = {"key": key, "source": dataclasses.asdict(source)}
    write_if_changed(folder / "source.json", json.dumps(record, indent=1).encode())
    return source


def step():
    with locked(SOURCE):
        source = ensure(Pins.load(), os.environ.get("MICROPYTHON_DIR", ""))
    say(f"source: MicroPython {source.version} by {source.way}: {source.detail}")


if __name__ == "__main__":
    main(step)
