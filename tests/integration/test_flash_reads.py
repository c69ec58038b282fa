"""How often a device's start looks into its flash: bench/flash_reads.py counts it."""

import json
import subprocess

from support import DEADLINE, ROOT


def accesses(folder, *arguments):
    program = ROOT / "build/host/micropython"
    command = [program, "-X", "heapsize=16M", ROOT / "bench/flash_reads.py", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_start_with_five_files_reads_little_and_writes_nothing(tmp_path):
    found = accesses(tmp_path)
    assert found["mount"]["reads"] > 10  # it does look
    assert found["mount"]["reads"] + found["start"]["reads"] <= 60
    for phase in found.values():
        assert phase["writes"] == phase["erasures"] == 0


def test_a_page_without_a_folder_of_its_own_needs_no_flash(tmp_path):
    assert accesses(tmp_path)["page"]["reads"] == 0


def test_the_first_start_writes(tmp_path):
    found = accesses(tmp_path, "--first")
    assert found["mount"]["writes"] > 0  # the filesystem
    assert found["start"]["writes"] > 0  # the access point's password
