"""Interfaces that run by themselves, and are changed while the device runs."""

import json

import pytest

from command_client import Page
from raw import Connection
from support import wait_until

SIGNALS = {"34": {"mv": 1200}, "35": {"hz": 40}, "13": 1}
SENSORS = [
    {"name": "tank", "type": "adc", "pin": 34, "period_ms": 100, "report_s": 1},
    {"name": "flow", "type": "counter", "pin": 35, "period_ms": 200},
    {"name": "door", "type": "gpio", "pin": 13, "direction": "in"},
    {"name": "lamp", "type": "pwm", "pin": 14, "initial": 20},
    {"name": "pump", "type": "gpio", "pin": 4, "initial": 1},
]


def device(*entries, **files):
    """Files of a device with these interfaces."""
    return {"app.json": {"interfaces": list(entries)}, "gpio_sim.json": SIGNALS, **files}


with_sensors = pytest.mark.image(files=device(*SENSORS))


def stored(image):
    return json.loads((image.data / "app.json").read_text())["interfaces"]


async def expect_measuring(page):
    await page.reaches({f"{entry['name']}/running": True for entry in SENSORS})
    await page.reaches({"tank/value": 1200, "door/value": 1, "lamp/duty": 20, "pump/value": 1})
    await page.reaches({"lamp/frequency": 1000})
    wait = page.event("flow/count")
    assert await wait >= 0


# By themselves


@with_sensors
async def test_everything_measures_again_after_a_power_cut(image):
    async with Page(image.ws) as page:
        await expect_measuring(page)
        await page.send("CMD", "stop_interface", ["pump"])
        await page.reaches({"pump/running": False})
    image.kill()
    image.start()
    async with Page(image.ws) as page:
        await expect_measuring(page)


@pytest.mark.image(
    files=device(
        {"name": "later", "type": "echo", "start": False},
        {"name": "at_once", "type": "echo"},
    )
)
async def test_start_says_whether_it_starts_by_itself(image):
    async with Page(image.ws) as page:
        await page.reaches({"at_once/running": True, "later/running": False})
        await page.send("CMD", "start_interface", ["later"])
        await page.reaches({"later/running": True})


FAILING = """
import asyncio
from interfaces.base import Interface

class Sensor(Interface):
    type = "sensor"
    title = "Sensor"

    async def run(self):
        self.emit("value", 1)
        await asyncio.sleep_ms(50)
        with open("/broken") as file:
            self.emit("value", float(file.read()))
        await asyncio.sleep(60)
"""


@pytest.mark.image(
    files=device(
        {"name": "good", "type": "adc", "pin": 34},
        {"name": "bad", "type": "sensor.Sensor"},
        **{"sensor.py": FAILING, "broken": "nan"},
    )
)
async def test_a_value_that_json_cannot_carry_is_its_interface_s_error(image):
    async with Page(image.ws) as page:
        await page.reaches({"bad/error": "ValueError: nan is no number in JSON"})
        assert page.state["bad/failing_since"] <= page.state["bad/retry_at"]
        assert page.state["bad/value"] == 1
        await page.reaches({"good/running": True, "good/value": 1200})
        # Who comes now gets JSON, here and by HTTP.
        async with Page(image.ws) as other:
            assert other.state["bad/value"] == 1 and "bad/stale_since" in other.state
        with Connection(image.http_port) as http:
            state = json.loads(http.get("/api/state").body)
        assert state["bad/error"].startswith("ValueError")
        await page.send("GET", "log")
        lines = await page.event("log")
        assert any('File "/sensor.py", line 13, in run' in line for line in lines), lines
        # Mended, it is run again by itself.
        (image.data / "broken").write_text("22.5")
        await page.reaches({"bad/value": 22.5, "bad/running": True})
        assert page.state.get("bad/stale_since") is None


