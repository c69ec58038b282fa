"""What runs: the apps, the user's own, recovery from one that fails, and unusable settings."""

import asyncio
import subprocess

import pytest
from websockets.asyncio.client import connect

from command_client import Page
from raw import Connection
from support import DEADLINE, ROOT, program


@pytest.mark.parametrize(
    "settings",
    [
        {"app": "echoserver"},
        {"app": "echoserver", "echoserver": {"listen_addr": "0.0.0.0", "listen_port": 7777}},
    ],
)
async def test_echoserver(make_image, settings):
    image = make_image(files={"app.json": settings})
    async with connect(image.ws + "/any/path") as client:
        for message in ("text", b"\x00binary", "", "größer 🙂"):
            await client.send(message)
            assert await client.recv() == message


def test_echoserver_stops_cleanly_and_restarts(make_image):
    image = make_image(files={"app.json": {"app": "echoserver"}})
    image.restart()


APP = """
import json


def app_main(config):
    print("my app", config.get("device/iam"))
    print("mine", json.dumps(config.section("my_app")))
"""

FILES = {
    "app.json": {"app": "my_app", "my_app": {"rate": 5}},
    "network.json": {"device": {"iam": "bench-7"}},
}


@pytest.mark.parametrize(
    "place",
    [
        "my_app.py",
        "my_app/__init__.py",
        "my_app/main.py",
        "apps/my_app.py",
        "apps/my_app/main.py",
    ],
)
def test_app_of_the_user(make_image, place):
    files = {**FILES, place: APP}
    if place.endswith("main.py"):
        files[place.replace("main.py", "__init__.py")] = ""
    image = make_image(start=False, files=files)
    image.spawn()
    image.wait_line("my app bench-7")
    image.wait_line(r'mine \{"rate": 5\}')
    image.wait_ready()  # the device, in its place


def test_app_of_the_user_that_is_a_coroutine(make_image):
    text = "import asyncio\nasync def app_main(config):\n await asyncio.sleep(0)\n print('done')\n"
    image = make_image(start=False, files={**FILES, "my_app.py": text})
    image.spawn()
    image.wait_line("done")
    image.wait_ready()


async def test_app_of_the_user_with_the_frozen_servers(make_image):
    text = program("app_with_servers")
    image = make_image(files={**FILES, "my_app.py": text})
    with Connection(image.http_port) as connection:
        assert connection.get("/").body == b"my page"
    async with connect(image.ws) as client:
        await client.send("loud")
        assert await client.recv() == "LOUD"


THERMOMETER = program("thermometer")


async def test_interface_of_the_user(make_image):
    interfaces = [{"name": "room", "type": "thermometer.Thermometer"}]
    image = make_image(
        files={
            "app.json": {"interfaces": interfaces},
            "thermometer.py": THERMOMETER,
            "lib/sensor.py": "def read():\n    return 21.5\n",
        }
    )
    async with Page(image.ws) as page:
        assert page.state["hal"] == [
            {"name": "room", "type": "thermometer", "title": "Thermometer", "connection": ""}
        ]
        # By itself, since the start.
        await page.reaches({"room/running": True, "room/celsius": 21.5})


# Recovery

FAILING = {
    "does not exist": ({}, "my_app"),
    "can't be imported": ({"my_app.py": "import no_such_module\n"}, "no_such_module"),
    "is no Python": ({"my_app.py": "def app_main(:\n"}, "SyntaxError"),
    "has no app_main": ({"my_app.py": "x = 1\n"}, "app_main"),
    "raises at import": ({"my_app.py": "\n\n1 / 0\n"}, "line 3"),
    "raises": (
        {"my_app.py": "def app_main(args):\n    raise ValueError('no sensor')\n"},
        "ValueError: no sensor",
    ),
    "takes no argument": ({"my_app.py": "def app_main():\n    pass\n"}, "TypeError"),
    "raises in a coroutine": (
        {"my_app.py": "async def app_main(args):\n    raise ValueError('no sensor')\n"},
        "ValueError: no sensor",
    ),
    "is cancelled": (
        {"my_app.py": "import asyncio\ndef app_main(args):\n    raise asyncio.CancelledError\n"},
        "CancelledError",
    ),
    "exits": (
        {"my_app.py": "import sys\ndef app_main(args):\n    sys.exit(3)\n"},
        "SystemExit: 3",
    ),
    "exits at import": ({"my_app.py": "raise SystemExit\n"}, "SystemExit"),
    "recurses": ({"my_app.py": "def app_main(args):\n    app_main(args)\n"}, "RuntimeError"),
    "uses up the memory": (
        {"my_app.py": "def app_main(args):\n    x = []\n    while 1: x.append(b'x' * 999)\n"},
        "MemoryError",
    ),
}


