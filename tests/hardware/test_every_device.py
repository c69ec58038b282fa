"""What has to hold on every device, emulated or not: the same checks for all.

They are known to work by the host image, with which `make test` runs them; `make qemu-test` runs
them with the emulator's.
"""

import asyncio
import json
import random

import pytest
from devices import TEST_DEADLINE

from command_client import Page
from raw import BINARY, CONTINUATION, PING, TEXT, Connection, close_frame, frame

__all__ = ["TEST_DEADLINE"]

# Power cuts while settings are saved.
CUTS = 5

# The frames that break a rule (RFC 6455, 5.2 to 5.5, 7.4, 8.1) or a limit, and the close code.
ILLEGAL = {
    "reserved bits": (frame(TEXT, b"x", reserved=4), 1002),
    "not masked": (frame(TEXT, b"x", mask=False), 1002),
    "an unknown opcode": (frame(3, b"x"), 1002),
    "an unknown control opcode": (frame(11, b"x"), 1002),
    "a fragmented ping": (frame(PING, b"x", fin=False), 1002),
    "a long ping": (frame(PING, b"x" * 126), 1002),
    "a continuation of nothing": (frame(CONTINUATION, b"x"), 1002),
    "a message within a message": (frame(TEXT, b"x", fin=False) + frame(BINARY, b"y"), 1002),
    "16 bits for a short length": (b"\x81\xfe\0\x05" + bytes(9), 1002),
    "64 bits for a short length": (b"\x81\xff" + bytes(7) + b"\x05" + bytes(9), 1002),
    "a length of 63 bits and more": (b"\x82\xff\x80" + bytes(11), 1002),
    "text that is not UTF-8": (frame(TEXT, b"\xff"), 1007),
    "text that ends within a character": (frame(TEXT, b"\xc3"), 1007),
    "half a close code": (frame(8, b"\x03"), 1002),
    "a close code that is none": (close_frame(1005), 1002),
    "a close reason that is not UTF-8": (frame(8, b"\x03\xe8\xff"), 1007),
    "a message over the limit": (b"\x82\xfe" + (32769).to_bytes(2, "big") + bytes(4), 1009),
}


async def settings(device):
    """The device's name, over a connection of its own."""
    async with Page(device.ws) as page:
        return page.state["iam"]


async def test_smoke(device):
    with Connection(device.http_port) as connection:
        page = connection.get("/")
        assert page.status == 200 and b"<title>Device</title>" in page.body
        health = json.loads(connection.get("/health").body)
        assert health["status"] == "ok" and health["heap"]["free"] > 20_000
    async with Page(device.ws) as page:
        await page.send("CMD", "start_interface")
        await page.send("CMD", "send_message", ["hello"])
        assert await page.event("fake_interface/msg") == "HELLO"


async def test_illegal_frames_get_their_close_code(device):
    codes = {}
    for name, (data, _) in ILLEGAL.items():
        with Connection(device.ws_port) as connection:
            assert connection.upgrade().status == 101
            connection.send(data)
            codes[name] = connection.read_close()
    assert codes == {name: code for name, (_, code) in ILLEGAL.items()}
    async with Page(device.ws) as page:
        await page.round_trip()


async def test_power_cuts_while_settings_are_saved(device):
    name = await settings(device)
    for cut in range(CUTS):
        new = f"cut-{cut}"
        async with Page(device.ws) as page:
            await page.send("CMD", "set", ["device/iam", new])
            await asyncio.sleep(random.uniform(0, 0.05))
            device.kill()
        device.start()
        found = await settings(device)
        assert found in (name, new)
        name = found
    async with Page(device.ws) as page:
        await page.send("CMD", "set", ["device/iam", "last"])
        await page.event("info")
    device.kill()
    device.start()
    assert await settings(device) == "last"


async def test_starts_that_crash_lead_to_safe_mode(device):
    device.interrupt()
    app = "import machine\\ndef app_main(config):\\n    machine.reset()\\n"
    device.run(f"f = open('/crash.py', 'w'); f.write({app!r}); f.close()".replace("\\\\n", "\\n"))
    device.run('f = open("/app.json", "w"); f.write(\'{"app": "crash"}\'); f.close()')
    device.restart()
    async with Page(device.ws) as page:
        assert page.state["recovery"].startswith("safe mode: 3 starts in a row ended within 60 s")
        await page.send("CMD", "set", ["app", "demo"])
        await page.event("info")
    with Connection(device.http_port) as connection:
        assert connection.get("/").status == 200


async def test_ctrl_c_leads_to_a_usable_repl(device):
    name = await settings(device)
    for _ in range(2):
        device.interrupt()
        assert device.run("print(6 * 7)") == "42"
        assert device.run("import gc; n = gc.collect(); print(gc.mem_free() > 20000)") == "True"
        # Nobody serves meanwhile, and the sockets are closed.
        with pytest.raises((ConnectionError, EOFError)), Connection(device.http_port) as gone:
            gone.get("/health")
        device.restart()
        assert await settings(device) == name
    with Connection(device.http_port) as connection:
        assert connection.get("/health").status == 200
