"""Modules and what is in them that the frozen code names in strings, which no import checker sees.

They are found in the sources, and looked up by the interpreter that has the modules in it.
"""

import ast
import json
import re
import subprocess

import pytest

from common import ROOT

MODULES = ROOT / "modules"
MICROPYTHON = ROOT / "build/host/micropython"

OURS = sorted(file.stem for file in MODULES.iterdir() if file.name != "__pycache__")
DOTTED = re.compile(rf"({'|'.join(OURS)})(\.\w+)+")
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")

# Reads [[module, name or null, whether it is a route's handler], ...], prints those that aren't.
RESOLVE = """
import json, sys
import lazy
for module, name, called in json.load(sys.stdin):
    try:
        found = lazy.load(module, name)
        if called and not callable(found):
            raise AttributeError("not a function")
    except (ImportError, AttributeError) as error:
        print(module, name, repr(error))
"""


def named(tree, package):
    """What the strings of a module, in `package`, name: (module, name or None, is handler)."""
    constants = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):  # a docstring
            continue
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Constant) and isinstance(child.value, str):
                constants.add(child.value)
        values = [getattr(part, "value", None) for part in getattr(node, "elts", ())]
        if len(values) == 3 and values[0] in METHODS and values[1] not in METHODS:
            yield (*values[1:], True)
        if not isinstance(node, ast.Call):
            continue
        function = getattr(node.func, "attr", getattr(node.func, "id", None))
        if function == "load" and all(isinstance(each, ast.Constant) for each in node.args):
            yield (*(argument.value for argument in node.args), False)
        elif function == "loader" and len(node.args) > 1:
            prefix = ast.literal_eval(node.args[2]) if len(node.args) > 2 else package
            for module, names in ast.literal_eval(node.args[1]):
                for name in (None, *names):
                    yield f"{prefix}.{module}", name, False
    for text in constants:
        if DOTTED.fullmatch(text):
            module, _, last = text.rpartition(".")
            yield (module, last, False) if last[0].isupper() else (text, None, False)


def all_named():
    for file in sorted(MODULES.rglob("*.py")):
        package = ".".join(file.relative_to(MODULES).parent.parts)
        yield from named(ast.parse(file.read_text()), package)
    tree = ast.parse((MODULES / "apps/__init__.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "_FROZEN":
            values = getattr(node.value, "elts", [node.value])
            for value in values:
                if isinstance(value, ast.Constant):
                    yield f"apps.{value.value}", "app_main", True


def unresolved(names):
    if not MICROPYTHON.exists():
        pytest.skip('run "make host" first')
    done = subprocess.run(
        [MICROPYTHON, "-c", RESOLVE], input=json.dumps(names), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_every_name_in_a_string_is_there():
    names = sorted(set(all_named()), key=str)
    modules = {module for module, _, _ in names}
    # One of each kind: a route, a lazy import, a package's table, an interface's type, an app.
    assert ("device.routes.api", "command", True) in names
    assert ("device.net.portal", "answer", False) in names
    assert ("websockets.accepting", "ServerConnection", False) in names
    assert ("interfaces.uart", "Uart", False) in names
    assert ("apps.echoserver", "app_main", True) in names and "apps.demo" in modules
    assert unresolved(names) == []


PLANTED = '''
"""device.docstring is no name."""
_ROUTES = (("/", (("GET", "device.routes.nowhere", "index"),)),)
_GONE = (("/x", (("PUT", "device.routes.table", "gone"),)),)
_MODULE = (("/y", (("POST", "device.routes.table", "os"),)),)
TYPES = {"lamp": "interfaces.echo.Lamp"}
def answer():
    """Ask device.also_none."""
    return load("device.net.portal", "reply")(), "httpd.attic", "no.module.of.ours"
__getattr__ = lazy.loader(globals(), (("errors", ("Missing",)),))
'''


def test_names_that_are_not_there_are_found():
    names = sorted(set(named(ast.parse(PLANTED), "httpd")), key=str)
    wrong = {" ".join(line.split()[:2]) for line in unresolved(names)}
    assert wrong == {
        "device.routes.nowhere index",
        "device.routes.nowhere None",
        "device.routes.table gone",
        "device.routes.table os",
        "interfaces.echo Lamp",
        "device.net.portal reply",
        "httpd.attic None",
        "httpd.errors Missing",
    }


def levels(tree):
    """The levels that calls of `log` name, under whatever name they reach it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and len(node.args) == 2:
            function = getattr(node.func, "attr", getattr(node.func, "id", ""))
            level = getattr(node.args[0], "value", None)
            if function.strip("_") == "log" and isinstance(level, str):
                yield level


def test_the_log_has_two_levels():
    found = {
        level for file in MODULES.rglob("*.py") for level in levels(ast.parse(file.read_text()))
    }
    assert found == {"info", "error"}
    planted = 'log("debug", "a"); self._log("warning", "b"); log(level, "c"); log("d")'
    assert list(levels(ast.parse(planted))) == ["debug", "warning"]
