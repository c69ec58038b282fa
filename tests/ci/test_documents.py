"""What the documents name is there: files, make's targets, and sections of other documents."""

import re

import pytest

from common import ROOT

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTS += [ROOT / "bench" / "README.md"]
ids = {"ids": lambda path: str(path.relative_to(ROOT))}

# Folders that a path in code quotes may begin with, and files that the repository's root has.
FOLDERS = ("bench", "boards", "ci", "docs", "examples", "frozen_www", "modules", "ports_patch")
FOLDERS += ("tests", "typings")

# What a newcomer is told to make.
INVENTED = ("modules/device/routes/hello.py",)


def links(text):
    """The targets of Markdown links within the repository: (path, anchor)."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield path, anchor


def paths(text):
    """The paths in code quotes, from the repository's root; patterns are left out."""
    for quoted in re.findall(r"`([^`\n]+)`", text):
        if re.fullmatch(rf"({'|'.join(FOLDERS)})/[\w./-]*", quoted):
            yield quoted


def anchors(text):
    """The names that GitHub gives to headings."""
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        yield re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")


def missing(document, text):
    """What a document names and isn't there."""
    for path, anchor in links(text):
        target = document.parent / path if path else document
        if not target.exists():
            yield path
        elif anchor and anchor not in anchors(target.read_text() if path else text):
            yield f"{path}#{anchor}"
    for path in paths(text):
        if path not in INVENTED and not (ROOT / path).exists():
            yield path
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for target in re.findall(r"`make ([a-z0-9-]+)", text):
        if target not in targets:
            yield f"make {target}"


@pytest.mark.parametrize("document", DOCUMENTS, **ids)
def test_what_a_document_names_is_there(document):
    assert list(missing(document, document.read_text())) == []


def test_what_is_not_there_is_found():
    text = "# One (two)\n[a](#one-two) [b](#three) [c](gone.md) [d](README.md#licence) `ci/x.py` "
    text += "`ci/test.sh` `make nothing` `make test` [e](https://example.com/x)"
    assert list(missing(ROOT / "README.md", text)) == [
        "#three",
        "gone.md",
        "README.md#licence",
        "ci/x.py",
        "make nothing",
    ]


def test_the_design_names_a_file_at_each_step():
    text = (ROOT / "docs" / "design.md").read_text()
    walks = [
        part for part in text.split("\n## ") if re.match(r"An? .*(request|page|flash|bin)", part)
    ]
    assert len(walks) == 4
    for walk in walks:
        assert len(list(paths(walk))) >= 4, walk.splitlines()[0]
    # And none of the folders of the device is left out.
    for folder in (ROOT / "modules" / "device").iterdir():
        if folder.is_dir() and folder.name != "__pycache__":
            assert folder.name in text


@pytest.mark.parametrize("document", DOCUMENTS, **ids)
def test_lines_are_wrapped(document):
    quoted = False
    for line in document.read_text().splitlines():
        quoted ^= line.startswith("```")
        if not (quoted or line.startswith(("|", "    ", "!["))):
            assert len(line) <= 102, line


def test_every_promise_names_tests_that_are_there():
    rows = re.findall(r"^\|(?!---)(.*)\|$", (ROOT / "docs/security.md").read_text(), re.MULTILINE)
    promises = [row for row in rows if not row.startswith(" Promise")]
    assert len(promises) > 15
    for row in promises:
        shown = row.rpartition(" | ")[2]
        files = re.findall(r"`(tests/[\w/.]+)`", shown)
        assert files, row
        code = "".join((ROOT / file).read_text() for file in files)
        for name in re.findall(r"`(test_\w+)`", shown):
            assert f"def {name}(" in code, name
