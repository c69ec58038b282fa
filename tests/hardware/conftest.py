"""The device that is checked: the host image, or with WEBSOCK_DEVICE=qemu the emulator's."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "ci"))

from devices import KIND, HostDevice, QemuDevice

import qemu
from common import BuildError


@pytest.fixture
def device(tmp_path):
    """A device with blank flash, started; it is ended at the end."""
    if KIND == "qemu":
        try:
            program, _, flash = qemu.find()
        except BuildError as error:
            pytest.skip(str(error))
        made = QemuDevice(tmp_path, program, flash)
    else:
        made = HostDevice(tmp_path)
    made.start()
    yield made
    made.kill()
    # As far as it went: the console's log tells why a check failed.
    print(made.log.getvalue()[-4000:])
