"""Packages from npm, each pinned in versions.toml with the hash that npm states."""

import base64
import hashlib
import subprocess
import tarfile

from common import BUILD, BuildError, say, write_if_changed

FOLDER = BUILD / "npm"


def check_integrity(name, data, pin):
    """Check that `data` is the package that is pinned.

    Raises:
        BuildError: it isn't.
    """
    digest = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    if digest != pin["integrity"]:
        raise BuildError(f"{name} {pin['version']} is not what is pinned: its hash is {digest}")


def fetch(name, pin, folder=FOLDER):
    """Fetch a package with npm, or find it fetched; return the file.

    Args:
        name: "uplot", "@esbuild/linux-x64".
        pin: its {"version", "integrity"}.

    Raises:
        BuildError: there is no npm, or it can't have the package.
    """
    file = folder / f"{name.lstrip('@').replace('/', '-')}-{pin['version']}.tgz"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "pack", "--silent", "--fetch-retries=1", "--fetch-timeout=20000"]
        command.append(f"{name}@{pin['version']}")
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise BuildError("npm is not installed; on Debian: apt-get install npm") from error
        if done.returncode or not file.is_file():
            raise BuildError(f"npm could not fetch {name}: {done.stderr.strip()[-300:]}")
    check_integrity(name, file.read_bytes(), pin)
    return file


def fetch_if_possible(name, pin, without):
    """As `fetch`, but None where it can't be had.

    Args:
        without: what is done then, for people; said the first time only, and not tried again
            until `make clean`.
    """
    refused = FOLDER / (name.replace("/", "-") + "-refused")
    key = str(pin).encode()
    if refused.is_file() and refused.read_bytes() == key:
        return None
    try:
        return fetch(name, pin)
    except BuildError as error:
        say(f"{without}, until `make clean`: {error}")
        write_if_changed(refused, key)
        return None


def read(package, name):
    """The bytes of one file of a package."""
    with tarfile.open(package) as tar:
        return tar.extractfile("package/" + name).read()
