"""The list of an image's components: how it is made with ESP-IDF in a container, and its faults.

test_firmware.py makes whole ones.
"""

import os
import sys

import pytest
from programs import run
from trees import write_files

import idf
import sbom
from common import BUILD, ROOT, BuildError

IDF = idf.Idf.load()


def test_in_a_container_it_is_made_in_there(tmp_path, monkeypatch):
    # A stand-in for docker: notes its arguments.
    programs = write_files(tmp_path / "bin", {"docker": '#!/bin/sh\nprintf "%s\\n" "$@"\n'})
    (programs / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    log = tmp_path / "log"
    with pytest.raises(BuildError, match="there is no list of components"):
        sbom.components(idf.Tools("container", "docker"), IDF, tmp_path, log)
    words = log.read_text().splitlines()
    assert words[words.index(IDF.image) + 1 :] == [
        "python3",
        str(ROOT / "ci" / "sbom.py"),
        str(BUILD / "venv-esp32-container"),
        str(tmp_path / "project_description.json"),
        str(tmp_path / "sbom.json"),
    ]


def test_the_program_says_what_it_takes():
    done = run([sys.executable, ROOT / "ci" / "sbom.py"])
    assert done.returncode == 1
    assert "usage: sbom.py ENVIRONMENT DESCRIPTION OUTPUT" in done.stderr


def test_a_list_that_is_left_from_before_is_not_taken(tmp_path):
    write_files(tmp_path, {"sbom.json": "{}"})
    with pytest.raises(BuildError, match="there is no list of components"):
        sbom.components(idf.Tools("idf_path"), IDF, tmp_path, tmp_path / "log")
    assert not (tmp_path / "sbom.json").exists()
