"""Write the frozen module `build_info`: which version of what this image is.

It ends up in the page's footer, in /health and in bug reports.
"""

import re
import tomllib
from pathlib import Path

import sources
from common import BUILD, ROOT, Unavailable, main, write_if_changed

OUTPUT = BUILD / "generated" / "build_info.py"

COMMIT = re.compile(r"[0-9a-f]{7,40}(-dirty)?")

TEMPLATE = '''"""What this image was built from; written by the build."""

VERSION = {version!r}
MICROPYTHON = {micropython!r}
SOURCE = {source!r}
'''


def project_version(root=ROOT):
    """The version by the last tag, or else by pyproject.toml, and which commit it is."""
    with open(root / "pyproject.toml", "rb") as file:
        version = tomllib.load(file)["project"]["version"]
    try:
        top = sources.git("rev-parse", "--show-toplevel", folder=root)
        if Path(top).resolve() == Path(root).resolve():
            found = sources.git("describe", "--tags", "--always", "--dirty", folder=root)
            # Without a tag it is a commit, which says little to people.
            return f"{version}+g{found}" if COMMIT.fullmatch(found) else found
    except Unavailable:
        pass
    return version


def module_text(version, source):
    """The module's text. `source` is a sources.Source."""
    return TEMPLATE.format(version=version, micropython=source.version, source=source.way)


def step():
    write_if_changed(OUTPUT, module_text(project_version(), sources.recorded()).encode())


if __name__ == "__main__":
    main(step)
