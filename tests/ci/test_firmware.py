"""The build of ESP32 images: the command, the choice of tools, and what ends up in dist/.

The whole flow runs with a stand-in for idf.py that writes files of the real build's form.
"""

import dataclasses
import hashlib
import json
import os
import sys
from pathlib import Path

import pytest
from programs import run
from trees import micropython_files, write_files

import boards
import build_info
import firmware
import patches
import sources
import third_party
from common import ROOT, BuildError

IDF = firmware.Idf.load()
PINS = sources.Pins.load()
BOARD = boards.find("ESP32_WEBSOCK")

# MicroPython's ports/esp32/lockfiles/dependencies.lock.esp32 in form.
LOCK = """\
dependencies:
  espressif/lan867x:
    component_hash: 0ff9
    dependencies:
    - name: idf
      require: private
      version: '>=5.3'
    targets:
    - esp32
    version: 1.0.3
  espressif/mdns:
    component_hash: 46ee
    dependencies: []
    source:
      type: service
    version: 1.1.0
  idf:
    source:
      type: idf
    version: 5.5.1
"""
MAP = """\
Discarded input sections

 .rodata.unused 0x0000000000000000      0x999 esp-idf/main/libmain.a(frozen_content.c.obj)

Linker script and memory map

 .rodata.mp_frozen_names
                0x000000003f401000      0x100 esp-idf/main/libmain.a(frozen_content.c.obj)
 .text.one      0x00000000400d2000       0x20 esp-idf/main/libmain.a(frozen_content.c.obj)
 .text.two      0x00000000400d3000       0x77 esp-idf/main/libmain.a(main.c.obj)
 .debug_info    0x000000000024a940     0x4444 esp-idf/main/libmain.a(frozen_content.c.obj)
"""
FAKE_IDF = """\
#!{python}
import json, os, sys
from pathlib import Path
if sys.argv[1:] == ["--version"]:
    print("ESP-IDF {version}")
    sys.exit()
folder = Path(sys.argv[sys.argv.index("-B") + 1])
print("building in", folder)
names = ("MICROPY_GIT_TAG", "MICROPY_GIT_HASH", "SOURCE_DATE_EPOCH", "BUILD", "MAKEFLAGS")
seen = {{name: os.environ.get(name) for name in names}}
Path({record!r}).write_text(json.dumps([sys.argv[1:], seen]))
{behaviour}
app = int(os.environ.get("FAKE_APP_SIZE", 100000))
for name, data in (
    ("bootloader/bootloader.bin", b"B" * 20000),
    ("partition_table/partition-table.bin", b"P" * 3072),
    ("micropython.bin", b"A" * app),
    ("micropython.elf", b"ELF"),
    ("micropython.map", {map!r}.encode()),
):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
files = {{
    "0x1000": "bootloader/bootloader.bin",
    "0x8000": "partition_table/partition-table.bin",
    "0x10000": "micropython.bin",
}}
(folder / "flasher_args.json").write_text(json.dumps({{"flash_files": files}}))
"""


def nothing(name):
    return None


def programs(*names):
    return lambda name: f"/bin/{name}" if name in names else None


# Tools


def test_the_active_idf_of_the_pinned_version_is_used():
    tools = firmware.choose_tools(
        IDF, {"IDF_PATH": "/idf"}, programs("idf.py", "docker"), lambda command: "ESP-IDF v5.5.1\n"
    )
    assert tools == firmware.Tools("active")


def test_another_active_idf_is_named_and_not_used(capsys):
    tools = firmware.choose_tools(
        IDF,
        {"IDF_PATH": "/nowhere"},
        programs("idf.py", "docker"),
        lambda command: "ESP-IDF v5.4.2" if command[0] == "idf.py" else "Server:",
    )
    assert tools == firmware.Tools("container", "docker")
    assert "the active ESP-IDF is v5.4.2: not used" in capsys.readouterr().out


def test_idf_path_of_the_pinned_version_is_used(tmp_path):
    text = "set(IDF_VERSION_MAJOR 5)\nset(IDF_VERSION_MINOR 5)\nset(IDF_VERSION_PATCH 1)\n"
    write_files(tmp_path, {"tools/cmake/version.cmake": text})
    environment = {"IDF_PATH": str(tmp_path)}
    assert firmware.choose_tools(IDF, environment, nothing) == firmware.Tools("idf_path")


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_the_container_is_used_when_its_engine_answers(engine):
    tools = firmware.choose_tools(IDF, {}, programs(engine), lambda command: "Server:")
    assert tools == firmware.Tools("container", engine)


