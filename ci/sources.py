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
import tarfile
import tomllib
from pathlib import Path

import apt_sources
from common import BUILD, ROOT, BuildError, locked, main, say, write_if_changed

SOURCE = BUILD / "src"
PINS_FILE = ROOT / "ci" / "versions.toml"

# A refused or silently dropped connection must not hold up a build that can go another way.
GIT_ANSWER_SECONDS = 15
# Below this rate for this long, git gives up on a transfer.
GIT_SLOW_BYTES_PER_SECOND = 1000
GIT_SLOW_SECONDS = 20
APT_TIMEOUT_SECONDS = 20

# Files that any release since 1.25 has, and which the build starts from.
LANDMARKS = ("py/mpconfig.h", "ports/unix/Makefile", "mpy-cross/Makefile", "extmod/asyncio")
# What MicroPython's build compiles from mbedtls.
MBEDTLS_FOLDERS = ("include", "library", "3rdparty")


class Unavailable(Exception):
    """This way can't be taken here; the text says why. The next one is tried."""


@dataclasses.dataclass(frozen=True)
class Pins:
    """The versions to obtain; see versions.toml."""

    url: str
    tag: str
    commit: str
    minimum: str
    suites: tuple
    preferred: tuple
    mbedtls_series: str

    @classmethod
    def load(cls, path=PINS_FILE):
        with open(path, "rb") as file:
            data = tomllib.load(file)
        micropython = data["micropython"]
        return cls(
            url=micropython["url"],
            tag=micropython["tag"],
            commit=micropython["commit"],
            minimum=micropython["minimum"],
            suites=tuple(micropython["debian"]["suites"]),
            preferred=tuple(micropython["debian"]["preferred"]),
            mbedtls_series=data["mbedtls"]["series"],
        )


@dataclasses.dataclass(frozen=True)
class Source:
    """A tree that was obtained: `way` is dir, git or debian; `date` is seconds since 1970."""

    way: str
    version: str
    detail: str
    date: int


def numbers(version):
    """The leading dotted numbers of a version: "1.26.1+ds-1" -> (1, 26, 1)."""
    match = re.match(r"(?:\d+:)?v?(\d+(?:\.\d+)*)", version)
    if not match:
        raise BuildError(f"not a version: {version!r}")
    return tuple(int(part) for part in match[1].split("."))


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


