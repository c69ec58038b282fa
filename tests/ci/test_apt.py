"""ci/apt.sh and what ci/test.sh installs: waiting for other programs that use apt, and failing."""

import fcntl
import os
import shutil
import subprocess
import sys

import pytest
from debian_archive import configure_apt
from programs import run
from trees import write_files

from common import ROOT

APT = ROOT / "ci" / "apt.sh"
WAITING = "apt: another program has it; waiting\n"

# Takes the lock in its argument, says so, and keeps it until its standard input ends.
HOLD = """
import fcntl, sys
with open(sys.argv[1], "w") as file:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def private_apt(tmp_path):
    """An environment for an apt with no source and with folders of its own."""
    if not shutil.which("apt-get"):
        pytest.skip("apt-get is not installed")
    folder = tmp_path / "apt"
    config = configure_apt(folder, "# nothing")
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    with open(config, "a") as file:
        file.write(f'Dir::State "{folder}/state";\nDir::Cache "{folder}/cache";\n')
    return {**os.environ, "APT_CONFIG": config}, folder / "state" / "lists" / "lock"


def test_waits_for_the_lock_of_the_lists(private_apt):
    environment, lock = private_apt
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    holder = subprocess.Popen([sys.executable, "-c", HOLD, lock], **pipes)
    with holder:
        assert holder.stdout.readline() == "held\n"
        update = subprocess.Popen(
            [APT, "update"], env=environment, stderr=subprocess.PIPE, text=True
        )
        with update:
            assert update.stderr.readline() == WAITING
            holder.communicate("")
            assert update.stderr.read() == ""
    assert update.returncode == 0


def test_gives_up_when_the_lock_is_held_for_too_long(private_apt):
    environment, lock = private_apt
    with open(lock, "w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        done = run([APT, "update"], env={**environment, "WAIT": "1"})
    assert done.returncode != 0
    assert "Could not get lock" in done.stdout
    assert done.stderr == WAITING


def test_fails_at_once_for_another_reason(private_apt):
    environment, _ = private_apt
    done = run([APT, "install", "no-such-package"], env=environment)
    assert done.returncode == 100
    assert "Unable to locate package no-such-package" in done.stdout
    assert done.stderr == ""


# What stands for a program: notes its arguments.
STUB = """#!/bin/sh
echo "apt-get $*" >>"$LOG"
exit "$STATUS"
"""


@pytest.fixture
def root(tmp_path):
    """A function that runs ci/test.sh as root on a machine without openssl; returns what it did
    and the calls of an apt-get that ends with `status`."""
    tree = write_files(tmp_path / "tree", {"bin/apt-get": STUB, "bin/id": "#!/bin/sh\necho 0\n"})
    for name in ("test.sh", "apt.sh"):
        (tree / "ci").mkdir(exist_ok=True)
        shutil.copy(ROOT / "ci" / name, tree / "ci")
    for name in ("chromium", "npm", "python3", "gcc"):
        (tree / "bin" / name).write_text("#!/bin/sh\n")
    for name in ("sh", "dirname", "date", "sleep", "tail"):
        (tree / "bin" / name).symlink_to(shutil.which(name))
    for name in ("apt-get", "id", "chromium", "npm", "python3", "gcc"):
        (tree / "bin" / name).chmod(0o755)

    def call(status):
        log = tree / "log"
        environment = {"PATH": str(tree / "bin"), "LOG": str(log), "STATUS": str(status)}
        done = run([tree / "ci" / "test.sh", "--only-programs"], env=environment)
        # Nothing in build/, of which root would be the owner.
        assert sorted(path.name for path in tree.iterdir()) == ["bin", "ci", "log"]
        return done, log.read_text().splitlines()

    return call


INSTALL = (
    "apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends openssl",
    "apt-get -o DPkg::Lock::Timeout=600 update",
)


def test_what_is_missing_is_installed_by_an_apt_that_waits(root):
    done, calls = root(0)
    assert done.returncode == 0
    assert calls == [INSTALL[0]]
    assert "environment: installing openssl (the certificates of the TLS tests)" in done.stdout


def test_an_apt_that_fails_does_not_end_the_run(root):
    done, calls = root(100)
    assert done.returncode == 0
    # Once more with new lists, which fails too.
    assert calls == list(INSTALL)
    assert done.stderr.endswith("on Debian: apt-get install openssl\n")
