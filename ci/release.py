"""Publish the images in dist/ as the release of a tag: ``release.py TAG``.

Every image that board.json lists has to be there, with the tag as its version, and with the whole
page: a build that could not have its packages goes on without them. The libraries for mip go with
them. The notes list the images and
how to flash one, and gh adds what changed since the release before. SHA256SUMS goes with the
files.
"""

import json
import subprocess
import sys

import boards
import idf
import image
import third_party
import versions
from common import BUILD, BuildError, main, say, write_if_changed

# What belongs to an image, by the end of the file's name.
ENDINGS = (".bin", "-app.bin", ".elf", ".map", ".sbom.json")


def expected(tag):
    """The names of all files of a release but SHA256SUMS."""
    images = [
        f"{image.label(board, variant)}-{tag}{ending}"
        for board, variant in boards.pairs()
        for ending in ENDINGS
    ]
    return [*images, f"libraries-{tag}.zip"]


def check(names, tag):
    """Check that `names` are exactly the files of the release.

    Raises:
        BuildError: some are missing, or don't belong to it.
    """
    wanted = set(expected(tag))
    missing = sorted(wanted - set(names))
    foreign = sorted(set(names) - wanted)
    if missing or foreign:
        problems = [f"missing: {name}" for name in missing]
        problems += [f"does not belong to {tag}: {name}" for name in foreign]
        raise BuildError("dist/ is not the release:\n  " + "\n  ".join(problems))


def check_pages(folder, tag):
    """Check that every image was packed with what third_party adds to the page.

    Raises:
        BuildError: one wasn't.
    """
    wanted = {name for name, _, _ in third_party.LIBRARIES.values()}
    for board, variant in boards.pairs():
        path = folder / f"{image.label(board, variant)}-{tag}.sbom.json"
        found = {component["name"] for component in json.loads(path.read_text())["components"]}
        if wanted - found:
            missing = ", ".join(sorted(wanted - found))
            raise BuildError(f"{path.name}: the image was packed without {missing}")


def notes(tag):
    """The text of the release's page, above the changes, which gh lists."""
    pins, pin = versions.Pins.load(), idf.Idf.load()
    lines = [
        f"MicroPython {pins.tag}, ESP-IDF {pin.tag}.",
        "",
        "Flash the file for your board at 0x0, for example with esptool:",
        "",
        "```",
        f"esptool write-flash 0x0 ESP32_WEBSOCK-default-{tag}.bin",
        "```",
        "",
        "| File | Chip | For |",
        "|---|---|---|",
    ]
    for board, variant in boards.pairs():
        purpose = boards.variant_text(board, variant)
        name = f"{image.label(board, variant)}-{tag}.bin"
        lines.append(f"| `{name}` | {board.mcu} | {purpose} |")
    lines += [
        "",
        f"`libraries-{tag}.zip` has `httpd`, `websockets` and `transport` for `mip` on any board.",
    ]
    lines += ["", "Check a download with `sha256sum --check --ignore-missing SHA256SUMS`.", ""]
    return "\n".join(lines) + "\n"


def command(tag, notes_file, files):
    """The command that makes the release, as a list."""
    return [
        *("gh", "release", "create", tag, "--verify-tag", "--title", tag),
        *("--generate-notes", "--notes-file", str(notes_file), *map(str, files)),
    ]


def step():
    if len(sys.argv) != 2:
        raise BuildError("usage: release.py TAG")
    tag = sys.argv[1]
    if not image.DIST.is_dir():
        raise BuildError("there is no dist/; run make firmware-all first")
    files = [path for path in image.DIST.iterdir() if path.is_file()]
    names = [path.name for path in files if path.name != "SHA256SUMS"]
    check(names, tag)
    check_pages(image.DIST, tag)
    write_if_changed(image.DIST / "SHA256SUMS", image.checksums(image.DIST).encode())
    notes_file = BUILD / "notes.md"
    write_if_changed(notes_file, notes(tag).encode())
    files = sorted(path for path in image.DIST.iterdir() if path.is_file())
    say(f"release: {tag}, {len(files)} files")
    if subprocess.run(command(tag, notes_file, files)).returncode:
        raise BuildError("gh did not make the release")


if __name__ == "__main__":
    main(step)
