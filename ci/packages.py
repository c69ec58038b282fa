"""Pack the libraries for `mip` and `mpremote mip`, as source and compiled for each architecture.

Native and viper code is the architecture's own, so each has an index of its own below dist/mip: a
folder that any web server can serve. It is laid out as mip expects:

    <variant>/package/<py or 6>/<name>/<version>.json    what belongs to a package, by hashes
    <variant>/file/<ab>/<abcdef12>                       the files
    <variant>/<name>/package.json, and its files         the same by names, to be looked at

usage: packages.py [ARCHIVE.zip]    the second time as a file, for a release
"""

import functools
import hashlib
import json
import os
import shutil
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import manifests
from common import ROOT, main, say

MODULES = ROOT / "modules"
OUTPUT = ROOT / "dist" / "mip"

# What each consists of, and which of the others it needs.
PACKAGES = {
    "transport": (("transport", "heap.py", "lazy.py"), ()),
    "http11": (("http11.py",), ("transport",)),
    "websockets": (("websockets", "utf8.py"), ("transport", "http11")),
    "httpd": (("httpd",), ("transport", "http11")),
}

# mpy-cross' names of what native code can be made for; "py" is source.
ARCHITECTURES = ("xtensawin", "xtensa", "rv32imc", "armv6m", "armv7emsp", "x64")
VARIANTS = ("py", *ARCHITECTURES)

# Characters of a file's SHA-256 in an index.
HASH = 8


def version():
    """The version of all of them: the library's own."""
    names = {}
    exec((MODULES / "websockets" / "version.py").read_text(), names)
    return names["__version__"]


def sources(name):
    """The files of a package, below modules/."""
    found = []
    for part in PACKAGES[name][0]:
        path = MODULES / part
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return [path.relative_to(MODULES) for path in found]


def content(path, variant):
    """(path, bytes) of a file in a variant.

    Raises:
        BuildError: the compiler refuses it.
    """
    if variant == "py":
        return path, (MODULES / path).read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.mpy"
        manifests.compile_module(MODULES / path, path.as_posix(), None, variant, made)
        return path.with_suffix(".mpy"), made.read_bytes()


def pack(output, variants=VARIANTS):
    """Write the indexes of all variants; what was there goes.

    Raises:
        BuildError: the compiler refuses a file.
    """
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for variant in variants:
            pack_variant(output / variant, variant, threads)
            say(f"packages: {output / variant}")


def pack_variant(folder, variant, threads):
    """Write the index of one variant."""
    shutil.rmtree(folder, ignore_errors=True)
    number = version()
    for name, (_, needed) in PACKAGES.items():
        about = {"v": 1, "version": number, "deps": [[each, number] for each in needed]}
        hashes, urls = [], []
        for path, data in threads.map(functools.partial(content, variant=variant), sources(name)):
            short = hashlib.sha256(data).hexdigest()[:HASH]
            hashes.append([path.as_posix(), short])
            urls.append([path.as_posix(), path.as_posix()])
            write(folder / "file" / short[:2] / short, data)
            write(folder / name / path, data)
        write_json(folder / name / "package.json", {**about, "urls": urls})
        for kind in ("py", "6") if variant == "py" else ("6",):
            for each in (number, "latest"):
                place = folder / "package" / kind / name / f"{each}.json"
                write_json(place, {**about, "hashes": hashes})


def archive(folder, path):
    """Write everything in a folder as a .zip, the same each time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for each in sorted(folder.rglob("*")):
            if each.is_file():
                about = zipfile.ZipInfo(each.relative_to(folder).as_posix())
                about.compress_type = zipfile.ZIP_DEFLATED
                file.writestr(about, each.read_bytes())


def step():
    pack(OUTPUT)
    for path in sys.argv[1:]:
        archive(OUTPUT, Path(path))
        say(f"packages: {path}")


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def write_json(path, value):
    write(path, json.dumps(value, indent=1).encode() + b"\n")


if __name__ == "__main__":
    main(step)
