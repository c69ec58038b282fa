"""Devices to be checked, with a console, a network and a power supply that can be cut."""

import io
import os
import re
import signal

import pexpect

import qemu
from support import DEADLINE, ROOT, free_port

PROMPT = ">>> "

# Which device: "host", or "qemu", which takes its time.
KIND = os.environ.get("WEBSOCK_DEVICE", "host")
TEST_DEADLINE = 3600 if KIND == "qemu" else 120


class Device:
    """A device.

    Attributes:
        http_port, ws_port: where it is reached, at 127.0.0.1.
        log: what its console printed, over all starts.
    """

    # Seconds for a start, which an emulator takes its time for.
    start_seconds = DEADLINE

    def __init__(self):
        self.http_port, self.ws_port = free_port(), free_port()
        self.log = io.StringIO()
        self._console = None

    def command(self):
        """What is run, as a list of words."""
        raise NotImplementedError

    @property
    def ws(self):
        return f"ws://127.0.0.1:{self.ws_port}"

    def start(self):
        """Switch it on, and wait until it serves."""
        program, *arguments = map(str, self.command())
        self._console = pexpect.spawn(program, arguments, encoding="utf-8", timeout=DEADLINE)
        self._console.logfile_read = self.log
        self.wait_ready()

    def wait_ready(self):
        """Wait for the next start's "ready"."""
        self._console.expect(r"ready\b[^\n]*\n", timeout=self.start_seconds)

    def kill(self):
        """Cut the power."""
        if self._console is not None:
            self._console.kill(signal.SIGKILL)
            self._console.close(force=True)
            self._console = None

    def interrupt(self):
        """Ctrl-C: to the REPL."""
        self._console.sendcontrol("c")
        self._console.expect(re.escape(PROMPT))

    def run(self, line):
        """Run a line at the REPL; returns what it prints."""
        self._console.sendline(line)
        self._console.expect(re.escape(PROMPT))
        return self._console.before.partition("\n")[2].strip()

    def restart(self):
        """Reset the chip from the REPL, and wait until it serves."""
        self._console.sendline("import machine; machine.reset()")
        self.wait_ready()


class HostDevice(Device):
    """The host image, which starts as a chip does."""

    def __init__(self, folder):
        super().__init__()
        self._folder = folder / "flash"

    def command(self):
        ports = ["--http-port", self.http_port, "--ws-port", self.ws_port]
        return [ROOT / "build/host/websock", "--chip", "--data", self._folder, *ports]


class QemuDevice(Device):
    """The emulator's image in Espressif's QEMU.

    Args:
        folder: where its flash is.
        program: of QEMU.
        image: bytes of the whole flash.
    """

    start_seconds = 300

    def __init__(self, folder, program, image):
        super().__init__()
        self._program = program
        self._flash = folder / "flash.bin"
        self._flash.write_bytes(image)

    def command(self):
        return qemu.command(self._program, self._flash, self.http_port, self.ws_port)
