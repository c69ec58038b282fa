"""The same application on MicroPython and on CPython: httpd with desk/."""

import json
import os
import subprocess
import sys
import time

import pytest

from raw import Connection
from support import DEADLINE, ROOT, Program, free_port

SCRIPTS = ROOT / "tests" / "scripts"
BOOT = f'import sys; sys.path[:] = [".frozen", "{SCRIPTS}"]; sys.argv[:] = [""]; import desk_app'


def answers(*command, **environment):
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_an_application_answers_the_same_on_both():
    on_device = answers(ROOT / "build/host/micropython", "-X", "heapsize=4M", "-c", BOOT)
    on_desk = answers(sys.executable, SCRIPTS / "desk_app.py", PYTHONPATH=str(ROOT))
    assert len(on_device) == 17
    assert on_desk == on_device


@pytest.fixture
def port(tmp_path):
    port = free_port()
    command = ["env", f"PYTHONPATH={ROOT}", sys.executable, SCRIPTS / "desk_app.py", port]
    program = Program(command, tmp_path / "log")
    program.spawn()
    program.wait_line("serving")
    yield port
    program.process.terminate()
    program.wait()
    assert program.log() == ""


def test_it_serves_on_a_desk(port):
    with Connection(port) as connection:
        for _ in range(3):
            assert connection.get("/text").body.decode() == "text \u2713"
        assert connection.get("/awaits").body.decode() == "a\u2713"
        assert connection.get("/body").body == b"12"
        assert connection.get("/part/there").body == b"12"
        assert connection.get("/page").body.count(b"<li>") == 400
        body = os.urandom(8000)
        assert connection.get("/echo", method="POST", body=body).body == body
        assert connection.get("/echo", method="POST", body=bytes(9000)).status == 413
    with Connection(port) as connection:
        connection.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.2)  # it can't all be on its way
        assert connection.read_response().body == bytes(1_000_000)
    with Connection(port) as connection:
        connection.send(b"nonsense\r\n\r\n")
        assert connection.read_response().status == 400