async def check_recovery(image, mentioned):
    with Connection(image.http_port) as connection:
        assert connection.get("/").status == 200
    async with Page(image.ws) as page:
        assert mentioned in page.state["recovery"]
        assert page.state["wifi/ap/active"] is True
        assert page.state["app"] == "my_app"
        await page.round_trip()


@pytest.mark.parametrize("name", FAILING)
async def test_app_that_fails_leads_to_recovery(make_image, name):
    files, mentioned = FAILING[name]
    image = make_image(files={**FILES, **files})
    await check_recovery(image, mentioned)
    assert (image.data / "traceback.txt").read_text() in image.log()


async def test_a_traceback_names_a_users_file_by_its_path(make_image):
    image = make_image(files={"app.json": {"app": "my_app"}, "my_app.py": "1 / 0\n"})
    await check_recovery(image, 'File "/my_app.py", line 1')
    assert 'File "/my_app.py"' in image.log() and "//my_app" not in image.log()


async def test_traceback_that_is_not_unicode_is_shown_all_the_same(make_image):
    text = "def app_main(args):\n    raise ValueError('\\ud800')\n"
    image = make_image(files={**FILES, "my_app.py": text})
    await check_recovery(image, "ValueError: \\xed\\xa0\\x80")


async def test_app_that_fails_while_it_serves(make_image):
    text = program("app_that_fails_late")
    image = make_image(files={**FILES, "my_app.py": text})
    await check_recovery(image, "ValueError: after a while")


def test_a_lack_of_memory_later_is_not_blamed_on_the_heap_size(make_image):
    text = program("app_without_memory")
    image = make_image(files={**FILES, "my_app.py": text})
    with Connection(image.ws_port) as connection:
        connection.upgrade()
        assert image.process.wait(DEADLINE) == 2
    log = image.log()
    assert log.endswith("MemoryError: later\nwebsock: the device ended without memory\n")
    assert "too small" not in log


