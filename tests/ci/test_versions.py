"""The pinned versions, and that they stand in ci/versions.toml and the requirements alone."""

import ast
import re

import pytest
from test_style import tracked

import versions
from common import ROOT, BuildError


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.26.1+ds-1", (1, 26, 1)),
        ("v1.28.0", (1, 28, 0)),
        ("1:3.6.7-3", (3, 6, 7)),
        ("3.6", (3, 6)),
    ],
)
def test_numbers(version, expected):
    assert versions.numbers(version) == expected


def test_numbers_of_something_else():
    with pytest.raises(BuildError, match="not a version"):
        versions.numbers("latest")


def test_pins_are_those_of_the_file():
    pins = versions.Pins.load()
    assert pins.tag == "v1.28.0"
    assert pins.commit == "e0e9fbb17ed6fd06bb76e266ae554784c9c80804"
    assert pins.preferred == ("1.26.1", "1.25.0")


RELEASE = re.compile(r"v?\d+(\.\d+){1,3}")


def pinned_in_python(text):
    """The strings of a program that are a version and nothing else, or end with "==" and one."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if RELEASE.fullmatch(node.value.rpartition("==")[2]):
                yield node.value


def pinned_in_text(text):
    """The versions that are assigned or asked for in a shell script, a Makefile or a workflow."""
    for line in text.splitlines():
        if not line.lstrip().startswith("#"):
            yield from re.findall(r"[=@]['\"]?(v?\d+(?:\.\d+)+)\b", line)


def test_versions_are_pinned_in_one_place():
    found = []
    for file in tracked("ci", "Makefile", ".ci", ".github", "tests/conformance", "bench"):
        if file.name == "versions.toml" or file.suffix in (".in", ".txt", ".md"):
            continue
        find = pinned_in_python if file.suffix == ".py" else pinned_in_text
        found += [(file.name, version) for version in find(file.read_text())]
    # Cases of the Autobahn suite, addresses, what a standard is called.
    allowed = {
        *(("run.py", case) for case in ("3.4", "4.1.5", "4.2.5")),
        *(("provision.py", address) for address in ("192.168.4.1",)),
        ("sbom.py", "1.6"),
    }
    assert [item for item in found if item not in allowed and item[1] != "127.0.0.1"] == []


def test_versions_that_are_pinned_elsewhere_are_found():
    assert list(pinned_in_python('A = "1.2.3"\nf("x==4.5")\n"""Since 1.2."""')) == [
        "1.2.3",
        "x==4.5",
    ]
    assert list(pinned_in_text("A=1.2\n# B=3.4\npip install 'x==5.6'\nnpm i y@v7.8.9")) == [
        "1.2",
        "5.6",
        "v7.8.9",
    ]


@pytest.mark.parametrize("name", ["README.md", "docs/firmware.md"])
def test_the_documents_name_the_pinned_versions(name):
    pins = versions.load()
    text = (ROOT / name).read_text()
    for what, section in (("ESP-IDF", "esp_idf"), ("MicroPython", "micropython")):
        for found in re.findall(rf"{what} (v\d\S*\d)", text):
            assert found == pins[section]["tag"]