def test_a_docker_without_root_is_noticed():
    information = "Server:\n Security Options:\n  seccomp\n  rootless\n  cgroupns\n"
    tools = firmware.choose_tools(IDF, {}, programs("docker"), lambda command: information)
    assert tools == firmware.Tools("container", "docker", rootless=True)


def test_without_any_it_says_what_to_install_in_three_lines():
    with pytest.raises(BuildError) as error:
        # docker is there, its daemon is not.
        firmware.choose_tools(IDF, {}, programs("docker"), lambda command: "")
    lines = str(error.value).splitlines()
    assert len(lines) == 3
    assert "ESP-IDF v5.5.1" in lines[0]
    assert "docker.io/espressif/idf:v5.5.1" in lines[1]
    assert f"-b v5.5.1 {IDF.url}" in lines[2]


# Commands


@pytest.mark.parametrize(("board", "variant"), boards.pairs())
def test_the_command_of_each_image(board, variant):
    expected = ["idf.py", "-C", "/src/ports/esp32", "-B", "/objects"]
    expected += ["-D", f"MICROPY_BOARD={board.name}"]
    expected += ["-D", f"MICROPY_BOARD_DIR={ROOT}/boards/{board.name}"]
    if variant:
        expected += ["-D", f"MICROPY_BOARD_VARIANT={variant}"]
    assert firmware.idf_command(board, variant, "/src", "/objects") == [*expected, "build"]


def test_how_each_tool_runs_the_command():
    variables = {"SOURCE_DATE_EPOCH": "1"}

    def command(*tools, user=(1000, 100)):
        return firmware.run_command(
            firmware.Tools(*tools), IDF, ["idf.py", "build"], variables, Path("/p"), user
        )

    assert command("active") == ["idf.py", "build"]
    script = '. "$IDF_PATH/export.sh" >/dev/null && exec "$@"'
    assert command("idf_path") == ["bash", "-c", script, "bash", "idf.py", "build"]
    options = ["run", "--rm", "--volume", "/p:/p", "--workdir", "/p"]
    options += ["--security-opt", "label=disable"]
    settings = ["--env", "HOME=/tmp", "--env", "IDF_GIT_SAFE_DIR=/p"]
    settings += ["--env", "SOURCE_DATE_EPOCH=1", "docker.io/espressif/idf:v5.5.1"]
    docker = ["docker", *options, "--user", "1000:100", *settings, "idf.py", "build"]
    assert command("container", "docker") == docker
    podman = ["podman", *options, "--userns", "keep-id", *settings, "idf.py", "build"]
    assert command("container", "podman") == podman
    # Here the user is root inside, and nobody else can write to the folder.
    rootless = ["docker", *options, *settings, "idf.py", "build"]
    assert command("container", "docker", True) == rootless
    # Podman refuses --userns keep-id to root, which is root inside as well.
    as_root = ["podman", *options, *settings, "idf.py", "build"]
    assert command("container", "podman", user=(0, 0)) == as_root


def test_idf_path_takes_the_environment_of_export(tmp_path):
    write_files(tmp_path, {"export.sh": "echo noise; export FOUND=yes\n"})
    command = firmware.run_command(
        firmware.Tools("idf_path"), IDF, ["sh", "-c", 'echo "$FOUND"'], {}, ROOT, (0, 0)
    )
    done = run(command, env={**os.environ, "IDF_PATH": str(tmp_path)})
    assert done.stdout == "yes\n"


def test_the_matrix_is_what_board_json_lists():
    assert firmware.matrix() == {
        "include": [
            {"board": board.name, "variant": variant or "default"}
            for board in boards.read_all().values()
            for variant in board.variants
        ]
    }


# Images


def part(name, offset, size, room):
    return firmware.Part(name, offset, name[:1].encode() * size, room)


def test_parts_are_merged_at_their_offsets():
    image = firmware.merge([part("app", 32, 4, 100), part("boot", 8, 3, 8)])
    assert image == b"\xff" * 8 + b"bbb" + b"\xff" * 21 + b"aaaa"


def test_a_part_that_is_too_large_is_an_error_with_the_bytes_over():
    with pytest.raises(BuildError, match="the app is 7 bytes too large for its 100"):
        firmware.merge([part("app", 0, 107, 100)])