@pytest.mark.image(
    files=device(
        {"name": "one", "type": "gpio", "pin": 4},
        {"name": "two", "type": "gpio", "pin": 4},
        {"name": "flash", "type": "gpio", "pin": 7},
        {"name": "a/b", "type": "echo"},
        "nonsense",
        {"name": "one", "type": "echo"},
        {"name": "analog", "type": "adc", "pin": 25},
        {"name": "thing", "type": "nowhere.Thing"},
    )
)
async def test_what_cannot_be_made_has_a_card_that_says_why(image):
    async with Page(image.ws) as page:
        names = [entry["name"] for entry in page.state["hal"]]
        assert names[:3] == ["one", "two", "flash"] and len(set(names)) == 8
        reasons = [page.state.get(f"{name}/error") for name in names]
        for reason, expected in zip(
            reasons,
            (
                None,
                "GPIO 4 is used by one",
                "GPIO 7 belongs to the flash chip",
                "letters, digits",
                "must be an object",
                "two of that name",
                "GPIO 32 to 39 are",
                "can't import nowhere",
            ),
            strict=True,
        ):
            assert (reason is None) == (expected is None) and (expected or "") in (reason or "")
        await page.send("CMD", "remove_interface", ["one"])
        # Who can be now is: the other pin 4, and the other one of that name.
        await page.reaches({"two/running": True, "one/running": True, "interface-6/error": None})
        assert page.state["hal"][-3]["type"] == "echo"


# Changed while they run


@with_sensors
async def test_a_change_takes_effect_at_once_and_is_kept(image):
    async with Page(image.ws) as page:
        await page.reaches({"pump/running": True, "door/running": True})
        entry = {"name": "pump", "type": "gpio", "pin": 5, "title": "Pump", "initial": 0}
        await page.send("CMD", "configure_interface", ["pump", entry])
        assert await page.event("saved") == "interfaces"
        await page.reaches({"pump/value": 0, "pump/running": True})
        assert page.state["hal"][-1]["connection"] == "GPIO 5"
        assert stored(image) == [*SENSORS[:-1], entry]
        # Others went on: none of them was started again.
        assert page.count("door/running") == 1
        await page.send("CMD", "configure_interface", ["pump", {**entry, "name": "valve"}])
        await page.event("saved")
        await page.reaches({"valve/running": True, "pump/running": None, "pump/value": None})
    image.restart()
    async with Page(image.ws) as page:
        await page.reaches({"valve/running": True})
        assert [entry["name"] for entry in page.state["hal"]][-1] == "valve"


REFUSED = (
    ("add_interface", [{"name": "new", "type": "gpio", "pin": 4}], "pin", "used by pump"),
    ("add_interface", [{"name": "new", "type": "uart", "tx": 4}], "tx", "used by pump"),
    ("add_interface", [{"name": "new", "type": "uart", "tx": 5, "rx": 5}], "rx", "two things"),
    ("add_interface", [{"name": "new", "type": "gpio", "pin": 24}], "pin", "no GPIO 24"),
    ("add_interface", [{"name": "new", "type": "gpio", "pin": 1}], "pin", "the console"),
    ("add_interface", [{"name": "new", "type": "pwm", "pin": 36}], "pin", "input only"),
    ("add_interface", [{"name": "new", "type": "gpio"}], "pin", "has to be given"),
    ("add_interface", [{"name": "pump", "type": "echo"}], "name", "two of that name"),
    ("add_interface", [{"name": "", "type": "echo"}], "name", "needs a name"),
    ("add_interface", [{"name": "new", "type": "modem"}], "type", "unknown type"),
    ("add_interface", [{"name": "new", "type": "echo", "title": ""}], "title", "title must"),
    ("add_interface", ["echo"], None, "must be an object"),
    (
        "configure_interface",
        ["pump", {"name": "pump", "type": "gpio", "pin": 13}],
        "pin",
        "used by door",
    ),
    ("configure_interface", ["nobody", {}], None, "unknown interface"),
    ("remove_interface", ["nobody"], None, "unknown interface"),
    ("order_interfaces", [["pump"]], None, "all interfaces"),
    ("order_interfaces", ["pump"], None, "a list"),
)


