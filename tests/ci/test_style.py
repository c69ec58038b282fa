"""The code is as ruff's settings in pyproject.toml ask for."""

import sysconfig
from pathlib import Path

import pytest
from programs import run

from common import ROOT

RUFF = Path(sysconfig.get_path("scripts")) / "ruff"


@pytest.mark.parametrize("check", [("check",), ("format", "--check")], ids=" ".join)
def test_ruff_finds_nothing(check):
    done = run([RUFF, *check, "--no-cache", ROOT])
    assert done.returncode == 0, done.stdout + done.stderr
