"""The part of the Autobahn suite that is quick enough for every test run; the rest: run.py."""

import subprocess

import pytest

import run

# Sections 9 (large messages) and most of 12 and 13 take minutes.
CASES = [case for case in run.PLAIN if case != "9.*"]


@pytest.fixture(scope="module", autouse=True)
def suite():
    if not run.INTERPRETER.exists():
        pytest.exit('run "make host" first', returncode=2)
    done = subprocess.run(
        [str(run.HERE / "setup.sh"), str(run.FOLDER)], capture_output=True, text=True
    )
    if done.returncode == 2:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("direction", run.DIRECTIONS)
@pytest.mark.parametrize("part", ["plain", "compressed"])
def test_cases(direction, part, tmp_path):
    cases = CASES if part == "plain" else run.SHORT_COMPRESSED
    results = run.run(direction, cases, tmp_path)
    assert len(results) == (247 if part == "plain" else 60)
    assert run.faults(results) == {}
