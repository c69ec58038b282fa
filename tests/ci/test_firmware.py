"""The build of ESP32 images: the command, the choice of tools, and what ends up in dist/.

The whole flow runs with fake_idf.py in the place of idf.py, which writes files of the real build's
form, and with the real esptool and esp-idf-sbom.
"""

import dataclasses
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from programs import run
from trees import micropython_files, write_files

import boards
import build_info
import firmware
import idf
import image
import patches
import sizes
import sources
import third_party
import versions
from common import ROOT, BuildError

IDF = idf.Idf.load()
PINS = versions.Pins.load()
BOARD = boards.find("ESP32_WEBSOCK")

LOCK = "dependencies:\n  espressif/mdns:\n    version: 1.1.0\n"


@pytest.mark.parametrize(("board", "variant"), boards.pairs())
def test_the_command_of_each_image(board, variant):
    expected = ["idf.py", "-C", "/src/ports/esp32", "-B", "/objects"]
    expected += ["-D", f"MICROPY_BOARD={board.name}"]
    expected += ["-D", f"MICROPY_BOARD_DIR={ROOT}/boards/{board.name}"]
    if variant:
        expected += ["-D", f"MICROPY_BOARD_VARIANT={variant}"]
    assert firmware.idf_command(board, variant, "/src", "/objects") == [*expected, "build"]


def test_the_matrix_is_what_board_json_lists():
    assert firmware.matrix() == {
        "include": [
            {"board": board.name, "variant": variant or "default"}
            for board in boards.read_all().values()
            for variant in board.variants
        ]
    }


# The flow


