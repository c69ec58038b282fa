"""Where MicroPython's source comes from: real trees, git repositories and a Debian archive."""

import dataclasses
import os
import shutil

import pytest
from debian_archive import configure_apt, write_suite
from trees import git, git_repository, micropython_files, write_files

import sources
import versions
from common import BuildError

needs_apt = pytest.mark.skipif(not shutil.which("apt-get"), reason="apt-get is not installed")

PINS = versions.Pins(
    url="/nonexistent/micropython",
    tag="v1.28.0",
    commit="0" * 40,
    minimum="1.25.0",
    suites=("sid", "forky", "trixie"),
    preferred=("1.26.1", "1.25.0"),
    mbedtls_series="3.6",
)
MBEDTLS = {"include/ssl.h": "\n", "library/ssl_tls.c": "// TLS\n", "tests/large.c": "\n"}


@pytest.fixture(autouse=True)
def log_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "BUILD", tmp_path)


@pytest.fixture
def no_archive(tmp_path, monkeypatch):
    """apt without any source."""
    monkeypatch.setenv("APT_CONFIG", configure_apt(tmp_path / "apt", "# nothing"))


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A function that writes suites (name -> packages) into an archive which apt knows."""
    folder = tmp_path / "debian"
    line = f"deb [trusted=yes] file:{folder} bookworm main"
    monkeypatch.setenv("APT_CONFIG", configure_apt(tmp_path / "apt", line))

    def write(**suites):
        for suite, packages in suites.items():
            write_suite(folder, suite, packages)

    return write


def micropython_package(version):
    upstream = version.split("+")[0].split("-")[0]
    return ("micropython", version, micropython_files(upstream, mbedtls=False))


def mbedtls_package(version):
    return ("mbedtls", version, MBEDTLS)


def repository(tmp_path, files=None, tag="v1.28.0"):
    """A repository of MicroPython, and the pins that name it."""
    folder = tmp_path / "upstream"
    commit = git_repository(folder, files or micropython_files(), tag)
    return folder, dataclasses.replace(PINS, url=f"file://{folder}", commit=commit)


@pytest.mark.parametrize(("prerelease", "expected"), [(0, "1.29.0"), (1, "1.29.0-preview")])
def test_tree_version(tmp_path, prerelease, expected):
    write_files(tmp_path, micropython_files("1.29.0", prerelease))
    assert sources.tree_version(tmp_path) == expected


def test_tree_version_missing(tmp_path):
    write_files(tmp_path, {"py/mpconfig.h": "// nothing\n"})
    with pytest.raises(BuildError, match="does not define its version"):
        sources.tree_version(tmp_path)


def test_directory_is_copied_without_what_was_built(tmp_path):
    files = micropython_files()
    tree = write_files(tmp_path / "mine", files)
    write_files(
        tree,
        {"mpy-cross/build/mpy-cross": "x", "ports/unix/build-standard/a.o": "x", ".git/x": ""},
    )
    source = sources.obtain(PINS, str(tree), tmp_path / "target", tmp_path / "work")
    assert (source.way, source.version) == ("dir", "1.28.0")
    copied = {path.relative_to(tmp_path / "target") for path in (tmp_path / "target").rglob("*.*")}
    copied |= {
        path.relative_to(tmp_path / "target") for path in (tmp_path / "target").rglob("Makefile")
    }
    assert {str(path) for path in copied} == set(files)
    assert (tree / "mpy-cross/build/mpy-cross").exists()


def test_directory_at_another_commit_is_warned_of(tmp_path, capsys):
    folder, pins = repository(tmp_path)
    sources.from_directory(folder, pins, tmp_path / "a")
    assert "warning" not in capsys.readouterr().out
    write_files(folder, {"more.txt": "\n"})
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "More.")
    source = sources.from_directory(folder, pins, tmp_path / "b")
    head = git(folder, "rev-parse", "HEAD")[:12]
    assert f"warning: MICROPYTHON_DIR is at commit {head}, not v1.28.0" in capsys.readouterr().out
    assert head in source.detail
    assert source.date == int(git(folder, "log", "-1", "--format=%ct"))


def test_directory_inside_another_repository_has_no_commit(tmp_path):
    git_repository(tmp_path / "project", {"README": "\n"})
    tree = write_files(tmp_path / "project" / "micropython", micropython_files())
    assert sources.git_head(tree) is None


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (None, "is not a folder"),
        ({"README": "\n"}, "it has no py/mpconfig.h"),
        (micropython_files("1.24.1"), "is MicroPython 1.24.1; at least 1.25.0 is needed"),
    ],
)
def test_a_directory_that_is_set_but_unusable_is_an_error(tmp_path, files, reason):
    if files is not None:
        write_files(tmp_path / "mine", files)
    with pytest.raises(BuildError, match=reason):
        sources.obtain(PINS, str(tmp_path / "mine"), tmp_path / "target", tmp_path / "work")


def test_git_takes_the_tag_at_the_pinned_commit(tmp_path, no_archive):
    _, pins = repository(tmp_path)
    target = tmp_path / "target"
    source = sources.obtain(pins, "", target, tmp_path / "work")
    assert (source.way, source.version) == ("git", "1.28.0")
    assert pins.url in source.detail
    assert (target / "ports/unix/Makefile").is_file()
    assert not (target / ".git").exists()
    assert not (tmp_path / "work").exists()


def test_git_brings_the_submodule(tmp_path, no_archive):
    git_repository(tmp_path / "mbedtls", MBEDTLS)
    folder = tmp_path / "upstream"
    git_repository(folder, micropython_files(mbedtls=False))
    git(folder, "submodule", "add", "--quiet", f"file://{tmp_path}/mbedtls", "lib/mbedtls")
    git(folder, "commit", "--quiet", "--message", "mbedtls.")
    git(folder, "tag", "v1.28.0")
    commit = git(folder, "rev-parse", "HEAD")
    pins = dataclasses.replace(PINS, url=f"file://{folder}", commit=commit)
    sources.obtain(pins, "", tmp_path / "target", tmp_path / "work")
    assert sources.has_mbedtls(tmp_path / "target")
    assert not list((tmp_path / "target").rglob(".git"))


def test_git_tag_at_another_commit_is_an_error(tmp_path, no_archive):
    _, pins = repository(tmp_path)
    moved = dataclasses.replace(pins, commit="1" * 40)
    with pytest.raises(BuildError, match=f"is commit {pins.commit}, but {'1' * 40} is pinned"):
        sources.obtain(moved, "", tmp_path / "target", tmp_path / "work")


def test_when_no_way_works_each_says_why(tmp_path, no_archive):
    with pytest.raises(BuildError) as error:
        sources.obtain(PINS, "", tmp_path / "target", tmp_path / "work")
    text = str(error.value)
    assert "  git: " in text and "/nonexistent/micropython" in text
    assert "  debian: " in text
    assert "MICROPYTHON_DIR" in text
    assert not (tmp_path / "target").exists()


def test_without_git_and_apt_each_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError) as error:
        sources.obtain(PINS, "", tmp_path / "target", tmp_path / "work")
    assert "git: git is not installed" in str(error.value)
    assert "debian: apt-get is not installed" in str(error.value)


@needs_apt
def test_debian_prefers_1_26_1_and_finds_mbedtls_in_another_suite(tmp_path, archive):
    archive(
        sid=[micropython_package("1.26.1+ds-1"), mbedtls_package("4.0.0-1")],
        trixie=[micropython_package("1.25.0+ds-1"), mbedtls_package("3.6.4-1")],
    )  # forky can't be had
    target = tmp_path / "target"
    source = sources.obtain(PINS, "", target, tmp_path / "work")
    assert (source.way, source.version, source.date) == ("debian", "1.26.1", 1_700_000_000)
    assert source.detail == "Debian source package micropython 1.26.1+ds-1, mbedtls 3.6.4-1"
    assert (target / "lib/mbedtls/library/ssl_tls.c").is_file()
    assert (target / "lib/mbedtls/include/ssl.h").is_file()
    assert not (target / "lib/mbedtls/tests").exists()
    assert not (tmp_path / "work").exists()


@needs_apt
def test_debian_falls_back_to_1_25_0(tmp_path, archive):
    archive(
        sid=[micropython_package("1.29.0+ds-1")],
        trixie=[micropython_package("1.25.0+ds-1"), mbedtls_package("3.6.4-1")],
    )
    source = sources.obtain(PINS, "", tmp_path / "target", tmp_path / "work")
    assert source.version == "1.25.0"


@needs_apt
def test_debian_without_a_usable_version_names_what_is_there(tmp_path, archive):
    archive(sid=[micropython_package("1.22.1+ds-1")])
    with pytest.raises(BuildError) as error:
        sources.obtain(PINS, "", tmp_path / "target", tmp_path / "work")
    assert "no usable micropython (found: 1.22.1+ds-1); forky: E: " in str(error.value)


@needs_apt
def test_debian_refuses_a_tarball_that_is_not_the_signed_one(tmp_path, archive):
    archive(sid=[micropython_package("1.26.1+ds-1"), mbedtls_package("3.6.4-1")])
    (tarball,) = tmp_path.glob("debian/pool/sid/micropython-*/*.orig.tar.xz")
    tarball.write_bytes(tarball.read_bytes()[::-1])
    with pytest.raises(BuildError, match=r"debian: micropython 1\.26\.1\+ds-1: "):
        sources.obtain(PINS, "", tmp_path / "target", tmp_path / "work")


@needs_apt
def test_debian_fills_mbedtls_where_a_tree_lacks_it(tmp_path, archive):
    archive(trixie=[mbedtls_package("3.6.4-1")])
    tree = write_files(tmp_path / "mine", micropython_files(mbedtls=False))
    source = sources.obtain(PINS, str(tree), tmp_path / "target", tmp_path / "work")
    assert source.way == "dir"
    assert source.detail.endswith("Debian's mbedtls 3.6.4-1")
    assert sources.has_mbedtls(tmp_path / "target")
    assert not sources.has_mbedtls(tree)


def test_the_source_is_obtained_once(tmp_path, no_archive):
    folder, pins = repository(tmp_path)
    first = sources.ensure(pins, folder=tmp_path / "src")
    shutil.rmtree(folder)
    assert sources.ensure(pins, folder=tmp_path / "src") == first
    assert sources.recorded(tmp_path / "src") == first


def test_another_pin_obtains_the_source_again(tmp_path, no_archive):
    _, pins = repository(tmp_path)
    sources.ensure(pins, folder=tmp_path / "src")
    with pytest.raises(BuildError):
        sources.ensure(dataclasses.replace(pins, commit="1" * 40), folder=tmp_path / "src")
    with pytest.raises(BuildError, match="there is no source"):
        sources.recorded(tmp_path / "src")


def test_a_directory_is_copied_again_when_a_file_in_it_changes(tmp_path):
    tree = write_files(tmp_path / "mine", micropython_files())
    sources.ensure(PINS, str(tree), tmp_path / "src")
    marker = write_files(tmp_path / "src" / "micropython", {"marker": ""}) / "marker"
    write_files(tree, {"mpy-cross/build/mpy-cross": "built"})
    sources.ensure(PINS, str(tree), tmp_path / "src")
    assert marker.exists()
    os.utime(tree / "ports/unix/Makefile", (1, 1))
    sources.ensure(PINS, str(tree), tmp_path / "src")
    assert not marker.exists()


def test_without_the_directory_the_pinned_source_comes_back(tmp_path, no_archive):
    _, pins = repository(tmp_path)
    tree = write_files(tmp_path / "mine", micropython_files("1.27.0"))
    assert sources.ensure(pins, str(tree), tmp_path / "src").version == "1.27.0"
    assert sources.ensure(pins, "", tmp_path / "src").version == "1.28.0"
