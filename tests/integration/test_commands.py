"""The command protocol at /ws and at the WebSocket port, with the simulated Wi-Fi behind it."""

import asyncio
import contextlib
import json
import re

import pytest

from command_client import PASSWORDS, Page
from raw import HANDSHAKE, TEXT, Connection, frame
from support import with_constants

WORKSHOP = {"ssid": "workshop", "password": "correct-horse", "rssi": -48, "channel": 6}
GUEST = {"ssid": "guest", "rssi": -61, "channel": 1}
ATTIC = {
    "ssid": "attic",
    "password": "under-the-roof",
    "rssi": -87,
    "channel": 11,
    "dhcp": False,
}


def air(*networks):
    """What is on the air, as a file for the simulator."""
    return {"delay_ms": 50, "networks": networks}


FILES = {
    "wifi_sim.json": air(GUEST, WORKSHOP),
    "network.json": {
        "device": {"iam": "bench-7", "dev": "tester"},
        "ap": {"essid": "bench-7-ap", "authmode": 3, "password": "access-point-key"},
    },
}
STORED = {
    **FILES,
    "network.json": {
        **FILES["network.json"],
        "sta": {"ssid": "workshop", "pass": "correct-horse"},
    },
}

with_files = pytest.mark.image(files=FILES)
with_stored = pytest.mark.image(files=STORED)

WIFI_KEYS = {
    "wifi/ap/active": bool,
    "wifi/ap/ssid": str,
    "wifi/net/active": bool,
    "wifi/net/mac": str,
    "wifi/net/ap": str,
    "wifi/net/connected": bool,
    "wifi/net/ip": str,
    "wifi/net/gw": str,
    "wifi/net/dns": str,
    "wifi/stored/ssid": str,
}
STATE_KEYS = {
    **WIFI_KEYS,
    "iam": str,
    "dev": str,
    "version": str,
    "app": str,
    "home/url": str,
    "home/connected": bool,
    "hal": list,
    "fake_interface/running": bool,
}


def endpoints(image):
    return {"ws": image.http.replace("http", "ws") + "/ws", "port": image.ws + "/"}


@pytest.fixture(params=["ws", "port"])
def uri(request, image):
    """The image's WebSocket address: both endpoints in turn."""
    return endpoints(image)[request.param]


def check_types(message, types):
    for key, kind in types.items():
        assert type(message[key]) is kind, (key, message[key])


# State


@with_files
async def test_first_message_is_the_full_state(uri):
    async with Page(uri) as page:
        state = page.messages[0]
    check_types(state, STATE_KEYS)
    assert (state["iam"], state["dev"], state["app"]) == ("bench-7", "tester", "demo")
    assert state["wifi/ap/ssid"] == "bench-7-ap"
    assert re.fullmatch(r"([0-9A-F]{2}:){5}[0-9A-F]{2}", state["wifi/net/mac"])
    for event in ("info", "error", "log", "wifi/scan", "fake_interface/msg", "recovery"):
        assert event not in state
    assert {"name": "fake_interface", "type": "echo"}.items() <= state["hal"][0].items()


@with_files
async def test_later_messages_have_the_changes_only_and_go_to_every_client(image):
    async with (
        Page(endpoints(image)["ws"]) as first,
        Page(endpoints(image)["port"]) as second,
        Page(image.ws + "/any/path") as third,
    ):
        await first.send("CMD", "stop_interface")
        for page in (first, second, third):
            await page.reaches({"fake_interface/running": False})
            (change,) = [m for m in page.messages[1:] if "fake_interface/running" in m]
            assert "iam" not in change and "wifi/net/mac" not in change
        # Nothing changes: who asked is told how it is, and nobody else.
        await first.send("CMD", "stop_interface", ["fake_interface"])
        for page in (first, second, third):
            await page.round_trip()
            changes = [m for m in page.messages[1:] if "fake_interface/running" in m]
            assert len(changes) == (2 if page is first else 1)
        assert first.messages[-2] == {"fake_interface/running": False}


