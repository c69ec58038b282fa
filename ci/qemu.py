"""Boot the QEMU image of dist/ in Espressif's QEMU: ``qemu.py HTTP_PORT WS_PORT``.

The REPL is on the terminal (Ctrl-A X ends it), the page at http://127.0.0.1:HTTP_PORT/. The flash
is build/qemu/flash.bin and keeps its settings until a newer image is built.
"""

import os
import shutil
import sys

import boards
import flash
from common import BUILD, BuildError, main, say
from image import ERASED

PROGRAM = "qemu-system-xtensa"
FLASH = BUILD / "qemu" / "flash.bin"
VARIANT = "QEMU"


def command(program, flash_file, http_port, ws_port):
    """The command that boots the flash, as a list."""
    forwards = f"hostfwd=tcp:127.0.0.1:{http_port}-:80,hostfwd=tcp:127.0.0.1:{ws_port}-:7777"
    return [
        *(program, "-nographic", "-machine", "esp32"),
        *("-drive", f"file={flash_file},if=mtd,format=raw"),
        *("-nic", f"user,model=open_eth,{forwards}"),
        # The emulator may be slower than the hardware watchdogs of the boot allow.
        *("-global", "driver=timer.esp32.timg,property=wdt_disable,value=true"),
    ]


def flash_image(image, size):
    """The whole flash of `size` bytes: the emulator takes 2, 4, 8 or 16 MiB, nothing between."""
    return image.ljust(size, ERASED)


def find():
    """The emulator's program, and the file of the newest image with its bytes for a whole flash.

    Raises:
        BuildError: there is no such program, or no image.
    """
    program = shutil.which(PROGRAM)
    if not program:
        raise BuildError(
            f"there is no {PROGRAM}. It is Espressif's, not the distribution's:\n"
            "install it with ESP-IDF (idf_tools.py install qemu-xtensa) and put it on the PATH"
        )
    board = boards.find("ESP32_WEBSOCK", VARIANT)
    image = flash.newest_image(board, VARIANT)
    return program, image, flash_image(image.read_bytes(), board.flash_size)


def step():
    if len(sys.argv) != 3:
        raise BuildError("usage: qemu.py HTTP_PORT WS_PORT")
    program, image, data = find()
    if not FLASH.is_file() or FLASH.stat().st_mtime < image.stat().st_mtime:
        FLASH.parent.mkdir(parents=True, exist_ok=True)
        FLASH.write_bytes(data)
    words = command(program, FLASH, *sys.argv[1:])
    say(f"qemu: {image.name}, http://127.0.0.1:{sys.argv[1]}/, Ctrl-A X ends it")
    os.execv(words[0], words)


if __name__ == "__main__":
    main(step)