def test_frozen_modules_are_counted_from_the_map():
    assert firmware.frozen_size(MAP) == 0x120


def test_components_are_read_from_the_lock_file():
    assert firmware.locked_components(LOCK) == [
        ("espressif/lan867x", "0ff9", "1.0.3"),
        ("espressif/mdns", "46ee", "1.1.0"),
    ]


def test_overflow_is_found_in_the_log():
    line = "Error: app partition is too small for binary micropython.bin size 0x2a1230:\n"
    line += "  - Part 'factory' 0/0 @ 0x10000 size 0x280000 (overflow 0x21230)\n"
    assert firmware.overflow(line) == 0x21230
    assert firmware.overflow("Project build complete.") is None


# The flow


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder to build in, and a function that puts a stand-in for idf.py on the path."""
    tree = tmp_path / "src" / "esp32" / "micropython"
    write_files(tree, micropython_files())
    write_files(tree, {"ports/esp32/lockfiles/dependencies.lock.esp32": LOCK})
    patches.stamp(tree).write_text("a source and its patches")
    source = sources.Source("dir", "1.28.0", "a test", 1234567890)
    monkeypatch.setattr(firmware, "DIST", tmp_path / "dist")
    monkeypatch.setattr(firmware, "OBJECTS", tmp_path / "firmware")
    monkeypatch.setattr(firmware, "assets_size", lambda: 8000)
    page = {"static/jquery.js": b"/*! jQuery v3.5.1 */"}
    monkeypatch.setattr(third_party, "load", lambda: page)
    monkeypatch.setattr(build_info, "project_version", lambda: "v1.2.3")
    (tmp_path / "firmware").mkdir()
    record = tmp_path / "seen.json"

    def build(variant="", behaviour="", version="v5.5.1", **environment):
        text = FAKE_IDF.format(
            python=sys.executable,
            version=version,
            record=str(record),
            map=MAP,
            behaviour=behaviour,
        )
        program = write_files(tmp_path / "bin", {"idf.py": text}) / "idf.py"
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
        monkeypatch.setenv("IDF_PATH", str(tmp_path))
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        tools = firmware.choose_tools(IDF, os.environ)
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

    image = (dist / f"{stem}.bin").read_bytes()
    assert image[:0x1000] == b"\xff" * 0x1000
    assert image[0x1000 : 0x1000 + 20000] == b"B" * 20000
    assert image[0x8000 : 0x8000 + 3072] == b"P" * 3072
    assert image[0x10000:] == b"A" * 100000
    assert (dist / f"{stem}-app.bin").read_bytes() == b"A" * 100000

    for line in (dist / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == digest
        names.remove(name)
    assert not names

    bill = json.loads((dist / f"{stem}.sbom.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    found = {component["name"]: component["version"] for component in bill["components"]}
    assert found == {
        "micropython": "v1.28.0",
        "esp-idf": "v5.5.1",
        "espressif/lan867x": "1.0.3",
        "espressif/mdns": "1.1.0",
        "jquery": "3.5.1",
    }
    digest = bill["metadata"]["component"]["hashes"][0]["content"]
    assert digest == hashlib.sha256(image).hexdigest()

    printed = capsys.readouterr().out
    room = 0x280000
    for what, size in (("app", 100000), ("frozen modules", 0x120), ("free", room - 100000)):
        assert f"{what:{24 if what != 'frozen modules' else 22}}{size:>10,}" in printed
    assert "96 % of the app's room is free" in printed


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

    def key(command=("idf.py",), idf=IDF, tools="active"):
        return firmware.configuration_key(BOARD, command, idf, firmware.Tools(tools), tree)

    before = key()
    assert key() == before
    assert key(["idf.py", "-v"]) != before
    assert key(idf=dataclasses.replace(IDF, commit="another")) != before
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


def test_other_components_than_the_locked_ones_are_an_error(project):
    lock = project.tree / "ports/esp32/lockfiles/dependencies.lock.esp32"
    with pytest.raises(BuildError, match=r"other components than dependencies\.lock\.esp32 has"):
        project(behaviour=f'Path({str(lock)!r}).write_text("other")')
    # The next build starts from the pinned ones again.
    assert lock.read_text() == LOCK


def test_another_micropython_than_the_pinned_one_is_refused(monkeypatch):
    source = sources.Source("debian", "1.26.1", "Debian source package", 0)
    monkeypatch.setattr(firmware, "choose_tools", lambda *arguments: firmware.Tools("active"))
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
