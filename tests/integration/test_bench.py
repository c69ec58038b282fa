"""The benchmark runs and has a figure for everything; how large they are is not tested."""

import json
import subprocess
import sys

import pytest

from support import ROOT

COMMAND = [sys.executable, ROOT / "bench/run.py"]
SERVERS = {"image", "limit", "streams", "microdot"}


def run(*arguments):
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=300, cwd=ROOT
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    for build in ("host", "host32"):
        if not (ROOT / "build" / build / "websock").exists():
            pytest.skip(f'run "make {build}" first')
    path = tmp_path_factory.mktemp("bench") / "figures.json"
    done = run(
        "--rounds", "1", "--seconds", "0.5", "--clients", "2", "--idle", "3", "--json", path
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(path.read_text())


def test_every_server_has_every_speed(done):
    _, figures = done
    assert len(figures["speed"]) == 5
    for row in figures["speed"].values():
        assert row.keys() == SERVERS
        assert all(figure > 0 for figure in row.values())


def test_every_server_has_its_memory(done):
    _, figures = done
    assert list(figures["memory"]) == [
        "heap at boot",
        "per idle WebSocket",
        "per idle HTTP connection",
    ]
    for row in figures["memory"].values():
        assert row.keys() == SERVERS
    assert all(figure > 0 for figure in figures["memory"]["heap at boot"].values())
    assert 0 < figures["boot"] < figures["memory"]["heap at boot"]["image"]
    # microdot closes the connection after each response.
    assert figures["memory"]["per idle HTTP connection"]["microdot"] is None


def test_table_has_the_figures_and_their_ratios(done):
    printed, figures = done
    row = figures["speed"]["HTTP 2 B, responses/s"]
    (line,) = [line for line in printed.splitlines() if line.startswith("HTTP 2 B")]
    assert f"{row['image']:,.0f}" in line
    assert f"{row['limit']:,.0f} ({row['image'] / row['limit']:5.2f})" in line


def test_unknown_server_is_refused():
    done = run("--servers", "image,apache")
    assert done.returncode == 2
    assert "no such server: apache" in done.stderr
