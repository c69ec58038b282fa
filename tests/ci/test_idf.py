"""The pinned ESP-IDF: which one is taken, and how a command is run with it."""

import os
from pathlib import Path

import pytest
from programs import run
from trees import write_files

import idf
from common import ROOT, BuildError

IDF = idf.Idf.load()


def nothing(name):
    return None


def programs(*names):
    return lambda name: f"/bin/{name}" if name in names else None


def test_the_active_idf_of_the_pinned_version_is_used():
    tools = idf.choose_tools(
        IDF, {"IDF_PATH": "/idf"}, programs("idf.py", "docker"), lambda command: "ESP-IDF v5.5.1\n"
    )
    assert tools == idf.Tools("active")


def test_another_active_idf_is_named_and_not_used(capsys):
    tools = idf.choose_tools(
        IDF,
        {"IDF_PATH": "/nowhere"},
        programs("idf.py", "docker"),
        lambda command: "ESP-IDF v5.4.2" if command[0] == "idf.py" else "Server:",
    )
    assert tools == idf.Tools("container", "docker")
    assert "the active ESP-IDF is v5.4.2: not used" in capsys.readouterr().out


def test_idf_path_of_the_pinned_version_is_used(tmp_path):
    text = "set(IDF_VERSION_MAJOR 5)\nset(IDF_VERSION_MINOR 5)\nset(IDF_VERSION_PATCH 1)\n"
    write_files(tmp_path, {"tools/cmake/version.cmake": text})
    environment = {"IDF_PATH": str(tmp_path)}
    assert idf.choose_tools(IDF, environment, nothing) == idf.Tools("idf_path")


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_the_container_is_used_when_its_engine_answers(engine):
    tools = idf.choose_tools(IDF, {}, programs(engine), lambda command: "Server:")
    assert tools == idf.Tools("container", engine)


def test_a_docker_without_root_is_noticed():
    information = "Server:\n Security Options:\n  seccomp\n  rootless\n  cgroupns\n"
    tools = idf.choose_tools(IDF, {}, programs("docker"), lambda command: information)
    assert tools == idf.Tools("container", "docker", rootless=True)


def test_without_any_it_says_what_to_install_in_three_lines():
    with pytest.raises(BuildError) as error:
        # docker is there, its daemon is not.
        idf.choose_tools(IDF, {}, programs("docker"), lambda command: "")
    lines = str(error.value).splitlines()
    assert len(lines) == 3
    assert "ESP-IDF v5.5.1" in lines[0]
    assert "docker.io/espressif/idf:v5.5.1" in lines[1]
    assert f"-b v5.5.1 {IDF.url}" in lines[2]


# Commands


def test_how_each_tool_runs_the_command():
    variables = {"SOURCE_DATE_EPOCH": "1"}

    def command(*tools, user=(1000, 100)):
        return idf.run_command(
            idf.Tools(*tools), IDF, ["idf.py", "build"], variables, Path("/p"), user
        )

    assert command("active") == ["idf.py", "build"]
    script = '. "$IDF_PATH/export.sh" >/dev/null && exec "$@"'
    assert command("idf_path") == ["bash", "-c", script, "bash", "idf.py", "build"]
    options = ["run", "--rm", "--volume", "/p:/p", "--workdir", "/p"]
    options += ["--security-opt", "label=disable"]
    settings = ["--env", "HOME=/tmp", "--env", "IDF_GIT_SAFE_DIR=/p"]
    settings += ["--env", "SOURCE_DATE_EPOCH=1", "docker.io/espressif/idf:v5.5.1"]
    docker = ["docker", *options, "--user", "1000:100", *settings, "idf.py", "build"]
    assert command("container", "docker") == docker
    podman = ["podman", *options, "--userns", "keep-id", *settings, "idf.py", "build"]
    assert command("container", "podman") == podman
    # Here the user is root inside, and nobody else can write to the folder.
    rootless = ["docker", *options, *settings, "idf.py", "build"]
    assert command("container", "docker", True) == rootless
    # Podman refuses --userns keep-id to root, which is root inside as well.
    as_root = ["podman", *options, *settings, "idf.py", "build"]
    assert command("container", "podman", user=(0, 0)) == as_root


def test_idf_path_takes_the_environment_of_export(tmp_path):
    write_files(tmp_path, {"export.sh": "echo noise; export FOUND=yes\n"})
    command = idf.run_command(
        idf.Tools("idf_path"), IDF, ["sh", "-c", 'echo "$FOUND"'], {}, ROOT, (0, 0)
    )
    done = run(command, env={**os.environ, "IDF_PATH": str(tmp_path)})
    assert done.stdout == "yes\n"


def test_overflow_is_found_in_the_log():
    line = "Error: app partition is too small for binary micropython.bin size 0x2a1230:\n"
    line += "  - Part 'factory' 0/0 @ 0x10000 size 0x280000 (overflow 0x21230)\n"
    assert idf.overflow(line) == 0x21230
    assert idf.overflow("Project build complete.") is None
