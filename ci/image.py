"""One image of what ESP-IDF has built: its parts and their room, merging, the report of sizes."""

import dataclasses
import hashlib
import json
import re
import runpy
import subprocess
from pathlib import Path

import boards
from common import BUILD, ROOT, BuildError

DIST = ROOT / "dist"

# The programs of the ESP32 side: esptool, esp-idf-sbom and others.
ENVIRONMENT = BUILD / "venv-esp32"
REQUIREMENTS = ROOT / "ci" / "esp32.txt"

# Erased flash reads as ones: what no part of the image covers stays as it is after erasing.
ERASED = b"\xff"

# How far the prediction of the frozen modules' size may be off.
TOLERANCE = 0.02

# Nothing of any chip's memory map is below it.
FIRST_ADDRESS = 0x1000_0000


def label(board, variant):
    return f"{board.name}-{variant or 'default'}"


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of an image and the bytes that there is room for."""

    name: str
    offset: int
    file: Path
    room: int

    @property
    def data(self):
        return self.file.read_bytes()

    @property
    def size(self):
        return self.file.stat().st_size


def read_parts(board, objects, partitions):
    """Bootloader, partition table and app as flasher_args.json in the build folder has them."""
    arguments = json.loads((objects / "flasher_args.json").read_text())
    files = {int(offset, 16): name for offset, name in arguments["flash_files"].items()}
    app = boards.partition("factory", partitions)
    rooms = {
        board.bootloader_offset: ("bootloader", boards.PARTITION_TABLE_OFFSET),
        boards.PARTITION_TABLE_OFFSET: (
            "partition table",
            boards.PARTITION_TABLE_OFFSET + boards.PARTITION_TABLE_SIZE,
        ),
        app.offset: ("app", app.end),
    }
    if set(files) != set(rooms):
        found = ", ".join(f"{name} at {offset:#x}" for offset, name in sorted(files.items()))
        raise BuildError(f"the build made other parts than expected: {found}")
    return [
        Part(rooms[offset][0], offset, objects / name, rooms[offset][1] - offset)
        for offset, name in sorted(files.items())
    ]


def check_rooms(parts):
    """Check that each part fits into its room.

    Raises:
        BuildError: one is too large; the text says by how many bytes.
    """
    for part in parts:
        over = part.size - part.room
        if over > 0:
            raise BuildError(f"the {part.name} is {over} bytes too large for its {part.room}")


def merge(parts, chip, file, python):
    """One image to be flashed at 0x0, made by esptool.

    Args:
        parts: the `Part`s.
        chip: esptool's name of the chip.
        file: where esptool writes the image.
        python: of the environment that has esptool.

    Raises:
        BuildError: esptool refuses; the text is what it says.
    """
    command = [python, "-m", "esptool", "--chip", chip, "merge-bin", "--output", file]
    for part in parts:
        command += [hex(part.offset), part.file]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise BuildError(f"esptool made no image: {done.stdout}{done.stderr}")
    return file.read_bytes()


def frozen_size(map_text):
    """The bytes of the frozen modules in flash, from the linker's map."""
    lines = re.findall(
        r"(0x[0-9a-f]+)\s+(0x[0-9a-f]+)\s+\S*frozen_content\.c\.obj\)?$", map_text, re.MULTILINE
    )
    # What was discarded stands at address 0, debug information at its offset in the ELF file.
    return sum(int(size, 16) for address, size in lines if int(address, 16) >= FIRST_ADDRESS)


def static_memory(map_text):
    """(static DRAM, IRAM): bytes that the image takes of each, from the linker's map."""
    sizes = {}
    for name, size in re.findall(
        r"^\.(dram0\.data|dram0\.bss|iram0\.vectors|iram0\.text)\s+0x[0-9a-f]+\s+(0x[0-9a-f]+)",
        map_text,
        re.MULTILINE,
    ):
        memory = name.partition("0")[0]
        sizes[memory] = sizes.get(memory, 0) + int(size, 16)
    return sizes.get("dram", 0), sizes.get("iram", 0)


def check_frozen(name, linked, predicted, limit):
    """Hold the frozen modules of a linked image to the budget, and to what `make sizes` says.

    Args:
        name: of the image.
        linked: bytes by the map.
        predicted: bytes by `frozen_object`, None when it couldn't be made.
        limit: the board's budget.

    Raises:
        BuildError: over the budget, or over TOLERANCE off the prediction.
    """
    if linked > limit:
        over = linked - limit
        raise BuildError(f"{name}: the frozen modules are {over:,} bytes over {limit:,}")
    if predicted is not None and abs(linked - predicted) > TOLERANCE * linked:
        raise BuildError(
            f"{name}: the frozen modules take {linked:,} bytes where make sizes says {predicted:,}"
        )


def history_row(name, version, parts, frozen, memory):
    """The image's line in docs/sizes.md."""
    app = next(part for part in parts if part.name == "app").size
    numbers = " | ".join(f"{number:,}" for number in (app, frozen, *memory))
    return f"| {name} | {version} | {numbers} |"


def assets_size(path=BUILD / "assets" / "assets.py"):
    """The bytes of the packed page: heads and bodies."""
    assets = runpy.run_path(str(path))["ASSETS"]
    return sum(len(item) for asset in assets for item in asset if isinstance(item, bytes))


def size_report(parts, frozen, assets, memory):
    """The lines that say how the flash is used, and the chip's memory: static DRAM and IRAM."""
    app = next(part for part in parts if part.name == "app")
    free = app.room - app.size
    rows = [
        ("app", app.size),
        ("  frozen modules", frozen),
        ("    page and its assets", assets),
        ("room for the app", app.room),
        ("free", free),
        ("static DRAM", memory[0]),
        ("IRAM", memory[1]),
    ]
    lines = [f"  {name:24}{size:>10,}" for name, size in rows]
    return [*lines, f"  {100 * free / app.room:.0f} % of the app's room is free"]


def checksums(folder):
    """The text of SHA256SUMS for every other file in `folder`."""
    lines = []
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != "SHA256SUMS" and not path.name.endswith(".part"):
            lines.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    return "".join(lines)
