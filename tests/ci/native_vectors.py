"""Runs unit tests with functions in machine code of a chip in the place of what is compiled.

usage: native_vectors.py TREE ARCHITECTURE FOLDER TEST...

FOLDER has the modules compiled for the chip, as <dotted name>.mpy. Each function that the source
marks as native or viper is replaced by its machine code, run by chip_cpu; all else is this Python.
Prints JSON: the tests that ran, those that failed with their tracebacks, and for each function how
often it was called and how many of its `raise` statements were reached, of how many.
"""

import ast
import builtins
import importlib
import inspect
import json
import sys
import time
import traceback
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "ci"))

import native_code  # noqa: E402

NATIVE = ("native", "viper")

# Modules whose functions are replaced, each before those that take its functions by name.
MODULES = ("utf8", "strict_json", "http11", "websockets.frames", "websockets.protocol")


class _Kind(type):
    def __instancecheck__(cls, value):
        return isinstance(value, _memoryview)


_memoryview = memoryview


class View(metaclass=_Kind):
    """MicroPython's memoryview, which is of a str too: its UTF-8."""

    def __new__(cls, value):
        return _memoryview(value.encode() if isinstance(value, str) else value)


def stand_in():
    """Make this Python look like MicroPython, as far as the modules and the tests need it."""
    micropython = types.ModuleType("micropython")
    micropython.const = micropython.native = micropython.viper = lambda value: value
    heap = types.ModuleType("heap")
    heap.SIZE, heap.SMALL, heap.BLOCK_SIZE = 1 << 20, False, 4096
    sys.modules.update(micropython=micropython, heap=heap)
    builtins.memoryview = View
    for name in ("ptr", "ptr8", "ptr16", "ptr32", "uint"):
        setattr(builtins, name, int)
    time.ticks_ms = lambda: int(time.monotonic() * 1000) & 0x3FFFFFFF
    time.ticks_diff = lambda a, b: a - b
    time.ticks_add = lambda a, b: a + b
    time.sleep_ms = lambda ms: time.sleep(ms / 1000)
    sys.path[:0] = [str(ROOT / "modules"), str(ROOT / "tests" / "unit")]


def marked(tree):
    """(class name or None, function's node) of what a module's source marks, in order."""
    for node in tree.body:
        owner = node.name if isinstance(node, ast.ClassDef) else None
        for each in node.body if owner else [node]:
            if isinstance(each, ast.FunctionDef):
                names = {getattr(mark, "attr", None) for mark in each.decorator_list}
                if names & set(NATIVE):
                    yield owner, each


def compiled(tool, raw):
    """The native functions below a module's code, in order, without those within another."""
    for child in getattr(raw, "children", ()):
        if isinstance(child, tool.RawCodeNative):
            yield child
        else:
            yield from compiled(tool, child)


class Counted:
    """A function in machine code and what became of it; called as the one in its source."""

    def __init__(self, name, node, run, original):
        self.name = name
        self.run = run
        self.calls = 0
        self.raises = sum(isinstance(each, ast.Raise) for each in ast.walk(node))
        signature = inspect.signature(original)

        def call(*arguments, **keywords):
            self.calls += 1
            bound = signature.bind(*arguments, **keywords)
            bound.apply_defaults()
            return run(*bound.args)

        self.function = call


def replace(chip, tool, folder, skew):
    """Put all marked functions of MODULES on the chip; returns their `Counted`."""
    counted = []
    for name in MODULES:
        module = importlib.import_module(name)
        file = ROOT / "modules" / (name.replace(".", "/") + ".py")
        read = tool.read_mpy(str(Path(folder) / f"{name}.mpy"))
        raws = list(compiled(tool, read.raw_code))
        sources = list(marked(ast.parse(file.read_text())))
        assert len(raws) == len(sources), name
        for raw, (owner, node) in zip(raws, sources, strict=True):
            place = getattr(module, owner) if owner else module
            original = getattr(place, node.name)
            run = chip.load(tool, read, raw, module.__dict__, skew)
            each = Counted(f"{name}.{node.name}", node, run, original)
            counted.append(each)
            setattr(place, node.name, each.function)
    return counted


def main():
    tree, architecture, folder, skew, *tests = sys.argv[1:]
    from chip_runtime import Chip, function_names

    stand_in()
    tool = native_code.mpy_tool(tree)
    header = (Path(tree) / "py" / "nativeglue.h").read_text()
    chip = Chip(architecture, function_names(header))
    counted = replace(chip, tool, folder, int(skew))
    ran, failed = 0, {}
    for name in tests:
        module = importlib.import_module(name)
        for test, function in list(vars(module).items()):
            if test.startswith("test_") and callable(function):
                ran += 1
                try:
                    function()
                except Exception:
                    failed[f"{name}.{test}"] = traceback.format_exc()[-1500:]
    found = {
        each.name: [each.calls, chip.raised_in(each.run.raw), each.raises] for each in counted
    }
    print(json.dumps([ran, failed, found, chip.processor.instructions]))


if __name__ == "__main__":
    main()