def test_a_heap_that_is_too_small_is_said_to_be(tmp_path):
    command = [ROOT / "build/host32/websock", "--data", tmp_path, "--heap", "24k"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 2
    assert done.stderr.endswith("websock: --heap is too small for the device\n")


async def test_way_out_of_recovery(make_image):
    image = make_image(files={**FILES, "my_app.py": "1 / 0\n"})
    async with Page(image.ws) as page:
        assert "ZeroDivisionError" in page.state["recovery"]
        await page.send("CMD", "set", ["app", "demo"])
        await page.event("info")
        await page.send("CMD", "reboot")
        assert await page.closed() == 1012
    await asyncio.to_thread(image.wait_ready)
    async with Page(image.ws) as page:
        assert "recovery" not in page.state
        assert page.state["app"] == "demo"


@pytest.mark.parametrize("name", ["../my_app", "/my_app", "a.b", "", "my app", "x" * 40, 5, None])
async def test_name_that_no_app_can_have(make_image, name):
    image = make_image(files={"app.json": {"app": name}, "my_app.py": "raise SystemExit\n"})
    async with Page(image.ws) as page:
        await page.send("GET", "log")
        log = await page.event("log")
        assert "recovery" in page.state or page.state["app"] == "demo"
        assert name is None or any("app" in line for line in log)


# Settings that can't be used

UNUSABLE = {
    "empty": b"",
    "cut off": b'{"device": {"iam": "be',
    "no JSON": b"iam = bench-7",
    "no text": b"\xff\xfe\x00\x01" * 20,
    "zeros": b"\x00" * 4096,
    "a list": b"[]",
    "numbers as keys": b'{"device": {1: 2, "iam": "bench-7"}, 3: 4}',
    "half of a character": b'{"device": {"dev": "\\ud800"}}',
    "a surrogate": b'{"device": {"dev": "\xed\xa0\x80"}}',
    "a number": b"1",
    "nested": b"[" * 5000,
    "large": b'{"x": "' + b"y" * 100_000 + b'"}',
}


@pytest.mark.parametrize("file", ["network.json", "app.json", "secrets.json"])
@pytest.mark.parametrize("name", UNUSABLE)
async def test_unusable_file_is_reported_and_the_defaults_used(make_image, file, name):
    image = make_image(files={file: UNUSABLE[name]})
    async with Page(image.ws) as page:
        assert page.state["app"] == "demo"
        assert page.state["iam"] and page.state["wifi/ap/active"] is True
        await page.send("GET", "log")
        assert any(file in line and "error" in line for line in await page.event("log"))
        # It can be mended from the page.
        await page.send("CMD", "set", ["device/iam", "mended"])
        await page.event("info")
    image.restart()
    async with Page(image.ws) as page:
        assert page.state["iam"] == "mended"


BAD_FIELDS = [
    ("network.json", {"device": 5}, "device must be an object"),
    ("app.json", {"http": []}, "http must be an object"),
    ("network.json", {"device": {"iam": 7}}, "device/iam"),
    ("network.json", {"device": {"iam": ""}}, "device/iam"),
    ("network.json", {"device": {"iam": "a/b"}}, "device/iam"),
    ("network.json", {"device": {"dev": "x" * 100}}, "device/dev"),
    ("network.json", {"ap": {"password": "short"}}, "ap/password"),
    ("network.json", {"ap": {"authmode": "WPA2"}}, "ap/authmode"),
    ("network.json", {"ap": {"hidden": "no"}}, "ap/hidden"),
    ("network.json", {"sta": {"ssid": "x" * 33}}, "sta/ssid"),
    ("network.json", {"sta": {"ssid": ["workshop"]}}, "sta/ssid"),
    ("network.json", {"unknown": 1}, "unknown"),
    ("network.json", {"device": {"unknown": 1}}, "device/unknown"),
    ("app.json", {"app": ["demo"]}, "app"),
    ("app.json", {"http": {"port": "80"}}, "http/port"),
    ("app.json", {"http": {"port": 65536}}, "http/port"),
    ("app.json", {"http": {"port": True}}, "http/port"),
    ("app.json", {"home": {"host": 5}}, "home/host"),
    ("app.json", {"home": {"host": "127.0.0.1", "ping_interval": -1}}, "home/ping_interval"),
    ("app.json", {"demo": {"home": {"port": 0}}}, "home/port"),
    ("app.json", {"limits": {"connections": 0}}, "limits/connections"),
    ("app.json", {"interfaces": "all"}, "interfaces"),
    ("app.json", {"interfaces": [5]}, "interface"),
    ("app.json", {"interfaces": [{"name": "x", "type": "unknown"}]}, "x"),
    ("app.json", {"unknown": 1}, "unknown"),
]


@pytest.mark.parametrize(("file", "content", "field"), BAD_FIELDS)
async def test_bad_field_is_reported_and_its_default_used(make_image, file, content, field):
    image = make_image(files={file: content})
    async with Page(image.ws) as page:
        assert page.state["app"] == "demo"
        assert "recovery" not in page.state
        await page.send("GET", "log")
        assert any("error" in line and field in line for line in await page.event("log"))


async def test_good_fields_beside_a_bad_one_are_used(make_image):
    image = make_image(files={"network.json": {"device": {"iam": "bench-7", "dev": 5}, "x": {}}})
    async with Page(image.ws) as page:
        assert page.state["iam"] == "bench-7"
        assert page.state["dev"]


async def test_previous_settings_are_used_when_the_newest_are_damaged(make_image):
    image = make_image()
    for name in ("first", "second"):
        async with Page(image.ws) as page:
            await page.send("CMD", "set", ["device/iam", name])
            await page.event("info")
    image.stop()
    (image.data / "network.json").write_bytes(b'{"device"')
    image.start()
    async with Page(image.ws) as page:
        assert page.state["iam"] == "first"


# The first boot


async def test_first_boot_makes_an_access_point_of_its_own(make_image):
    images = [make_image(), make_image()]
    passwords, names = set(), set()
    for image in images:
        async with Page(image.ws) as page:
            assert page.state["wifi/ap/active"] is True
            names.add(page.state["wifi/ap/ssid"])
        password = image.read_json("secrets.json")["ap/password"]
        assert len(password) >= 8
        passwords.add(password)
        image.restart()
        assert image.read_json("secrets.json")["ap/password"] == password
    assert len(names) == len(passwords) == 2


async def test_example_files_of_earlier_versions_are_understood(make_image):
    image = make_image(
        files={
            "network.json": {
                "device": {"iam": "Device_1", "dev": "ESP32"},
                "ap": {
                    "essid": "upy-ap-test",
                    "authmode": 3,
                    "password": "access-point-key",
                    "hidden": False,
                },
                "sta": {"ssid": "workshop", "pass": "correct-horse"},
                "wsserver": {"ip": "192.168.3.1", "port": 7777, "path": "TS001"},
            },
            "app.json": {
                "app": "demo",
                "echoserver": {"listen_addr": "0.0.0.0", "listen_port": 7777},
                "demo": {
                    "http": {"ip": "0.0.0.0", "port": 80},
                    "websocket": {"ip": "0.0.0.0", "port": 7777},
                    "home": {"ip": "127.0.0.1", "port": 7770},
                },
            },
        }
    )
    async with Page(image.ws) as page:
        assert (page.state["iam"], page.state["dev"]) == ("Device_1", "ESP32")
        assert page.state["wifi/ap/ssid"] == "upy-ap-test"
        assert page.state["home/url"] == "ws://127.0.0.1:7770/Device_1"
        await page.reaches({"wifi/net/connected": True, "wifi/net/ap": "workshop"})
        await page.send("GET", "log")
        assert not [line for line in await page.event("log") if " error " in line]
