"""Build the ESP32 images into dist/.

``firmware.py BOARD [VARIANT]`` builds one image, ``firmware.py --all`` every one, and
``firmware.py --matrix`` prints what there is to build as JSON, for the workflow.

ESP-IDF of the pinned version does the work: the active one (idf.py on the path), the one that
IDF_PATH names, or its container. Each image ends up as dist/<board>-<variant>-<version>.bin, to be
flashed at 0x0, beside the app alone, its ELF and map files, an SBOM, and SHA256SUMS of all.
"""

import dataclasses
import hashlib
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import boards
import build_info
import patches
import sources
import third_party
from common import BUILD, ROOT, BuildError, locked, log_tail, main, say, write_if_changed

DIST = ROOT / "dist"
OBJECTS = BUILD / "firmware"

# Our own make hands its variables and flags to the makes below it; these are not meant for them.
UNWANTED = ("BUILD", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "V")

# Takes the environment that ESP-IDF's export.sh makes, then becomes the command.
WITH_EXPORT = '. "$IDF_PATH/export.sh" >/dev/null && exec "$@"'

# Erased flash reads as ones: what no part of the image covers stays as it is after erasing.
ERASED = b"\xff"

# Nothing of any chip's memory map is below it.
FIRST_ADDRESS = 0x1000_0000

# The files that decide what is built, besides the source: ESP-IDF keeps a build folder's sdkconfig
# and takes no notice of a fragment that changed.
CONFIGURATION = ("*.cmake", "*.h", "sdkconfig.*", "*.csv")


@dataclasses.dataclass(frozen=True)
class Idf:
    """The pinned ESP-IDF; see versions.toml."""

    url: str
    tag: str
    commit: str

    @classmethod
    def load(cls, path=sources.PINS_FILE):
        with open(path, "rb") as file:
            return cls(**tomllib.load(file)["esp_idf"])

    @property
    def image(self):
        return f"docker.io/espressif/idf:{self.tag}"


@dataclasses.dataclass(frozen=True)
class Tools:
    """How idf.py is run: `way` is active, idf_path or container; `engine` docker or podman.

    `rootless`: docker's daemon runs as who calls it, who is root in its containers then.
    """

    way: str
    engine: str = ""
    rootless: bool = False


