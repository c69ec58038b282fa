"""The page's modules as one script, and each by itself where esbuild can't be had."""

import pytest

import bundler
import npm
import pack_assets
from common import BuildError

PAGE = b'<!doctype html><script src="static/app.js" type="module"></script>'
MODULES = {
    "page.htm": PAGE,
    "static/app.js": b'import { twice } from "./math.js";\ndocument.title = twice(21);\n',
    "static/math.js": b'import {\n one\n} from "./one.js";\nexport const twice = (n) => 2 * n;\n',
    "static/one.js": b"export const one = 1;\n",
    "static/other.js": b"window.other = 1;\n",
}


@pytest.fixture
def esbuild():
    found = bundler.program()
    if found is None:
        pytest.skip("esbuild can't be had from npm")
    return found


def test_modules_become_one_script(esbuild):
    bundled = bundler.bundle(MODULES, esbuild)
    assert sorted(bundled) == ["page.htm", "static/app.js", "static/other.js"]
    assert b"import" not in bundled["static/app.js"]
    assert b"document.title=" in bundled["static/app.js"]
    assert bundled["static/other.js"] == MODULES["static/other.js"]


def test_without_esbuild_they_stay_and_can_be_loaded():
    assert bundler.bundle(MODULES, None) == MODULES
    own = pack_assets.read_folder(pack_assets.FOLDER)
    names = {asset.name for asset in pack_assets.pack(bundler.bundle(own, None))}
    # The first has a hash in its name; the others are imported by their own names.
    for name in bundler.modules(own, "static/app.js") - {"static/app.js"}:
        assert name in names


def test_each_module_of_the_page_is_used():
    own = pack_assets.read_folder(pack_assets.FOLDER)
    (entry,) = bundler.entries(own)
    scripts = {name for name in own if name.endswith(".js")}
    assert scripts - bundler.modules(own, entry) == {"static/login.js"}


def test_what_is_missing_or_wrong_is_named(esbuild):
    files = {**MODULES}
    del files["static/one.js"]
    with pytest.raises(BuildError, match=r"static/app\.js: imports static/one\.js, which is not"):
        bundler.bundle(files, esbuild)
    files["static/one.js"] = b"export const one = ;\n"
    with pytest.raises(BuildError, match=r"(?s)static/app\.js: .*one\.js"):
        bundler.bundle(files, esbuild)


# npm


def test_what_is_not_the_pinned_package_is_refused(tmp_path):
    (tmp_path / "uplot-1.0.0.tgz").write_bytes(b"something else")
    with pytest.raises(BuildError, match=r"uplot 1\.0\.0 is not what is pinned"):
        npm.fetch("uplot", {"version": "1.0.0", "integrity": "sha512-x"}, tmp_path)


def test_without_npm_the_build_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(npm, "FOLDER", tmp_path)
    monkeypatch.setattr(npm.fetch, "__defaults__", (tmp_path,))
    pin = {"version": "1.0.0", "integrity": "sha512-x"}
    for _ in range(2):
        assert npm.fetch_if_possible("@a/b", pin, "assets: packed without it") is None
    # Said once.
    text = capsys.readouterr().out
    assert text.count("assets: packed without it, until `make clean`: npm is not installed") == 1
