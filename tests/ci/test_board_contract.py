"""Every board defines what boards/board.pyi says, and the frozen code uses nothing else of it."""

import ast

import pytest

from common import ROOT

CONTRACT = ROOT / "boards/board.pyi"
MODULES = ROOT / "modules"
BOARDS = sorted((ROOT / "boards").glob("*/modules/board.py"))
CHIPS = sorted((ROOT / "boards").glob("*/modules/chip.py"))

# How a board may be asked whether it has something, which it always does.
ASKING = ("getattr", "hasattr")


def members(body):
    """What statements define: name -> its parameters, (name, whether it has a default) pairs, or
    None for a value."""
    found = {}
    for node in body:
        if isinstance(node, ast.FunctionDef):
            if node.decorator_list:
                found[node.name] = None
                continue
            arguments = node.args
            names = [argument.arg for argument in arguments.args if argument.arg != "self"]
            without = len(names) - len(arguments.defaults)
            found[node.name] = [(name, i >= without) for i, name in enumerate(names)]
        elif isinstance(node, ast.Assign):
            found.update((target.id, None) for target in node.targets)
        elif isinstance(node, ast.AnnAssign):
            found[node.target.id] = None
        elif isinstance(node, ast.Import):
            found.update((alias.asname or alias.name, None) for alias in node.names)
    return found


def contract():
    """What a board defines, and what its `chip` does."""
    tree = ast.parse(CONTRACT.read_text())
    chip = next(node for node in tree.body if getattr(node, "name", None) == "Chip")
    return members(tree.body), members(chip.body)


def missing(expected, source):
    """The names of `expected` that a module doesn't define, or otherwise."""
    defined = members(ast.parse(source).body)
    return {name for name in expected if defined.get(name, False) != expected[name]}


def uses(source):
    """The names that a module takes from `board`, and how often it asks whether there is one."""
    names, asked = set(), 0
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) == "board":
            names.add(node.attr)
        elif isinstance(node, ast.ImportFrom) and node.module == "board":
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", None) in ASKING:
            asked += getattr(node.args[0], "id", None) == "board"
    return names, asked


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.parts[-3])
def test_a_board_defines_all_of_it(board):
    assert not missing(contract()[0], board.read_text())


def test_every_board_has_one_of_these_modules():
    # Each board of the ESP32 family freezes boards/common; the tests of its manifest see to that.
    assert {board.parts[-3] for board in BOARDS} == {"UNIX_WEBSOCK", "common"}


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.parts[-3])
def test_a_chip_has_all_that_a_start_needs(chip):
    assert not missing(contract()[1], chip.read_text())


def test_the_frozen_code_uses_only_what_every_board_has():
    board, chip = contract()
    used = set()
    for file in MODULES.rglob("*.py"):
        names, asked = uses(file.read_text())
        assert not asked, file
        used |= names
    assert used == set(board)
    # main.py and device.startup.
    assert {"store", "held", "watchdog"} <= set(chip)


def test_what_is_missing_or_different_is_found():
    expected = members(ast.parse("def f(a, b=1): ...\ndef g(): ...\nX: int\nY: int\n").body)
    assert (
        missing(expected, "def f(a, b=2):\n    pass\ndef g():\n    pass\nX = 1\nimport Y") == set()
    )
    assert missing(expected, "def f(a, b):\n    pass\ng = 1\nY = 1") == {"f", "g", "X"}
    assert uses("import board\nboard.x(board.y)\nhasattr(board, 'z')") == ({"x", "y"}, 1)
    assert uses("from board import x\ngetattr(board, 'z', None)") == ({"x"}, 1)
