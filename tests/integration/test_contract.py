"""The image as a program: arguments, ports, folder, signals, heap, measuring endpoints."""

import json
import signal
import socket
import subprocess
import zlib

import pytest
import websockets.sync.client
from websockets.exceptions import ConnectionClosed

from raw import Connection
from support import DEADLINE, ROOT, Program, free_port

WEBSOCK = ROOT / "build/host/websock"


def get(port, path):
    with Connection(port) as connection:
        return connection.get(path)


def greeting(image):
    """The state that the image sends to a new WebSocket client."""
    with websockets.sync.client.connect(image.ws + "/") as page:
        return json.loads(page.recv())


def test_ready_line_is_all_that_standard_output_gets(image):
    get(image.http_port, "/")
    greeting(image)
    image.stop()
    assert image.lines == [f"ready {image.http}/ {image.ws}/"]


def test_both_ports_serve_when_it_says_so(image):
    assert get(image.http_port, "/").status == 200
    assert "iam" in greeting(image)


def test_given_ports_are_used(make_image):
    http_port, ws_port = free_port(), free_port()
    ports = ["--http-port", str(http_port), "--ws-port", str(ws_port)]
    image = make_image(args=ports)
    assert (image.http_port, image.ws_port) == (http_port, ws_port)


def test_host_is_the_address_to_listen_on(tmp_path):
    command = [WEBSOCK, "--data", tmp_path / "device", "--host", "127.0.0.2"]
    # Not any free port of that address: somebody may have it at the other one.
    ports = ["--http-port", str(free_port()), "--ws-port", str(free_port())]
    program = Program([*command, *ports], tmp_path / "log")
    program.spawn()
    try:
        ready = program.wait_line(r"ready http://127\.0\.0\.2:(\d+)/ ws://127\.0\.0\.2:(\d+)/")
        for port in ready.groups():
            socket.create_connection(("127.0.0.2", int(port)), timeout=10).close()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", int(port)), timeout=10)
    finally:
        program.kill()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6_address_has_brackets_in_a_url(tmp_path):
    command = [WEBSOCK, "--data", tmp_path / "device", "--host", "::1"]
    program = Program([*command, "--http-port", "0", "--ws-port", "0"], tmp_path / "log")
    program.spawn()
    try:
        ready = program.wait_line(r"ready http://\[::1\]:(\d+)/ ws://\[::1\]:(\d+)/")
        for port in ready.groups():
            socket.create_connection(("::1", int(port)), timeout=10).close()
    finally:
        program.kill()


def test_data_folder_is_made(make_image):
    image = make_image(start=False)
    assert not image.data.exists()
    image.start()
    assert image.data.is_dir()


def test_data_folder_is_the_root_of_the_filesystem(make_image):
    image = make_image(files={"network.json": {"device": {"iam": "bench-7", "dev": "tester"}}})
    state = greeting(image)
    assert (state["iam"], state["dev"]) == ("bench-7", "tester")


def test_relative_data_folder(tmp_path):
    command = [WEBSOCK, "--data", "device", "--http-port", "0", "--ws-port", "0"]
    program = Program(command, tmp_path / "log", cwd=tmp_path)
    program.spawn()
    program.wait_line("ready .*")
    program.kill()
    assert (tmp_path / "device").is_dir()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_with_code_0(image, number):
    with (
        websockets.sync.client.connect(image.ws + "/") as page,
        websockets.sync.client.connect(f"ws://127.0.0.1:{image.http_port}/ws") as other,
    ):
        image.ended_by_test = True
        image.send_signal(number)
        for client in (page, other):
            with pytest.raises(ConnectionClosed):
                while True:
                    client.recv()
            assert (client.close_code, client.close_reason) == (1001, "shutting down")
        assert image.wait() == 0
    assert "Traceback" not in image.log()


def test_starts_again_in_the_same_folder_after_each_end(image):
    image.restart()
    image.restart()


