"""Make the tree that one port is built from: the source as obtained, with that port's patches.

``ports_patch/series`` lists the patches. They go to a copy, build/src/<port>/micropython, so the
source itself stays as it came. The copy is made anew, and with it everything built inside, when
the source or one of the port's patches changes.
"""

import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import sources
from common import ROOT, BuildError, locked, main, say, write_if_changed

PATCHES = ROOT / "ports_patch"
PORTS = ("unix", "esp32")
# Large, and no build reads them.
NOT_BUILT = ("tests", "docs", "examples")


@dataclasses.dataclass(frozen=True)
class Patch:
    """One line of the series: a patch file, and the port (or "all") whose build needs it."""

    path: Path
    port: str


def read_series(folder=PATCHES):
    """The patches of `folder`/series in order.

    Raises:
        BuildError: a line that isn't one.
    """
    patches = []
    for number, line in enumerate((folder / "series").read_text().splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        if len(words) != 2 or words[1] not in (*PORTS, "all"):
            raise BuildError(f"{folder}/series:{number}: not 'FILE unix|esp32|all': {line!r}")
        path = folder / words[0]
        if not path.is_file():
            raise BuildError(f"{folder}/series:{number}: there is no {words[0]}")
        patches.append(Patch(path, words[1]))
    return patches


def of_port(patches, port):
    """The patch files that the build of `port` needs, in order."""
    return [patch.path for patch in patches if patch.port in (port, "all")]


def apply(tree, patch):
    """Apply one patch file to `tree`, whole or not at all."""
    tree = Path(tree).resolve()
    # Inside another repository's work tree, git would read the patch's paths from that
    # repository's top and skip them all without a word: it must not find one.
    environment = dict(os.environ, GIT_CEILING_DIRECTORIES=str(tree.parent), LC_ALL="C")
    environment.pop("GIT_DIR", None)
    done = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", str(patch)],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        reasons = done.stderr.replace("error: ", "  ").rstrip()
        version = sources.tree_version(tree)
        raise BuildError(
            f"{patch.name} does not apply to MicroPython {version}:\n{reasons}\n"
            "Port the patch to this version, or drop it from ports_patch/series if it is merged."
        )


def key_of(folder, patches):
    """What decides whether a port's tree is still the right one."""
    sources.recorded(folder)
    digest = hashlib.sha256((folder / "source.json").read_bytes())
    for patch in patches:
        digest.update(patch.name.encode() + b"\0" + patch.read_bytes() + b"\0")
    return digest.hexdigest().encode()


def stamp(tree):
    """The file beside a port's tree that says what `prepare` made it from."""
    return tree.parent / "patched"


def prepare(port, folder=sources.SOURCE, patches_folder=PATCHES):
    """Make sure of `folder`/`port`/micropython; return it. Patches are applied exactly once."""
    patches = of_port(read_series(patches_folder), port)
    key = key_of(folder, patches)
    tree = folder / port / "micropython"
    made_from = stamp(tree)
    if made_from.is_file() and made_from.read_bytes() == key:
        return tree
    shutil.rmtree(folder / port, ignore_errors=True)
    shutil.copytree(
        folder / "micropython",
        tree,
        symlinks=True,
        ignore=lambda place, _: NOT_BUILT if Path(place) == folder / "micropython" else (),
    )
    for patch in patches:
        apply(tree, patch)
        say(f"patch: {patch.name}")
    write_if_changed(made_from, key)
    return tree


def step():
    if len(sys.argv) != 2 or sys.argv[1] not in PORTS:
        raise BuildError(f"usage: patches.py {'|'.join(PORTS)}")
    with locked(sources.SOURCE):
        prepare(sys.argv[1])


if __name__ == "__main__":
    main(step)