class Debian:
    """Debian's archive, read through an apt configuration private to `folder`."""

    def __init__(self, pins, folder):
        self.pins = pins
        self.folder = Path(folder)
        self.suites = []
        self.trouble = []
        if not shutil.which("apt-get"):
            raise Unavailable("apt-get is not installed")
        self.archives = apt_sources.debian_archives(apt_sources.configured_entries())
        if not self.archives:
            raise Unavailable("no Debian archive is configured in apt's sources")

    def options(self):
        values = {
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": self.folder / "sources.list.d",
            "Dir::State": self.folder / "state",
            "Dir::State::status": self.folder / "status",
            "Dir::Cache": self.folder / "cache",
            "Acquire::Languages": "none",
            "Acquire::Retries": 1,
            "Acquire::http::Timeout": APT_TIMEOUT_SECONDS,
            "Acquire::https::Timeout": APT_TIMEOUT_SECONDS,
        }
        if os.geteuid() == 0:
            # Root would hand downloads to the user _apt, who can't write to the build folder.
            values["APT::Sandbox::User"] = "root"
        return [word for name, value in values.items() for word in ("-o", f"{name}={value}")]

    def apt(self, program, *arguments, folder=None):
        done = subprocess.run(
            [program, *self.options(), *arguments],
            cwd=folder,
            env=dict(os.environ, LC_ALL="C"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        with open(BUILD / "apt.log", "a") as log:
            log.write(f"{program} {' '.join(arguments)}\n{done.stderr}")
        return done

    def read(self, suite):
        """Read one more suite's list of sources. A suite that can't be had is only noted."""
        if suite in self.suites:
            return
        self.suites.append(suite)
        for name in ("sources.list.d", "state/lists/partial", "cache/archives/partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        text = apt_sources.render(self.archives, self.suites)
        (self.folder / "sources.list.d" / "debian.sources").write_text(text)
        done = self.apt("apt-get", "-q", "update")
        for line in done.stderr.splitlines():
            if line.startswith(("E:", "W:")) and suite in line:
                self.trouble.append(f"{suite}: {line}")
                break

    def versions(self, package):
        """The versions of a source package in the suites read so far, newest first."""
        done = self.apt("apt-cache", "showsrc", "--only-source", package)
        found = set(re.findall(r"^Version: (\S+)$", done.stdout, re.MULTILINE))
        return sorted(found, key=numbers, reverse=True)

    def find(self, package, choose):
        """The version of `package` that `choose(versions, last)` settles on, else Unavailable.

        `choose` is asked after each suite, and with `last` when all have been read.
        """
        for suite in self.pins.suites:
            self.read(suite)
            version = choose(self.versions(package), suite == self.pins.suites[-1])
            if version:
                return version
        found = ", ".join(self.versions(package)) or "none"
        raise Unavailable("; ".join([f"no usable {package} (found: {found})", *self.trouble]))

    def unpack(self, package, version, target):
        """Download one source package and unpack its original tarball as the folder `target`."""
        archive = self.folder / "archive"
        archive.mkdir(exist_ok=True)
        # apt-get checks the SHA-256 of each file against the signed index.
        done = self.apt(
            "apt-get", "-q", "--download-only", "source", f"{package}={version}", folder=archive
        )
        tarballs = sorted(archive.glob(f"{package}_*.orig.tar.*[!c]"))
        if done.returncode or not tarballs:
            lines = done.stderr.strip().splitlines() or ["no tarball came"]
            raise Unavailable(f"{package} {version}: {lines[-1]}")
        unpacked = self.folder / f"unpacked-{package}"
        with tarfile.open(tarballs[0]) as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extraction_filter = tarfile.data_filter
            tar.extractall(unpacked)
        (top,) = unpacked.iterdir()
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(top, target)

    def micropython(self, target):
        version = self.find(
            "micropython", lambda versions, last: choose_micropython(versions, self.pins, last)
        )
        self.unpack("micropython", version, target)
        check_tree(target, self.pins)
        detail = f"Debian source package micropython {version}"
        return Source("debian", tree_version(target), detail, file_date(target))

    def mbedtls(self, tree):
        """Fill lib/mbedtls of `tree`; return the version."""
        version = self.find("mbedtls", lambda versions, _: choose_mbedtls(versions, self.pins))
        whole = self.folder / "mbedtls"
        self.unpack("mbedtls", version, whole)
        target = Path(tree) / "lib" / "mbedtls"
        if target.exists():
            shutil.rmtree(target)
        for name in MBEDTLS_FOLDERS:
            if (whole / name).is_dir():
                shutil.copytree(whole / name, target / name)
        return version


def choose_micropython(versions, pins, last):
    """The version to take of those found, or None.

    The most preferred version settles it at once. Only when every suite has been read (`last`)
    do the other preferred ones count, then the newest release from the minimum to the pin.
    """
    releases = {version: numbers(version) for version in versions}
    for preferred in pins.preferred if last else pins.preferred[:1]:
        for version, release in releases.items():
            if release == numbers(preferred):
                return version
    if last:
        usable = [
            version
            for version, release in releases.items()
            if numbers(pins.minimum) <= release <= numbers(pins.tag)
        ]
        return max(usable, key=numbers, default=None)
    return None


def choose_mbedtls(versions, pins):
    """The newest version of the pinned series, or None."""
    series = numbers(pins.mbedtls_series)
    usable = [version for version in versions if numbers(version)[: len(series)] == series]
    return max(usable, key=numbers, default=None)


def from_debian(pins, target, folder):
    """Unpack Debian's micropython and mbedtls to `target`."""
    debian = Debian(pins, folder)
    source = debian.micropython(target)
    mbedtls = debian.mbedtls(target)
    return dataclasses.replace(source, detail=f"{source.detail}, mbedtls {mbedtls}")


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
