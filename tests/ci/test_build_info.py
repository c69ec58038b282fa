"""Which version an image says it is."""

import pytest
from trees import git, git_repository, write_files

import build_info
import sources

PROJECT = {"pyproject.toml": '[project]\nversion = "1.2.3"\n'}


@pytest.mark.parametrize(
    ("tag", "change", "expected"),
    [("v2.0", False, "v2.0"), ("v2.0", True, "v2.0-dirty"), (None, False, None)],
)
def test_version_of_a_repository(tmp_path, tag, change, expected):
    commit = git_repository(tmp_path, PROJECT, tag)
    if change:
        write_files(tmp_path, {"pyproject.toml": PROJECT["pyproject.toml"] + "\n"})
    assert build_info.project_version(tmp_path) == (expected or f"1.2.3+g{commit[:7]}")


def test_version_after_a_tag_counts_the_commits(tmp_path):
    git_repository(tmp_path, PROJECT, "v2.0")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "More.")
    assert build_info.project_version(tmp_path).startswith("v2.0-1-g")


def test_version_without_history_is_the_projects(tmp_path):
    git_repository(tmp_path, {"README": "another repository round it\n"}, "v9")
    assert build_info.project_version(write_files(tmp_path / "p", PROJECT)) == "1.2.3"


def test_version_before_the_first_commit_is_the_projects(tmp_path):
    write_files(tmp_path, PROJECT)
    git(tmp_path, "init", "--quiet")
    assert build_info.project_version(tmp_path) == "1.2.3"


def test_module():
    namespace = {}
    source = sources.Source("debian", "1.26.1", "anything", 0)
    exec(build_info.module_text("v2.0-dirty", source), namespace)
    assert (namespace["VERSION"], namespace["MICROPYTHON"], namespace["SOURCE"]) == (
        "v2.0-dirty",
        "1.26.1",
        "debian",
    )