def idf_version(tag):
    """The file in which an ESP-IDF says its version."""
    numbers = zip(("MAJOR", "MINOR", "PATCH"), tag.removeprefix("v").split("."), strict=True)
    text = "".join(f"set(IDF_VERSION_{part} {number})\n" for part, number in numbers)
    return {"tools/cmake/version.cmake": text}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder to build in, and a function that puts a stand-in for idf.py on the path."""
    tree = tmp_path / "src" / "esp32" / "micropython"
    write_files(tree, micropython_files())
    write_files(tree, {"ports/esp32/lockfiles/dependencies.lock.esp32": LOCK})
    patches.stamp(tree).write_text("a source and its patches")
    source = sources.Source("dir", "1.28.0", "a test", 1234567890)
    monkeypatch.setattr(image, "DIST", tmp_path / "dist")
    monkeypatch.setattr(firmware, "OBJECTS", tmp_path / "firmware")
    monkeypatch.setattr(image, "assets_size", lambda: 8000)
    monkeypatch.setattr(sizes, "predicted", lambda board, tree: 0x120)
    page = {"static/jquery.js": b"/*! jQuery v3.5.1 */"}
    monkeypatch.setattr(third_party, "load", lambda: page)
    monkeypatch.setattr(build_info, "project_version", lambda: "v1.2.3")
    (tmp_path / "firmware").mkdir()
    record = tmp_path / "seen.json"

    def build(variant="", behaviour="", version="v5.5.1", **environment):
        (tmp_path / "bin").mkdir(exist_ok=True)
        shutil.copy(Path(__file__).with_name("fake_idf.py"), tmp_path / "bin" / "idf.py")
        write_files(tmp_path, idf_version(version))
        environment["PATH"] = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        environment["IDF_PATH"] = str(tmp_path)
        environment["FAKE_RECORD"] = str(record)
        environment["FAKE_VERSION"] = version
        environment["FAKE_BEHAVIOUR"] = behaviour
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        tools = idf.Tools("active")
        firmware.build(BOARD, variant, IDF, tools, PINS, source, tree)
        return json.loads(record.read_text())

    build.folder = tmp_path
    build.tree = tree
    return build


def test_an_image_ends_up_in_dist_with_everything_beside_it(project, capsys):
    command, seen = project(BUILD="elsewhere", MAKEFLAGS="-j9")
    objects = project.folder / "firmware" / "ESP32_WEBSOCK-default"
    assert command == firmware.idf_command(BOARD, "", project.tree, objects)[1:]
    assert seen == {
        "MICROPY_GIT_TAG": "v1.28.0",
        "MICROPY_GIT_HASH": PINS.commit[:10],
        "SOURCE_DATE_EPOCH": "1234567890",
        "BUILD": None,
        "MAKEFLAGS": None,
    }
    dist = project.folder / "dist"
    stem = "ESP32_WEBSOCK-default-v1.2.3"
    names = {f"{stem}{end}" for end in (".bin", "-app.bin", ".elf", ".map", ".sbom.json")}
    assert {path.name for path in dist.iterdir()} == {*names, "SHA256SUMS"}

    data = (dist / f"{stem}.bin").read_bytes()
    assert data[:0x1000] == b"\xff" * 0x1000
    assert data[0x1000 : 0x1000 + 20000] == b"B" * 20000
    assert data[0x8000 : 0x8000 + 3072] == b"P" * 3072
    assert data[0x10000:] == b"A" * 100000
    assert (dist / f"{stem}-app.bin").read_bytes() == b"A" * 100000

    for line in (dist / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == digest
        names.remove(name)
    assert not names

    bill = json.loads((dist / f"{stem}.sbom.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    found = {component["name"]: component["version"] for component in bill["components"]}
    # By esp-idf-sbom: ESP-IDF, and of its components those that were linked.
    assert found.pop("component-main") is not None
    assert found == {
        "micropython": "v1.28.0",
        "esp-idf": "5.5.1",
        "component-espressif__mdns": "1.1.0",
        "jquery": "3.5.1",
    }
    component = bill["metadata"]["component"]
    assert (component["name"], component["version"]) == ("ESP32_WEBSOCK-default", "v1.2.3")
    assert component["hashes"][0]["content"] == hashlib.sha256(data).hexdigest()
    assert bill["metadata"]["timestamp"] == "2009-02-13T23:31:30+00:00"

    printed = capsys.readouterr().out
    room = 0x280000
    for what, size in (("app", 100000), ("frozen modules", 0x120), ("free", room - 100000)):
        assert f"{what:{24 if what != 'frozen modules' else 22}}{size:>10,}" in printed
    assert "96 % of the app's room is free" in printed


def test_frozen_modules_that_are_not_as_predicted_are_an_error(project, monkeypatch):
    monkeypatch.setattr(sizes, "predicted", lambda board, tree: 0x130)
    with pytest.raises(BuildError, match="take 288 bytes where make sizes says 304"):
        project()
    assert not (project.folder / "dist").exists()
    monkeypatch.setattr(sizes, "budget", lambda board: 287)
    with pytest.raises(BuildError, match="frozen modules are 1 bytes over 287"):
        project()


def test_without_a_prediction_the_image_is_held_to_the_budget_alone(project, monkeypatch, capsys):
    def predicted(board, tree):
        raise BuildError("there are no headers")

    monkeypatch.setattr(sizes, "predicted", predicted)
    project()
    printed = capsys.readouterr().out
    assert "firmware: the sizes are not compared: there are no headers" in printed
    row = "docs/sizes.md: | ESP32_WEBSOCK-default | v1.2.3 | 100,000 | 288 | 0 | 0 |"
    assert row in printed


def test_the_same_build_gives_the_same_files(project):
    project()
    dist = project.folder / "dist"
    first = {path.name: path.read_bytes() for path in dist.iterdir()}
    project()
    assert {path.name: path.read_bytes() for path in dist.iterdir()} == first


def test_images_of_other_variants_stay_and_are_in_the_sums(project):
    project()
    project("QEMU")
    sums = (project.folder / "dist" / "SHA256SUMS").read_text()
    assert "ESP32_WEBSOCK-QEMU-v1.2.3.bin" in sums
    assert "ESP32_WEBSOCK-default-v1.2.3.bin" in sums


def test_a_changed_configuration_starts_from_an_empty_build_folder(project, monkeypatch):
    project()
    leftover = project.folder / "firmware" / "ESP32_WEBSOCK-default" / "sdkconfig"
    leftover.write_text("CONFIG_OLD=y\n")
    project()
    assert leftover.exists()
    monkeypatch.setattr(firmware, "configuration_key", lambda *arguments: b"another")
    project()
    assert not leftover.exists()


def test_the_configuration_key_follows_all_that_decides_a_build_folder(tmp_path, monkeypatch):
    common = write_files(tmp_path / "common", {"sdkconfig.product": "CONFIG_A=y\n"})
    monkeypatch.setattr(boards, "COMMON", common)
    tree = tmp_path / "esp32" / "micropython"
    tree.mkdir(parents=True)
    patches.stamp(tree).write_text("with a patch")

    def key(command=("idf.py",), pin=IDF, tools="active"):
        return firmware.configuration_key(BOARD, command, pin, idf.Tools(tools), tree)

    before = key()
    assert key() == before
    assert key(["idf.py", "-v"]) != before
    assert key(pin=dataclasses.replace(IDF, commit="another")) != before
    assert key(tools="container") != before
    patches.stamp(tree).write_text("without it")
    assert key() != before
    patches.stamp(tree).write_text("with a patch")
    write_files(common, {"sdkconfig.product": "CONFIG_A=n\n"})
    assert key() != before


def test_a_failed_build_shows_the_end_of_its_log_and_leaves_dist_alone(project):
    with pytest.raises(BuildError) as error:
        project(behaviour='print("undefined reference to `abort_\'"); sys.exit(2)')
    assert "undefined reference to `abort_'" in str(error.value)
    assert not (project.folder / "dist").exists()


def test_an_app_that_is_too_large_for_esp_idf_is_an_error_with_the_bytes_over(project):
    with pytest.raises(BuildError, match="app is 4660 bytes too large for its 2621440"):
        project(behaviour='print("(overflow 0x1234)"); sys.exit(2)')


def test_an_app_that_is_too_large_for_the_partition_is_an_error(project):
    with pytest.raises(BuildError, match="the app is 1 bytes too large for its 2621440"):
        project(FAKE_APP_SIZE=str(0x280001))
    assert not (project.folder / "dist").exists()


def test_another_esp_idf_than_the_pinned_one_is_noticed(project):
    with pytest.raises(BuildError, match=r"built with ESP-IDF 5\.4\.2, not v5\.5\.1"):
        project(version="v5.4.2")
    assert not (project.folder / "dist").exists()


def test_a_build_without_a_description_has_no_list_of_components(project):
    behaviour = "import atexit; atexit.register((objects / 'project_description.json').unlink)"
    with pytest.raises(BuildError, match="there is no list of components") as error:
        project(behaviour=behaviour)
    assert "project_description.json" in str(error.value)
    assert not (project.folder / "dist").exists()


def test_other_components_than_the_locked_ones_are_an_error(project):
    lock = project.tree / "ports/esp32/lockfiles/dependencies.lock.esp32"
    with pytest.raises(BuildError, match=r"other components than dependencies\.lock\.esp32 has"):
        project(behaviour=f'Path({str(lock)!r}).write_text("other")')
    # The next build starts from the pinned ones again.
    assert lock.read_text() == LOCK


def test_another_micropython_than_the_pinned_one_is_refused(monkeypatch):
    source = sources.Source("debian", "1.26.1", "Debian source package", 0)
    monkeypatch.setattr(idf, "choose_tools", lambda *arguments: idf.Tools("active"))
    monkeypatch.setattr(sources, "ensure", lambda *arguments: source)
    monkeypatch.setattr(patches, "prepare", lambda port: pytest.fail("patches were applied"))
    with pytest.raises(
        BuildError, match=r"from MicroPython v1\.28\.0; what could be had is 1\.26"
    ):
        firmware.prepare(IDF)


def test_the_program_says_what_it_takes():
    program = [sys.executable, ROOT / "ci" / "firmware.py"]
    done = run([*program])
    assert done.returncode == 1
    assert "usage: firmware.py BOARD [VARIANT]" in done.stderr
    done = run([*program, "ESP32_WEBSOCK", "NOSUCH"])
    assert (done.returncode, done.stdout) == (1, "")
    assert "has no variant 'NOSUCH'" in done.stderr
    assert json.loads(run([*program, "--matrix"]).stdout) == firmware.matrix()
