"""The minifier, where it can be had and where not."""

import pytest

import minifier
from common import BuildError


@pytest.fixture
def minify():
    function = minifier.load()
    if function is minifier.unchanged:
        pytest.skip("the minifier can't be had from PyPI")
    return function


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.css", b"p { color : red ; }\n", b"p{color:red}"),
        ("static/a.js", b"// why\nlet a = 1;\n", b"let a=1"),
        ("a.htm", b"<!doctype html>\n<p>a   b</p>\n", b"<!doctype html><p>a b"),
        ("a.png", b"p { color : red ; }\n", b"p { color : red ; }\n"),
    ],
)
def test_each_kind_of_file(minify, name, data, expected):
    assert minify(name, data) == expected


@pytest.mark.parametrize("data", [b"let let = (", b"\xff"])
def test_an_error_names_the_file(minify, data):
    with pytest.raises(BuildError, match=r"static/a\.js: "):
        minify("static/a.js", data)


def test_where_it_cannot_be_had_the_build_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setattr(minifier, "FOLDER", tmp_path / "venv")
    monkeypatch.setattr(minifier, "REFUSED", tmp_path / "refused")
    assert minifier.load() is minifier.unchanged
    said = capsys.readouterr().out
    assert said.startswith("assets: packed without minifying")
    assert said.count("\n") == 1
    assert minifier.load() is minifier.unchanged
    assert capsys.readouterr().out == ""
