"""Whatever is stored, safe mode serves the page; and what can't work isn't stored."""

import asyncio
import json
import random
import socket

import pytest

from command_client import Page
from raw import Connection
from support import free_port

# For each field a value that its check lets pass and that keeps the page from being found, or
# takes what it needs.
VALUES = {
    "device/iam": "x",
    "device/dev": "x",
    "device/led": 2,
    "ap/essid": "other",
    "ap/authmode": 5,
    "ap/password": "another-password",
    "ap/channel": 13,
    "ap/hidden": True,
    "ap/mode": "never",
    "sta/more": ["elsewhere"],
    "sta/ip": "203.0.113.9",
    "sta/mask": "255.0.0.0",
    "sta/gateway": "203.0.113.1",
    "sta/dns": "203.0.113.2",
    "wifi/country": "JP",
    "sta/ssid": "nowhere",
    "sta/pass": "nowhere-password",
    "app": "missing",
    "http/ip": "203.0.113.1",
    "http/port": 1,
    "http/names": ["other"],
    "http/proxy": "127.0.0.1",
    "https/ip": "203.0.113.1",
    "https/port": 80,
    "https/cert": "/nothing",
    "https/key": "/nothing",
    "https/redirect": True,
    "https/hsts": 1,
    "portal/dns_port": 0,
    "time/server": "203.0.113.1",
    "time/port": 1,
    "time/zone": "Nowhere",
    "websocket/ip": "203.0.113.1",
    "websocket/port": 80,
    "home/ip": "203.0.113.1",
    "home/host": "nowhere.invalid",
    "home/port": 1,
    "home/path": "/x",
    "home/token": "x",
    "home/rights": "admin",
    "home/tls": True,
    "home/ca": "/nothing",
    "home/key": "0" * 64,
    "home/interval": 3600,
    "home/ping_interval": 0.1,
    "home/ping_timeout": 0.1,
    "interfaces": [{"name": "x", "class": "missing"}],
    "limits/connections": 1,
    "limits/secure_connections": 1,
    "echoserver/listen_addr": "203.0.113.1",
    "echoserver/listen_port": 80,
    "echoserver/max_size": 125,
}
OF_NETWORK = ("device", "ap", "sta")
HELD = {"gpio_sim.json": {"0": 0}}


def files(paths):
    """The settings files with the values of these fields."""
    network, app = {}, {}
    for path in paths:
        head, _, rest = path.partition("/")
        tree = network if head in OF_NETWORK else app
        if rest:
            tree.setdefault(head, {})[rest] = VALUES[path]
        else:
            tree[head] = VALUES[path]
    return {"network.json": network, "app.json": app}


FIELDS = """
import json
import device.settings.config as config

print(json.dumps([field[0] for field in config.FIELDS]))
"""


def test_every_field_is_tried(micropython):
    script = micropython(FIELDS)
    assert script.wait() == 0
    assert set(json.loads(script.lines[0])) == set(VALUES)


PAIRS = random.Random(1).sample([(a, b) for a in VALUES for b in VALUES if a < b], 25)


@pytest.mark.parametrize("paths", [*[(path,) for path in VALUES], *PAIRS, tuple(VALUES)])
def test_safe_mode_serves_the_page(make_image, paths):
    # A computer's ports are those of its arguments; the others are as on a chip.
    image = make_image(files={**files(paths), **HELD}, args=["--chip"])
    with Connection(image.http_port) as connection:
        assert connection.get("/").status == 200
        state = json.loads(connection.get("/api/state").body)
    assert state["recovery"].startswith("safe mode: the BOOT button was held")


AS_ON_A_CHIP = """
import os
import vfs

vfs.umount("/")
vfs.mount(vfs.VfsPosix({folder!r}), "/")

from device.settings.config import Config
from device.startup import boot


class Chip:
    class store:
        read = write = lambda *arguments: None

    deliberate = lambda self: False
    held = lambda self: True


config = Config(boot.Boot(Chip(), print).overrides({{}}))
for path in ("http/ip", "http/port", "https/port", "app", "ap/authmode", "ap/hidden", "home/host"):
    print(path, config.get(path))
"""


def test_safe_mode_is_at_port_80(micropython, tmp_path):
    folder = tmp_path / "flash"
    folder.mkdir()
    for name, content in files(VALUES).items():
        (folder / name).write_text(json.dumps(content))
    script = micropython(AS_ON_A_CHIP.format(folder=str(folder)))
    assert script.wait() == 0, script.log()
    assert script.lines[1:] == [
        "http/ip 0.0.0.0",
        "http/port 80",
        "https/port 0",
        "app demo",
        "ap/authmode 3",
        "ap/hidden False",
        "home/host ",
    ]


async def refusal(page, path, value):
    await page.send("CMD", "set", [path, value])
    return await page.event("error")


async def test_what_cannot_work_together_is_refused(make_image):
    stored = {"https": {"port": 443, "cert": "/nothing"}}
    image = make_image(files={"app.json": stored}, args=["--chip"])
    async with Page(image.ws) as page:
        for path, value, why in (
            ("websocket/port", 443, "must not be that of https/port"),
            ("http/port", 0, "must not be 0: nobody would find the device"),
            ("websocket/port", 0, "must not be 0: nobody would find the device"),
            ("http/ip", "203.0.113.1", "must be an address of the device, or 0.0.0.0 for all"),
            ("websocket/ip", "nonsense", "must be an address of the device, or 0.0.0.0 for all"),
        ):
            assert await refusal(page, path, value) == f"set: {path} {why}"
    assert json.loads((image.data / "app.json").read_text()) == stored


# The device as on a chip: with no arguments that say where it listens.
LISTENERS = """
import asyncio

import board
from device.device import Device
from device.settings.config import Config


def app_main(config):
    for path in ("http/ip", "http/port", "websocket/ip", "websocket/port"):
        board.overrides.pop(path)
    board.ready = lambda *listeners: print("serving")
    asyncio.run(Device(Config(board.overrides)).run())
"""


async def test_a_listener_that_fails_takes_no_other_with_it(make_image):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = free_port()
        settings = {
            "http": {"ip": "127.0.0.1", "port": port},
            "websocket": {"ip": "127.0.0.1", "port": taken.getsockname()[1]},
            "app": "listeners",
        }
        image = make_image(files={"app.json": settings, "listeners.py": LISTENERS}, start=False)
        image.spawn()
        await asyncio.to_thread(image.wait_line, "serving")
        assert f"can't listen at 127.0.0.1 port {taken.getsockname()[1]}" in image.log()
        with Connection(port) as connection:
            assert connection.get("/").status == 200
            assert connection.upgrade().status == 101
