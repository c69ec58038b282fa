"""Build the host image: the frozen firmware as a program for this computer.

``build_host.py 64`` makes build/host/{micropython,websock}, ``build_host.py 32`` the same in
build/host32 with objects as large as on the ESP32. Two more are for tests only: ``failing``, whose
allocations can be made to fail, and ``sanitized``, which ends at the first access out of bounds.
MicroPython's own make does the work, inside build/src/unix; what it prints goes to
build/<name>.log and is shown when it fails.
"""

import dataclasses
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import sources
from common import BUILD, ROOT, BuildError, locked, log_tail, main, say, write_if_changed

BOARD = ROOT / "boards" / "UNIX_WEBSOCK"
TREE = sources.SOURCE / "unix" / "micropython"

# mpy-cross's name for the machine that the frozen native and viper code runs on.
NATIVE_CODE = {"x86_64": "x64", "AMD64": "x64", "i686": "x86", "armv7l": "armv6"}


@dataclasses.dataclass(frozen=True)
class Target:
    """One host image: `name` is its folder below build/, `bits` 64 (native) or 32.

    `options` are further ones for make, `flags` for the compiler.
    """

    name: str
    bits: int
    options: tuple = ()
    flags: str = ""


# MicroPython's objects are smaller than C's; where it shifts, adds to NULL or copies nothing from
# there, it knows what gcc does.
ACCEPTED = "alignment,nonnull-attribute,pointer-overflow,shift"
SANITIZE = f"-fsanitize=address,undefined -fno-sanitize={ACCEPTED}"

TARGETS = {
    "64": Target("host", 64),
    "32": Target("host32", 32),
    "failing": Target("host-failing", 64, ("FAILING_ALLOCATIONS=1",)),
    "sanitized": Target("host-sanitized", 64, (f"LDFLAGS_EXTRA={SANITIZE}",), SANITIZE),
}


def compiler():
    """The C compiler: $CC, else gcc, else cc.

    Raises:
        BuildError: there is none.
    """
    for name in (os.environ.get("CC"), "gcc", "cc"):
        if name and shutil.which(name.split()[0]):
            return name
    raise BuildError("there is no C compiler; on Debian: apt-get install gcc libc6-dev")


def native_code(target):
    """The -march of mpy-cross for `target` on this machine, or None where it has none."""
    return "x86" if target.bits == 32 else NATIVE_CODE.get(platform.machine())


def object_folder(target, tree=TREE):
    return Path(tree) / "ports" / "unix" / f"build-{target.name}"


def mpy_cross_command(tree, cc, jobs):
    """The command that builds mpy-cross, as a list."""
    return ["make", "-C", f"{tree}/mpy-cross", f"-j{jobs}", f"CC={cc}", "CFLAGS_EXTRA=-Wno-error"]


def host_command(target, root, tree, cc, march, jobs):
    """The command that builds the interpreter with everything frozen in, as a list."""
    board = f"{root}/boards/UNIX_WEBSOCK"
    if target.bits == 32:
        # MicroPython's make would add it, but not to a compiler given on the command line.
        cc = f"{cc} -m32"
    command = [
        "make",
        "-C",
        f"{tree}/ports/unix",
        f"-j{jobs}",
        f"CC={cc}",
        # A newer compiler than MicroPython's release knows new warnings.
        f"CFLAGS_EXTRA=-Wno-error {target.flags}".rstrip(),
        f"BUILD=build-{target.name}",
        f"VARIANT_DIR={board}",
        f"BOARD_DIR={board}",
        f"FROZEN_MANIFEST={root}/manifest.py",
        f"USER_C_MODULES={board}/cmodules",
        # No manifest requires a package of micropython-lib, but make insists on the folder.
        f"MPY_LIB_DIR={tree}/lib",
        # Only mbedtls of MicroPython's submodules is there.
        "MICROPY_STANDALONE=1",
        "MICROPY_PY_BTREE=0",
        "MICROPY_PY_FFI=0",
    ]
    if march:
        command.append(f"MPY_CROSS_FLAGS=-march={march}")
    if target.bits == 32:
        command.append("MICROPY_FORCE_32BIT=1")
    return [*command, *target.options]


