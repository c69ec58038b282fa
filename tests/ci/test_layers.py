"""Imports point down only, and protocol code does no I/O."""

import ast

import pytest

from common import ROOT

MODULES = ROOT / "modules"

# What a module of each layer may import of ours.
BELOW = {
    "clock": set(),
    "fields": set(),
    "heap": set(),
    "lazy": set(),
    "utf8": set(),
    "strict_json": {"utf8"},
    "http11": {"heap"},
    "transport": {"heap", "lazy"},
    "httpd": {"assets", "http11", "lazy", "transport"},
    "websockets": {"heap", "http11", "lazy", "transport", "utf8"},
    "interfaces": {"board", "clock", "fields", "heap", "lazy", "transport", "utf8"},
    "device": {
        "board",
        "build_info",
        "clock",
        "fields",
        "heap",
        "httpd",
        "interfaces",
        "lazy",
        "strict_json",
        "transport",
        "utf8",
        "websockets",
    },
    "apps": {"board", "device", "httpd", "interfaces", "lazy", "transport", "websockets"},
    "main": {"board", "launcher"},
    "launcher": {"apps", "board", "device", "heap", "lazy", "transport"},
}
OURS = set(BELOW) | {"assets", "board", "build_info"}

# The same inside of device/: its rooms, and the modules that stand in none.
ROOMS = {
    "log": set(),
    "settings": set(),
    "startup": {"log", "settings"},
    "access": {"log", "settings"},
    "net": {"log", "pieces", "settings"},
    "pieces": set(),
    "hub": {"log", "pieces"},
    "applying": {"net", "settings"},
    "wallclock": set(),
    "diagnostics": set(),
    "equipment": {"log"},
    "interface_edits": {"log"},
    "commands": {
        "diagnostics",
        "interface_edits",
        "log",
        "net",
        "settings",
        "startup",
        "wallclock",
    },
    "routes": {
        "access",
        "commands",
        "interface_edits",
        "log",
        "net",
        "pieces",
        "settings",
        "wallclock",
    },
    "device": {
        "access",
        "applying",
        "commands",
        "equipment",
        "hub",
        "log",
        "net",
        "routes",
        "settings",
        "wallclock",
    },
}

# Bytes in, bytes and events out.
SANS_IO = (
    "device/net/dns.py",
    "device/net/sntp.py",
    "http11.py",
    "httpd/body.py",
    "httpd/ranges.py",
    "strict_json.py",
    "utf8.py",
    "websockets/deflate.py",
    "websockets/frames.py",
    "websockets/handshake.py",
    "websockets/protocol.py",
    "websockets/uri.py",
)
IO = {"asyncio", "machine", "network", "select", "socket", "time", "transport"}


def imported(file):
    """The top-level names that a file imports, wherever in it; relative imports left out."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]


def rooms_imported(source, package):
    """The rooms of device/ that a module in `package`, (), ("net",)..., imports by its place."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ImportFrom):
            continue
        module = node.module.split(".") if node.module else []
        if node.level:
            path = [*package[: len(package) + 1 - node.level], *module]
        elif module[0] == "device":
            path = module[1:]
        else:
            continue
        yield from path[:1] or [alias.name for alias in node.names]


def layer_of(file):
    return file.relative_to(MODULES).parts[0].removesuffix(".py")


@pytest.mark.parametrize("file", sorted(MODULES.rglob("*.py")), ids=lambda file: file.stem)
def test_imports_point_down(file):
    layer = layer_of(file)
    allowed = BELOW[layer] | {layer}
    assert set(imported(file)) & OURS <= allowed


DEVICE = MODULES / "device"


@pytest.mark.parametrize(
    "file", sorted(DEVICE.rglob("*.py")), ids=lambda file: str(file.relative_to(DEVICE))
)
def test_imports_of_rooms_point_down(file):
    parts = file.relative_to(DEVICE).parts
    room = parts[0].removesuffix(".py")
    if room != "__init__":
        assert set(rooms_imported(file.read_text(), parts[:-1])) <= ROOMS[room] | {room}


def test_rooms_imported_are_found():
    source = "from . import dns\nfrom .wifi import A\nfrom .. import log\nfrom ..a.b import c\n"
    source += "from device.routes.api import d\nfrom httpd import x\nimport os"
    assert set(rooms_imported(source, ("net",))) == {"net", "log", "a", "routes"}
    assert set(rooms_imported("from .net.lan import x\nfrom . import hub", ())) == {"net", "hub"}


@pytest.mark.parametrize("name", SANS_IO)
def test_protocol_code_does_no_io(name):
    assert not set(imported(MODULES / name)) & IO


def test_frozen_modules_that_lead_elsewhere_are_known():
    assert {layer_of(file) for file in MODULES.rglob("*.py")} == set(BELOW)
    rooms = {path.stem for path in DEVICE.iterdir() if path.name != "__pycache__"}
    assert rooms == set(ROOMS) | {"__init__"}
