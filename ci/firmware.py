"""Build the ESP32 images into dist/.

``firmware.py BOARD [VARIANT]`` builds one image, ``firmware.py --all`` every one, and
``firmware.py --matrix`` prints what there is to build as JSON, for the workflow.

ESP-IDF of the pinned version does the work: the active one (idf.py on the path), the one that
IDF_PATH names, or its container. Each image ends up as dist/<board>-<variant>-<version>.bin, to be
flashed at 0x0, beside the app alone, its ELF and map files, an SBOM, and SHA256SUMS of all.
"""

import hashlib
import json
import os
import shutil
import sys

import boards
import build_info
import environment
import idf
import image
import patches
import sbom
import sizes
import sources
import third_party
import versions
from common import BUILD, BuildError, locked, log_tail, main, say, write_if_changed

OBJECTS = BUILD / "firmware"

# The files that decide what is built, besides the source: ESP-IDF keeps a build folder's sdkconfig
# and takes no notice of a fragment that changed.
CONFIGURATION = ("*.cmake", "*.h", "sdkconfig.*", "*.csv")


def idf_command(board, variant, tree, objects):
    """The command that builds one image, as a list."""
    command = ["idf.py", "-C", f"{tree}/ports/esp32", "-B", str(objects)]
    command += ["-D", f"MICROPY_BOARD={board.name}", "-D", f"MICROPY_BOARD_DIR={board.folder}"]
    if variant:
        command += ["-D", f"MICROPY_BOARD_VARIANT={variant}"]
    return [*command, "build"]


def build_variables(source, pins):
    """The variables that make an image depend on the source alone, and not on when it is built.

    py/makeversionhdr.py would else ask the repository around the build folder.
    """
    return {
        "MICROPY_GIT_TAG": pins.tag,
        "MICROPY_GIT_HASH": pins.commit[:10],
        "SOURCE_DATE_EPOCH": str(source.date),
    }


def configuration_key(board, command, pin, tools, tree):
    """A hash of what decides the configuration of a build folder, and the tools in it.

    Of MicroPython's tree it is what patches.prepare made it from: a file that lost its patch has
    the time stamp that it came with, from before it was compiled.
    """
    digest = hashlib.sha256(json.dumps([str(word) for word in command]).encode())
    digest.update(f"{pin.commit} {tools.way} {patches.stamp(tree).read_text()}".encode())
    for folder in (boards.COMMON, board.folder):
        for pattern in CONFIGURATION:
            for path in sorted(folder.glob(pattern)):
                digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest().encode()


def prepare(pin):
    """Obtain what is built: the tools, MicroPython with its patches, and the image's version."""
    tools = idf.choose_tools(pin, os.environ)
    pins = versions.Pins.load()
    source = sources.ensure(pins, os.environ.get("MICROPYTHON_DIR", ""))
    if f"v{source.version}" != pins.tag:
        raise BuildError(
            f"an ESP32 image is built from MicroPython {pins.tag}; what could be had is "
            f"{source.version} ({source.detail}).\n"
            f"Set MICROPYTHON_DIR to a clone of {pins.url} at {pins.tag}."
        )
    tree = patches.prepare("esp32")
    build_info.step()
    return tools, pins, source, tree


def build(board, variant, pin, tools, pins, source, tree):
    """Build one image and put it in dist/.

    Raises:
        BuildError: the build fails, or the image is too large.
    """
    name = image.label(board, variant)
    objects = OBJECTS / name
    command = idf_command(board, variant, tree, objects)
    key = configuration_key(board, command, pin, tools, tree)
    stamp = objects / "configuration"
    if not stamp.is_file() or stamp.read_bytes() != key:
        shutil.rmtree(objects, ignore_errors=True)
        write_if_changed(stamp, key)

    lock = tree / "ports" / "esp32" / "lockfiles" / f"dependencies.lock.{board.mcu}"
    pinned_lock = lock.read_text()
    log = OBJECTS / f"{name}.log"
    say(f"firmware: {name} by ESP-IDF {pin.tag} ({tools.engine or tools.way})")
    status = idf.run(tools, pin, command, build_variables(source, pins), log)
    if lock.read_text() != pinned_lock:
        lock.write_text(pinned_lock)
        raise BuildError(f"the build took other components than {lock.name} has; see {log}")
    partitions = boards.read_partitions()
    if status:
        over = idf.overflow(log.read_text(errors="replace"))
        if over is not None:
            room = boards.partition("factory", partitions).size
            raise BuildError(f"{name}: the app is {over} bytes too large for its {room}")
        raise BuildError(f"idf.py failed; the end of {log}:\n{log_tail(log)}")

    python = environment.ensure(image.ENVIRONMENT, image.REQUIREMENTS)
    parts = image.read_parts(board, objects, partitions)
    image.check_rooms(parts)
    map_text = (objects / "micropython.map").read_text(errors="replace")
    frozen, memory = image.frozen_size(map_text), image.static_memory(map_text)
    say("\n".join(image.size_report(parts, frozen, image.assets_size(), memory)))
    image.check_frozen(name, frozen, prediction(board, tree), sizes.budget(board))
    merged = image.merge(parts, board.mcu, objects / "image.bin", python)
    components = sbom.components(tools, pin, objects, log)
    version = build_info.project_version()
    bill = sbom.complete(
        components,
        name,
        version,
        merged,
        source.date,
        pins,
        third_party.libraries(third_party.load()),
    )
    stem = f"{name}-{version}"
    for old in image.DIST.glob(f"{name}-*"):
        old.unlink()
    app = next(part for part in parts if part.name == "app")
    write_if_changed(image.DIST / f"{stem}.bin", merged)
    write_if_changed(image.DIST / f"{stem}-app.bin", app.data)
    for extension in ("elf", "map"):
        built = (objects / f"micropython.{extension}").read_bytes()
        write_if_changed(image.DIST / f"{stem}.{extension}", built)
    write_if_changed(image.DIST / f"{stem}.sbom.json", json.dumps(bill, indent=2).encode() + b"\n")
    write_if_changed(image.DIST / "SHA256SUMS", image.checksums(image.DIST).encode())
    say("docs/sizes.md: " + image.history_row(name, version, parts, frozen, memory))
    say(f"firmware: dist/{stem}.bin, {len(merged):,} bytes, to be flashed at 0x0")


def prediction(board, tree):
    """What `make sizes` says of the board; None, and a line, when it can't be found out."""
    try:
        return sizes.predicted(board, tree)
    except BuildError as error:
        say(f"firmware: the sizes are not compared: {error}")
        return None


def matrix():
    """What there is to build, as the workflow takes it."""
    return {
        "include": [
            {"board": board.name, "variant": variant or "default"}
            for board, variant in boards.pairs()
        ]
    }


def step():
    arguments = sys.argv[1:]
    if arguments == ["--matrix"]:
        print(json.dumps(matrix()))
        return
    if arguments == ["--all"]:
        wanted = boards.pairs()
    elif len(arguments) in (1, 2) and not arguments[0].startswith("-"):
        variant = arguments[1] if len(arguments) == 2 else ""
        variant = "" if variant == "default" else variant
        wanted = [(boards.find(arguments[0], variant), variant)]
    else:
        raise BuildError("usage: firmware.py BOARD [VARIANT] | --all | --matrix")
    pin = idf.Idf.load()
    with locked(sources.SOURCE):
        prepared = prepare(pin)
        OBJECTS.mkdir(parents=True, exist_ok=True)
        for board, variant in wanted:
            build(board, variant, pin, *prepared)


if __name__ == "__main__":
    main(step)