def said(command):
    """The output of a command, or "" when it can't be run or fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def idf_path_version(folder):
    """The version of the ESP-IDF in `folder`, as its tag: "v5.5.1"; "" when it is none."""
    try:
        text = (Path(folder) / "tools" / "cmake" / "version.cmake").read_text()
    except OSError:
        return ""
    values = dict(re.findall(r"set\(IDF_VERSION_(\w+) (\d+)\)", text))
    if len(values) != 3:
        return ""
    return f"v{values['MAJOR']}.{values['MINOR']}.{values['PATCH']}"


def choose_tools(idf, environment, which=shutil.which, ask=said):
    """The first way to run the pinned ESP-IDF that is there.

    `which` finds a program, `ask` returns a command's output.

    Raises:
        BuildError: there is none; three lines say what to install.
    """
    if which("idf.py") and environment.get("IDF_PATH"):
        version = re.search(r"v[\d.]+\S*", ask(["idf.py", "--version"]))
        if version and version[0] == idf.tag:
            return Tools("active")
        say(f"firmware: the active ESP-IDF is {version[0] if version else 'unknown'}: not used")
    folder = environment.get("IDF_PATH")
    if folder:
        version = idf_path_version(folder)
        if version == idf.tag:
            return Tools("idf_path")
        say(f"firmware: IDF_PATH={folder} is {version or 'not an ESP-IDF'}: not used")
    for engine in ("docker", "podman"):
        # A docker without its daemon is as good as none.
        answer = ask([engine, "info"]) if which(engine) else ""
        if answer:
            return Tools("container", engine, engine == "docker" and "rootless" in answer)
    raise BuildError(
        f"an ESP32 image needs ESP-IDF {idf.tag}, which is not here. Do one of these:\n"
        f"  install docker or podman; the build then uses the container {idf.image}\n"
        f"  git clone --recursive -b {idf.tag} {idf.url}; run its install.sh; set IDF_PATH to it"
    )


def label(board, variant):
    return f"{board.name}-{variant or 'default'}"


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


def run_command(tools, idf, command, variables, root, user):
    """`command` as it is run by `tools`, as a list. `user` is (uid, gid)."""
    if tools.way == "active":
        return command
    if tools.way == "idf_path":
        return ["bash", "-c", WITH_EXPORT, "bash", *command]
    container = [tools.engine, "run", "--rm", "--volume", f"{root}:{root}", "--workdir", str(root)]
    # Where SELinux guards files, it keeps containers from those of a home folder.
    container += ["--security-opt", "label=disable"]
    # What is built belongs to who builds it. Podman's root is who runs it, and older releases
    # refuse to keep the id of the real one.
    if tools.engine == "podman":
        container += ["--userns", "keep-id"] if user[0] else []
    elif not tools.rootless:
        container += ["--user", f"{user[0]}:{user[1]}"]
    # idf.py and git want a home; the folder belongs to somebody else than the container's root.
    settings = {"HOME": "/tmp", "IDF_GIT_SAFE_DIR": str(root), **variables}
    for name, value in settings.items():
        container += ["--env", f"{name}={value}"]
    return [*container, idf.image, *command]


def configuration_key(board, command, idf, tools, tree):
    """A hash of what decides the configuration of a build folder, and the tools in it.

    Of MicroPython's tree it is what patches.prepare made it from: a file that lost its patch has
    the time stamp that it came with, from before it was compiled.
    """
    digest = hashlib.sha256(json.dumps([str(word) for word in command]).encode())
    digest.update(f"{idf.commit} {tools.way} {patches.stamp(tree).read_text()}".encode())
    for folder in (boards.COMMON, board.folder):
        for pattern in CONFIGURATION:
            for path in sorted(folder.glob(pattern)):
                digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest().encode()


def overflow(log):
    """By how many bytes the app is too large, according to ESP-IDF's log; None when it fits."""
    match = re.search(r"overflow (0x[0-9a-fA-F]+)", log)
    return int(match[1], 16) if match else None


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of an image and the bytes that there is room for."""

    name: str
    offset: int
    data: bytes
    room: int


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
        Part(rooms[offset][0], offset, (objects / name).read_bytes(), rooms[offset][1] - offset)
        for offset, name in sorted(files.items())
    ]


def merge(parts):
    """One image to be flashed at 0x0.

    Raises:
        BuildError: a part is too large; the text says by how many bytes.
    """
    image = b""
    for part in sorted(parts, key=lambda part: part.offset):
        over = len(part.data) - part.room
        if over > 0:
            raise BuildError(f"the {part.name} is {over} bytes too large for its {part.room}")
        image = image.ljust(part.offset, ERASED) + part.data
    return image


def frozen_size(map_text):
    """The bytes of the frozen modules in flash, from the linker's map."""
    lines = re.findall(
        r"(0x[0-9a-f]+)\s+(0x[0-9a-f]+)\s+\S*frozen_content\.c\.obj\)?$", map_text, re.MULTILINE
    )
    # What was discarded stands at address 0, debug information at its offset in the ELF file.
    return sum(int(size, 16) for address, size in lines if int(address, 16) >= FIRST_ADDRESS)


def assets_size(path=BUILD / "assets" / "assets.py"):
    """The bytes of the packed page: heads and bodies."""
    assets = runpy.run_path(str(path))["ASSETS"]
    return sum(len(item) for asset in assets for item in asset if isinstance(item, bytes))


def size_report(parts, frozen, assets):
    """The lines that say how the flash is used."""
    app = next(part for part in parts if part.name == "app")
    free = app.room - len(app.data)
    rows = [
        ("app", len(app.data)),
        ("  frozen modules", frozen),
        ("    page and its assets", assets),
        ("room for the app", app.room),
        ("free", free),
    ]
    lines = [f"  {name:24}{size:>10,}" for name, size in rows]
    return [*lines, f"  {100 * free / app.room:.0f} % of the app's room is free"]


def locked_components(text):
    """(name, version, hash) of the components in an ESP-IDF lock file, without ESP-IDF itself."""
    return re.findall(
        r"^  (\S+/\S+):\n    component_hash: (\w+)\n(?:    .*\n)*?    version: (\S+)$",
        text,
        re.MULTILINE,
    )