@with_files
async def test_get_wifi(uri):
    async with Page(uri) as page, Page(uri) as other:
        await page.send("GET", "wifi")
        await page.event("wifi/ap/active")
        answer = page.messages[-1]
        check_types(answer, WIFI_KEYS)
        assert "iam" not in answer
        await other.round_trip()
        assert other.count("wifi/net/mac") == 1


@with_files
async def test_get_state_is_the_full_state(uri):
    async with Page(uri) as page:
        await page.send("GET", "state", [])
        await page.event("iam")
        assert page.messages[-1].keys() == page.messages[0].keys()


@pytest.mark.parametrize("verb", ["GET", "CMD"])
@with_files
async def test_hal_lists_the_interfaces(uri, verb):
    async with Page(uri) as page:
        await page.send(verb, "hal")
        (interface,) = await page.event("hal")
    assert interface["name"] == "fake_interface"
    assert interface["type"] == "echo"
    assert interface["title"] == "Fake Interface Example"


@with_files
async def test_get_log_is_for_the_one_who_asks(uri):
    async with Page(uri) as page, Page(uri) as other:
        await page.send("GET", "log")
        log = await page.event("log")
        assert log and all(isinstance(line, str) for line in log)
        await other.round_trip()
        assert other.count("log") == 0


@with_files
async def test_arguments_may_be_missing_or_null(uri):
    async with Page(uri) as page:
        for request in (["GET", "hal"], ["GET", "hal", []], ["GET", "hal", None]):
            await page.send(*request)
            assert await page.event("hal")
        assert page.count("error") == 0


# Interfaces


@with_files
async def test_fake_interface_answers_in_upper_case_in_every_client(image):
    async with Page(endpoints(image)["ws"]) as first, Page(endpoints(image)["port"]) as second:
        await first.send("CMD", "start_interface", ["fake_interface"])
        await first.send("CMD", "send_message", ["hello"])
        await first.send("CMD", "send_message", ["fake_interface", "with a name"])
        for page in (first, second):
            received = [await page.event("fake_interface/msg") for _ in range(2)]
            assert received == ["HELLO", "WITH A NAME"]
        # Only now: what two clients send is carried out in any order.
        await second.send("CMD", "send_message", ['größer 🙂 \\ " \n {0}'])
        for page in (first, second):
            # MicroPython's upper() knows ASCII only.
            answer = await page.event("fake_interface/msg")
            assert answer in ('GRößER 🙂 \\ " \n {0}', 'GRÖSSER 🙂 \\ " \n {0}')
            assert page.count("error") == 0


@with_files
async def test_stopped_interface_takes_no_message(uri):
    async with Page(uri) as page:
        await page.reaches({"fake_interface/running": True})
        await page.send("CMD", "stop_interface")
        await page.reaches({"fake_interface/running": False})
        assert "fake_interface" in await page.refused("CMD", "send_message", ["hello"])
        await page.send("CMD", "start_interface")
        await page.send("CMD", "send_message", ["again"])
        assert await page.event("fake_interface/msg") == "AGAIN"


@pytest.mark.image(
    files={
        **FILES,
        "app.json": {
            "interfaces": [
                {"name": "fake_interface", "type": "echo"},
                {"name": "relay", "type": "gpio", "title": "Relay", "pin": 4},
                {"name": "meter", "type": "uart", "id": 1},
            ]
        },
    }
)
async def test_configured_interfaces(image):
    async with Page(image.ws) as page:
        hal = {entry["name"]: (entry["type"], entry["title"]) for entry in page.state["hal"]}
        assert list(hal) == ["fake_interface", "relay", "meter"]
        assert hal["relay"] == ("gpio", "Relay")
        assert hal["meter"][0] == "uart"
        await page.send("CMD", "start_interface", ["relay"])
        await page.reaches({"relay/running": True, "relay/value": 0})
        await page.send("CMD", "send_message", ["relay", "1"])
        await page.reaches({"relay/value": 1})
        await page.send("CMD", "start_interface", ["meter"])
        await page.reaches({"meter/running": True})
        # The other end of the wire.
        with open((image.data / "uart1.pty").read_text().strip(), "r+b", buffering=0) as wire:
            wire.write(b"42 kWh\n")
            assert "42 kWh" in await page.event("meter/msg")
            await page.send("CMD", "send_message", ["meter", "read"])
            received = b""
            while b"read" not in received:
                received += await asyncio.to_thread(wire.read, 16)
        assert page.count("error") == 0


