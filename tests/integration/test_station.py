"""The device behind its station: what happens to who came by it when it leaves its network."""

import asyncio

import pytest
from websockets.asyncio.client import connect

from command_client import Page
from support import with_constants
from test_home import Relay, settings

HERE = "127.0.0.1"  # on the access point
THERE = "127.0.0.2"  # on the station's network

WORKSHOP = {"ssid": "workshop", "password": "correct-horse"}
GUEST = {"ssid": "guest"}


def air(*networks):
    return {"delay_ms": 50, "networks": networks, "clients": [HERE], "by_station": True}


def files(*networks):
    return {
        "wifi_sim.json": air(*networks),
        "network.json": {"sta": {"ssid": "workshop", "pass": WORKSHOP["password"]}},
    }


class StationPage(Page):
    """A page on the station's network."""

    async def __aenter__(self):
        self.connection = await connect(self.uri, local_addr=(THERE, 0))
        await self.receive()
        self._position = 1
        return self


async def joined(image):
    async with Page(image.ws) as page:
        await page.reaches({"wifi/net/connected": True, "wifi/net/ap": "workshop"})


@pytest.mark.parametrize(
    ("ssid", "result", "afterwards"),
    [("guest", "Success", "guest"), ("attic", "Fail", "workshop")],
)
async def test_who_asks_by_the_station_is_told_and_finds_the_result(
    make_image, ssid, result, afterwards
):
    image = make_image(files=files(WORKSHOP, GUEST))
    await joined(image)
    async with Page(image.ws) as here, StationPage(image.ws) as other:
        async with StationPage(image.ws) as page:
            await page.send("CMD", "test_new_sta", [ssid])
            await page.reaches({"wifi/test/running": True})
            assert await page.closed() == 1001
            assert page.connection.close_reason == "testing another network"
        # So is everybody else there, and who is on the access point goes on.
        assert await other.closed() == 1001
        assert other.state["wifi/test/running"] is True
        await here.reaches({"wifi/test/running": False, "wifi/test/result": result})
        await here.reaches({"wifi/net/connected": True, "wifi/net/ap": afterwards})
        async with StationPage(image.ws) as page:
            assert page.state["wifi/test/result"] == result
            await page.round_trip()


async def test_who_is_cut_off_hears_nothing(make_image):
    image = make_image(files=files(WORKSHOP))
    await joined(image)
    async with Page(image.ws) as here, StationPage(image.ws) as page:
        image.write("wifi_sim.json", air())
        await here.reaches({"wifi/net/connected": False})
        await page.send("GET", "hal")
        await here.round_trip()
        # Neither an answer nor an end, in as long as the one on the access point needs for ten.
        for _ in range(10):
            await here.round_trip()
        assert page.connection.close_code is None
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(page.receive(), 0.1)
        page.connection.transport.abort()


async def test_phone_home_waits_for_a_network(make_image):
    async with Relay() as relay:
        image = make_image(files={**settings(relay.port), **files()})
        async with Page(image.ws) as page:
            await page.round_trip()
            assert "phone home: waits for a network" in image.log()
            image.write("wifi_sim.json", air(WORKSHOP))
            device = await relay.device()
            await page.reaches({"home/connected": True})
            # A network that vanishes ends it at once, and one that comes begins it.
            image.write("wifi_sim.json", air())
            await page.reaches({"home/connected": False})
            await device.connection.wait_closed()
            image.write("wifi_sim.json", air(WORKSHOP))
            await relay.device()
            await page.reaches({"home/connected": True})
        assert "phone home: OSError" not in image.log()


async def test_a_network_that_comes_up_begins_the_attempts_anew(make_image):
    relay = Relay()
    home = settings(relay.port)
    constants = {"device.net.home": {"RETRY_FIRST": 1000, "RETRY_LONGEST": 1000}}
    changed = with_constants(home["app.json"], constants)
    image = make_image(files={**files(WORKSHOP), **changed})
    async with Page(image.ws) as page:
        while "phone home: OSError" not in image.log():
            await page.round_trip()
        await page.reaches({"wifi/net/connected": True})
        async with relay:
            image.write("wifi_sim.json", air())
            await page.reaches({"wifi/net/connected": False})
            image.write("wifi_sim.json", air(WORKSHOP))
            await relay.device()
            await page.reaches({"home/connected": True})
