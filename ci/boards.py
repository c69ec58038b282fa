"""The ESP32 boards: what board.json and the partition table say, as data.

A board is a folder in boards/ with a board.json in MicroPython's format; its "variants" is the one
list of variants, to which the plain board adds the default, written "". The field "flash_mib" is
this project's: the least flash that the board's images are for.
"""

import dataclasses
import json
from pathlib import Path

from common import ROOT, BuildError

BOARDS = ROOT / "boards"
COMMON = BOARDS / "common"
PARTITIONS = COMMON / "partitions-4MiB.csv"

# What MicroPython's esp32_common.cmake gives mpy-cross as -march for a chip, and where its ROM
# expects the bootloader (ESP-IDF's BOOTLOADER_OFFSET_IN_FLASH).
CHIPS = {
    "esp32": ("xtensawin", 0x1000),
    "esp32s3": ("xtensawin", 0x0),
    "esp32c3": ("rv32imc", 0x0),
}

# ESP-IDF's PARTITION_TABLE_OFFSET, and the erase block of the flash.
PARTITION_TABLE_OFFSET = 0x8000
PARTITION_TABLE_SIZE = 0x1000
# An app is mapped into the address space by pages of this size.
APP_ALIGNMENT = 0x10000


@dataclasses.dataclass(frozen=True)
class Board:
    """One folder in boards/ with a board.json."""

    name: str
    folder: Path
    mcu: str
    product: str
    variants: tuple
    flash_size: int

    @property
    def architecture(self):
        return CHIPS[self.mcu][0]

    @property
    def bootloader_offset(self):
        return CHIPS[self.mcu][1]


@dataclasses.dataclass(frozen=True)
class Partition:
    """One line of a partition table; offset and size in bytes."""

    name: str
    type: str
    subtype: str
    offset: int
    size: int

    @property
    def end(self):
        return self.offset + self.size


def load(folder):
    """Read a board's board.json.

    Raises:
        BuildError: the text says what is wrong in it.
    """
    path = Path(folder) / "board.json"
    try:
        data = json.loads(path.read_text())
        variants = ("", *data["variants"])
        board = Board(
            path.parent.name,
            path.parent,
            data["mcu"],
            data["product"],
            variants,
            data["flash_mib"] * 1024 * 1024,
        )
    except (OSError, ValueError) as error:
        raise BuildError(f"{path}: {error}") from error
    except KeyError as error:
        raise BuildError(f"{path}: there is no {error}") from error
    if board.mcu not in CHIPS:
        raise BuildError(f'{path}: "mcu" is {board.mcu!r}, not one of {", ".join(CHIPS)}')
    return board


def read_all(folder=BOARDS):
    """Every board that has a board.json, by name."""
    return {path.parent.name: load(path.parent) for path in sorted(folder.glob("*/board.json"))}


def find(name, variant="", folder=BOARDS):
    """The board `name`.

    Raises:
        BuildError: it or the variant is unknown; the text says what there is.
    """
    known = read_all(folder)
    if name not in known:
        raise BuildError(f"there is no board {name!r}; there are {', '.join(known)}")
    board = known[name]
    if variant not in board.variants:
        listed = ", ".join(board.variants[1:]) or "none"
        raise BuildError(f"{name} has no variant {variant!r}; there are {listed}")
    return board


def variant_text(board, variant):
    """What a variant is for, from board.json."""
    data = json.loads((board.folder / "board.json").read_text())
    return data["variants"][variant] if variant else data["product"]


def pairs(folder=BOARDS):
    """Every (board, variant) that there is to build, in the order of board.json."""
    return [(board, variant) for board in read_all(folder).values() for variant in board.variants]


def parse_size(text):
    """A number of bytes as partition tables write it: 0x6000, 24K, 1M."""
    text = text.strip()
    factor = {"K": 1024, "M": 1024 * 1024}.get(text[-1:].upper())
    return int(text[:-1], 0) * factor if factor else int(text, 0)


def parse_partitions(text):
    """The partitions of a table in ESP-IDF's CSV format. Offsets have to be given."""
    partitions = []
    for number, line in enumerate(text.splitlines(), 1):
        fields = [field.strip() for field in line.split("#", 1)[0].split(",")]
        if fields == [""]:
            continue
        try:
            name, kind, subtype, offset, size = fields[:5]
            partitions.append(Partition(name, kind, subtype, parse_size(offset), parse_size(size)))
        except ValueError as error:
            raise BuildError(f"partition table, line {number}: {line!r}: {error}") from error
    return partitions


def check_partitions(partitions, flash_size):
    """Check that partitions lie in order and fit the flash.

    Raises:
        BuildError: they overlap, are out of line, or don't fit.
    """
    end = PARTITION_TABLE_OFFSET + PARTITION_TABLE_SIZE
    for partition in sorted(partitions, key=lambda partition: partition.offset):
        if partition.offset < end:
            raise BuildError(f"partition {partition.name} starts inside what is before it")
        if partition.type == "app" and partition.offset % APP_ALIGNMENT:
            raise BuildError(f"partition {partition.name} does not start at a 64 KiB boundary")
        if partition.offset % 0x1000 or partition.size % 0x1000:
            raise BuildError(f"partition {partition.name} does not fill whole 4 KiB blocks")
        end = partition.end
    if end > flash_size:
        raise BuildError(
            f"the partitions end at {end:#x}, {end - flash_size} bytes beyond the flash"
        )


def partition(label, partitions):
    """The partition with that name.

    Raises:
        BuildError: there is none.
    """
    for candidate in partitions:
        if candidate.name == label:
            return candidate
    raise BuildError(f"the partition table has no {label!r}")


def read_partitions(path=PARTITIONS):
    return parse_partitions(path.read_text())