@pytest.mark.image(
    files={
        **FILES,
        "app.json": {"interfaces": [{"name": "relay", "type": "gpio", "pin": 4, "pin_number": 1}]},
    }
)
async def test_interface_that_cannot_be_made_says_why(image):
    async with Page(image.ws) as page:
        (entry,) = page.state["hal"]
        assert (entry["name"], entry["type"]) == ("relay", "gpio")
        assert page.state["relay/running"] is False
        assert page.state["relay/error"] == "interface relay: unknown option pin_number"
        error = await page.refused("CMD", "start_interface", ["relay"])
        assert error.endswith("unknown option pin_number")
        await page.send("GET", "log")
        assert any("relay" in line for line in await page.event("log"))


# Settings


@with_files
async def test_several_fields_are_set_all_or_none(image):
    async with Page(image.ws) as page:
        changes = {"device/dev": "pump", "http/names": ["pump.example"], "home/port": 0}
        await page.send("CMD", "set", [changes])
        assert await page.event("error") == "set: home/port must be 1 to 65535"
        assert page.messages[-1]["field"] == "home/port"
        await page.send("GET", "config", ["device"])
        assert [field["value"] for field in await page.event("config")] == [
            "bench-7",
            "tester",
            -1,
        ]
        await page.send("CMD", "set", [{**changes, "home/port": 7}])
        assert await page.event("saved") == "config"
        await page.reaches({"dev": "pump", "restart_needed": None})
        # Ports that change places: each would be the other's alone.
        await page.send("CMD", "set", [{"http/port": 7777, "websocket/port": 80}])
        await page.event("saved")
        await page.send("CMD", "set", [{"ap/channel": 11, "ap/hidden": True}])
        await page.event("saved")
        await page.reaches({"restart_needed": True})
        await page.send("CMD", "set", [{"ap/channel": 6, "ap/hidden": False}])
        await page.event("saved")
        await page.reaches({"restart_needed": None})
        for bad in ({}, [], "device/dev", {"interfaces": [], "app": "demo"}, {"colour": 1}):
            await page.refused("CMD", "set", [bad])
    image.restart()
    async with Page(image.ws) as page:
        assert page.state["dev"] == "pump"


@with_files
async def test_every_field_is_described_and_secrets_are_not_told(image):
    async with Page(image.ws) as page:
        await page.send("GET", "config")
        groups = [group["name"] for group in await page.event("groups")]
        fields = {}
        for group in groups:
            await page.send("GET", "config", [group])
            for field in await page.event("config"):
                fields[field["path"]] = field
                assert field["help"] and type(field["live"]) is bool, field
                assert field["path"].split("/")[0] == group
        assert len(fields) > 35
        for path in ("ap/password", "sta/pass", "home/token"):
            assert "value" not in fields[path] and "default" not in fields[path]
        assert fields["ap/password"]["set"] is True
        assert "access-point-key" not in json.dumps(page.messages)
        # What is told is what may be set.
        for path, field in fields.items():
            if field.get("value") is not None and not path.endswith(
                ("port", "/ip", "listen_addr")
            ):
                await page.send("CMD", "set", [{path: field["value"]}])
                await page.event("saved")
        assert "no group" in await page.refused("GET", "config", ["colours"])


# Wi-Fi


@with_files
async def test_scan_lists_networks_strongest_first_for_every_client(uri):
    async with Page(uri) as page, Page(uri) as other:
        await page.send("CMD", "scan")
        for client in (page, other):
            networks = await client.event("wifi/scan")
            assert networks == [
                {"ssid": "workshop", "rssi": -48, "channel": 6, "secure": True},
                {"ssid": "guest", "rssi": -61, "channel": 1, "secure": False},
            ]


async def result_of_test(page):
    """Wait for the end of the test that is running; returns result and reason."""
    await page.reaches({"wifi/test/running": True})
    await page.reaches({"wifi/test/running": False})
    return page.state["wifi/test/result"], page.state["wifi/test/reason"]


