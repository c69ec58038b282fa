"""The watchdog of a chip's start: whoever blocks is ended, whatever is only slow isn't."""

import asyncio
import contextlib

import pytest

from command_client import Page
from raw import Connection
from support import free_port, program, wait_until

BITES = "watchdog: the program starts anew"

# Long enough for a busy machine to turn the loop, and short enough to wait for.
WAIT = {"watchdog_ms": 4000}

FILES = {"chip_sim.json": WAIT, "app.json": {"app": "mine"}}

BLOCKING = {
    "in app_main": "def app_main(config):\n    while True: pass\n",
    "at import": "while True: pass\n",
    "in a coroutine": "async def app_main(config):\n    while True: pass\n",
    "in a callback": program("app_that_blocks"),
}


async def check_safe_mode(image):
    async with Page(image.ws) as page:
        assert page.state["recovery"].startswith("safe mode: 3 starts in a row ended within 60 s")
        await page.round_trip()
    with Connection(image.http_port) as connection:
        assert connection.get("/").status == 200


@pytest.mark.parametrize("where", BLOCKING)
async def test_an_app_that_blocks_is_restarted_and_leads_to_safe_mode(make_image, where):
    # An app of one's own has no "ready" line, and no free port to say.
    port = free_port()
    image = make_image(
        files={**FILES, "mine.py": BLOCKING[where]},
        args=["--chip", "--http-port", str(port)],
        start=False,
    )
    image.spawn()
    for bites in range(1, 4):
        if where == "in a callback":

            def serving():
                with contextlib.suppress(OSError), Connection(port) as connection:
                    return connection.get("/").status == 200

            wait_until(serving)
            with Connection(port) as connection, contextlib.suppress(EOFError, OSError):
                connection.get("/block")
        wait_until(lambda bites=bites: image.log().count(BITES) >= bites)
    image.wait_ready()
    assert image.log().count(BITES) == 3
    await check_safe_mode(image)


SLOW = """
import asyncio, time

async def app_main(config):
    # As when flash is erased, or a handshake is computed: each as long as half of the time.
    for _ in range(5):
        time.sleep_ms(2000)
        await asyncio.sleep_ms(1100)
    print("done")
    await asyncio.sleep(1000)
"""

# Scripts for MicroPython often begin so.
OTHER_LOOP = """
import asyncio

async def run():
    await asyncio.sleep(10)
    print("done")
    await asyncio.sleep(1000)

def app_main(config):
    asyncio.new_event_loop()
    asyncio.run(run())
"""


@pytest.mark.parametrize("text", [SLOW, OTHER_LOOP], ids=["slow", "another event loop"])
def test_an_app_whose_loop_turns_goes_on(make_image, text):
    image = make_image(files={**FILES, "mine.py": text}, args=["--chip"], start=False)
    image.spawn()
    image.wait_line("done")
    assert BITES not in image.log()


async def test_an_app_that_ends_is_replaced_by_the_device(make_image):
    text = "def app_main(config):\n    pass\n"
    image = make_image(files={**FILES, "mine.py": text}, args=["--chip"])
    async with Page(image.ws) as page:
        assert page.state["recovery"] == "app mine has ended, without an error\n"
    assert BITES not in image.log()


# What runs and forgets to serve, and what only reaches others.
SILENT = """
import asyncio

import device.startup.boot as boot

boot.STABLE_MS = 3000
boot.FEED_MS = 100


async def app_main(config):
    if config.section("mine")["client"]:
        from websockets import connect

        websocket = await connect(config.section("mine")["client"])
        print("connected")
    while True:
        await asyncio.sleep(1)
"""


async def test_an_app_that_forgets_to_serve_is_replaced_by_the_device(make_image):
    settings = {"app": "mine", "mine": {"client": ""}}
    files = {"app.json": settings, "chip_sim.json": WAIT, "mine.py": SILENT}
    image = make_image(files=files, args=["--chip"])
    async with Page(image.ws) as page:
        assert "SystemExit: the app has opened no socket within 60 s" in page.state["recovery"]
        await page.reaches({"fake_interface/running": True})
    # What makes connections of its own goes on.
    settings["mine"]["client"] = image.ws
    client = make_image(files=files, args=["--chip"], start=False)
    client.spawn()
    client.wait_line("connected")
    await asyncio.sleep(5)
    assert "no socket" not in client.log()


async def test_crashes_lead_to_safe_mode_and_a_reboot_by_order_does_not_count(make_image):
    image = make_image(files={"chip_sim.json": WAIT}, args=["--chip"])
    for _ in range(4):
        async with Page(image.ws) as page:
            assert "recovery" not in page.state
            await page.send("CMD", "reboot")
            assert await page.closed() == 1012
        image.wait_ready()
    for _ in range(2):
        image.kill()
        image.start()
    assert "safe mode" not in image.log()
    image.kill()
    image.start()
    await check_safe_mode(image)


async def test_the_button_leads_to_safe_mode(make_image):
    image = make_image(files={**FILES, "gpio_sim.json": {"0": 0}}, args=["--chip"])
    async with Page(image.ws) as page:
        assert page.state["recovery"].startswith("safe mode: the BOOT button was held")
