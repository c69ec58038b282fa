"""The patches on MicroPython's ports, applied by the real git to small trees."""

import json

import pytest
from trees import git_repository, micropython_files, write_files

import patches
from common import BuildError

MAKEFILE_PATCH = """\
unix: Build something.

Why: a test.

--- a/ports/unix/Makefile
+++ b/ports/unix/Makefile
@@ -1 +1,2 @@
 all:
+\ttrue
"""
OTHER_PATCH = MAKEFILE_PATCH.replace("true", "false")
EVERY_PORT_PATCH = """\
--- a/lib/README.md
+++ b/lib/README.md
@@ -1 +1 @@
-libraries
+LIBRARIES
"""


@pytest.fixture
def source(tmp_path):
    """A folder as sources.ensure leaves it."""
    folder = tmp_path / "src"
    write_files(folder / "micropython", micropython_files())
    write_files(folder / "micropython", {"tests/large.py": "\n"})
    record_source(folder, "1.28.0")
    return folder


def record_source(folder, version):
    source = {"way": "dir", "version": version, "detail": "", "date": 0}
    (folder / "source.json").write_text(json.dumps({"key": {}, "source": source}))


@pytest.fixture
def series(tmp_path):
    """A function that writes a folder of patches and its series file."""

    def write(text, **files):
        folder = tmp_path / "ports_patch"
        names = {f"{name}.patch": content for name, content in files.items()}
        return write_files(folder, {"series": text, **names})

    return write


def test_a_port_gets_its_own_patches_in_order(series):
    folder = series(
        "# order\nb.patch unix # why\n\na.patch all\nc.patch esp32\n", a="", b="", c=""
    )
    read = patches.read_series(folder)
    assert [path.name for path in patches.of_port(read, "unix")] == ["b.patch", "a.patch"]
    assert [path.name for path in patches.of_port(read, "esp32")] == ["a.patch", "c.patch"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a.patch\n", "series:1: not 'FILE unix|esp32|all': 'a.patch'"),
        ("\na.patch stm32\n", "series:2: not 'FILE unix|esp32|all'"),
        ("missing.patch unix\n", "series:1: there is no missing.patch"),
    ],
)
def test_a_bad_line_of_the_series_is_named(series, text, reason):
    with pytest.raises(BuildError) as error:
        patches.read_series(series(text, a=""))
    assert reason in str(error.value)


def test_patches_go_to_a_copy_exactly_once(source, series):
    folder = series("a.patch unix\nb.patch all\n", a=MAKEFILE_PATCH, b=EVERY_PORT_PATCH)
    tree = patches.prepare("unix", source, folder)
    assert (tree / "ports/unix/Makefile").read_text() == "all:\n\ttrue\n"
    assert (tree / "lib/README.md").read_text() == "LIBRARIES\n"
    assert (source / "micropython/ports/unix/Makefile").read_text() == "all:\n"
    assert not (tree / "tests").exists()

    built = write_files(tree, {"ports/unix/build/a.o": "built"}) / "ports/unix/build/a.o"
    assert patches.prepare("unix", source, folder) == tree
    assert built.exists()
    assert (tree / "ports/unix/Makefile").read_text() == "all:\n\ttrue\n"


def test_each_port_has_its_own_copy(source, series):
    folder = series("a.patch unix\nb.patch esp32\n", a=MAKEFILE_PATCH, b=EVERY_PORT_PATCH)
    unix = patches.prepare("unix", source, folder)
    esp32 = patches.prepare("esp32", source, folder)
    assert (unix / "lib/README.md").read_text() == "libraries\n"
    assert (esp32 / "lib/README.md").read_text() == "LIBRARIES\n"
    assert (esp32 / "ports/unix/Makefile").read_text() == "all:\n"


def test_a_changed_patch_makes_the_copy_anew(source, series):
    folder = series("a.patch unix\n", a=MAKEFILE_PATCH)
    tree = patches.prepare("unix", source, folder)
    built = write_files(tree, {"ports/unix/build/a.o": "built"}) / "ports/unix/build/a.o"
    (folder / "a.patch").write_text(OTHER_PATCH)
    patches.prepare("unix", source, folder)
    assert (tree / "ports/unix/Makefile").read_text() == "all:\n\tfalse\n"
    assert not built.exists()


def test_a_patch_that_is_dropped_is_gone(source, series):
    folder = series("a.patch unix\n", a=MAKEFILE_PATCH)
    tree = patches.prepare("unix", source, folder)
    (folder / "series").write_text("")
    patches.prepare("unix", source, folder)
    assert (tree / "ports/unix/Makefile").read_text() == "all:\n"


def test_another_source_makes_the_copy_anew(source, series):
    folder = series("a.patch unix\n", a=MAKEFILE_PATCH)
    tree = patches.prepare("unix", source, folder)
    write_files(source / "micropython", micropython_files("1.29.0"))
    record_source(source, "1.29.0")
    patches.prepare("unix", source, folder)
    assert "MICROPY_VERSION_MINOR 29" in (tree / "py/mpconfig.h").read_text()


def test_a_conflict_names_the_patch_the_file_and_the_version(source, series):
    folder = series("a.patch unix\nb.patch unix\n", a=MAKEFILE_PATCH, b=OTHER_PATCH)
    with pytest.raises(BuildError) as error:
        patches.prepare("unix", source, folder)
    text = str(error.value)
    assert "b.patch does not apply to MicroPython 1.28.0" in text
    assert "ports/unix/Makefile" in text
    # Nothing half-patched is taken for finished the next time.
    with pytest.raises(BuildError):
        patches.prepare("unix", source, folder)


def test_without_a_source_it_says_what_to_do(tmp_path, series):
    with pytest.raises(BuildError, match="there is no source"):
        patches.prepare("unix", tmp_path, series(""))


def test_patches_apply_inside_a_repository(tmp_path, series):
    git_repository(tmp_path / "project", {"README": "\n"})
    tree = write_files(tmp_path / "project" / "build" / "micropython", micropython_files())
    patches.apply(tree, series("", a=MAKEFILE_PATCH) / "a.patch")
    assert (tree / "ports/unix/Makefile").read_text() == "all:\n\ttrue\n"


def test_every_patch_of_the_project_is_listed_and_says_what_it_is_for():
    listed = {patch.path for patch in patches.read_series()}
    assert listed == set(patches.PATCHES.glob("*.patch"))
    for path in listed:
        header = path.read_text().split("\n--- ", 1)[0]
        for field in ("Why: ", "Upstream: ", "Made for: "):
            assert field in header, f"{path.name} has no {field}"