@with_files
async def test_network_with_the_right_password(uri):
    async with Page(uri) as page, Page(uri) as other:
        await page.send("CMD", "test_new_sta", ["workshop", "correct-horse"])
        assert await result_of_test(page) == ("Success", "")
        assert await result_of_test(other) == ("Success", "")
        await page.reaches({"wifi/net/connected": True, "wifi/net/ap": "workshop"})
        assert page.state["wifi/net/ip"] and page.state["wifi/net/gw"]
        assert page.state["wifi/stored/ssid"] == ""


@with_files
async def test_open_network(uri):
    async with Page(uri) as page:
        await page.send("CMD", "test_new_sta", ["guest"])
        assert await result_of_test(page) == ("Success", "")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["workshop", "battery-staple"], "wrong password"),
        (["workshop"], "password"),
        (["workshop", ""], "password"),
        (["nowhere", "battery-staple"], "network not found"),
    ],
)
@with_files
async def test_network_that_cannot_be_joined(image, arguments, reason):
    async with Page(image.ws) as page:
        await page.send("CMD", "test_new_sta", arguments)
        result, text = await result_of_test(page)
        assert result == "Fail" and reason in text
        assert page.state["wifi/net/connected"] is False


@with_stored
async def test_failed_test_falls_back_to_the_stored_network(uri):
    async with Page(uri) as page:
        await page.reaches({"wifi/net/connected": True, "wifi/net/ap": "workshop"})
        await page.send("CMD", "test_new_sta", ["workshop", "battery-staple"])
        assert (await result_of_test(page))[0] == "Fail"
        await page.reaches({"wifi/net/connected": True, "wifi/net/ap": "workshop"})
        assert page.state["wifi/stored/ssid"] == "workshop"


@with_stored
async def test_clients_are_served_during_a_test(image):
    image.write("wifi_sim.json", {**air(WORKSHOP), "delay_ms": 2000})
    async with Page(image.ws) as page:
        await page.send("CMD", "test_new_sta", ["workshop", "correct-horse"])
        await page.reaches({"wifi/test/running": True})
        error = await page.refused("CMD", "test_new_sta", ["guest"])
        assert "test" in error
        await page.round_trip()
        assert page.state["wifi/test/running"] is True


@with_stored
async def test_network_that_vanishes_and_comes_back(image):
    async with Page(image.ws) as page:
        await page.reaches({"wifi/net/connected": True})
        image.write("wifi_sim.json", air(GUEST))
        await page.reaches({"wifi/net/connected": False, "wifi/net/ip": ""})
        image.write("wifi_sim.json", air(GUEST, WORKSHOP))
        await page.reaches({"wifi/net/connected": True, "wifi/net/ap": "workshop"})


@with_stored
async def test_network_that_vanishes_during_its_test(image):
    async with Page(image.ws) as page:
        await page.reaches({"wifi/net/connected": True})
        image.write("wifi_sim.json", {**air(GUEST, WORKSHOP), "delay_ms": 1000})
        await page.send("CMD", "test_new_sta", ["guest"])
        await page.reaches({"wifi/test/running": True})
        image.write("wifi_sim.json", air(WORKSHOP))
        result, reason = await result_of_test(page)
        assert result == "Fail" and reason
        await page.reaches({"wifi/net/connected": True, "wifi/net/ap": "workshop"})


@pytest.mark.image(files={**FILES, "wifi_sim.json": air(ATTIC)})
async def test_network_without_addresses(make_image):
    image = make_image(files=with_constants({}, {"device.net.wifi": {"Wifi.JOIN_MS": 2500}}))
    async with Page(image.ws) as page:
        await page.send("CMD", "test_new_sta", ["attic", "under-the-roof"])
        assert await result_of_test(page) == ("Fail", "no address")


# Settings


async def reboot(image, page):
    """Have the image restart; the address of both servers stays."""
    ports = image.http_port, image.ws_port
    await page.send("CMD", "reboot")
    assert await page.closed() == 1012
    await asyncio.to_thread(image.wait_ready)
    assert (image.http_port, image.ws_port) == ports