def sbom(name, version, image, pins, idf, lock, libraries):
    """What an image is made of, as a CycloneDX 1.5 document (a dict).

    `lock` is the text of ESP-IDF's lock file, `libraries` what the page has of third_party.
    """

    def source(what, url, tag, commit, licence):
        return {
            "type": "framework",
            "name": what,
            "version": tag,
            "licenses": [{"license": {"id": licence}}],
            "externalReferences": [{"type": "vcs", "url": url, "comment": f"commit {commit}"}],
        }

    components = [
        source("micropython", pins.url, pins.tag, pins.commit, "MIT"),
        source("esp-idf", idf.url, idf.tag, idf.commit, "Apache-2.0"),
    ]
    for what, digest, release in locked_components(lock):
        components.append(
            {
                "type": "library",
                "name": what,
                "version": release,
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }
        )
    for library in libraries:
        components.append(
            {
                "type": "library",
                "name": library.name,
                "version": library.version,
                "purl": f"pkg:npm/{library.name}@{library.version}",
                "licenses": [{"license": {"id": library.licence}}],
                "hashes": [
                    {"alg": "SHA-256", "content": hashlib.sha256(library.data).hexdigest()}
                ],
            }
        )
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "firmware",
                "name": name,
                "version": version,
                "licenses": [{"license": {"id": "MIT"}}],
                "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(image).hexdigest()}],
            }
        },
        "components": components,
    }


def checksums(folder):
    """The text of SHA256SUMS for every other file in `folder`."""
    lines = []
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != "SHA256SUMS" and not path.name.endswith(".part"):
            lines.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    return "".join(lines)


def prepare(idf):
    """Obtain what is built: the tools, MicroPython with its patches, and the image's version."""
    tools = choose_tools(idf, os.environ)
    pins = sources.Pins.load()
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


def build(board, variant, idf, tools, pins, source, tree):
    """Build one image and put it in dist/.

    Raises:
        BuildError: the build fails, or the image is too large.
    """
    name = label(board, variant)
    objects = OBJECTS / name
    command = idf_command(board, variant, tree, objects)
    key = configuration_key(board, command, idf, tools, tree)
    stamp = objects / "configuration"
    if not stamp.is_file() or stamp.read_bytes() != key:
        shutil.rmtree(objects, ignore_errors=True)
        write_if_changed(stamp, key)

    lock = tree / "ports" / "esp32" / "lockfiles" / f"dependencies.lock.{board.mcu}"
    pinned_lock = lock.read_text()
    variables = build_variables(source, pins)
    environment = {key: value for key, value in os.environ.items() if key not in UNWANTED}
    log = OBJECTS / f"{name}.log"
    say(f"firmware: {name} by ESP-IDF {idf.tag} ({tools.engine or tools.way})")
    with open(log, "w") as output:
        done = subprocess.run(
            run_command(tools, idf, command, variables, ROOT, (os.getuid(), os.getgid())),
            env={**environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    if lock.read_text() != pinned_lock:
        lock.write_text(pinned_lock)
        raise BuildError(f"the build took other components than {lock.name} has; see {log}")
    partitions = boards.read_partitions()
    if done.returncode:
        over = overflow(log.read_text(errors="replace"))
        if over is not None:
            room = boards.partition("factory", partitions).size
            raise BuildError(f"{name}: the app is {over} bytes too large for its {room}")
        raise BuildError(f"idf.py failed; the end of {log}:\n{log_tail(log)}")

    parts = read_parts(board, objects, partitions)
    image = merge(parts)
    version = build_info.project_version()
    stem = f"{name}-{version}"
    for old in DIST.glob(f"{name}-*"):
        old.unlink()
    app = next(part for part in parts if part.name == "app")
    libraries = third_party.libraries(third_party.load())
    bill = sbom(name, version, image, pins, idf, pinned_lock, libraries)
    write_if_changed(DIST / f"{stem}.bin", image)
    write_if_changed(DIST / f"{stem}-app.bin", app.data)
    for extension in ("elf", "map"):
        write_if_changed(
            DIST / f"{stem}.{extension}", (objects / f"micropython.{extension}").read_bytes()
        )
    write_if_changed(DIST / f"{stem}.sbom.json", json.dumps(bill, indent=2).encode() + b"\n")
    write_if_changed(DIST / "SHA256SUMS", checksums(DIST).encode())
    frozen = frozen_size((objects / "micropython.map").read_text(errors="replace"))
    say("\n".join(size_report(parts, frozen, assets_size())))
    say(f"firmware: dist/{stem}.bin, {len(image):,} bytes, to be flashed at 0x0")


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
    idf = Idf.load()
    with locked(sources.SOURCE):
        prepared = prepare(idf)
        OBJECTS.mkdir(parents=True, exist_ok=True)
        for board, variant in wanted:
            build(board, variant, idf, *prepared)


if __name__ == "__main__":
    main(step)
