"""Flashing, with the real esptool against a chip's bootloader that PyPI has as a program."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from programs import run

import boards
import flash
import manifests
from common import ROOT, BuildError
from image import label
from support import free_port, wait_until

pytest_plugins = ["esp32_fixtures"]

BOARD = boards.find("ESP32_WEBSOCK")

# JEDEC IDs: the last byte of a device is the power of two of its size.
FLASH_2_MIB = 0x00154020
FLASH_4_MIB = 0x00164020
SERVER = """\
import sys
from esp32_mock_bootloader import cli, protocol
protocol.MOCK_FLASH_ID = int(sys.argv.pop(1))
sys.exit(cli.main())
"""


class Bootloader:
    """A chip whose ROM bootloader listens at a TCP port."""

    def __init__(self, python, log, chip, flash_id):
        self.port = free_port()
        command = [python, "-c", SERVER, str(flash_id), "run", "--chip", chip]
        with open(log, "w") as output:
            self.process = subprocess.Popen(
                [*map(str, command), "--port", str(self.port)], stdout=output, stderr=output
            )
        wait_until(self.listens)

    def listens(self):
        assert self.process.poll() is None, "the bootloader ended"
        listening = run(["cat", "/proc/net/tcp"]).stdout
        return f"0100007F:{self.port:04X} 00000000:0000 0A" in listening

    @property
    def url(self):
        return f"socket://127.0.0.1:{self.port}"

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def bootloader(esp32_tools, tmp_path):
    """A function that starts a chip's bootloader."""
    started = []

    def start(chip="esp32", flash_id=FLASH_4_MIB):
        log = tmp_path / f"bootloader{len(started)}.log"
        started.append(Bootloader(esp32_tools / "python", log, chip, flash_id))
        return started[-1]

    yield start
    for chip in started:
        chip.stop()


@pytest.fixture
def image(tmp_path):
    """An image that does not compress, so that every byte of it travels."""
    path = tmp_path / "ESP32_WEBSOCK-default-v1.bin"
    path.write_bytes(random.Random(1).randbytes(200_000))
    return path


def read_back(chip, size, folder):
    """The chip's flash from 0x0 on. By the ROM: the emulated stub does not send it."""
    path = folder / "read.bin"
    esptool = manifests.tool("esptool")
    command = flash.esptool_command(esptool, chip.url, "--chip", "esp32", "--no-stub")
    done = run([*command, "--after", "no-reset", "read-flash", "0x0", size, path])
    assert done.returncode == 0, done.stdout
    return path.read_bytes()


def test_an_image_is_written_and_reads_back(bootloader, image, tmp_path, capfd):
    chip = bootloader()
    flash.flash(chip.url, BOARD, image)
    printed = capfd.readouterr().out
    assert "to the esp32 at" in printed
    assert "100.0%" in printed
    assert "Hash of data verified" in printed
    assert printed.rstrip().endswith("written and verified")
    assert read_back(chip, 200_000, tmp_path) == image.read_bytes()


def test_another_chip_is_refused_before_anything_is_written(bootloader, image):
    chip = bootloader("esp32c3")
    with pytest.raises(BuildError, match="is an esp32c3; for this chip: BOARD=ESP32_C3_WEBSOCK"):
        flash.flash(chip.url, BOARD, image)


def test_a_chip_that_no_board_is_for_is_refused(bootloader, image):
    chip = bootloader("esp32h2")
    with pytest.raises(BuildError, match=r"for the esp32, and this chip is an esp32h2$"):
        flash.flash(chip.url, BOARD, image)


def test_too_small_a_flash_is_refused_before_anything_is_written(bootloader, image):
    chip = bootloader(flash_id=FLASH_2_MIB)
    with pytest.raises(BuildError, match="4,194,304 bytes of flash, and this chip has 2,097,152"):
        flash.flash(chip.url, BOARD, image)


def test_nothing_at_the_port_says_what_to_look_at():
    with pytest.raises(BuildError, match="no chip answers at") as error:
        flash.ask(manifests.tool("esptool"), f"socket://127.0.0.1:{free_port()}")
    assert "BOOT" in str(error.value)


FLASH = f"""
import sys
sys.path.insert(0, {str(ROOT / "ci")!r})
import boards, flash
from pathlib import Path
from common import main
main(lambda: flash.flash(sys.argv[1], boards.find("ESP32_WEBSOCK"), Path(sys.argv[2])))
"""


