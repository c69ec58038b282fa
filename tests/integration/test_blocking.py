"""What keeps the event loop standing is named in the log."""

import json

import pytest

from raw import Connection
from support import wait_until

APP = """
import asyncio
from time import sleep_ms

from device.device import Device
from interfaces import Interface


class Slow(Interface):
    async def run(self):
        while True:
            sleep_ms(700)
            await asyncio.sleep_ms(20)


def app_main(config):
    device = Device(config)

    @device.web.get("/plain")
    def plain(request):
        sleep_ms(700)
        return "done"

    @device.web.get("/task")
    async def task(request):
        await asyncio.sleep(0)
        sleep_ms(700)
        return "done"

    async def busy():
        while True:
            await asyncio.sleep(2)
            sleep_ms(700)

    async def main():
        asyncio.create_task(busy())
        await device.run()

    asyncio.run(main())
"""

FILES = {"slow_app.py": APP.encode()}


def get(image, path):
    with Connection(image.http_port) as connection:
        return connection.get(path).body


def told(image):
    """Who kept others waiting, in the log."""
    lines = [line for line in image.log().splitlines() if "kept everything else waiting" in line]
    return [line.split(" kept")[0].split(" error ")[1] for line in lines]


@pytest.mark.image(files={**FILES, "app.json": json.dumps({"app": "slow_app"}).encode()})
def test_handlers_and_tasks_that_block_are_named(image):
    # Nothing is told of what blocks while a program starts.
    for path in ("/plain", "/task"):
        wait_until(lambda path=path: get(image, path) == b"done" and f"GET {path}" in told(image))
    wait_until(lambda: "the task busy" in told(image))
    # The same is not told again at once.
    assert get(image, "/plain") == b"done"
    assert told(image).count("GET /plain") == 1


SLOW = {"interfaces": [{"type": "slow_app.Slow", "name": "tank"}]}


@pytest.mark.image(files={**FILES, "app.json": json.dumps(SLOW).encode()})
def test_an_interface_that_blocks_is_named(image):
    wait_until(lambda: "interface tank" in told(image))
    with Connection(image.http_port) as connection:
        assert "interface tank kept everything else waiting for 7" in "\n".join(
            json.loads(connection.get("/api/log").body)["log"]
        )
