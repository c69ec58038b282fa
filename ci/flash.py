"""Flash, erase or watch a chip at a serial port.

``flash.py flash PORT BOARD [VARIANT]`` writes the newest image of dist/, after the chip and the
size of its flash were compared with the board's; ``flash.py erase PORT BOARD`` clears the whole
flash, settings included; ``flash.py monitor PORT`` is the REPL (Ctrl-] ends it). esptool and
mpremote of ci/esp32.txt do the work. PORT is a serial device, or a URL that pyserial knows; the
environment's BAUD is the rate that esptool talks at.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import boards
import image
import manifests
from common import BuildError, main, say

# Works with the USB bridges that boards carry; four times as fast as the ROM's own rate.
BAUD = 460800

# An image for the emulator is of no use on a chip.
NOT_FOR_CHIPS = ("QEMU",)


def baud():
    """The rate to talk at.

    Raises:
        BuildError: BAUD is no number.
    """
    text = os.environ.get("BAUD") or str(BAUD)
    if not re.fullmatch("[0-9]+", text):
        raise BuildError(f"BAUD={text} is no rate: make flash PORT=/dev/ttyUSB0 BAUD=115200")
    return text


def newest_image(board, variant, folder=None):
    """The merged image of a board in dist/, the newest if there are several versions."""
    folder = folder or image.DIST
    name = image.label(board, variant)
    images = [path for path in folder.glob(f"{name}-*.bin") if not path.name.endswith("-app.bin")]
    if not images:
        asked = f"BOARD={board.name}" + (f" VARIANT={variant}" if variant else "")
        raise BuildError(f"there is no image of {name}; make one with: make firmware {asked}")
    return max(images, key=lambda path: (path.stat().st_mtime, path.name))


def esptool_command(esptool, port, *arguments):
    """An esptool command, as a list."""
    return [str(esptool), "--port", port, "--baud", baud(), *arguments]


def parse_flash_id(text):
    """(chip, bytes of flash) from what `esptool flash-id` prints: ("esp32s3", 8388608)."""
    chip = re.search(r"^Connected to (ESP[\w-]+) on ", text, re.MULTILINE)
    size = re.search(r"^Detected flash size: (\d+)(KB|MB)$", text, re.MULTILINE)
    if not chip or not size:
        raise BuildError("the chip did not tell what it is and how large its flash is")
    factor = {"KB": 1024, "MB": 1024 * 1024}[size[2]]
    return chip[1].lower().replace("-", ""), int(size[1]) * factor


def ask(esptool, port):
    """Ask the chip at `port` what it is; returns what `esptool flash-id` prints."""
    command = esptool_command(esptool, port, "--after", "no-reset", "flash-id")
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reasons = re.findall(r"fatal error occurred: (.+)", done.stdout + done.stderr)
        raise BuildError(
            f"no chip answers at {port}: {reasons[-1] if reasons else 'esptool failed'}\n"
            "Is it the right port, and not open in another program? If the board has a BOOT "
            "button, hold it down while connecting."
        )
    return done.stdout


def check_chip(board, chip, flash_size):
    """Check that the chip is the board's and its flash is large enough.

    Raises:
        BuildError: it isn't; the text says what it is.
    """
    if chip != board.mcu:
        fitting = [name for name, other in boards.read_all().items() if other.mcu == chip]
        advice = f"; for this chip: BOARD={fitting[0]}" if fitting else ""
        raise BuildError(
            f"{board.name} is for the {board.mcu}, and this chip is an {chip}{advice}"
        )
    if flash_size < board.flash_size:
        raise BuildError(
            f"{board.name} needs {board.flash_size:,} bytes of flash, "
            f"and this chip has {flash_size:,}"
        )


def check_variant(board, variant, text):
    """Check that the variant's image can start on the chip that said `text`.

    Raises:
        BuildError: it can't.
    """
    name = image.label(board, variant)
    if variant in NOT_FOR_CHIPS:
        raise BuildError(f"{name} is for the emulator, see make qemu")
    # An image for two cores stops at its start on a chip with one.
    if board.mcu == "esp32" and re.search("^Features: .*Single Core", text, re.MULTILINE):
        if variant != "UNICORE":
            raise BuildError(f"{name} is for two cores, and this chip has one: VARIANT=UNICORE")


def write(esptool, port, board, image, offset=0):
    """Write a file to the chip, which esptool shows as a bar and verifies by hash."""
    command = esptool_command(esptool, port, "--chip", board.mcu)
    # The image's own header says how the flash is accessed: the build wrote it.
    command += ["write-flash", "--flash-mode", "keep", "--flash-size", "keep"]
    command += ["--flash-freq", "keep", f"{offset:#x}", str(image)]
    try:
        failed = subprocess.run(command).returncode
    except KeyboardInterrupt:
        failed = True
    if failed:
        raise BuildError(
            f"writing {Path(image).name} did not end well: the chip does not start as it is.\n"
            "Run the same command again; if it fails once more, use another cable or port, or add "
            "BAUD=115200."
        )


def flash(port, board, image, variant=""):
    """Check the chip, then write `image` to it."""
    esptool = manifests.tool("esptool")
    text = ask(esptool, port)
    chip, size = parse_flash_id(text)
    check_chip(board, chip, size)
    check_variant(board, variant, text)
    say(f"flash: {image.name}, {image.stat().st_size:,} bytes, to the {chip} at {port}")
    write(esptool, port, board, image)
    say("flash: written and verified")


def erase(port, board):
    """Check the chip, then erase its whole flash."""
    esptool = manifests.tool("esptool")
    check_chip(board, *parse_flash_id(ask(esptool, port)))
    command = esptool_command(esptool, port, "--chip", board.mcu, "erase-flash")
    if subprocess.run(command).returncode:
        raise BuildError("the flash could not be erased")


def monitor_command(mpremote, port):
    """The command that shows the REPL at `port`, as a list."""
    return [str(mpremote), "connect", port, "repl"]


def step():
    arguments = sys.argv[1:]
    if len(arguments) < 2 or arguments[0] not in ("flash", "erase", "monitor"):
        raise BuildError("usage: flash.py flash|erase|monitor PORT [BOARD [VARIANT]]")
    action, port, *rest = arguments
    if not port:
        raise BuildError(f"say which port: make {action} PORT=/dev/ttyUSB0")
    if action == "monitor":
        command = monitor_command(manifests.tool("mpremote"), port)
        os.execv(command[0], command)
    variant = rest[1] if len(rest) > 1 and rest[1] != "default" else ""
    board = boards.find(rest[0] if rest else "ESP32_WEBSOCK", variant)
    if action == "flash":
        flash(port, board, newest_image(board, variant), variant)
    else:
        erase(port, board)


if __name__ == "__main__":
    main(step)