@with_files
async def test_reboot_closes_every_client_with_1012(image):
    async with Page(endpoints(image)["ws"]) as first, Page(image.ws) as second:
        await reboot(image, first)
        assert await second.closed() == 1012
    async with Page(image.ws) as page:
        assert page.state["iam"] == "bench-7"


@with_files
async def test_stored_network_survives_a_reboot_and_is_joined(image):
    async with Page(image.ws) as page:
        await page.send("CMD", "store_new_sta", ["workshop", "correct-horse"])
        await page.reaches({"wifi/stored/ssid": "workshop"})
        await reboot(image, page)
    async with Page(image.ws) as page:
        assert page.state["wifi/stored/ssid"] == "workshop"
        await page.reaches({"wifi/net/connected": True, "wifi/net/ap": "workshop"})


@with_files
async def test_stored_network_survives_a_power_cut(image):
    async with Page(image.ws) as page:
        await page.send("CMD", "store_new_sta", ["workshop", "correct-horse"])
        await page.reaches({"wifi/stored/ssid": "workshop"})
        image.kill()
    image.start()
    async with Page(image.ws) as page:
        await page.reaches({"wifi/net/connected": True, "wifi/net/ap": "workshop"})


@with_stored
async def test_password_belongs_to_its_network(image):
    async with Page(image.ws) as page:
        await page.send("CMD", "store_new_sta", ["guest"])
        await page.reaches({"wifi/stored/ssid": "guest"})
        await reboot(image, page)
    async with Page(image.ws) as page:
        await page.reaches({"wifi/net/connected": True, "wifi/net/ap": "guest"})


@with_files
async def test_set_is_saved(image):
    async with Page(image.ws) as page:
        await page.send("CMD", "set", ["device/iam", "bench-8"])
        await page.event("info")
        await reboot(image, page)
    async with Page(image.ws) as page:
        assert page.state["iam"] == "bench-8"
        assert page.state["dev"] == "tester"


@with_stored
async def test_factory_reset_is_a_first_boot(image):
    async with Page(image.ws) as page:
        await page.reaches({"wifi/net/connected": True})
        await page.send("CMD", "factory_reset")
        assert await page.closed() == 1012
    await asyncio.to_thread(image.wait_ready)
    async with Page(image.ws) as page:
        assert page.state["iam"] != "bench-7"
        assert page.state["wifi/stored/ssid"] == ""
        assert page.state["wifi/ap/active"] is True
        assert page.state["wifi/ap/ssid"] != "bench-7-ap"
    for path in image.data.iterdir():
        if path.is_file():
            if path.name == "wifi_sim.json":
                continue
            content = path.read_bytes()
            assert not [password for password in PASSWORDS if password.encode() in content]


@with_files
async def test_settings_that_cannot_be_saved_are_reported(image):
    image.data.joinpath("network.json.new").mkdir()
    image.data.joinpath("secrets.json.new").mkdir()
    async with Page(image.ws) as page:
        assert "set" in await page.refused("CMD", "set", ["device/iam", "bench-8"])
        error = await page.refused("CMD", "store_new_sta", ["workshop", "correct-horse"])
        assert "store_new_sta" in error


# What is malformed

DEEP = 4000