@with_sensors
async def test_a_change_that_cannot_be_is_refused_and_changes_nothing(image):
    async with Page(image.ws) as page:
        await expect_measuring(page)
        for item, arguments, field, expected in REFUSED:
            await page.send("CMD", item, arguments)
            assert expected in await page.event("error"), (item, arguments)
            answer = next(m for m in reversed(page.messages) if "error" in m)
            assert answer.get("field") == field, answer
        assert stored(image) == SENSORS
        assert [entry["name"] for entry in page.state["hal"]] == [e["name"] for e in SENSORS]
        assert page.count("pump/running") == 1


@with_sensors
async def test_there_are_no_more_than_some(image):
    async with Page(image.ws) as page:
        for number in range(16 - len(SENSORS)):
            await page.send("CMD", "add_interface", [{"name": f"echo{number}", "type": "echo"}])
            await page.event("saved")
        entry = {"name": "more", "type": "echo"}
        assert "up to 16" in await page.refused("CMD", "add_interface", [entry])


@pytest.mark.image(
    files=device(
        {"name": "stubborn", "type": "stubborn.Stubborn"},
        **{
            "stubborn.py": """
import asyncio
from interfaces.base import Interface

class Stubborn(Interface):
    async def run(self):
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                pass
"""
        },
    )
)
async def test_who_does_not_end_holds_up_nobody(image):
    async with Page(image.ws) as page:
        await page.reaches({"stubborn/running": True})
        await page.send("CMD", "remove_interface", ["stubborn"])
        await page.event("saved")
        await page.send("CMD", "add_interface", [{"name": "echo", "type": "echo"}])
        await page.event("saved")
        await page.reaches({"echo/running": True})


# Histories


@with_sensors
async def test_numbers_have_a_history(image):
    async with Page(image.ws) as page:
        await expect_measuring(page)
        await page.reaches({"flow/running": True})

    def history(path):
        with Connection(image.http_port) as http:
            return http.get("/api/history/" + path)

    def samples():
        return json.loads(history("tank/value").body)["samples"]

    wait_until(lambda: len(samples()) >= 3)
    found = json.loads(history("tank/value").body)
    assert found["samples"][-1] == 1200 and found["interval"] == 1
    assert found["begin"] + len(found["samples"]) - 1 <= found["now"]
    table = history("tank/value.csv")
    assert table.headers["content-disposition"] == 'attachment; filename="tank-value.csv"'
    lines = table.body.decode().split("\r\n")
    assert lines[0] == "time,seconds,value" and lines[-1] == "" and lines[-2].endswith(",1200")
    assert lines[-2].startswith(",")  # nobody has told the time
    for missing in ("tank/other", "nobody/value", "fake/value.csv", "door/direction"):
        assert history(missing).status == 404


@pytest.mark.image(files=device({"name": "pump", "type": "gpio", "pin": 4}))
async def test_the_pin_of_the_led_is_no_interfaces(image):
    async with Page(image.ws) as page:
        assert (
            await page.refused("CMD", "set", ["device/led", 4])
            == "set: device/led GPIO 4 is used by pump"
        )
        assert (
            await page.refused("CMD", "set", ["device/led", 6])
            == "set: device/led GPIO 6 belongs to the flash chip"
        )
        assert "must be" in await page.refused("CMD", "set", ["device/led", "x"])
        await page.send("CMD", "set", [{"device/led": 2}])
        assert await page.event("saved") == "config"
        lamp = {"name": "lamp", "type": "gpio", "pin": 2}
        error = await page.refused("CMD", "add_interface", [lamp])
        assert error == "add_interface: interface lamp: pin: GPIO 2 is used by the LED"
        await page.send("CMD", "set", [{"device/led": -1}])
        await page.event("saved")
        await page.send("CMD", "add_interface", [lamp])
        await page.reaches({"lamp/running": True})
    image.stop()
    (image.data / "network.json").write_text('{"device": {"led": 4}}')
    image.start()
    async with Page(image.ws) as page:
        assert page.state["pump/error"].endswith("GPIO 4 is used by the LED")
