"""docs/relay.md says what there is."""

import argparse
import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import fields

import pytest

from relay import frozen, names, orders
from relay.config import Config, _shown
from support import ROOT

TEXT = (ROOT / "docs" / "relay.md").read_text()


def test_every_setting_is_in_the_table():
    rows = re.findall(r"^\| `(\w+)` \| `?([^|`]*)`? \| (.*) \|$", TEXT, re.MULTILINE)
    settings = [
        (each.name, _shown(each.default), each.metadata["help"]) for each in fields(Config)
    ]
    assert [row for row in rows if row[0] in Config.__dataclass_fields__] == settings


def test_every_order_is_in_the_table():
    parser = argparse.ArgumentParser()
    orders.add_orders(parser)
    (action,) = (each for each in parser._actions if isinstance(each.choices, dict))
    section = TEXT[TEXT.index("| Order |") : TEXT.index("make relay ARGS=")]
    for order in action.choices:
        assert re.search(rf"`{order}[` ]", section), order


def test_the_names_that_no_device_has_are_listed():
    for name in names.RESERVED:
        assert f"`{name}`" in TEXT


def test_what_the_container_copies_is_all_that_a_relay_needs(tmp_path):
    text = re.search(r"```dockerfile\n(.*?)```", TEXT, re.DOTALL)[1]
    copied = [line.split()[1:] for line in text.splitlines() if line.startswith("COPY")]
    root = tmp_path / "container"
    for source, target in copied:
        found, place = ROOT / source, root / target.lstrip("/")
        if target.endswith("/"):
            place /= found.name
        place.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if found.is_dir() else shutil.copy
        copy(found, place)
    folder = re.search(r"^WORKDIR (.*)$", text, re.MULTILINE)[1].lstrip("/")
    environment = dict(re.findall(r"(RELAY_\w+)=(\S+)", text))
    assert set(environment) <= {"RELAY_" + name.upper() for name in Config.__dataclass_fields__}
    environment |= {"RELAY_DATA": str(tmp_path / "data"), "RELAY_OPEN_DEVICES": "true"}
    command = json.loads(re.search(r"^CMD (.*)$", text, re.MULTILINE)[1])
    ports = ["--device-port", "0", "--page-port", "0"]
    process = subprocess.Popen(
        [sys.executable, *command[1:], *ports],
        cwd=root / folder,
        env={**os.environ, **environment, "PYTHONPATH": ""},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        port = re.search(r"http://0\.0\.0\.0:(\d+)/", process.stdout.readline())[1]
        # Listening beyond this computer, it wants somebody to log in; the page is there.
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/devices")
        assert error.value.code == 401
        error.value.close()
        name = next(each for each in frozen.load() if each.startswith("static/"))
        url = f"http://127.0.0.1:{port}/d/pump-1/{name}"
        with urllib.request.urlopen(url) as response:
            assert response.status == 200 and response.read()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/login") as response:
            assert b"<form" in response.read()
    finally:
        process.kill()
        process.communicate()


def test_the_unit_runs_what_make_relay_runs():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read_string(re.search(r"```ini\n(.*?)```", TEXT, re.DOTALL)[1])
    program, *arguments = unit["Service"]["ExecStart"].split()
    folder = unit["Service"]["WorkingDirectory"]
    makefile = (ROOT / "Makefile").read_text()
    assert f"exec {program.removeprefix(folder + '/')} {' '.join(arguments[:2])}" in makefile
    assert arguments[2:] == ["--config", "/etc/relay.toml"]
    assert unit["Service"]["Environment"].startswith("RELAY_DATA=/var/lib/")
    assert unit["Service"]["StateDirectory"] == unit["Service"]["Environment"].rpartition("/")[2]