# Message, and what the error has to mention.
MALFORMED = {
    "nothing": ("", "JSON"),
    "no JSON": ("hello", "JSON"),
    "cut off": ('["GET", "wifi"', "JSON"),
    "followed by more": ('["GET", "wifi"] true', "JSON"),
    "NUL": ("\x00", "JSON"),
    "single quotes": ("['GET', 'wifi']", "JSON"),
    "NaN": ("NaN", "JSON"),
    "object": ('{"GET": "wifi"}', "list"),
    "text": ('"GET"', "list"),
    "number": ("12", "list"),
    "huge number": ("9" * 400, ""),
    "huge exponent": ("1e999999", ""),
    "null": ("null", "list"),
    "empty list": ("[]", ""),
    "verb alone": ('["GET"]', ""),
    "five items": ('["GET", "wifi", [], 1, 2]', ""),
    "verb is a number": ('[1, "wifi"]', "text"),
    "verb is a list": ('[["GET"], "wifi"]', "text"),
    "item is null": ('["GET", null]', "text"),
    "item is an object": ('["GET", {}]', "text"),
    "arguments are text": ('["GET", "wifi", "args"]', "list"),
    "arguments are an object": ('["GET", "wifi", {"a": 1}]', "list"),
    "arguments are a number": ('["GET", "wifi", 0]', "list"),
    "unknown verb": ('["PUT", "wifi"]', "PUT"),
    "lower-case verb": ('["get", "wifi"]', "get"),
    "unknown GET": ('["GET", "nonsense"]', "nonsense"),
    "unknown CMD": ('["CMD", "nonsense"]', "nonsense"),
    "GET of a command": ('["GET", "reboot"]', "reboot"),
    "NUL in a name": ('["GET", "wifi\\u0000"]', "wifi"),
    "item like an attribute": ('["CMD", "__class__"]', "__class__"),
    "long unknown item": (json.dumps(["GET", "x" * 2000]), "xxx"),
    "too many for GET": ('["GET", "wifi", ["x"]]', "wifi"),
    "too many for start": ('["CMD", "start_interface", ["a", "b"]]', "start_interface"),
    "unknown interface": ('["CMD", "start_interface", ["no_such"]]', "no_such"),
    "interface is a number": ('["CMD", "stop_interface", [5]]', "text"),
    "interface is null": ('["CMD", "stop_interface", [null]]', "text"),
    "no message": ('["CMD", "send_message", []]', "send_message"),
    "message is a number": ('["CMD", "send_message", [7]]', "text"),
    "message is a list": ('["CMD", "send_message", ["fake_interface", ["x"]]]', "text"),
    "message to nobody": ('["CMD", "send_message", ["no_such", "x"]]', "no_such"),
    "no SSID": ('["CMD", "test_new_sta", []]', "test_new_sta"),
    "SSID is a number": ('["CMD", "test_new_sta", [1, "12345678"]]', "text"),
    "password is a number": ('["CMD", "test_new_sta", ["workshop", 12345678]]', "text"),
    "empty SSID": ('["CMD", "test_new_sta", [""]]', "SSID"),
    "long SSID": (json.dumps(["CMD", "test_new_sta", ["x" * 33]]), "SSID"),
    "NUL in the SSID": ('["CMD", "store_new_sta", ["a\\u0000b"]]', "SSID"),
    "short password": ('["CMD", "store_new_sta", ["workshop", "short"]]', "password"),
    "long password": (json.dumps(["CMD", "store_new_sta", ["a", "x" * 65]]), "password"),
    "password alone": ('["CMD", "store_new_sta", [null, "correct-horse"]]', "text"),
    "set without value": ('["CMD", "set", ["device/iam"]]', "set"),
    "set of nothing": ('["CMD", "set", [null, 1]]', "text"),
    "set of an unknown key": ('["CMD", "set", ["no/such", 1]]', "no/such"),
    "set of a wrong type": ('["CMD", "set", ["http/port", "80"]]', "http/port"),
    "set of no app's name": ('["CMD", "set", ["app", "../x"]]', "letters"),
    "set of no interfaces": ('["CMD", "set", ["interfaces", [1]]]', "objects"),
    "set of an interface without type": (
        '["CMD", "set", ["interfaces", [{"name": "a"}]]]',
        "unknown type",
    ),
    "set of an unknown type": (
        '["CMD", "set", ["interfaces", [{"name": "a", "type": "nope"}]]]',
        "unknown type nope",
    ),
    "set of a nameless interface": ('["CMD", "set", ["interfaces", [{"type": "echo"}]]]', "name"),
    "set of two interfaces of a name": (
        '["CMD", "set", ["interfaces", [{"name": "a", "type": "echo"}, '
        '{"name": "a", "type": "gpio"}]]]',
        "two of that name",
    ),
    "set of too many interfaces": (f'["CMD", "set", ["interfaces", {[0] * 17}]]', "up to 16"),
    "set out of range": ('["CMD", "set", ["http/port", 65536]]', "http/port"),
    "set of an infinite number": ('["CMD", "set", ["http/port", 1e999]]', ""),
    "arguments to reboot": ('["CMD", "reboot", [1]]', "reboot"),
    "binary that is not UTF-8": (b"\xff\xfe\x00", "UTF-8"),
    "binary with a cut character": (b'["GET", "\xe2\x82"]', "UTF-8"),
    "empty binary": (b"", "JSON"),
    "nested lists": ("[" * DEEP + "]" * DEEP, ""),
    "opened lists": ("[" * 4000, ""),
    "nested objects": ('{"a":' * 700 + "1" + "}" * 700, ""),
    "nested arguments": ('["GET", "wifi", ' + "[" * 1000 + "]" * 1000 + "]", ""),
    "large": (json.dumps(["CMD", "send_message", ["x" * 5000]]), ""),
    "largest that is taken": (json.dumps(["CMD", "send_message", ["x" * 8_000]]), ""),
    "missing comma": ('["GET" "wifi"]', "JSON"),
    "comma before the end": ('["GET", "wifi",]', "JSON"),
    "lone surrogate in a name": ('["GET", "\\ud800"]', "Unicode"),
    "lone surrogate in an SSID": ('["CMD", "store_new_sta", ["\\ud800"]]', "Unicode"),
    "lone surrogate in a setting": ('["CMD", "set", ["device/dev", "\\udc00"]]', "Unicode"),
    "surrogate in binary": (b'["CMD", "set", ["device/dev", "\xed\xb0\x80"]]', "Unicode"),
}


