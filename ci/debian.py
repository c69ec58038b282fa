"""Debian's source packages of MicroPython and mbedtls, for where git can't reach MicroPython.

apt reads them through a configuration of its own in the build folder: nothing changes on the
machine, root is not needed, and no lock of the system's apt is taken. It verifies the archive's
signature and each file's SHA-256.
"""

import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import apt_sources
from common import BUILD, Unavailable
from versions import numbers

APT_TIMEOUT_SECONDS = 20

# What MicroPython's build compiles from mbedtls.
MBEDTLS_FOLDERS = ("include", "library", "3rdparty")


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
        """Unpack MicroPython as the folder `target`; return the version."""
        version = self.find(
            "micropython", lambda versions, last: choose_micropython(versions, self.pins, last)
        )
        self.unpack("micropython", version, target)
        return version

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
