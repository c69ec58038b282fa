"""The relay as a program: its configuration, its errors, and the device's image that phones it."""

import contextlib
import json
import signal
import sqlite3
import subprocess

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from command_client import Page
from relay.config import Config, ConfigError, load
from relay.store import FILE
from relays import COMMAND, page_uri
from support import DEADLINE, ROOT


@pytest.fixture
def program(make_relay):
    """The relay as `make relay` runs it."""
    return make_relay()


async def test_a_device_phones_home_and_its_page_is_one_of_the_relays(program, make_image):
    home = {"host": "127.0.0.1", "port": program.device_port}
    image = make_image(
        files={
            "network.json": {"device": {"iam": "pump-1"}, "sta": {"ssid": "workshop"}},
            "secrets.json": {"sta": {"workshop": "correct-horse"}},
            "app.json": {"home": home},
        }
    )
    async with Page(image.ws) as own:
        await own.reaches({"home/connected": True})
    # A script of the example's, and one that speaks websock.v1.
    for options in ({}, {"subprotocols": ["websock.v1"]}):
        async with connect(page_uri(program), **options) as page:
            assert json.loads(await page.recv())["iam"] == "pump-1"
            await page.send('["CMD", "send_message", ["fake_interface", "hello"]]')
            while (message := json.loads(await page.recv())) != {"fake_interface/msg": "HELLO"}:
                assert "error" not in message


async def test_a_relay_that_is_killed_is_found_again(program, make_relay, make_image):
    home = {"host": "127.0.0.1", "port": program.device_port}
    files = {"network.json": {"device": {"iam": "pump-1"}}, "app.json": {"home": home}}
    image = make_image(files=files)
    async with Page(image.ws) as own:
        await own.reaches({"home/connected": True})
        program.kill()
        await own.reaches({"home/connected": False})
        again = make_relay("--device-port", program.device_port)
        await own.reaches({"home/connected": True})
        async with connect(page_uri(again)) as page:
            assert json.loads(await page.recv())["iam"] == "pump-1"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_in_order(program, number):
    async with connect(page_uri(program)) as page:
        program.process.send_signal(number)
        with pytest.raises(ConnectionClosed):
            await page.recv()
        assert page.close_code == 1012
    assert program.process.wait(DEADLINE) == 0
    assert "Traceback" not in program.process.stderr.read()


def failing(*arguments):
    """The last line of what the program says when it ends at once."""
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE
    )
    assert done.returncode in (1, 2) and "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("relay: ")
    return line


@pytest.mark.parametrize("port", ["device", "page"])
def test_a_port_that_is_taken(program, tmp_path, port):
    taken = str(getattr(program, f"{port}_port"))
    ports = {"--device-port": "0", "--page-port": "0", f"--{port}-port": taken}
    arguments = [part for pair in ports.items() for part in pair]
    assert taken in failing("--data", str(tmp_path / "other"), *arguments)


def test_a_folder_that_can_not_be_used(tmp_path):
    (tmp_path / "file").write_text("")
    assert "can't be used" in failing("--data", str(tmp_path / "file" / "data"))
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / FILE).write_text("no database, but of more than a hundred bytes" * 10)
    assert "can't be used" in failing("--data", str(folder))


def test_a_database_of_a_later_version_is_left_alone(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as db:
        db.execute("PRAGMA user_version=99")
    assert "later version" in failing("--data", str(tmp_path))


def test_a_certificate_that_can_not_be_used(tmp_path):
    data = ("--data", str(tmp_path), "--device-port", "0")
    assert "cert takes key too" in failing(*data, "--cert", "/nowhere")
    files = ("--cert", "/nowhere", "--key", "/nowhere")
    assert "/nowhere and /nowhere can't be used" in failing(*data, *files)


def test_a_flag_counts_before_the_environment_and_that_before_the_file(tmp_path):
    file = tmp_path / "relay.toml"
    file.write_text('page_port = 1\ndevice_port = 1\nping_s = 5\norigins = ["https://a.example"]')
    environment = {"RELAY_CONFIG": str(file), "RELAY_PAGE_PORT": "2", "RELAY_DEVICE_PORT": "2"}
    assert load({"page_port": "3"}, environment) == Config(
        page_port=3, device_port=2, ping_s=5.0, origins=("https://a.example",)
    )
    assert load({"origins": "https://b.example, https://c.example"}, {}).origins == (
        "https://b.example",
        "https://c.example",
    )
    assert load({}, {}) == Config()


@pytest.mark.parametrize(
    ("given", "environment", "text", "error"),
    [
        ({"page_port": "x"}, {}, None, "--page-port must be a number, not 'x'"),
        ({"page_port": "65536"}, {}, None, "--page-port must be from 0 to 65535"),
        ({"page_queue": "1"}, {}, None, "--page-queue must be at least 1024"),
        ({"open_devices": "perhaps"}, {}, None, "--open-devices must be true or false"),
        ({"user_header": "X-User"}, {}, None, "user_header takes proxies too"),
        ({}, {"RELAY_PING_S": "0"}, None, "RELAY_PING_S must be from 0.1 to 3600"),
        ({}, {}, "page_port = true", "page_port must be a number"),
        ({}, {}, "page_port = 1.5", "page_port must be a number"),
        ({}, {}, "device_host = 5", "device_host must be text"),
        ({}, {}, 'origins = "x"\nhost = "y"', "there is no setting host"),
        ({}, {}, "origins = [5]", "origins must be a list of texts"),
        ({}, {}, "page_port", "is not TOML"),
        ({"config": "/nowhere"}, {}, None, "/nowhere can't be read"),
    ],
)
def test_settings_that_can_not_be(tmp_path, given, environment, text, error):
    if text is not None:
        file = tmp_path / "relay.toml"
        file.write_text(text)
        given = {"config": str(file)}
    with pytest.raises(ConfigError) as refused:
        load(given, environment)
    assert error in str(refused.value)