@pytest.mark.parametrize("name", MALFORMED)
@with_files
async def test_malformed_message_is_answered_to_its_sender_alone(image, name):
    message, mentioned = MALFORMED[name]
    async with Page(image.ws) as page, Page(endpoints(image)["ws"]) as other:
        await page.connection.send(message)
        error = await page.event("error")
        assert isinstance(error, str) and mentioned in error
        assert len(error) < 300 and "Traceback" not in error
        # It has no other effect, and both connections live on.
        assert await page.round_trip()
        assert await other.round_trip()
        assert page.count("error") == 1
        assert other.count("error") == 0
        assert other.messages[1:] == [{"hal": page.state["hal"]}]


@with_files
async def test_all_malformed_messages_on_one_connection(image):
    async with Page(image.ws) as page, Page(image.ws) as other:
        for message, _ in MALFORMED.values():
            await page.connection.send(message)
            await page.event("error")
        assert page.count("error") == len(MALFORMED)
        await other.round_trip()
        assert other.count("error") == 0


@with_files
async def test_many_errors_at_once(image):
    async with Page(image.ws) as page:
        for _ in range(200):
            await page.connection.send("nonsense")
        for _ in range(200):
            await page.event("error")
        await page.round_trip()


@with_files
async def test_surrogate_pair_is_one_character(uri):
    # Python's json writes characters beyond U+FFFF as two escapes.
    request = '["CMD", "send_message", ["\\ud83d\\ude42"]]'
    async with Page(uri) as page:
        await page.send("CMD", "start_interface")
        await page.connection.send(request)
        assert await page.event("fake_interface/msg") == "🙂"


@with_files
async def test_lone_surrogate_does_not_end_connections(image):
    async with Page(image.ws) as page, Page(image.ws) as other:
        await page.send("CMD", "start_interface")
        await page.connection.send('["CMD", "send_message", ["a\\ud800b"]]')
        assert "Unicode" in await page.event("error")
        await page.round_trip()
        await other.round_trip()


@with_files
async def test_path_that_is_not_utf_8_does_not_spoil_the_log(image):
    with Connection(image.ws_port) as client:
        client.send(HANDSHAKE.replace(b"/ws", b"/\xed\xa0\x80", 1))
        assert client.read_response().status == 101
        async with Page(image.ws) as page:
            await page.send("GET", "log")
            assert any("\\xed\\xa0\\x80" in line for line in await page.event("log"))


@with_files
async def test_text_that_is_not_utf_8_ends_its_connection_alone(image):
    async with Page(image.ws) as other:
        with Connection(image.ws_port) as client:
            client.upgrade()
            client.send(frame(TEXT, b'["GET", "\xff"]'))
            assert client.read_close() == 1007
        await other.round_trip()
        assert other.count("error") == 0


