"""Collects the unit tests, which run on MicroPython, not on the Python that runs pytest.

A file test_*.py holds plain or `async def` functions test_*() without arguments. Each becomes one
test per interpreter: `host` is build/host/micropython with the modules frozen into it, `newer` is
the MicroPython from PyPI with modules/ on its path. `HOST_ONLY = True` in a file leaves out the
second, for what needs the host board. One process runs a file's tests; see runner.py.
"""

import ast
import json
import os
import re
import selectors
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

RUNNER = Path(__file__).with_name("runner.py")


def pytest_addoption(parser):
    parser.addoption(
        "--unit-timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long one unit test may take on MicroPython (default: 60)",
    )


def pytest_pycollect_makemodule(module_path, parent):
    return UnitFile.from_parent(parent, path=module_path)


def pytest_collection_finish(session):
    units = any(isinstance(item, UnitTest) for item in session.items)
    if units and not host(session.config.rootpath).exists():
        pytest.exit('run "make host" first', returncode=2)


def host(root):
    return root / "build/host/micropython"


def interpreters(root):
    """name -> (command, module search path) of the interpreters that unit tests run on.

    MicroPython itself puts the runner's folder, which is that of the tests, in front.
    """
    newer = [sys.executable, "-m", "micropython_unix"]
    return {
        "host": ([str(host(root))], [".frozen"]),
        "newer": (newer, [str(root / "modules"), ".frozen"]),
    }


class UnitFile(pytest.File):
    """One file of tests; finds their names without running any of it."""

    def collect(self):
        tree = ast.parse(self.path.read_text(), str(self.path))
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        tests = [n for n in tree.body if isinstance(n, functions) and n.name.startswith("test")]
        if not tests:
            raise self.CollectError(f"{self.path.name} has no test")
        self.runs = {}
        for interpreter in interpreters(self.config.rootpath):
            if interpreter == "newer" and is_host_only(tree):
                continue
            for test in tests:
                item = UnitTest.from_parent(self, name=f"{test.name}[{interpreter}]")
                item.function_name = test.name
                item.interpreter = interpreter
                item.line = test.lineno - 1
                yield item

    def run_of(self, interpreter):
        """The process that runs the selected tests of this file on `interpreter`."""
        if interpreter not in self.runs:
            names = [
                item.function_name
                for item in self.session.items
                if item.parent is self and item.interpreter == interpreter
            ]
            command, path = interpreters(self.config.rootpath)[interpreter]
            timeout = self.config.getoption("--unit-timeout")
            self.runs[interpreter] = Run(command, path, self.path.stem, names, timeout)
        return self.runs[interpreter]

    def teardown(self):
        for run in self.runs.values():
            run.close()


def is_host_only(tree):
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node) == "HOST_ONLY = True":
            return True
    return False


class UnitTest(pytest.Item):
    """One test function on one interpreter."""

    def runtest(self):
        run = self.parent.run_of(self.interpreter)
        failure, printed = run.result(self.function_name)
        if printed:
            self.add_report_section("call", "stdout", printed)
        if failure:
            if run.stderr():
                self.add_report_section("call", "stderr", run.stderr())
            raise UnitFailure(failure)

    def repr_failure(self, excinfo):
        if isinstance(excinfo.value, UnitFailure):
            return with_source(str(excinfo.value), self.config.rootpath)
        return super().repr_failure(excinfo)

    def reportinfo(self):
        return self.path, self.line, self.name


class UnitFailure(Exception):
    """A test failed on MicroPython; the text is all that there is to say about it."""


class Run:
    """One interpreter process that runs tests of one file and reports on its standard output.

    Its working directory is a temporary one, free for the tests to write to.
    """

    def __init__(self, command, path, module, names, timeout):
        self.timeout = timeout
        self.results = {}
        self.under_way = None
        self.ended = ""
        self._printed = []
        self._folder = tempfile.TemporaryDirectory()
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [*command, str(RUNNER), module, *names],
            cwd=self._folder.name,
            env={**os.environ, "MICROPYPATH": ":".join(path)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
        )
        self._stdout = self._process.stdout
        self._buffer = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self._deadline = time.monotonic() + timeout

    def result(self, name):
        """(why the test failed or "", what it printed), waiting for it as long as it takes."""
        while name not in self.results and not self.ended:
            self._receive()
        return self.results.get(name) or (f"{name} did not run: {self.ended}", "")

    def _receive(self):
        if not self._selector.select(max(0, self._deadline - time.monotonic())):
            self._process.kill()
            self._end(f"timed out after {self.timeout:g} s")
            return
        data = os.read(self._stdout.fileno(), 65536)
        if not data:
            self._process.wait()
            self._end(f"the interpreter ended with code {self._process.returncode}")
            return
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._handle(line.decode(errors="replace"))

    def _handle(self, line):
        # A test may have left its own output without a line end before the report.
        printed, mark, report = line.partition("\x1e")
        if not mark:
            self._printed.append(line + "\n")
            return
        if printed:
            self._printed.append(printed)
        report = json.loads(report)
        if "start" in report:
            self.under_way = report["start"]
            self._printed.clear()
            self._deadline = time.monotonic() + self.timeout
        elif "end" in report:
            self._finish(report["end"], report["traceback"])
        else:
            self.ended = "its file could not be imported\n" + report["traceback"]

    def _finish(self, name, failure):
        self.results[name] = failure, "".join(self._printed)
        self.under_way = None
        self._printed.clear()
        self._deadline = time.monotonic() + self.timeout

    def _end(self, reason):
        """The process is gone: the test under way, if any, is the one that failed by it."""
        if self.under_way is None:
            self.ended = reason
            return
        self.ended = f"{reason} in {self.under_way}"
        self._printed.append(self._buffer.decode(errors="replace"))
        self._finish(self.under_way, self.ended)

    def stderr(self):
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace")

    def close(self):
        self._process.kill()
        self._process.wait()
        self._selector.close()
        self._stdout.close()
        self._stderr.close()
        self._folder.cleanup()


def with_source(traceback, root):
    """A MicroPython traceback with the source line under each place, without the runner's own."""
    lines = []
    for line in traceback.splitlines():
        place = re.match(r'  File "(.+)", line (\d+), in', line)
        if not place:
            lines.append(line)
        elif Path(place[1]) != RUNNER:
            lines += [line, *source_line(place[1], int(place[2]), root)]
    return "\n".join(lines)


def source_line(name, number, root):
    # A frozen module is named relative to the folder that it was frozen from.
    for folder in ("modules", "boards/UNIX_WEBSOCK/modules"):
        path = root / folder / name
        if path.is_file():
            source = path.read_text().splitlines()
            return ["    " + source[number - 1].strip()] if number <= len(source) else []
    return []