def build_environment(source):
    """The environment for make: without BUILD, which it would read, and with what
    py/makeversionhdr.py would else ask the repository around the build folder for."""
    environment = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    environment["MICROPY_GIT_TAG"] = f"v{source.version}"
    environment["MICROPY_GIT_HASH"] = source.way
    environment["SOURCE_DATE_EPOCH"] = str(source.date)
    return environment


# Our own make hands its variables and flags to the makes below it; these are not meant for them.
UNWANTED = ("BUILD", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "V")


def run(command, environment, log):
    """Run one make; its output goes to the end of `log`.

    Raises:
        BuildError: it failed; the text has the log's tail.
    """
    with open(log, "a") as output:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    if done.returncode:
        raise BuildError(f"make failed; the end of {log}:\n{log_tail(log)}")


def check_32_bit(cc):
    """Check that the compiler can make 32-bit programs.

    Raises:
        BuildError: it can't.
    """
    program = b'#include <stdio.h>\nint main(void) { return puts("") < 0; }\n'
    command = [*cc.split(), "-m32", "-x", "c", "-", "-o", os.devnull]
    if subprocess.run(command, input=program, capture_output=True).returncode:
        raise BuildError(f"{cc} makes no 32-bit programs; on Debian: apt-get install gcc-multilib")


def frozen_files():
    """The Python files that can be frozen, and the manifests that say which are."""
    files = [ROOT / "manifest.py", BOARD / "manifest.py"]
    for folder in (ROOT / "modules", BOARD / "modules", BUILD / "assets", BUILD / "generated"):
        files += sorted(folder.rglob("*.py"))
    return files


def forget_stale(objects, command):
    """Remove what make would take for up to date.

    make follows the time stamps of files that exist. It sees neither an option that changed nor
    a module that is gone.
    """
    options = json.dumps([command, (BOARD / "mpconfigvariant.mk").read_text()])
    stamp = objects / "options"
    if stamp.is_file() and stamp.read_text() != options:
        shutil.rmtree(objects)
    write_if_changed(stamp, options.encode())

    names = hashlib.sha256()
    for file in frozen_files():
        names.update(f"{file}\n".encode())
        if file.name == "manifest.py":
            names.update(file.read_bytes())
    if write_if_changed(objects / "frozen_names", names.hexdigest().encode()):
        (objects / "frozen_content.c").unlink(missing_ok=True)


def install(file, target):
    """Copy a program to `target` in one step: an image that runs keeps its old file."""
    if target.is_file() and target.read_bytes() == file.read_bytes():
        return False
    partial = target.with_name(target.name + ".part")
    shutil.copyfile(file, partial)
    partial.chmod(0o755)
    os.replace(partial, target)
    return True


def build(target):
    """Build one host image into build/<name>."""
    source = sources.recorded()
    cc = compiler()
    if target.bits == 32:
        check_32_bit(cc)
    jobs = os.cpu_count() or 1
    environment = build_environment(source)
    log = BUILD / f"{target.name}.log"
    log.write_text("")

    if not (TREE / "mpy-cross" / "build" / "mpy-cross").exists():
        say("build: mpy-cross")
        run(mpy_cross_command(TREE, cc, jobs), environment, log)

    command = host_command(target, ROOT, TREE, cc, native_code(target), jobs)
    objects = object_folder(target)
    forget_stale(objects, command)
    if not (objects / "micropython").exists():
        say(f"build: {target.name}, the first time (about a minute)")
    run(command, environment, log)

    output = BUILD / target.name
    output.mkdir(exist_ok=True)
    changed = install(objects / "micropython", output / "micropython")
    changed = install(BOARD / "websock", output / "websock") or changed
    state = "built" if changed else "up to date"
    say(f"build: {output.relative_to(ROOT)}/websock {state}")


def step():
    if len(sys.argv) != 2 or sys.argv[1] not in TARGETS:
        raise BuildError(f"usage: build_host.py {'|'.join(TARGETS)}")
    with locked(sources.SOURCE):
        build(TARGETS[sys.argv[1]])


if __name__ == "__main__":
    main(step)
