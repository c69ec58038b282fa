"""The host build: its commands, what it forgets, and what it says when it fails."""

import subprocess

import pytest
from trees import write_files

import build_host
import sources
from common import LOG_TAIL_LINES, ROOT, BuildError

HOST = build_host.TARGETS["64"]
HOST32 = build_host.TARGETS["32"]


def test_command():
    command = build_host.host_command(HOST, "/project", "/tree", "gcc", "x64", 2)
    assert command[:3] == ["make", "-C", "/tree/ports/unix"]
    for option in (
        "-j2",
        "CC=gcc",
        "BUILD=build-host",
        "VARIANT_DIR=/project/boards/UNIX_WEBSOCK",
        "BOARD_DIR=/project/boards/UNIX_WEBSOCK",
        "FROZEN_MANIFEST=/project/manifest.py",
        "USER_C_MODULES=/project/boards/UNIX_WEBSOCK/cmodules",
        "MPY_LIB_DIR=/tree/lib",
        "MPY_CROSS_FLAGS=-march=x64",
        "MICROPY_STANDALONE=1",
        "MICROPY_PY_BTREE=0",
        "MICROPY_PY_FFI=0",
    ):
        assert option in command
    assert "MICROPY_FORCE_32BIT=1" not in command


def test_command_for_32_bit():
    command = build_host.host_command(HOST32, "/project", "/tree", "gcc", "x86", 2)
    assert "CC=gcc -m32" in command
    assert "MICROPY_FORCE_32BIT=1" in command
    assert "MPY_CROSS_FLAGS=-march=x86" in command
    assert "BUILD=build-host32" in command


def test_command_without_native_code():
    command = build_host.host_command(HOST, "/project", "/tree", "gcc", None, 2)
    assert not any(option.startswith("MPY_CROSS_FLAGS") for option in command)


@pytest.mark.parametrize(
    ("machine", "target", "expected"),
    [("x86_64", HOST, "x64"), ("x86_64", HOST32, "x86"), ("aarch64", HOST, None)],
)
def test_native_code(monkeypatch, machine, target, expected):
    monkeypatch.setattr(build_host.platform, "machine", lambda: machine)
    assert build_host.native_code(target) == expected


def test_environment_is_not_that_of_our_own_make(monkeypatch):
    for name in build_host.UNWANTED:
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("LANG", "C")
    environment = build_host.build_environment(sources.Source("git", "1.28.0", "", 1234))
    assert not set(build_host.UNWANTED) & set(environment)
    assert environment["LANG"] == "C"
    assert environment["MICROPY_GIT_TAG"] == "v1.28.0"
    assert environment["SOURCE_DATE_EPOCH"] == "1234"


def test_compiler(monkeypatch, tmp_path):
    for name in ("mycc", "gcc", "cc"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CC", "mycc -O1")
    assert build_host.compiler() == "mycc -O1"
    monkeypatch.delenv("CC")
    assert build_host.compiler() == "gcc"
    (tmp_path / "gcc").unlink()
    assert build_host.compiler() == "cc"
    (tmp_path / "cc").unlink()
    with pytest.raises(BuildError, match="apt-get install gcc"):
        build_host.compiler()


def test_a_compiler_without_32_bit_names_the_package(tmp_path):
    script = tmp_path / "cc"
    script.write_text("#!/bin/sh\nexit 1\n")
    script.chmod(0o755)
    with pytest.raises(BuildError, match="apt-get install gcc-multilib") as error:
        build_host.check_32_bit(str(script))
    assert "\n" not in str(error.value)


def test_failure_shows_the_end_of_the_log(tmp_path):
    log = tmp_path / "host.log"
    command = ["sh", "-c", "seq 100; echo the reason >&2; exit 1"]
    with pytest.raises(BuildError) as error:
        build_host.run(command, None, log)
    lines = str(error.value).splitlines()
    assert lines[-1] == "the reason"
    assert lines[1] == str(102 - LOG_TAIL_LINES)
    assert str(log) in lines[0]


@pytest.fixture
def board(tmp_path, monkeypatch):
    """A project with one module, and the folder of its objects, built before."""
    monkeypatch.setattr(build_host, "ROOT", tmp_path)
    monkeypatch.setattr(build_host, "BUILD", tmp_path / "build")
    monkeypatch.setattr(build_host, "BOARD", tmp_path / "board")
    write_files(
        tmp_path,
        {
            "manifest.py": "freeze('modules')\n",
            "board/manifest.py": "\n",
            "board/mpconfigvariant.mk": "\n",
            "modules/main.py": "\n",
            "modules/old.py": "\n",
        },
    )
    objects = tmp_path / "objects"
    build_host.forget_stale(objects, ["make"])
    write_files(objects, {"frozen_content.c": "", "main.o": ""})
    return objects


def test_nothing_changed_nothing_forgotten(board):
    build_host.forget_stale(board, ["make"])
    assert (board / "frozen_content.c").exists()


def test_a_changed_module_is_left_to_make(board, tmp_path):
    write_files(tmp_path, {"modules/main.py": "print()\n"})
    build_host.forget_stale(board, ["make"])
    assert (board / "frozen_content.c").exists()


def test_a_deleted_module_is_forgotten(board, tmp_path):
    (tmp_path / "modules/old.py").unlink()
    build_host.forget_stale(board, ["make"])
    assert not (board / "frozen_content.c").exists()
    assert (board / "main.o").exists()


def test_a_changed_manifest_freezes_again(board, tmp_path):
    write_files(tmp_path, {"board/manifest.py": "freeze('more')\n"})
    build_host.forget_stale(board, ["make"])
    assert not (board / "frozen_content.c").exists()


def test_a_changed_option_forgets_every_object(board, tmp_path):
    build_host.forget_stale(board, ["make", "V=1"])
    assert not (board / "main.o").exists()
    write_files(board, {"main.o": ""})
    write_files(tmp_path, {"board/mpconfigvariant.mk": "MICROPY_PY_SSL = 0\n"})
    build_host.forget_stale(board, ["make", "V=1"])
    assert not (board / "main.o").exists()


def test_a_program_that_runs_keeps_its_file(tmp_path):
    built, output = tmp_path / "built", tmp_path / "output"
    built.write_text("#!/bin/sh\necho one\n")
    assert build_host.install(built, output)
    with output.open() as running:
        assert not build_host.install(built, output)
        built.write_text("#!/bin/sh\necho two\n")
        assert build_host.install(built, output)
        assert "one" in running.read()
    assert subprocess.run([output], capture_output=True, check=True).stdout == b"two\n"


def test_every_target_of_the_makefile_is_explained():
    done = subprocess.run(["make", "-C", ROOT, "help"], capture_output=True, text=True, check=True)
    explained = {line.split()[1] for line in done.stdout.splitlines() if line[:5] == "make "}
    assert {"run", "host", "host32", "test", "bench", "picture", "clean", "help"} <= explained
