"""A short one of tests/soak; `make soak` takes half an hour."""

import re
import subprocess
import sys

import pytest

from support import ROOT

SECONDS = 15


def test_honest_clients_among_hostile_ones():
    if not (ROOT / "build/host32/websock").exists():
        pytest.skip('run "make host32" first')
    command = [sys.executable, ROOT / "tests/soak/soak.py"]
    command += ["--minutes", str(SECONDS / 60), "--warm-up", str(SECONDS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    table = dict(re.findall(r"^(.*\S) +(\S+)$", done.stdout, re.MULTILINE))
    assert int(table["messages received by three clients"]) > 0
    assert table["lost"] == table["doubled"] == table["deaths and restarts"] == "0"
