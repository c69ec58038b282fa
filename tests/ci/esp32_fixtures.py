"""Fixtures of the tests for the ESP32 side: its tools, and MicroPython's source."""

import os
from pathlib import Path

import pytest

import environment
import sources
import versions
from common import BUILD, ROOT, BuildError


@pytest.fixture(scope="session")
def esp32_tools():
    """The folder of the programs that only these tests need (tests/esp32.txt)."""
    try:
        python = environment.ensure(BUILD / "venv-esp32-test", ROOT / "tests" / "esp32.txt")
    except BuildError as error:
        pytest.skip(f"the tools of tests/esp32.txt can't be had: {error}")
    return python.parent


@pytest.fixture(scope="session")
def micropython():
    """MicroPython's source as the build obtained it, of whatever release that is."""
    directory = os.environ.get("MICROPYTHON_DIR")
    tree = Path(directory) if directory else sources.SOURCE / "micropython"
    if not (tree / "ports" / "esp32" / "modules").is_dir():
        pytest.skip("there is no MicroPython source: run 'make source'")
    return tree


@pytest.fixture(scope="session")
def pinned_micropython(micropython):
    """MicroPython's source of exactly the pinned release."""
    pins = versions.Pins.load()
    version = sources.tree_version(micropython)
    if f"v{version}" != pins.tag:
        pytest.skip(f"needs the source of MicroPython {pins.tag}; this one is {version}")
    return micropython
