"""The relay as a program: its configuration, its errors, and the device's image that phones it."""

import json
import re
import signal
import subprocess
import sys

import pytest
from relay.config import Config, ConfigError, load
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from command_client import Page
from support import DEADLINE, ROOT

READY = re.compile(
    r"ready: devices at ws://127\.0\.0\.1:(\d+)/, pages at ws://127\.0\.0\.1:(\d+)/"
)
COMMAND = (sys.executable, "-m", "relay")


@pytest.fixture
def program():
    """The relay as `make relay` runs it: gives (process, device port, page port)."""
    command = [*COMMAND, "--device-port", "0", "--page-port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    found = READY.match(process.stdout.readline())
    assert found
    yield process, int(found[1]), int(found[2])
    process.kill()
    process.communicate()


async def test_a_device_phones_home_and_its_page_is_one_of_the_relays(program, make_image):
    _, device_port, page_port = program
    image = make_image(
        files={
            "network.json": {"device": {"iam": "pump-1"}, "sta": {"ssid": "workshop"}},
            "secrets.json": {"sta": {"workshop": "correct-horse"}},
            "app.json": {"home": {"host": "127.0.0.1", "port": device_port}},
        }
    )
    async with Page(image.ws) as own:
        await own.reaches({"home/connected": True})
    async with connect(f"ws://127.0.0.1:{page_port}/pump-1") as page:
        await page.send('["GET", "state", []]')
        assert json.loads(await page.recv())["iam"] == "pump-1"
        await page.send('["CMD", "send_message", ["fake_interface", "hello"]]')
        while (message := json.loads(await page.recv())) != {"fake_interface/msg": "HELLO"}:
            assert "error" not in message


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_in_order(program, number):
    process, _, page_port = program
    async with connect(f"ws://127.0.0.1:{page_port}/pump-1") as page:
        process.send_signal(number)
        with pytest.raises(ConnectionClosed):
            await page.recv()
        assert page.close_code == 1012
    assert process.wait(DEADLINE) == 0


def test_a_port_that_is_taken(program):
    _, device_port, _ = program
    command = [*COMMAND, "--device-port", str(device_port)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 1
    assert done.stderr.startswith("relay: ") and str(device_port) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_flag_counts_before_the_environment_and_that_before_the_file(tmp_path):
    file = tmp_path / "relay.toml"
    file.write_text('page_port = 1\ndevice_port = 1\nping_s = 5\norigins = ["https://a.example"]')
    environment = {"RELAY_CONFIG": str(file), "RELAY_PAGE_PORT": "2", "RELAY_DEVICE_PORT": "2"}
    assert load(["--page-port", "3"], environment) == Config(
        page_port=3, device_port=2, ping_s=5.0, origins=("https://a.example",)
    )
    assert load(["--origins", "https://b.example, https://c.example"], {}).origins == (
        "https://b.example",
        "https://c.example",
    )
    assert load([], {}) == Config()


@pytest.mark.parametrize(
    ("arguments", "environment", "text", "error"),
    [
        (["--page-port", "x"], {}, None, "--page-port must be a number, not 'x'"),
        (["--page-port", "65536"], {}, None, "--page-port must be from 0 to 65535"),
        ([], {"RELAY_PING_S": "0"}, None, "RELAY_PING_S must be from 0.1 to 3600"),
        ([], {}, "page_port = true", "page_port must be a number"),
        ([], {}, "page_port = 1.5", "page_port must be a number"),
        ([], {}, "device_host = 5", "device_host must be text"),
        ([], {}, 'origins = "x"\nhost = "y"', "there is no setting host"),
        ([], {}, "origins = [5]", "origins must be a list of texts"),
        ([], {}, "page_port", "is not TOML"),
        (["--config", "/nowhere"], {}, None, "/nowhere can't be read"),
    ],
)
def test_settings_that_can_not_be(tmp_path, arguments, environment, text, error):
    if text is not None:
        file = tmp_path / "relay.toml"
        file.write_text(text)
        arguments = ["--config", str(file)]
    with pytest.raises(ConfigError) as refused:
        load(arguments, environment)
    assert error in str(refused.value)