@with_files
async def test_message_beyond_every_use_ends_its_connection_alone(image):
    async with Page(image.ws) as page, Page(image.ws) as other:
        await page.connection.send("x" * 1_000_000)
        assert await page.closed() == 1009
        await other.round_trip()
    async with Page(image.ws) as page:
        await page.round_trip()


@with_files
async def test_client_that_does_not_read_harms_nobody(image):
    with Connection(image.ws_port) as stuck:
        stuck.upgrade()
        async with Page(image.ws) as page:
            await page.send("CMD", "start_interface")
            await page.reaches({"fake_interface/running": True})
            text = "x" * 1000
            for _ in range(1000):
                await page.send("CMD", "send_message", [text])
                assert await page.event("fake_interface/msg") == text.upper()


@with_files
async def test_clients_that_come_and_go(image):
    for _ in range(50):
        async with Page(image.ws) as page:
            pass
    async with Page(image.ws) as page:
        await page.round_trip()


# Secrets


@with_stored
async def test_passwords_never_leave_the_device(image):
    # Page.receive() looks for them in everything.
    async with Page(image.ws) as page, Page(image.ws) as other:
        await page.reaches({"wifi/net/connected": True})
        await page.send("CMD", "test_new_sta", ["workshop", "battery-staple"])
        await result_of_test(page)
        await page.send("CMD", "store_new_sta", ["workshop", "correct-horse"])
        for request in (["GET", "state"], ["GET", "wifi"], ["GET", "log"], ["CMD", "scan"]):
            await page.send(*request)
        for key in ("iam", "log", "wifi/scan"):
            await page.event(key)
        for key in ("sta/pass", "ap/password"):
            assert await page.refused("CMD", "set", [key, "short"])
            assert await page.refused("GET", key)
        await page.round_trip()
        await other.round_trip()
    with Connection(image.http_port) as connection:
        for path in ("/health", "/api/state", "/metrics", "/secrets.json", "/network.json"):
            body = connection.get(path).body.decode()
            assert not [password for password in PASSWORDS if password in body]


# The same by HTTP


@pytest.fixture
def connection(image):
    with Connection(image.http_port) as connection:
        yield connection


@with_files
def test_api_state(connection):
    response = connection.get("/api/state")
    assert response.headers["content-type"].startswith("application/json")
    assert response.headers["cache-control"] == "no-store"
    check_types(json.loads(response.body), STATE_KEYS)


@with_files
async def test_api_command(image, connection):
    async with Page(image.ws) as page:
        response = connection.get("/api/command", method="POST", body=b'["GET", "hal"]')
        assert json.loads(response.body) == {"hal": page.state["hal"]}
        start = b'["CMD", "start_interface"]'
        assert connection.get("/api/command", method="POST", body=start).status == 200
        await page.reaches({"fake_interface/running": True})
        response = connection.get("/api/command", method="POST", body=b"nonsense")
        assert response.status == 400
        assert "JSON" in json.loads(response.body)["error"]
        assert page.count("error") == 0


@with_files
def test_api_command_from_a_foreign_page_is_refused(connection):
    origin = "Origin: http://evil.example"
    reboot = b'["CMD", "reboot"]'
    assert connection.get("/api/command", origin, method="POST", body=reboot).status == 403


@with_files
def test_api_command_that_is_too_large_is_413(connection):
    response = connection.get("/api/command", method="POST", body=b"x" * 100_000)
    assert response.status == 413


@pytest.mark.image(heap="1M")
async def test_diagnostics_have_the_heap_s_low_water_mark_and_largest_block(image):
    async with Page(image.ws) as page:
        await page.send("GET", "diagnostics")
        first = await page.event("diagnostics")
        assert 0 < first["heap_least_free"] <= first["heap_free"] + 4096
        assert first["heap_free"] // 2 < first["heap_largest_free"] <= first["heap_free"]
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(8):
                await stack.enter_async_context(Page(image.ws))
            await page.send("GET", "diagnostics")
            busy = await page.event("diagnostics")
        assert busy["heap_least_free"] < first["heap_least_free"]
        await page.send("GET", "diagnostics")
        after = await page.event("diagnostics")
        # It stays, when what was taken is free again.
        assert after["heap_least_free"] <= busy["heap_least_free"]
