"""Files of other projects that the image serves beside the page's own.

jQuery comes from the packages that requirements.txt pins by hash, into the environment that the
minifier makes too, uPlot from npm; where one can't be had it is left out. No first visit loads
them: jQuery is for pages that users bring, uPlot for the page's charts, once one is opened.
"""

import dataclasses
import re
import sysconfig
from pathlib import Path

import minifier
import npm
import versions
from common import BuildError, say

# Name below the served root -> path in the environment's packages. jQuery is what pages written
# for the example that this product goes back to load from /static/jquery.js.
FILES = {
    "static/jquery.js": "xstatic/pkg/jquery/data/jquery.min.js",
}

# The same, -> path in uPlot's package.
UPLOT_FILES = {
    "static/uplot.js": "dist/uPlot.iife.min.js",
    "static/uplot.css": "dist/uPlot.min.css",
}

# Name -> what it is called elsewhere, its licence, and where in it its version stands; None where
# it doesn't: it is the pinned one.
LIBRARIES = {
    "static/jquery.js": ("jquery", "MIT", rb"jQuery v([\d.]+)"),
    "static/uplot.js": ("uplot", "MIT", None),
}


@dataclasses.dataclass(frozen=True)
class Library:
    """What one of the files is."""

    name: str
    version: str
    licence: str
    data: bytes


def load():
    """name -> bytes of the files that can be had."""
    return {**_jquery(), **_uplot()}


def _jquery():
    if minifier.library() is None:
        say(f"assets: packed without {', '.join(FILES)}")
        return {}
    paths = {"base": str(minifier.FOLDER), "platbase": str(minifier.FOLDER)}
    folder = Path(sysconfig.get_path("purelib", scheme="venv", vars=paths))
    files = {}
    for name, path in FILES.items():
        try:
            files[name] = (folder / path).read_bytes()
        except OSError as error:
            raise BuildError(f"{name}: not in its package ({error})") from error
    return files


def _uplot():
    pin = versions.load()["uplot"]
    package = npm.fetch_if_possible("uplot", pin, "assets: packed without charts")
    if package is None:
        return {}
    return {name: npm.read(package, path) for name, path in UPLOT_FILES.items()}


def libraries(files):
    """The Libraries that `files`, as `load` returns them, are."""
    found = []
    for name, (library, licence, pattern) in LIBRARIES.items():
        if name not in files:
            continue
        if pattern is None:
            version = versions.load()[library]["version"]
        else:
            version = re.search(pattern, files[name])[1].decode()
        found.append(Library(library, version, licence, files[name]))
    return found
