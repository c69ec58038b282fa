"""The shell program build/host/websock, with a stand-in interpreter that shows its arguments."""

import shutil
import subprocess

import pytest

import build_host

SHOW_ARGUMENTS = '#!/bin/sh\nfor a in "$@"; do printf "%s\\n" "$a"; done\n'
COMMAND = 'import sys; sys.path[:] = [".frozen"]; import websock'


@pytest.fixture
def websock(tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    program = folder / "websock"
    shutil.copy(build_host.BOARD / "websock", program)
    (folder / "micropython").write_text(SHOW_ARGUMENTS)
    (folder / "micropython").chmod(0o755)

    def run(*arguments):
        return subprocess.run([program, *arguments], capture_output=True, text=True)

    return run


@pytest.mark.parametrize(
    ("arguments", "size", "passed"),
    [
        ([], 262144, []),
        (["--heap", "128k"], 131072, []),
        (["--heap=2M"], 2097152, []),
        (["--heap", "65536"], 65536, []),
        (["--heap=1M", "--heap=16k"], 16384, []),
        (["--heap", "1024M"], 1 << 30, []),
        (
            ["--data", "a b", "--heap", "64k", "", "--http-port=0", "*"],
            65536,
            ["--data", "a b", "", "--http-port=0", "*"],
        ),
        (["--heaps", "x"], 262144, ["--heaps", "x"]),
    ],
)
def test_heap_is_taken_out_and_the_rest_passed_on(websock, arguments, size, passed):
    done = websock(*arguments)
    assert done.returncode == 0
    assert done.stdout.splitlines() == ["-X", f"heapsize={size}", "-c", COMMAND, *passed]


@pytest.mark.parametrize(
    "heap",
    ["", "k", "x", "-1", "0", "010k", "1.5M", "64K", "64kk", "64 k", "15k", "1025M", "9" * 30],
)
@pytest.mark.parametrize("form", ["one", "two"])
def test_a_bad_heap_is_one_line_and_exit_code_2(websock, heap, form):
    done = websock(f"--heap={heap}") if form == "one" else websock("--heap", heap)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"websock: --heap wants a size from 16k to 1024M, not '{heap}'\n"


def test_heap_without_a_value(websock):
    done = websock("--data", "x", "--heap")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
