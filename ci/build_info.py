"""Write the frozen module `build_info`: which version of what this image is.

It ends up in the page's footer, in /health and in bug reports.
"""

import tomllib
from pathlib import Path

import sources
from common import BUILD, ROOT, Unavailable, main, write_if_changed

OUTPUT = BUILD / "generated" / "build_info.py"

TEMPLATE = '''"""What this image was built from; written by the build."""

VERSION = {version!r}
MICROPYTHON = {micropython!r}
SOURCE = {source!r}
'''


def project_version(root=ROOT):
    """`git describe` of the project; without git history, the version in pyproject.toml."""
    try:
        top = sources.git("rev-parse", "--show-toplevel", folder=root)
        if Path(top).resolve() == Path(root).resolve():
            return sources.git("describe", "--tags", "--always", "--dirty", folder=root)
    except Unavailable:
        pass
    with open(root / "pyproject.toml", "rb") as file:
        return tomllib.load(file)["project"]["version"]


def module_text(version, source):
    """The module's text. `source` is a sources.Source."""
    return TEMPLATE.format(version=version, micropython=source.version, source=source.way)


def step():
    write_if_changed(OUTPUT, module_text(project_version(), sources.recorded()).encode())


if __name__ == "__main__":
    main(step)
