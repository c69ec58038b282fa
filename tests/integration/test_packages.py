"""The libraries as packages: installed by mip from a web server, on an interpreter without any."""

import asyncio
import importlib
import json
import os
import re
import subprocess
import sys
import urllib.request
import zipfile

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve as serve_by_python

from support import DEADLINE, ROOT, free_port

for folder in ("ci", "bench"):
    sys.path.append(str(ROOT / folder))

libraries = importlib.import_module("libraries")
packages = importlib.import_module("packages")

UNIT = ROOT / "tests" / "unit"

# The libraries' own tests.
FILES = sorted(
    path
    for pattern in ("test_http*.py", "test_websockets_*.py", "test_transport.py", "test_utf8.py")
    for path in UNIT.glob(pattern)
)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """The port of a web server that has the packages."""
    folder = tmp_path_factory.mktemp("mip")
    packages.pack(folder)
    return libraries.serve(folder)


@pytest.fixture(scope="module", params=["py", "x64"])
def installed(request, index, tmp_path_factory):
    """A folder into which mip has installed them all."""
    target = tmp_path_factory.mktemp(request.param)
    for name in ("httpd", "websockets"):
        printed = libraries.install(index, request.param, name, target)
        assert "Done" in printed
    ending = ".py" if request.param == "py" else ".mpy"
    found = {path.suffix for path in target.rglob("*") if path.is_file()}
    assert found == {ending}
    return target


def test_every_variant_is_whole(index):
    number = packages.version()
    for variant in packages.VARIANTS:
        base = f"http://127.0.0.1:{index}/{variant}"
        for name, (_, needed) in packages.PACKAGES.items():
            about = json.load(urllib.request.urlopen(f"{base}/{name}/package.json"))
            assert about["version"] == number
            assert about["deps"] == [[each, number] for each in needed]
            for path, url in about["urls"]:
                data = urllib.request.urlopen(f"{base}/{name}/{url}").read()
                # "M", version 6: what MicroPython takes since 1.19.
                assert path.endswith(".py" if variant == "py" else ".mpy")
                assert variant == "py" or data[:2] == b"M\x06"


def test_an_archive_has_all_of_it_and_is_the_same_each_time(tmp_path):
    packages.pack(tmp_path / "mip", ["py"])
    for name in ("one.zip", "two.zip"):
        packages.archive(tmp_path / "mip", tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as file:
        assert "py/httpd/httpd/server.py" in file.namelist()
        about = json.loads(file.read("py/package/6/websockets/latest.json"))
    assert about["deps"] == [["transport", packages.version()], ["http11", packages.version()]]


def test_one_can_be_installed_by_its_own_address(index, tmp_path):
    # Only its own files: what it needs is asked for in the index.
    script = (
        f"import mip\nmip.install('http://127.0.0.1:{index}/py/websockets/package.json', "
        f"index='http://127.0.0.1:{index}/py', target={str(tmp_path)!r})"
    )
    done = subprocess.run([*libraries.INTERPRETER, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in ("websockets/__init__.py", "transport/__init__.py", "http11.py", "lazy.py"):
        assert (tmp_path / name).is_file()


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_the_libraries_own_tests(installed, file):
    if re.search(r"^HOST_ONLY = True", file.read_text(), re.MULTILINE):
        pytest.skip("for the image's interpreter")
    names = re.findall(r"^(?:async )?def (test\w*)\(", file.read_text(), re.MULTILINE)
    done = subprocess.run(
        [*libraries.INTERPRETER, str(UNIT / "runner.py"), file.stem, *names],
        cwd=installed.parent,
        env={**os.environ, "MICROPYPATH": f"{installed}:.frozen"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    lines = [line.rpartition("\x1e")[2] for line in done.stdout.split("\n") if "\x1e" in line]
    reports = [json.loads(line) for line in lines]
    ended = {report["end"]: report["traceback"] for report in reports if "end" in report}
    assert list(ended) == names, done.stdout + done.stderr
    assert set(ended.values()) == {""}, "\n".join(ended.values())


async def answered(process, port, ask):
    async def once():
        try:
            return await ask(port)
        except OSError:
            assert process.poll() is None
            await asyncio.sleep(0.05)

    async with asyncio.timeout(DEADLINE):
        while (found := await once()) is None:
            pass
    return found


async def test_the_programs_of_the_documentation(installed):
    http_server, websocket_server, client, lines = libraries.programs()

    async def ask_http(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(libraries.HTTP)
        answer = await reader.readuntil(b"}")
        writer.close()
        return answer

    async def ask_websocket(port):
        async with connect(f"ws://127.0.0.1:{port}/") as websocket:
            await websocket.send("hello")
            return await websocket.recv()

    async def ask_lines(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"one\ntw")
        writer.write(b"o\n")
        answer = await reader.readexactly(8)
        writer.close()
        return answer

    for program, ask, wanted in (
        (http_server, ask_http, b'{"hello": "you"}'),
        (websocket_server, ask_websocket, "hello"),
        (lines, ask_lines, b"one\ntwo\n"),
    ):
        port = free_port()
        process = libraries.run(program, installed, port)
        try:
            found = await answered(process, port, ask)
            assert found == wanted or found.endswith(wanted)
        finally:
            process.kill()
            process.communicate()

    async def echo(websocket):
        async for message in websocket:
            await websocket.send(message.upper())

    async with serve_by_python(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        process = libraries.run(client, installed, port)
        out, _ = await asyncio.to_thread(process.communicate, timeout=DEADLINE)
    assert out == "HELLO\n"
