"""The settings as a file, and back."""

import json

import pytest

from command_client import Page
from raw import Connection
from support import wait_until

FILES = {
    "network.json": {
        "device": {"iam": "pump-7", "dev": "pump"},
        "ap": {"essid": "pump-7-ap", "password": "access-point-key", "channel": 11},
        "sta": {"ssid": "workshop", "pass": "correct-horse"},
    },
    "app.json": {
        "interfaces": [{"name": "pump", "type": "gpio", "pin": 4}],
        "limits": {"connections": 9},
    },
}
SECRETS = ("access-point-key", "correct-horse")
PASSPHRASE = "a long passphrase"

with_files = pytest.mark.image(files=FILES)


def ask(image, method, path, body=b"", kind="application/x-www-form-urlencoded"):
    with Connection(image.http_port) as http:
        return http.get(path, f"Content-Type: {kind}", method=method, body=body)


def backup(image, passphrase=None):
    if passphrase is None:
        return ask(image, "GET", "/api/backup")
    return ask(image, "POST", "/api/backup", f"passphrase={passphrase}".encode())


def restore(image, content, passphrase=None):
    body = json.dumps({"backup": content, "passphrase": passphrase}).encode()
    return ask(image, "POST", "/api/restore", body, "application/json")


@with_files
def test_a_backup_has_what_is_set_and_no_secret(image):
    response = backup(image)
    assert response.headers["content-disposition"] == (
        'attachment; filename="pump-7-settings.json"'
    )
    assert not any(secret.encode() in response.body for secret in SECRETS)
    found = json.loads(response.body)
    assert found["format"] == "websock settings 1" and found["device"] == "pump-7"
    assert found["settings"] == {
        "device/iam": "pump-7",
        "device/dev": "pump",
        "ap/essid": "pump-7-ap",
        "ap/channel": 11,
        "sta/ssid": "workshop",
        "interfaces": FILES["app.json"]["interfaces"],
        "limits/connections": 9,
    }


@with_files
async def test_another_device_becomes_the_same(image, make_image):
    found = json.loads(backup(image, "a+long+passphrase").body)
    assert not any(secret in json.dumps(found) for secret in SECRETS)
    other = make_image(
        files={"network.json": {"device": {"dev": "x"}}, "app.json": {"app": "demo"}}
    )
    async with Page(other.ws) as page:
        response = restore(other, found, PASSPHRASE)
        assert response.status == 200, response.body
        assert json.loads(response.body) == {"restored": 9, "unknown": []}
        # At once, where that can be.
        await page.reaches({"pump/running": True, "dev": "pump", "wifi/stored/ssid": "workshop"})
        await page.reaches({"restart_needed": True})
        assert [entry["name"] for entry in page.state["hal"]] == ["pump"]
    other.restart()
    assert json.loads(backup(other).body) == json.loads(backup(image).body)
    assert other.read_json("secrets.json")["sta"] == {"workshop": "correct-horse"}
    assert other.read_json("secrets.json")["ap/password"] == "access-point-key"


@with_files
async def test_what_the_file_does_not_say_is_the_default_again(image):
    found = json.loads(backup(image).body)
    found["settings"] = {"device/iam": "pump-8", "colour": "red", "new/field": 1}
    response = restore(image, found)
    assert json.loads(response.body) == {"restored": 1, "unknown": ["colour", "new/field"]}
    after = json.loads(backup(image).body)
    assert after["settings"] == {"device/iam": "pump-8"}
    async with Page(image.ws) as page:
        await page.reaches({"fake_interface/running": True})
    # Its own secrets stay: the file has none.
    assert image.read_json("network.json")["ap"]["password"] == "access-point-key"


REFUSED = {
    "a bad value": ({"settings": {"ap/channel": 99, "device/iam": "new"}}, "ap/channel: must be"),
    "a bad interface": (
        {"settings": {"device/iam": "new", "interfaces": [{"name": "a", "type": "gpio"}]}},
        "pin has to be given",
    ),
    "interfaces that are no list": ({"settings": {"interfaces": {}}}, "must be a list"),
    "no settings": ({"settings": []}, "no settings"),
    "another format": ({"format": "something"}, "no backup"),
    "damaged secrets": ({"secrets": {"data": "x"}}, "damaged"),
    "secrets that are no object": ({"secrets": 5}, "damaged"),
}


@with_files
@pytest.mark.parametrize("what", REFUSED)
def test_a_file_that_cannot_be_used_changes_nothing(image, what):
    before = backup(image).body
    change, expected = REFUSED[what]
    response = restore(image, {**json.loads(before), **change}, PASSPHRASE)
    assert response.status == 400 and expected in response.body.decode(), response.body
    assert backup(image).body == before


@with_files
def test_secrets_need_their_passphrase(image):
    found = json.loads(backup(image, "a+long+passphrase").body)
    for passphrase, expected in (
        (None, "a passphrase has"),
        ("short", "a passphrase has"),
        ("x" * 65, "a passphrase has"),
        ("another passphrase", "the passphrase is another"),
    ):
        response = restore(image, found, passphrase)
        assert response.status == 400 and expected in response.body.decode()
    found["secrets"]["data"] = found["secrets"]["data"][:-8] + "AAAAAAA="
    assert b"damaged" in restore(image, found, PASSPHRASE).body
    assert backup(image, "short").status == 400
    for body in (b"", b"{", b"5", b"\xff"):
        assert ask(image, "POST", "/api/restore", body, "application/json").status == 400


@with_files
def test_a_power_cut_leaves_the_old_settings_or_the_new(image):
    found = json.loads(backup(image).body)
    found["settings"]["device/iam"] = "pump-8"
    assert restore(image, found).status == 200
    image.kill()
    image.start()
    wait_until(lambda: json.loads(backup(image).body)["settings"]["device/iam"] == "pump-8")


@pytest.mark.image(
    files={"app.json": {"interfaces": [{"name": "pump", "type": "gpio", "pin": 4}]}},
)
def test_an_led_at_an_interfaces_pin_changes_nothing(image):
    found = json.loads(backup(image).body)
    found["settings"]["device/led"] = 4
    response = restore(image, found)
    assert response.status == 400
    assert json.loads(response.body) == {
        "error": "device/led: GPIO 4 is used by pump",
        "field": "device/led",
    }
    assert not (image.data / "network.json").exists()
    found["settings"]["device/led"] = 5
    assert restore(image, found).status == 200
