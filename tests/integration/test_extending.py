"""What docs/interfaces.md shows works as it stands there."""

import json
import re
import subprocess

from command_client import Page
from raw import Connection
from support import BUILD, ROOT, wait_until

DOCUMENT = (ROOT / "docs" / "interfaces.md").read_text()
INTERPRETER = ROOT / "build" / BUILD / "micropython"
EXAMPLE = ROOT / "examples" / "try_interface.py"


def program(name):
    """The Python block that stands below the name of its file."""
    return re.search(rf"`{name}`.*?```python\n(.*?)```", DOCUMENT, re.DOTALL)[1]


async def test_an_interface_of_ones_own(make_image):
    entry = {"name": "room", "type": "thermometer.Thermometer", "pin": 34}
    image = make_image(
        files={
            "app.json": {"interfaces": [entry]},
            "gpio_sim.json": {"34": {"mv": 715}},
            "thermometer.py": program("thermometer.py"),
        }
    )
    async with Page(image.ws) as page:
        await page.reaches({"room/running": True, "room/celsius": 21.5})
        (described,) = page.state["hal"]
        assert described["connection"] == "GPIO 34"
        assert described["values"] == [["celsius", "°C", 1, -40, 125]]
        await page.send("GET", "kind", ["thermometer.Thermometer"])
        kind = await page.event("kind")
        assert [option["name"] for option in kind["options"]] == ["pin", "period_s"]
        assert "takes no messages" in await page.refused("CMD", "send_message", ["room", "x"])


def try_interface(folder, *arguments, typed=""):
    return subprocess.run(
        [INTERPRETER, EXAMPLE, "--folder", folder, *arguments],
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_it_is_tried_without_the_device(tmp_path):
    (tmp_path / "thermometer.py").write_text(program("thermometer.py"))
    (tmp_path / "gpio_sim.json").write_text('{"34": {"mv": 715}}')
    done = try_interface(tmp_path, "--seconds", "1", "thermometer.Thermometer", "pin=34")
    assert done.returncode == 0, done.stderr
    assert "unit/running true\n" in done.stdout and "unit/celsius 21.5\n" in done.stdout
    done = try_interface(tmp_path, "--seconds", "1", "echo", typed="hello\n")
    assert 'unit/msg "HELLO"\n' in done.stdout
    done = try_interface(tmp_path, "thermometer.Thermometer", "pin=25")
    assert done.returncode == 1 and "GPIO 25 is no analog input" in done.stderr + done.stdout


async def test_the_device_with_something_added(make_image):
    image = make_image(files={"app.json": {"app": "my_app"}, "my_app.py": program("my_app.py")})
    with Connection(image.http_port) as http:
        answer = json.loads(http.get("/hello/you").body)
        assert answer["hello"] == "you" and answer["from"].startswith("websock-")
    async with Page(image.ws) as page:
        assert page.state["my_app/seconds"] >= 0
        await page.reaches({"fake_interface/running": True})


def test_the_app_of_the_examples_is_the_one_that_runs(make_image):
    broken = program("my_app.py").replace("device.run()", "device.walk()")
    image = make_image(files={"app.json": {"app": "my_app"}, "my_app.py": broken})
    with Connection(image.http_port) as http:
        wait_until(lambda: b"'walk'" in http.get("/api/state").body)
