"""The time of day: from a server, or from the page that connects."""

import contextlib
import socket
import threading
import time

import pytest

from command_client import Page
from raw import Connection
from support import wait_until

FOREIGN = b"\x24\x02" + bytes(46)  # an answer to nobody's question


class TimeServer:
    """An NTP server whose time is `ahead` seconds before this computer's."""

    def __init__(self, ahead=0):
        self.ahead = ahead
        self.asked = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                request, client = self.socket.recvfrom(64)
                if not request:
                    return
                self.asked += 1
                now = int(time.time() + self.ahead) + 2_208_988_800
                head = b"\x24\x02" + bytes(22) + request[40:48] + bytes(8)
                self.socket.sendto(head + now.to_bytes(4, "big") + bytes(4), client)

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waking:
            waking.sendto(b"", ("127.0.0.1", self.port))
        self.socket.close()


@pytest.fixture
def server():
    made = TimeServer(ahead=86_400)
    yield made
    made.close()


async def test_a_server_tells_the_time_and_then_no_page_does(server, make_image):
    image = make_image(files={"app.json": {"time": {"server": "127.0.0.1", "port": server.port}}})
    async with Page(image.ws) as page:
        await page.reaches({"time_source": "server"})
        begun = time.time() + 86_400 - page.state["uptime"]
        assert abs(page.state["boot_time"] - begun) < 30
        known = page.state["boot_time"]
        await page.send("CMD", "set_time", [int(time.time())])
        await page.send("GET", "time")
        await page.event("boot_time")
        assert page.messages[-1]["boot_time"] == known
    assert server.asked == 1


async def test_without_a_server_a_page_tells_it(image):
    async with Page(image.ws) as page:
        assert "boot_time" not in page.state
        for bad in (1.5, "now", None, 5, -1, 2**40, True):
            await page.refused("CMD", "set_time", [bad])
        now = int(time.time())
        await page.send("CMD", "set_time", [now])
        await page.reaches({"time_source": "page"})
        known = page.state["boot_time"]
        assert abs(known - now) < 30
        # A second more or less is no news.
        await page.send("CMD", "set_time", [now + (int(time.time()) - now) + 1])
        await page.round_trip()
        assert page.count("boot_time") == 1
        await page.send("CMD", "set", ["time/zone", "Europe/Berlin"])
        await page.reaches({"time_zone": "Europe/Berlin"})


def test_a_server_that_does_not_answer_ends_nothing(make_image):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        image = make_image(files={"app.json": {"time": {"server": "127.0.0.1", "port": port}}})
        _, client = silent.recvfrom(64)
        silent.sendto(FOREIGN, client)
        wait_until(lambda: "time server: it sent no answer" in image.log())
        with Connection(image.http_port) as http:
            assert http.get("/api/state").status == 200


@pytest.mark.image(files={"network.json": {"device": {"iam": "Pump_7"}}})
async def test_the_device_is_reached_by_its_host_name(image):
    async with Page(image.ws) as page:
        assert page.state["host"] == "pump-7.local"
    with Connection(image.http_port) as http:
        for name, status in (("pump-7.local", 200), ("PUMP-7", 200), ("pump_7", 200), ("x", 421)):
            assert http.get("/api/session", host=name).status == status, name
