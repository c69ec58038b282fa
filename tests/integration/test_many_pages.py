"""Eight pages and ten interfaces in the heap of a chip."""

import asyncio
import contextlib
import json

import pytest

from command_client import Page
from raw import Connection
from support import ROOT

PAGES = 8

INTERFACES = [
    {"name": "words", "type": "echo"},
    {"name": "pump", "type": "gpio", "pin": 4, "initial": 1},
    {"name": "door", "type": "gpio", "pin": 13, "direction": "in"},
    {"name": "tank", "type": "adc", "pin": 34, "report_s": 1},
    {"name": "oven", "type": "adc", "pin": 36, "report_s": 1},
    {"name": "flow", "type": "counter", "pin": 35},
    {"name": "wind", "type": "counter", "pin": 32},
    {"name": "lamp", "type": "pwm", "pin": 14},
    {"name": "fan", "type": "pwm", "pin": 27, "ramp_ms": 100},
    {"name": "meter", "type": "uart", "id": 1},
]
SIGNALS = {
    "13": {"hz": 0.5},
    "32": {"hz": 7},
    "34": {"mv": [400, 2000], "period_s": 30},
    "35": {"hz": 50},
    "36": {"mv": [100, 3000], "period_s": 60},
}

with_ten = pytest.mark.image(
    build="host32",
    heap="100k",
    files={"app.json": {"interfaces": INTERFACES}, "gpio_sim.json": SIGNALS},
)

needs_host32 = pytest.mark.skipif(
    not (ROOT / "build/host32/websock").exists(), reason='run "make host32" first'
)


def metric(connection, name):
    lines = connection.get("/metrics").body.decode().split("\n")
    return float(next(line.split()[1] for line in lines if line.startswith(f"websock_{name} ")))


@needs_host32
@with_ten
async def test_each_page_has_all_of_it_beside_what_browsers_keep_open(image):
    running = {f"{entry['name']}/running": True for entry in INTERFACES}
    with contextlib.ExitStack() as kept:
        async with contextlib.AsyncExitStack() as stack:
            pages = []
            for _ in range(PAGES):
                # As a browser does: the page, the answers that it asks for, and then nothing.
                for path in ("/", "/api/session", "/app.js"):
                    browser = kept.enter_context(Connection(image.http_port))
                    await asyncio.to_thread(browser.get, path, "Accept-Encoding: gzip")
                # Rested, they make way for who comes when memory is short.
                await asyncio.sleep(0.2)
                pages.append(await stack.enter_async_context(Page(image.ws)))
            for number, page in enumerate(pages):
                await page.reaches(running)
                await page.event("flow/count")
                await page.send("CMD", "send_message", ["words", f"page {number}"])
                for other in pages:
                    assert await other.event("words/msg") == f"PAGE {number}"
            with Connection(image.http_port) as connection:
                evicted = await asyncio.to_thread(metric, connection, "connections_evicted_total")
                state = await asyncio.to_thread(connection.get, "/api/state")
                assert evicted > 0 and json.loads(state.body)["fan/duty"] == 0
    assert "MemoryError" not in image.log()


@needs_host32
@with_ten
async def test_interfaces_are_edited_beside_all_of_them(image):
    async with contextlib.AsyncExitStack() as stack:
        pages = [await stack.enter_async_context(Page(image.ws)) for _ in range(PAGES)]
        await pages[0].send("CMD", "remove_interface", ["fan"])
        names = [entry["name"] for entry in INTERFACES if entry["name"] != "fan"]

        for page in pages:
            while [entry["name"] for entry in page.state.get("hal", ())] != names:
                await page.receive()
