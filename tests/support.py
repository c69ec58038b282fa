"""What the host-side tests share: the image and scripts as processes, ports and deadlines."""

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Generous: a deadline only ends a test that would otherwise wait for ever.
DEADLINE = 30.0

# Linux takes the ports of outgoing connections from 32,768 on.
PORTS = 10_000, 32_767

# Not the module's own functions: Hypothesis seeds them, alike in every process.
CHANCE = random.SystemRandom()

# An app may do without the HTTP server.
READY = re.compile(
    r"ready(?: http://127\.0\.0\.1:(\d+)/)? ws://127\.0\.0\.1:(\d+)/"
    r"(?: https://127\.0\.0\.1:(\d+)/)?(?: dns://127\.0\.0\.1:(\d+)/)?"
)


def wait_until(condition, timeout=DEADLINE, interval=0.02):
    """Call `condition` until it returns something true, and return that.

    timeout and interval are in seconds.

    Raises:
        AssertionError: the time is over.
    """
    end = time.monotonic() + timeout
    while True:
        late = time.monotonic() > end  # before: the computer may stand still after it
        result = condition()
        if result:
            return result
        if late:
            raise AssertionError(f"{condition} was not true within {timeout} s")
        time.sleep(interval)


def free_port():
    """A TCP port of the loopback interface that nothing listens on at the moment.

    Chosen at random, so that tests in other processes get another one, and not among those that
    the kernel gives to outgoing connections: one of them could take it before the test does.
    """
    while True:
        port = CHANCE.randint(*PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


# The folder in build/ whose image is run where a test doesn't say.
BUILD = "host"

# For build/host-sanitized: the first fault ends it. MicroPython's collector looks for pointers on
# the stack and nowhere else, and what is left at the end belongs to it.
os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=0:detect_stack_use_after_return=0")
os.environ.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")


class Program:
    """A process whose standard output is read line by line and whose standard error is kept."""

    def __init__(self, command, log_path, cwd=None):
        self.command = [str(part) for part in command]
        self.cwd = cwd
        self.log_path = Path(log_path)
        self.process = None
        self.ended_by_test = False
        self.lines = []
        self._reader = None

    def spawn(self):
        assert not self.running, "already running"
        self.ended_by_test = False
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,))
        self._reader.start()

    def _read(self, stdout):
        with stdout:
            for line in stdout:
                self.lines.append(line.decode(errors="replace").rstrip("\r\n"))

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        """Standard error so far, over all starts."""
        if not self.log_path.exists():
            return ""
        return self.log_path.read_text(errors="replace")

    def wait_line(self, pattern, start=0, timeout=DEADLINE):
        """The match of `pattern` (a regular expression) on the first whole line of standard
        output that it matches, from line number `start` on."""

        def search():
            ended = not self.running
            if ended:
                self._reader.join(DEADLINE)
            for line in self.lines[start:]:
                match = re.fullmatch(pattern, line)
                if match:
                    return match
            if ended:
                raise AssertionError(
                    f"{self.command[0]} ended with code {self.process.returncode} without the "
                    f"line {pattern!r}; it printed {self.lines[start:]}\n{self.log()}"
                )
            return None

        return wait_until(search, timeout)

    def wait(self, timeout=DEADLINE):
        """The exit code, once the process has ended; every line is then in `lines`."""
        code = self.process.wait(timeout)
        self._reader.join(timeout)
        return code

    def send_signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """End the process without giving it a chance to clean up."""
        if self.process is not None:
            self.ended_by_test = True
            self.process.kill()
            self.wait()


class Image(Program):
    """The image as a host program on free ports of the loopback interface.

    data: folder that is the device's filesystem
    build: "host32" or another, None for BUILD
    args: further arguments
    heap: value of --heap, None for the default
    bench: serve the measuring endpoints too
    files: name -> content (str, bytes, or an object that is written as JSON) put in `data` first
    """

    def __init__(self, data, log_path, build=None, args=(), heap=None, bench=False, files=None):
        self.data = Path(data)
        self.ready_count = 0
        self.http_port = self.ws_port = self.https_port = self.dns_port = 0
        command = [ROOT / "build" / (build or BUILD) / "websock", "--data", self.data]
        command += ["--http-port", "0", "--ws-port", "0"]
        if heap is not None:
            command += ["--heap", heap]
        if bench:
            command.append("--bench")
        super().__init__([*command, *args], log_path)
        for name, content in (files or {}).items():
            self.write(name, content)

    @property
    def http(self):
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def https(self):
        return f"https://127.0.0.1:{self.https_port}"

    @property
    def ws(self):
        return f"ws://127.0.0.1:{self.ws_port}"

    def write(self, name, content):
        """Put a file on the device's filesystem, in one step as seen from the device."""
        path = self.data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, (str, bytes)):
            content = json.dumps(content)
        if isinstance(content, str):
            content = content.encode()
        scratch = path.with_name(path.name + ".new")
        scratch.write_bytes(content)
        os.replace(scratch, path)

    def read_json(self, name):
        return json.loads((self.data / name).read_text())

    def start(self):
        """Start the image and wait until it serves."""
        self.spawn()
        self.wait_ready()
        return self

    def wait_ready(self):
        """Wait for the next `ready` line: the first one, or the one after a reboot."""

        def next_ready():
            found = [match for match in map(READY.fullmatch, tuple(self.lines)) if match]
            if len(found) > self.ready_count:
                return found[self.ready_count]
            if not self.running:
                raise AssertionError(
                    f"the image ended with code {self.process.returncode}; it printed "
                    f"{self.lines}\n{self.log()}"
                )
            return None

        match = wait_until(next_ready)
        self.ready_count += 1
        ports = [int(port or 0) for port in match.groups()]
        self.http_port, self.ws_port, self.https_port, self.dns_port = ports

    def stop(self):
        """End the image as its user does; it must leave with exit code 0."""
        self.ended_by_test = True
        self.send_signal(signal.SIGTERM)
        code = self.wait()
        assert code == 0, f"exit code {code} after SIGTERM\n{self.log()}"

    def restart(self):
        self.stop()
        return self.start()


class Script(Program):
    """A MicroPython script on the interpreter that carries the frozen modules."""

    def __init__(self, path, log_path, args=(), heap="16M", build=None):
        interpreter = ROOT / "build" / (build or BUILD) / "micropython"
        super().__init__([interpreter, "-X", f"heapsize={heap}", path, *args], log_path)


def with_constants(settings, constants):
    """The files of a device that has other constants: see tests/scripts/constants.py.

    Args:
        settings: the rest of app.json.
        constants: module -> name -> value.
    """
    settings = {**settings, "app": "constants", "constants": constants}
    return {"app.json": settings, "constants.py": program("constants")}


def program(name):
    """The text of tests/scripts/<name>.py: an app, a module or a script for MicroPython."""
    return (ROOT / "tests" / "scripts" / f"{name}.py").read_text()