@pytest.mark.parametrize("cause", ["the chip", "Ctrl-C"])
def test_an_interrupted_flash_is_an_error_and_can_be_repeated(bootloader, tmp_path, cause):
    large = tmp_path / "ESP32_WEBSOCK-default-v2.bin"
    large.write_bytes(random.Random(2).randbytes(3_000_000))
    chip = bootloader()
    log = tmp_path / "flash.log"
    with open(log, "w") as output:
        flashing = subprocess.Popen(
            [sys.executable, "-c", FLASH, chip.url, large],
            stdout=output,
            stderr=output,
            start_new_session=True,
            # A shell ignores it for what it runs in the background, and so do the children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
    try:
        wait_until(lambda: "Writing at" in log.read_text())
        if cause == "Ctrl-C":
            # The terminal sends it to every program of the command.
            os.killpg(flashing.pid, signal.SIGINT)
        else:
            chip.stop()
        assert flashing.wait(timeout=60) == 1
    finally:
        flashing.kill()
        flashing.wait()
    assert "did not end well" in log.read_text()
    assert "written and verified" not in log.read_text()
    assert "KeyboardInterrupt" not in log.read_text()

    again = bootloader()
    flash.flash(again.url, BOARD, large)
    assert read_back(again, 4096, tmp_path) == large.read_bytes()[:4096]


def test_the_whole_flash_is_erased(bootloader, image, tmp_path):
    chip = bootloader()
    flash.flash(chip.url, BOARD, image)
    flash.erase(chip.url, BOARD)
    assert read_back(chip, 8192, tmp_path) == b"\xff" * 8192


def test_the_newest_merged_image_is_taken(tmp_path):
    names = ["ESP32_WEBSOCK-default-v1.bin", "ESP32_WEBSOCK-default-v2.bin"]
    names += ["ESP32_WEBSOCK-default-v3-app.bin", "ESP32_WEBSOCK-QEMU-v4.bin"]
    for age, name in enumerate(names):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (time.time(), 1000 + age))
    assert flash.newest_image(BOARD, "", tmp_path).name == names[1]
    assert flash.newest_image(BOARD, "QEMU", tmp_path).name == names[3]
    with pytest.raises(BuildError, match="make firmware BOARD=ESP32_WEBSOCK VARIANT=ETH"):
        flash.newest_image(BOARD, "ETH", tmp_path)


@pytest.mark.parametrize("text", ["", "Connected to ESP32 on COM3:\n", "Detected flash size: 4MB"])
def test_a_chip_that_does_not_say_what_it_is_is_refused(text):
    with pytest.raises(BuildError, match="did not tell"):
        flash.parse_flash_id(text)


def test_a_variant_that_can_not_start_on_the_chip_is_refused():
    one_core = "Features: Wi-Fi, BT, Single Core + LP Core, 160MHz\n"
    two_cores = "Features:           Wi-Fi, BT, Dual Core + LP Core, 240MHz\n"
    for variant in ("", "SPIRAM", "ETH", "UNICORE"):
        flash.check_variant(BOARD, variant, two_cores)
    flash.check_variant(BOARD, "UNICORE", one_core)
    with pytest.raises(BuildError, match=r"default is for two cores.*: VARIANT=UNICORE"):
        flash.check_variant(BOARD, "", one_core)
    with pytest.raises(BuildError, match="for the emulator"):
        flash.check_variant(BOARD, "QEMU", two_cores)
    # This chip has no other kind.
    flash.check_variant(boards.find("ESP32_C3_WEBSOCK"), "", one_core)


def test_the_rate_can_be_chosen(monkeypatch):
    monkeypatch.delenv("BAUD", raising=False)
    assert "460800" in flash.esptool_command("esptool", "/dev/ttyUSB0")
    monkeypatch.setenv("BAUD", "115200")
    command = flash.esptool_command("esptool", "/dev/ttyUSB0", "flash-id")
    assert command == ["esptool", "--port", "/dev/ttyUSB0", "--baud", "115200", "flash-id"]
    monkeypatch.setenv("BAUD", "fast")
    with pytest.raises(BuildError, match="BAUD=fast is no rate"):
        flash.esptool_command("esptool", "/dev/ttyUSB0")


def test_what_esptool_prints_is_understood():
    text = "Connected to ESP32-S3 on /dev/ttyACM0:\nDetected flash size: 8MB\n"
    assert flash.parse_flash_id(text) == ("esp32s3", 8 * 1024 * 1024)
    text = "Connected to ESP32 on COM3:\nDetected flash size: 512KB\n"
    assert flash.parse_flash_id(text) == ("esp32", 512 * 1024)


def test_the_monitor_is_the_repl_at_the_port():
    assert flash.monitor_command("/bin/mpremote", "/dev/ttyUSB0") == [
        "/bin/mpremote",
        "connect",
        "/dev/ttyUSB0",
        "repl",
    ]
    done = run([manifests.tool("mpremote"), "connect", "--help"])
    assert done.returncode == 0


@pytest.mark.parametrize("action", ["flash", "erase", "monitor"])
def test_without_a_port_it_says_how_to_name_one(action):
    done = run([sys.executable, ROOT / "ci" / "flash.py", action, ""])
    assert done.returncode == 1
    assert f"make {action} PORT=/dev/ttyUSB0" in done.stderr


def test_the_images_that_the_build_makes_are_those_that_are_flashed(tmp_path, monkeypatch):
    monkeypatch.setattr("image.DIST", tmp_path)
    (tmp_path / f"{label(BOARD, '')}-v1.bin").write_bytes(b"")
    assert flash.newest_image(BOARD, "").parent == tmp_path