def refused(*args):
    """Run the image with arguments that it refuses; return the line that says why."""
    done = subprocess.run([WEBSOCK, *args], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].strip(), done.stderr
    return lines[0]


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["--heap", "16k", "--http-port", "0", "--ws-port", "0"], "--heap"),
        (["--http-port", "x"], "--http-port"),
        (["--http-port", "65536"], "--http-port"),
        (["--http-port", ""], "--http-port"),
        (["--ws-port", "-1"], "--ws-port"),
        (["--ws-port"], "--ws-port"),
        (["--host", "nonsense.invalid"], "nonsense.invalid"),
        (["--data"], "--data"),
        (["--unknown"], "--unknown"),
        (["surplus"], "surplus"),
        (["--heap", "big"], "--heap"),
        (["--heap", "0"], "--heap"),
        (["--heap", "-256k"], "--heap"),
        (["--heap=12q"], "--heap"),
        (["--heap", "99999999999M"], "--heap"),
        (["--heap"], "--heap"),
    ],
)
def test_bad_argument_is_named(tmp_path, args, named):
    assert named in refused("--data", tmp_path / "device", *args)


def test_data_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert "file" in refused("--data", tmp_path / "file", "--http-port", "0", "--ws-port", "0")


@pytest.mark.parametrize("taken", ["--http-port", "--ws-port"])
def test_port_in_use_is_named(tmp_path, taken):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        ports = {"--http-port": "0", "--ws-port": "0", taken: port}
        args = [argument for pair in ports.items() for argument in pair]
        assert port in refused("--data", tmp_path / "device", *args)


def test_same_port_twice_is_refused(tmp_path):
    port = str(free_port())
    refused("--data", tmp_path / "device", "--http-port", port, "--ws-port", port)


@pytest.mark.image(bench=True)
def test_bench_endpoints(image):
    with Connection(image.http_port) as connection:
        assert connection.get("/bench/ok").body == b"ok"
        body = connection.get("/bench/30k").body
        assert len(body) == 30000
        assert len(zlib.compress(body, 9)) >= 30000
        memory = json.loads(connection.get("/bench/mem").body)
    assert set(memory) == {"alloc", "free"}
    assert memory["alloc"] > 0 and memory["free"] > 0
    with websockets.sync.client.connect(image.http.replace("http", "ws") + "/bench/echo") as echo:
        for message in ("text", b"\x00binary", "", "x" * 20000):
            echo.send(message)
            assert echo.recv() == message


@pytest.mark.image(bench=True)
def test_bench_sink_counts(image):
    with websockets.sync.client.connect(image.http.replace("http", "ws") + "/bench/sink") as sink:
        for _ in range(3):
            sink.send(b"x" * 100)
        sink.ping().wait(DEADLINE)
    with Connection(image.http_port) as connection:
        count = json.loads(connection.get("/bench/sink/count").body)
    assert count == {"messages": 3, "bytes": 300}


@pytest.mark.parametrize("path", ["ok", "30k", "mem", "echo", "sink"])
def test_no_bench_endpoint_without_the_option(image, path):
    assert get(image.http_port, "/bench/" + path).status == 404
    with Connection(image.http_port) as connection:
        assert connection.upgrade("/bench/" + path).status == 404


def heap_of(image):
    memory = json.loads(get(image.http_port, "/bench/mem").body)
    return memory["alloc"] + memory["free"]


@pytest.mark.parametrize(
    ("heap", "size"), [(None, 256 << 10), ("300k", 300 << 10), ("1M", 1 << 20), ("500000", 500000)]
)
def test_heap_is_as_large_as_asked(make_image, heap, size):
    # A part of the heap is the collector's own table.
    assert 0.9 * size < heap_of(make_image(heap=heap, bench=True)) <= size


def test_heap_with_an_equals_sign(make_image):
    image = make_image(args=["--heap=512k"], bench=True)
    assert 0.9 * (512 << 10) < heap_of(image) <= 512 << 10


def test_objects_of_the_32_bit_build_are_smaller(make_image):
    def allocated(build):
        image = make_image(build=build, bench=True)
        return json.loads(get(image.http_port, "/bench/mem").body)["alloc"]

    assert allocated("host32") < 0.75 * allocated("host")


def test_interpreter_runs_scripts_with_the_frozen_modules(micropython):
    script = micropython(
        "import asyncio, http11, httpd, interfaces, transport, websockets\n"
        "print(*sorted(module.__file__ for module in (http11, transport)))\n"
    )
    assert script.wait() == 0, script.log()
    assert script.lines == ["http11.py transport/__init__.py"]


def test_interpreter_takes_code_from_the_command_line():
    command = [ROOT / "build/host/micropython", "-c", "import websockets; print('yes')"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "yes\n", "")
