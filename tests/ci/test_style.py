"""Everything is written in one dialect; ruff and the others see to the rest (test_lint)."""

import ast
import re

import pytest
from programs import run

from common import ROOT


def tracked(*patterns):
    """The repository's files, as git knows them; all of a copy without git."""
    listed = run(["git", "-C", ROOT, "ls-files", "-z", "--", *patterns])
    if listed.returncode:
        pytest.skip("not a git clone")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [file for file in files if file.is_file()]


def templates(tree):
    """The lines that call `format` of a literal, where an f-string would do."""
    for node in ast.walk(tree):
        function = getattr(node, "func", None)
        if isinstance(function, ast.Attribute) and function.attr == "format":
            if isinstance(function.value, ast.Constant):
                yield node.lineno


def prose_about_errors(tree):
    """The lines of docstrings that tell in prose what is raised, not in a section of its own."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        text = ast.get_docstring(node) if isinstance(node, kinds) else None
        if text and re.search(r"\b[Rr]aises?\s+`?[A-Z]\w*", text):
            yield node.body[0].lineno


@pytest.mark.parametrize("find", [templates, prose_about_errors])
def test_python_is_written_in_one_dialect(find):
    for file in tracked("*.py"):
        found = list(find(ast.parse(file.read_text())))
        assert not found, f"{file}: {found}"


def test_the_dialects_rules_find_what_they_forbid():
    tree = ast.parse('''def f():
    """Do it. Raises ValueError when it fails."""
    return "{}".format(1), TEMPLATE.format(2), f"{3}"
def g():
    """Do it.

    Raises:
        ValueError: it fails.
    """
''')
    assert list(templates(tree)) == [3]
    assert list(prose_about_errors(tree)) == [2]


def test_text_says_it_the_short_way():
    long = "can" + "not"
    for file in tracked():
        if file.suffix in (".png", ".woff2", ".ico") or "third_party" in file.parts:
            continue
        found = re.search(rf"(?<!\w){long}(?!\w)", file.read_text(), re.IGNORECASE)
        assert not found, f"{file}: {found}"
