"""Environments from pinned requirements: a package from a folder, so that no index is asked."""

import hashlib
import subprocess
import zipfile

import pytest

import environment
from common import BuildError

INFO = "example-1.0.dist-info"


@pytest.fixture
def requirements(tmp_path, monkeypatch):
    """A function that writes a requirements file for the package `example` with options."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheel = folder / "example-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("example.py", "NAME = 'example'\n")
        archive.writestr(
            f"{INFO}/METADATA", "Metadata-Version: 2.1\nName: example\nVersion: 1.0\n"
        )
        archive.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{INFO}/RECORD", "example.py,,\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()

    def write(options):
        path = tmp_path / "requirements.txt"
        path.write_text(f"example==1.0 {options.format(digest=digest)}\n")
        return path

    return write


def test_made_once_and_again_when_the_requirements_change(tmp_path, requirements):
    path = requirements("--hash=sha256:{digest}")
    python = environment.ensure(tmp_path / "venv", path)
    script = "import example; print(example.NAME)"
    done = subprocess.run([python, "-c", script], capture_output=True, check=True)
    assert done.stdout == b"example\n"

    marker = tmp_path / "venv" / "marker"
    marker.touch()
    environment.ensure(tmp_path / "venv", path)
    assert marker.exists()
    environment.ensure(tmp_path / "venv", requirements("--hash=sha256:{digest}  # changed"))
    assert not marker.exists()


@pytest.mark.parametrize("options", ["", "--hash=sha256:" + "0" * 64])
def test_without_the_right_hash_nothing_is_installed(tmp_path, requirements, options):
    with pytest.raises(BuildError, match=r"(?i)hash"):
        environment.ensure(tmp_path / "venv", requirements(options))
    assert not (tmp_path / "venv" / "requirements").exists()
    assert not list((tmp_path / "venv").rglob("example.py"))


def test_a_package_that_cannot_be_had_is_named(tmp_path, requirements):
    path = requirements("--hash=sha256:{digest}")
    path.write_text(path.read_text().replace("example", "nosuchpackage"))
    with pytest.raises(BuildError, match="nosuchpackage"):
        environment.ensure(tmp_path / "venv", path)
