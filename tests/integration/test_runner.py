"""The runner of the unit tests: files that pass, fail, hang, crash or hold no test at all."""

import re
import shutil
import subprocess
import sys

import pytest

from support import ROOT

UNIT = ROOT / "tests" / "unit"


@pytest.fixture
def run_unit(tmp_path):
    """A function that runs pytest on one unit-test file of the given text, with options."""
    for name in ("conftest.py", "runner.py"):
        shutil.copy(UNIT / name, tmp_path)

    def run(text, *options, name="test_sample.py"):
        (tmp_path / name).write_text(text)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no"]
        command += [f"--rootdir={ROOT}", f"--config-file={ROOT / 'pyproject.toml'}"]
        return subprocess.run(
            [*command, *options, tmp_path / name], cwd=tmp_path, text=True, capture_output=True
        )

    return run


def test_each_test_runs_on_both_interpreters(run_unit):
    done = run_unit(
        "import asyncio\n"
        "def test_plain():\n    assert 1 + 1 == 2\n"
        "async def test_async():\n    await asyncio.sleep(0)\n",
        "-v",
    )
    assert done.returncode == 0, done.stdout
    for name in ("test_plain[host]", "test_async[host]", "test_plain[newer]", "test_async[newer]"):
        assert f"{name} PASSED" in done.stdout


def test_the_interpreters_are_micropython_and_differ(run_unit):
    done = run_unit("import sys\ndef test_it():\n    assert False, 'version ' + sys.version\n")
    assert done.returncode == 1
    versions = set(re.findall(r"version 3\.4\.0; (MicroPython .+ on [\d-]+)", done.stdout))
    assert len(versions) == 2


def test_host_only_leaves_out_the_newer_one(run_unit):
    done = run_unit("HOST_ONLY = True\ndef test_it():\n    pass\n", "-v")
    assert done.returncode == 0, done.stdout
    assert "test_it[host] PASSED" in done.stdout
    assert "newer" not in done.stdout


def test_failure_shows_the_traceback_with_its_source_and_nothing_else(run_unit):
    done = run_unit(
        "def check(value):\n    assert value == 3, 'not three'\n\ndef test_it():\n    check(4)\n"
    )
    assert done.returncode == 1
    for line in (
        'test_sample.py", line 5, in test_it',
        "    check(4)",
        'test_sample.py", line 2, in check',
        "    assert value == 3, 'not three'",
        "AssertionError: not three",
    ):
        assert line in done.stdout
    assert "conftest.py" not in done.stdout


def test_what_a_failing_test_printed_is_shown(run_unit):
    done = run_unit(
        "import sys\n"
        "def test_it():\n"
        "    print('to stdout', end='')\n"
        "    sys.stderr.write('to stderr')\n"
        "    1 / 0\n"
    )
    assert done.returncode == 1
    assert "to stdout" in done.stdout
    assert "to stderr" in done.stdout
    assert "ZeroDivisionError" in done.stdout


def test_an_exception_lost_in_a_task_fails_the_test(run_unit):
    done = run_unit(
        "import asyncio\n"
        "async def lose():\n    raise ValueError('lost')\n"
        "async def test_it():\n"
        "    asyncio.create_task(lose())\n"
        "    await asyncio.sleep_ms(5)\n"
    )
    assert done.returncode == 1
    assert "ValueError: lost" in done.stdout


def test_each_test_has_a_fresh_event_loop(run_unit):
    done = run_unit(
        "import asyncio\n"
        "async def late():\n    await asyncio.sleep_ms(5)\n    raise ValueError('late')\n"
        "async def test_leaves_a_task():\n    asyncio.create_task(late())\n"
        "async def test_next():\n    await asyncio.sleep_ms(50)\n"
    )
    assert done.returncode == 0, done.stdout


def test_hanging_test_is_ended_and_named(run_unit):
    done = run_unit(
        "HOST_ONLY = True\n"
        "def test_before():\n    pass\n"
        "def test_hangs():\n    while True:\n        pass\n"
        "def test_after():\n    pass\n",
        "--unit-timeout=1",
    )
    assert done.returncode == 1
    assert "timed out after 1 s in test_hangs" in done.stdout
    assert "test_after did not run: timed out" in done.stdout
    assert "2 failed, 1 passed" in done.stdout


def test_crash_of_the_interpreter_is_a_failure(run_unit):
    done = run_unit(
        "HOST_ONLY = True\n"
        "import uctypes\n"
        "def test_before():\n    pass\n"
        "def test_crashes():\n    print('going down')\n    uctypes.bytearray_at(0, 1)[0] = 1\n"
    )
    assert done.returncode == 1
    assert "the interpreter ended with code -11 in test_crashes" in done.stdout
    assert "going down" in done.stdout
    assert "1 failed, 1 passed" in done.stdout


def test_exit_from_a_test_is_a_failure(run_unit):
    done = run_unit("import sys\ndef test_exits():\n    sys.exit(0)\n")
    assert done.returncode == 1
    assert "SystemExit" in done.stdout


def test_file_that_cannot_be_imported_fails_with_the_reason(run_unit):
    done = run_unit("import missing_module\ndef test_it():\n    pass\n")
    assert done.returncode == 1
    assert "test_it did not run: its file could not be imported" in done.stdout
    assert "no module named 'missing_module'" in done.stdout


def test_file_without_tests_is_an_error(run_unit):
    done = run_unit("def check():\n    pass\n")
    assert done.returncode == 2
    assert "test_sample.py has no test" in done.stdout


def test_helpers_beside_the_file_can_be_imported(run_unit, tmp_path):
    (tmp_path / "helpers.py").write_text("def three():\n    return 3\n")
    done = run_unit("import helpers\ndef test_it():\n    assert helpers.three() == 3\n")
    assert done.returncode == 0, done.stdout


def test_selected_test_runs_alone(run_unit):
    done = run_unit("def test_one():\n    pass\ndef test_two():\n    1 / 0\n", "-k", "test_one")
    assert done.returncode == 0, done.stdout
    assert "2 passed, 2 deselected" in done.stdout
