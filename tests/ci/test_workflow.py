"""The workflow that builds and releases the images, and the program that makes the release."""

import json
import re
import sys

import pytest
from programs import run
from trees import write_files

import boards
import firmware
import idf
import image
import qemu
import release
from common import ROOT, BuildError

pytest_plugins = ["esp32_fixtures"]

WORKFLOW = ROOT / ".github" / "workflows" / "firmware.yml"
TEXT = WORKFLOW.read_text()


@pytest.fixture(scope="module")
def workflow(esp32_tools):
    """The workflow as data, read by a YAML library."""
    program = "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin)))"
    done = run([esp32_tools / "python", "-c", program], input=TEXT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_steps_only_call_ci_and_the_makefile(workflow):
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [step["run"] for step in steps(workflow) if "run" in step]
    assert len(commands) == 11
    for command in commands:
        program = re.search(r"make ([\w-]+)|(?:python3|sudo) (ci/\w+\.(?:py|sh))", command)
        assert program, command
        target, file = program.groups()
        assert target in targets if target else (ROOT / file).is_file()
        assert "${{" not in command  # values come by the environment


def test_the_matrix_is_what_board_json_lists(workflow):
    image = workflow["jobs"]["image"]
    assert image["strategy"]["matrix"] == "${{ fromJSON(needs.matrix.outputs.matrix) }}"
    (program,) = [step["run"] for step in workflow["jobs"]["matrix"]["steps"] if "run" in step]
    assert "ci/firmware.py --matrix" in program
    listed = firmware.matrix()["include"]
    assert [(entry["board"], entry["variant"]) for entry in listed] == [
        (board.name, variant or "default") for board, variant in boards.pairs()
    ]
    for name in boards.read_all():
        assert name not in TEXT, "boards are listed in board.json alone"


def test_workflow_and_makefile_build_the_same(workflow):
    runs = [step for step in workflow["jobs"]["image"]["steps"] if "run" in step]
    (build,) = [step for step in runs if "make firmware" in step["run"]]
    assert build["run"] == 'make firmware BOARD="$BOARD" VARIANT="$VARIANT"'
    # make's own recipe, for each image of the matrix.
    for entry in firmware.matrix()["include"]:
        variables = [f"BOARD={entry['board']}", f"VARIANT={entry['variant']}"]
        done = run(["make", "-n", "-C", ROOT, "firmware", *variables])
        assert f"ci/firmware.py {entry['board']} {entry['variant']}\n" in done.stdout


def test_a_failed_build_is_red(workflow):
    assert "continue-on-error" not in TEXT
    assert workflow["jobs"]["release"]["needs"] == ["image", "sizes", "emulator"]
    for step in steps(workflow):
        assert "always()" not in str(step.get("if", ""))


def test_artefacts_are_named_as_the_images(workflow):
    (upload,) = [step for step in steps(workflow) if "upload-artifact" in step.get("uses", "")]
    assert upload["with"]["name"] == "${{ matrix.board }}-${{ matrix.variant }}"
    assert upload["with"]["path"] == "dist/${{ matrix.board }}-${{ matrix.variant }}-*"
    assert upload["with"]["if-no-files-found"] == "error"
    board, variant = boards.pairs()[0]
    assert image.label(board, variant) == f"{board.name}-default"


def test_only_the_release_may_write(workflow):
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        wanted = "write" if name == "release" else "read"
        assert job["permissions"] == {"contents": wanted}
    assert workflow["jobs"]["release"]["if"] == "github.ref_type == 'tag'"


# The release


def test_the_libraries_are_packed_before_the_release_is_made(workflow):
    steps = [step.get("run", "") for step in workflow["jobs"]["release"]["steps"]]
    pack = steps.index('python3 ci/packages.py "dist/libraries-$TAG.zip"')
    assert pack < steps.index('python3 ci/release.py "$TAG"')


def test_a_release_has_every_image():
    names = release.expected("v1.0.0")
    assert len(names) == 5 * len(boards.pairs()) + 1
    assert names[-1] == "libraries-v1.0.0.zip"
    release.check(names, "v1.0.0")
    with pytest.raises(BuildError) as error:
        release.check([*names[1:], "ESP32_WEBSOCK-default-v0.9.bin"], "v1.0.0")
    assert f"missing: {names[0]}" in str(error.value)
    assert "does not belong to v1.0.0: ESP32_WEBSOCK-default-v0.9.bin" in str(error.value)


def test_the_notes_list_images():
    text = release.notes("v2")
    for board, variant in boards.pairs():
        assert f"`{image.label(board, variant)}-v2.bin` | {board.mcu} |" in text
    assert "write-flash 0x0 ESP32_WEBSOCK-default-v2.bin" in text


def release_files(tag, components=({"name": "jquery"}, {"name": "uplot"})):
    """The files of a release, name -> text."""
    bill = json.dumps({"components": components})
    names = release.expected(tag)
    return {name: bill if name.endswith(".sbom.json") else name for name in names}


def test_an_image_without_the_whole_page_is_not_released(tmp_path):
    files = release_files("v2")
    release.check_pages(write_files(tmp_path, files), "v2")
    name = "ESP32_WEBSOCK-ETH-v2.sbom.json"
    files[name] = release_files("v2", [{"name": "micropython"}])[name]
    with pytest.raises(BuildError, match=r"WEBSOCK-ETH-v2.* was packed without jquery, uplot"):
        release.check_pages(write_files(tmp_path, files), "v2")


def test_the_release_is_made_of_the_files_and_their_sums(tmp_path, monkeypatch, capsys):
    dist = write_files(tmp_path / "dist", release_files("v2"))
    seen = tmp_path / "seen"
    fake = write_files(tmp_path / "bin", {"gh": f'#!/bin/sh\nprintf "%s\\n" "$@" > {seen}\n'})
    (fake / "gh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake}:/usr/bin:/bin")
    monkeypatch.setattr(image, "DIST", dist)
    monkeypatch.setattr(release, "BUILD", tmp_path)
    monkeypatch.setattr(sys, "argv", ["release.py", "v2"])
    release.step()
    words = seen.read_text().splitlines()
    assert words[:4] == ["release", "create", "v2", "--verify-tag"]
    assert "--generate-notes" in words  # gh lists what changed, below
    assert words[words.index("--notes-file") + 1] == str(tmp_path / "notes.md")
    files = [word for word in words if word.startswith(str(dist))]
    assert len(files) == len(release.expected("v2")) + 1
    sums = (dist / "SHA256SUMS").read_text().splitlines()
    assert len(sums) == len(release.expected("v2"))
    assert "release: v2" in capsys.readouterr().out


def test_without_a_dist_it_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.setattr(image, "DIST", tmp_path / "dist")
    monkeypatch.setattr(sys, "argv", ["release.py", "v2"])
    with pytest.raises(BuildError, match="make firmware-all"):
        release.step()


def test_the_emulators_container_is_the_pinned_esp_idf(workflow):
    assert workflow["jobs"]["emulator"]["container"] == f"espressif/idf:{idf.Idf.load().tag}"
    # It checks the image that was built for it.
    (artifact,) = [
        step["with"]["pattern"]
        for step in workflow["jobs"]["emulator"]["steps"]
        if "download-artifact" in step.get("uses", "")
    ]
    assert artifact == f"*-{qemu.VARIANT}"
