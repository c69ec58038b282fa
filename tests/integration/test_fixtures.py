"""The fixtures of the tests: what they say when the image is missing, fails or ends."""

import re
import shutil
import subprocess
import sys

import pytest

from support import ROOT, Program, wait_until


@pytest.fixture
def run_pytest(tmp_path):
    """A function that runs pytest on a test file of the given text, with the tests' fixtures."""
    folder = tmp_path / "tests"
    folder.mkdir()
    for name in ("conftest.py", "support.py"):
        shutil.copy(ROOT / "tests" / name, folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)

    def run(text, built=True):
        if built:
            (tmp_path / "build").symlink_to(ROOT / "build")
        (folder / "test_sample.py").write_text(text)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no"]
        return subprocess.run(command, cwd=tmp_path, text=True, capture_output=True)

    return run


def test_without_the_image_one_line_says_what_to_do(run_pytest):
    done = run_pytest("def test_it(image):\n    pass\n", built=False)
    assert done.returncode == 2
    assert 'run "make host" first' in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_without_a_browser_its_tests_are_left_out_and_named():
    file = "tests/browser/test_secure_page.py"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", file]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, env={"PATH": ""})
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{file}: Chromium is missing: apt-get install chromium\n" in done.stdout
    assert re.search(r"=+ \d+ skipped in .*=+\n$", done.stdout)


def test_failed_test_shows_what_the_image_logged(run_pytest):
    done = run_pytest("def test_it(image):\n    assert False\n")
    assert done.returncode == 1
    assert "stderr of image 0" in done.stdout
    assert "access point" in done.stdout


def test_passed_test_shows_nothing(run_pytest):
    done = run_pytest("def test_it(image):\n    assert image.http_port != image.ws_port\n")
    assert done.returncode == 0
    assert "stderr of image" not in done.stdout


def test_options_by_marker(run_pytest):
    done = run_pytest(
        "import pytest\n"
        "@pytest.mark.image(files={'a/b.json': {'x': 1}, 'c.txt': 'text', 'd': b'bytes'})\n"
        "def test_it(image):\n"
        "    assert image.read_json('a/b.json') == {'x': 1}\n"
        "    assert (image.data / 'c.txt').read_text() == 'text'\n"
        "    assert (image.data / 'd').read_bytes() == b'bytes'\n"
    )
    assert done.returncode == 0, done.stdout


def test_image_that_does_not_start_fails_the_test_with_its_reason(run_pytest):
    done = run_pytest("def test_it(make_image):\n    make_image(args=['--nonsense'])\n")
    assert done.returncode == 1
    assert "the image ended with code 2" in done.stdout
    assert "--nonsense" in done.stdout


def test_image_that_ends_during_the_test_fails_it(run_pytest):
    done = run_pytest("def test_it(image):\n    image.process.kill()\n    image.process.wait()\n")
    assert done.returncode == 1
    assert "the image ended by itself with code -9" in done.stdout


def test_image_ended_by_the_test_is_no_failure(run_pytest):
    done = run_pytest(
        "def test_it(image):\n    image.stop()\ndef test_2(image):\n    image.kill()\n"
    )
    assert done.returncode == 0, done.stdout


def test_wait_until_gives_up():
    with pytest.raises(AssertionError, match="was not true within"):
        wait_until(lambda: False, timeout=0.05)


def test_wait_until_returns_what_was_true():
    results = iter([None, 0, "yes"])
    assert wait_until(lambda: next(results)) == "yes"


def test_program_that_ends_without_the_line(tmp_path):
    program = Program(["/bin/sh", "-c", "echo one; echo why >&2"], tmp_path / "log")
    program.spawn()
    with pytest.raises(AssertionError, match="why"):
        program.wait_line("two")
    assert program.lines == ["one"]
