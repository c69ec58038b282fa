"""Minify HTML, CSS, JavaScript, JSON and SVG with the library that requirements.txt pins.

It comes from PyPI into build/venv. A machine that can't have it still builds: the page is then
packed as it is written.
"""

import importlib
import posixpath
import site
import sysconfig

import environment
from common import BUILD, ROOT, BuildError, say, write_if_changed

FOLDER = BUILD / "venv"
REQUIREMENTS = ROOT / "ci" / "requirements.txt"
# That the library could not be had, so that not every build waits for PyPI to say so again.
REFUSED = BUILD / "minifier-refused"

MEDIA_TYPES = {
    ".css": "text/css",
    ".htm": "text/html",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}


def unchanged(name, data):
    """The minifier where there is none."""
    return data


def library():
    """The minifier's module, or None; says why not the first time."""
    key = environment.key_of(REQUIREMENTS)
    if REFUSED.is_file() and REFUSED.read_bytes() == key:
        return None
    try:
        environment.ensure(FOLDER, REQUIREMENTS)
    except BuildError as error:
        say(f"assets: packed without minifying, until `make clean`: {error}")
        write_if_changed(REFUSED, key)
        return None
    paths = {"base": str(FOLDER), "platbase": str(FOLDER)}
    site.addsitedir(sysconfig.get_path("platlib", scheme="venv", vars=paths))
    return importlib.import_module("minify")


def load():
    """A function minify(name, data) -> data; a file that it can't read is a BuildError."""
    module = library()
    if module is None:
        return unchanged

    def minify(name, data):
        media_type = MEDIA_TYPES.get(posixpath.splitext(name)[1])
        if media_type is None:
            return data
        try:
            return module.string(media_type, data.decode()).encode()
        except (module.MinifyError, UnicodeDecodeError) as error:
            raise BuildError(f"{name}: {error}") from error

    return minify
