"""`make lint` finds nothing here, and what it is for elsewhere; what else the workflows keep."""

import json
import re
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
from programs import run
from trees import git, git_repository, write_files

import environment
import lint
from common import ROOT, BuildError

TOOLS = Path(sysconfig.get_path("scripts"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
REQUIREMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("ci", "relay", "tests")
    for path in (ROOT / folder).glob("*.in")
)


@pytest.mark.parametrize(
    "command",
    lint.checks(TOOLS),
    ids=lambda command: " ".join([command[0].name, str(command[1])][:2]),
)
def test_finds_nothing(command):
    done = run(command)
    assert done.returncode == 0, done.stdout + done.stderr


BAD = {
    "ruff check": {"a.py": "import os\n"},
    "ruff format": {"a.py": "x = 'a'\n"},
    "actionlint": {".github/workflows/a.yml": "on: push\njobs: {a: {steps: [{run: echo}]}}\n"},
    "zizmor": {
        ".github/workflows/a.yml": "on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n"
        "      - run: echo ${{ github.event.head_commit.message }}\n"
    },
    "shellcheck": {"a.sh": "#!/bin/sh\nrm $1/*\n"},
    "mypy": {"typings/a.pyi": "x: Missing\n"},
}


@pytest.mark.parametrize("check", BAD)
def test_finds_what_is_wrong(tmp_path, check):
    # A whole workflow beside it, so that those who want one have one.
    files = {".github/workflows/ok.yml": WORKFLOWS[0].read_text(), "ok.sh": "#!/bin/sh\n"}
    files["typings/ok.pyi"] = "x: int\n"
    git_repository(tmp_path, files)
    name, *rest = check.split()
    (command,) = [
        command
        for command in lint.checks(TOOLS, tmp_path)
        if command[0].name == name and command[1 : 1 + len(rest)] == rest
    ]
    assert run(command).returncode == 0
    write_files(tmp_path, BAD[check])
    git(tmp_path, "add", ".")
    (command,) = [
        command
        for command in lint.checks(TOOLS, tmp_path)
        if command[0].name == name and command[1 : 1 + len(rest)] == rest
    ]
    assert run(command).returncode != 0


def test_goes_on_after_a_finding_and_names_the_tools():
    with pytest.raises(BuildError, match=r"found something: false$"):
        lint.run_all([["false"], ["true"], ["false"]])
    lint.run_all([["true"]])


def test_format_repairs(tmp_path):
    write_files(tmp_path, {"a.py": "import os\nx = 'a'\n"})
    lint.run_all(repair for repair in lint.repairs(TOOLS, tmp_path))
    assert (tmp_path / "a.py").read_text() == 'x = "a"\n'


@pytest.mark.parametrize(("arguments", "wanted"), [([], "checks"), (["--fix"], "repairs")])
def test_what_the_program_runs(monkeypatch, arguments, wanted):
    ran = []
    monkeypatch.setattr(environment, "ensure", lambda folder, requirements: TOOLS / "python")
    monkeypatch.setattr(lint, "run_all", ran.append)
    monkeypatch.setattr(sys, "argv", ["lint.py", *arguments])
    lint.step()
    assert ran == [getattr(lint, wanted)(TOOLS)]


def test_other_arguments_are_refused(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lint.py", "--fx"])
    with pytest.raises(BuildError, match="usage"):
        lint.step()


def test_scripts_are_found_by_their_first_line_and_outside_of_git_it_says_so(tmp_path):
    git_repository(tmp_path, {"a": "#!/bin/sh\n", "b": "#!/bin/sh -x\n", "c.sh": "x\n"})
    assert lint.shell_scripts(tmp_path) == [tmp_path / "a"]
    (tmp_path / "a").unlink()  # still listed
    assert lint.shell_scripts(tmp_path) == []
    with pytest.raises(BuildError, match="git can't list"):
        lint.shell_scripts(tmp_path / "d")


# The workflows


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_by_its_commit_and_names_its_version(workflow):
    used = re.findall(r"uses: (.*)", workflow.read_text())
    assert used
    for action in used:
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_workflows_use_one_version_of_an_action():
    used = {use for path in WORKFLOWS for use in re.findall(r"uses: (.*)", path.read_text())}
    assert len(used) == len({use.split("@")[0] for use in used})


def test_a_change_is_linted_and_tested():
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text()
    commands = ["make lint", "sudo ci/test.sh --only-programs", "make test"]
    assert re.findall(r"run: (.*)", text) == commands
    assert "\n  pull_request:\n" in text
    assert "\npermissions: {}\n" in text
    assert set(re.findall(r"^      (\w+: \w+)$", text, re.MULTILINE)) >= {"contents: read"}
    assert "write" not in text
    assert "continue-on-error" not in text
    assert text.count("timeout-minutes") == text.count("runs-on")
    assert text.count("persist-credentials: false") == text.count("actions/checkout")


# What editors and robots read


def test_pre_commit_has_the_ruff_of_the_requirements():
    pinned = re.search(r"^ruff==(\S+) ", (ROOT / "tests" / "requirements.txt").read_text(), re.M)[
        1
    ]
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"rev: (.*)", text) == [f"v{pinned}"]
    assert re.findall(r"- id: (.*)", text) == ["ruff-check", "ruff-format"]


def test_editors_get_the_line_length_of_ruff():
    with open(ROOT / "pyproject.toml", "rb") as file:
        length = tomllib.load(file)["tool"]["ruff"]["line-length"]
    assert f"max_line_length = {length}\n" in (ROOT / ".editorconfig").read_text()


def renovate():
    return json.loads((ROOT / "renovate.json").read_text())


def test_renovate_knows_every_requirements_file():
    patterns = renovate()["pip-compile"]["managerFilePatterns"]
    files = [path.removesuffix(".in") + ".txt" for path in REQUIREMENTS]
    assert len(files) == 5
    for file in files:
        assert any(re.search(pattern.strip("/"), file) for pattern in patterns), file


def test_renovate_finds_the_pins_of_versions_toml():
    (manager,) = renovate()["customManagers"]
    (pattern,) = manager["managerFilePatterns"]
    assert re.search(pattern.strip("/"), "ci/versions.toml")
    expression = manager["matchStrings"][0].replace("(?<", "(?P<")
    found = re.findall(expression, (ROOT / "ci" / "versions.toml").read_text())
    with open(ROOT / "ci" / "versions.toml", "rb") as file:
        pins = [pin for pin in tomllib.load(file).values() if "commit" in pin]
    assert found == [
        (pin["url"].removeprefix("https://github.com/"), pin["tag"], pin["commit"]) for pin in pins
    ]
