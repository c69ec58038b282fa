"""Files of other projects in the packed page, where they can be had and where not."""

import gzip
import re

import pytest

import minifier
import npm
import pack_assets
import third_party


@pytest.fixture
def files():
    found = third_party.load()
    if len(found) < 3:
        pytest.skip("the packages can't be had from PyPI and npm")
    return found


def test_jquery_is_a_safe_version(files):
    # 3.5.0 and before run scripts in what they are given as HTML (CVE-2020-11022).
    version = re.search(rb"jQuery v(\d+)\.(\d+)\.(\d+)", files["static/jquery.js"])
    assert tuple(map(int, version.groups())) >= (3, 5, 1)


def test_first_visit_does_not_load_it(files):
    own = pack_assets.read_folder(pack_assets.FOLDER)
    packed = {asset.name: asset for asset in pack_assets.pack({**files, **own})}
    # Its name has no hash, which is what files that a page refers to get.
    jquery = packed["static/jquery.js"]
    assert gzip.decompress(jquery.body) == files["static/jquery.js"]
    assert b"Cache-Control: no-cache\r\n" in jquery.head
    assert not any(b"jquery" in data for name, data in own.items())
    assert "static/uplot.js" in packed and "static/uplot.css" in packed


def test_without_the_packages_the_page_is_packed_alone(monkeypatch, capsys):
    monkeypatch.setattr(minifier, "library", lambda: None)
    monkeypatch.setattr(npm, "fetch_if_possible", lambda name, pin, without: None)
    assert third_party.load() == {}
    assert capsys.readouterr().out == "assets: packed without static/jquery.js\n"


def test_each_file_is_a_library_with_a_version(files):
    jquery, uplot = third_party.libraries(files)
    assert (uplot.name, uplot.licence) == ("uplot", "MIT")
    assert re.fullmatch(r"\d+\.\d+\.\d+", uplot.version)
    assert (jquery.name, jquery.licence) == ("jquery", "MIT")
    assert re.fullmatch(r"\d+\.\d+\.\d+", jquery.version)
    assert jquery.data == files["static/jquery.js"]
    assert third_party.LIBRARIES.keys() < files.keys()
