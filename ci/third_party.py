"""Files of other projects that the image serves beside the page's own.

They come from the packages that requirements.txt pins by hash, into the environment that the
minifier makes too; where that can't be had they are left out. Nothing in the page refers to them,
so a visit does not load them: they are for pages that users bring.
"""

import dataclasses
import re
import sysconfig
from pathlib import Path

import minifier
from common import BuildError, say

# Name below the served root -> path in the environment's packages. jQuery is what pages written
# for the example that this product goes back to load from /static/jquery.js.
FILES = {
    "static/jquery.js": "xstatic/pkg/jquery/data/jquery.min.js",
}

# The same name -> what it is called elsewhere, its licence, and where in it its version stands.
LIBRARIES = {
    "static/jquery.js": ("jquery", "MIT", rb"jQuery v([\d.]+)"),
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


def libraries(files):
    """The Libraries that `files`, as `load` returns them, are."""
    found = []
    for name, data in files.items():
        library, licence, version = LIBRARIES[name]
        found.append(Library(library, re.search(version, data)[1].decode(), licence, data))
    return found
