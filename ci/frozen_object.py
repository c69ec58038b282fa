"""Measure what the frozen modules take in an image, without ESP-IDF.

MicroPython freezes modules as C: mpy-tool writes it, the compiler makes one object of it, and the
linker takes that whole. This makes the object for a 32-bit computer, whose structures are as large
as the chip's, with the headers of the 32-bit host image, and the chip's own code in it as data. Of
an image that was built for the ESP32 it was 0.9 % below the linker's map.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import build_host
from common import BuildError

TARGET = build_host.TARGETS["32"]


def size(modules):
    """Bytes that `manifests.Module`s take together in flash.

    Raises:
        BuildError: there are no headers or no compiler for it.
    """
    tree = build_host.TREE
    headers = build_host.object_folder(TARGET)
    names = headers / "genhdr" / "qstrdefs.preprocessed.h"
    if not names.is_file():
        raise BuildError('the size of frozen modules is measured after "make host32"')
    cc = build_host.compiler()
    build_host.check_32_bit(cc)
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "frozen_content.c", Path(folder) / "frozen_content.o"
        tool = [sys.executable, tree / "tools" / "mpy-tool.py", "--freeze", "-q", names]
        written = run([*tool, "-mlongint-impl=mpz", *(module.code for module in modules)])
        source.write_text(written)
        command = [*cc.split(), "-m32", "-Os", "-std=gnu99", "-fno-pic", "-w"]
        # Each by itself: together they would be aligned as this computer likes it.
        command += ["-fdata-sections", "-ffunction-sections"]
        for include in (tree / "ports" / "unix", tree, headers, build_host.BOARD):
            command += ["-I", include]
        run([*command, "-DMICROPY_MODULE_FROZEN_MPY", "-c", source, "-o", made])
        sections = run(["size", "-A", made])
    allocated = re.findall(r"^\.(?:text|rodata|data)\S*\s+(\d+)", sections, re.MULTILINE)
    return sum(int(count) for count in allocated)


def run(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise BuildError(f"{Path(command[0]).name} failed: {done.stderr.strip()[-500:]}")
    return done.stdout
