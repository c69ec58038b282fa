"""The BOOT button, held while the device runs: getting back in without the password."""

import json

import pytest

from command_client import Page
from raw import Connection
from support import wait_until, with_constants

# A second of a chip's is a tenth here.
QUICK = {
    "device.startup.boot": {"FEED_MS": 100},
    "device.startup.button": {"ACCESS_MS": 1000, "EVERYTHING_MS": 3000, "STUCK_MS": 5000},
}
NETWORK = {
    "device": {"iam": "pump-7"},
    "ap": {"essid": "own", "password": "access-point-key"},
    "sta": {"ssid": "workshop", "pass": "correct-horse"},
}


@pytest.fixture
def locked(make_image):
    """A device with a password, as on a chip."""
    files = {**with_constants({}, QUICK), "network.json": NETWORK}
    image = make_image(files=files, args=["--chip"])
    with Connection(image.http_port) as http:
        body = json.dumps({"new": "forgotten password"}).encode()
        kind = "Content-Type: application/json"
        assert http.get("/password", kind, method="POST", body=body).status == 200
    assert state_of(image) == 401
    return image


def state_of(image):
    with Connection(image.http_port) as http:
        return http.get("/api/state").status


def press(image, down):
    (image.data / "gpio_sim.json").write_text(json.dumps({"0": 0 if down else 1}))


def test_ten_seconds_reset_the_access_only(locked):
    press(locked, True)
    wait_until(lambda: "let go to reset password" in locked.log())
    press(locked, False)
    locked.wait_ready()
    assert state_of(locked) == 200
    network = locked.read_json("network.json")
    assert network["device"] == {"iam": "pump-7"} and network["sta"]["ssid"] == "workshop"
    assert "essid" not in network.get("ap", {})
    assert not (locked.data / "admin.json").exists()
    # The access point has a password of its own again.
    assert locked.read_json("secrets.json")["ap/password"] != "access-point-key"


def test_thirty_seconds_reset_everything(locked):
    press(locked, True)
    wait_until(lambda: "let go to reset everything" in locked.log())
    assert (locked.data / "network.json").exists()
    press(locked, False)
    locked.wait_ready()
    assert state_of(locked) == 200
    assert not (locked.data / "network.json").exists()


def test_a_button_that_is_stuck_resets_nothing(locked):
    press(locked, True)
    wait_until(lambda: "it does nothing any more" in locked.log())
    press(locked, False)
    wait_until(lambda: state_of(locked) == 401)
    assert (locked.data / "admin.json").exists() and (locked.data / "network.json").exists()


async def test_a_short_press_does_nothing(locked):
    press(locked, True)
    press(locked, False)
    wait_until(lambda: state_of(locked) == 401)
    assert (locked.data / "admin.json").exists()


async def test_the_page_resets_it_too(make_image):
    image = make_image(files={"network.json": NETWORK})
    async with Page(image.ws) as page:
        assert "takes" in await page.refused("CMD", "factory_reset", ["nothing"])
        await page.send("CMD", "factory_reset", ["access"])
        await page.event("info")
    image.wait_ready()
    assert "ap" not in image.read_json("network.json") or not image.read_json("network.json")["ap"]
    assert image.read_json("network.json")["device"] == {"iam": "pump-7"}
