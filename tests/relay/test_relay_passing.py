"""What passes between devices and pages: the contract of the example that this grew from."""

import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from relays import device_uri, page_uri, running, until


async def round_trip(page, device):
    """Make sure that both are connected to each other."""
    await page.send("ping")
    assert await device.recv() == "ping"


async def test_messages_pass_both_ways_as_they_are():
    async with running() as relay:
        async with (
            connect(device_uri(relay)) as device,
            connect(page_uri(relay)) as first,
            connect(page_uri(relay)) as second,
            connect(device_uri(relay, "pump-2")) as other_device,
            connect(page_uri(relay, "pump-2")) as other_page,
        ):
            await round_trip(first, device)
            await round_trip(second, device)
            await round_trip(other_page, other_device)
            for message in ('{"é": 1}', "no JSON", b"\x00\xff", ""):
                await device.send(message)
                assert await first.recv() == message
                assert await second.recv() == message
                await second.send(message)
                assert await device.recv() == message
            await other_device.send("last")
            assert await other_page.recv() == "last"


async def test_who_asks_an_absent_device_is_told():
    async with running() as relay, connect(page_uri(relay)) as page:
        await page.send('["GET", "state"]')
        assert json.loads(await page.recv()) == {"error": "pump-1 is not connected"}
        async with connect(device_uri(relay)) as device:
            await round_trip(page, device)


async def test_a_second_connection_takes_over_and_the_first_does_not_take_it_away():
    async with running() as relay, connect(page_uri(relay)) as page:
        async with connect(device_uri(relay)) as first:
            await round_trip(page, first)
            async with connect(device_uri(relay)) as second:
                with pytest.raises(ConnectionClosed):
                    await first.recv()
                assert first.close_code == 4000
                assert first.close_reason == "another connection of this device took over"
                await round_trip(page, second)
                await second.send("still here")
                assert await page.recv() == "still here"
        await page.send("anybody?")
        assert "not connected" in await page.recv()


async def test_a_slow_page_is_closed_and_delays_nobody():
    async with running(page_queue=100_000, page_rate=0, device_rate=0) as relay:
        async with (
            connect(device_uri(relay)) as device,
            connect(page_uri(relay), max_queue=1) as slow,
            connect(page_uri(relay), max_queue=None) as quick,
        ):
            await round_trip(slow, device)
            await round_trip(quick, device)
            text = "x" * 50_000
            for number in range(200):
                await device.send(f"{number} {text}")
                assert await quick.recv() == f"{number} {text}"
            with pytest.raises(ConnectionClosed):
                while True:
                    await slow.recv()
            assert slow.close_code == 1013
            await round_trip(quick, device)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("", "name a device"),
        ("a//b", "letters, digits"),
        ("a%20b", "letters, digits"),
        ("../b", "can't be .."),
        ("api", "can't be api"),
        ("site/ws", "can't be ws"),
        ("x" * 129, "at most 128"),
    ],
)
async def test_names_that_no_device_has(path, text):
    async with running() as relay:
        for uri in (device_uri(relay, path), page_uri(relay, path)):
            with pytest.raises(InvalidStatus) as refused:
                await connect(uri)
            assert refused.value.response.status_code == 404, uri
            assert text in refused.value.response.body.decode()


async def test_whose_pages_may_connect():
    async with running(origins=("https://site.example",)) as relay:
        own = f"http://127.0.0.1:{relay.page_port}"
        for origin in (own, "https://site.example", None):
            async with connect(page_uri(relay), origin=origin):
                pass
        for origin in ("https://evil.example", "null", "http://127.0.0.1"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(page_uri(relay), origin=origin)
            assert refused.value.response.status_code == 403
        # A browser is no device.
        with pytest.raises(InvalidStatus) as refused:
            await connect(device_uri(relay), origin=own)
        assert refused.value.response.status_code == 403


async def test_a_message_too_large_ends_its_sender_alone():
    async with running(max_message=2000) as relay:
        async with connect(device_uri(relay)) as device, connect(page_uri(relay)) as page:
            await round_trip(page, device)
            async with connect(page_uri(relay)) as rude:
                await rude.send("x" * 2001)
                with pytest.raises(ConnectionClosed):
                    await rude.recv()
                assert rude.close_code == 1009
            await round_trip(page, device)


async def test_all_are_told_to_come_back_when_it_ends():
    async with running() as relay:
        async with connect(device_uri(relay)) as device, connect(page_uri(relay)) as page:
            await round_trip(page, device)
            await relay.close()
            for connection in (device, page):
                with pytest.raises(ConnectionClosed):
                    await connection.recv()
                assert connection.close_code == 1012
            assert not relay.exchange.devices


async def test_nobody_is_left_in_memory():
    async with running() as relay:
        for _ in range(20):
            async with connect(device_uri(relay)) as device, connect(page_uri(relay)) as page:
                await round_trip(page, device)
        await until(lambda: not relay.exchange.devices)
