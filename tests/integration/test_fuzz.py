"""The fuzzers of tests/fuzz, as many inputs as fit into a test run; `make fuzz` runs more."""

import subprocess
import sys

import pytest

from support import ROOT

FUZZ = ROOT / "tests/fuzz"
COUNT = 20_000

# Each look of a second opinion takes longer.
BESIDE = 3_000


def test_the_server_takes_anything(micropython):
    script = micropython((FUZZ / "server.py").read_text(), COUNT, 1)
    assert script.wait(timeout=120) == 0, "\n".join(script.lines) + script.log()
    assert f"{COUNT} streams" in script.lines[-1]


@pytest.mark.parametrize("name", ["frames", "deflate", "opening", "http", "text", "names"])
def test_others_agree(build, name):
    beside(name, BESIDE, build)


def test_any_settings_are_taken(build):
    beside("settings", BESIDE // 3, build)


def beside(name, count, build):
    command = [sys.executable, FUZZ / "beside.py", name, str(count), "1", build]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{name}: {count} inputs from seed 1: no disagreements" in done.stdout
