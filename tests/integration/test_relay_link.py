"""`websock.v1`: the image and a relay that speaks it, which is slow, hangs, or asks twice."""

import asyncio
import socket

import pytest
from websockets.asyncio.server import serve

from command_client import Page, Protocol
from raw import metric
from support import DEADLINE


class Relay:
    """A relay that speaks `websock.v1`: `async with Relay() as relay`."""

    def __init__(self, **options):
        self._arrived = asyncio.Queue()
        self._options = options

    async def __aenter__(self):
        listener = socket.create_server(("127.0.0.1", 0))
        # Little is kept for one that reads nothing.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._server = await serve(
            self._serve, sock=listener, subprotocols=["websock.v1"], **self._options
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exception):
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, connection):
        await self._arrived.put(Protocol(connection))
        await connection.wait_closed()

    async def device(self):
        """The next connection of a device."""
        return await asyncio.wait_for(self._arrived.get(), DEADLINE)


def settings(relay, **home):
    home = {"host": "127.0.0.1", "port": relay.port, **home}
    return {"network.json": {"device": {"iam": "bench-7"}}, "app.json": {"home": home}}


async def answer(client, number):
    """The answer with an id, and the messages before it."""
    before = []
    while True:
        message = await client.receive()
        if message.get("id") == number:
            return message, before
        before.append(message)


async def test_the_whole_state_then_changes_at_the_pace_that_is_set(make_image):
    async with Relay() as relay:
        image = make_image(files=settings(relay, interval=0.5))
        device = await relay.device()
        assert device.connection.subprotocol == "websock.v1"
        whole = await device.receive()
        assert {"uptime", "iam", "hal", "wifi/net/mac", "fake_interface/running"} <= whole.keys()
        async with Page(image.ws) as page:
            for running in (False, True) * 20:
                verb = "start_interface" if running else "stop_interface"
                await page.send("CMD", verb)
                await page.event("fake_interface/running")
            await page.send("CMD", "set", ["device/dev", "last"])
            await device.reaches({"dev": "last", "fake_interface/running": True})
            # Of 40 changes within moments a few messages are left.
            seen = [m for m in device.messages if "fake_interface/running" in m]
            assert len(seen) < 20 < page.count("fake_interface/running")


async def test_answers_have_the_id_that_was_asked_by(make_image):
    async with Relay() as relay:
        image = make_image(files=settings(relay, interval=3600))
        device = await relay.device()
        await device.receive()
        async with Page(image.ws) as page:
            await device.send("GET", "hal", [], 1)
            assert (await answer(device, 1))[0]["hal"][0]["name"] == "fake_interface"
            await device.send("GET", "nonsense", [], "q-2")
            message, _ = await answer(device, "q-2")
            assert message == {"id": "q-2", "error": "unknown GET item 'nonsense'"}
            # A command without an answer has one, behind the changes that it made.
            await device.send("CMD", "stop_interface", [], 3)
            message, before = await answer(device, 3)
            assert message == {"id": 3} and {"fake_interface/running": False} in before
            await page.reaches({"fake_interface/running": False})
            await device.send("CMD", "set", ["device/dev", "x"], 4)
            assert "right" in (await answer(device, 4))[0]["error"]
            await device.send("GET", "hal", [], [])
            message = await device.receive()
            assert "the id must be" in message["error"] and "id" not in message
            assert page.count("id") == page.count("error") == 0


async def test_pages_of_the_device_itself_may_ask_by_ids_too(image):
    async with Page(image.ws) as page, Page(image.ws) as other:
        await page.send("GET", "wifi", None, "mine")
        message, _ = await answer(page, "mine")
        assert "wifi/net/mac" in message
        # Text is no more than a number here: what is sent twice is done twice.
        for _ in range(2):
            await page.send("CMD", "send_message", ["twice"], "same")
            assert await page.event("fake_interface/msg") == "TWICE"
        await page.send("CMD", "start_interface", ["none"], 2)
        assert (await answer(page, 2))[0]["error"] == "unknown interface 'none'"
        await other.round_trip()
        assert other.count("id") == 0


async def test_what_is_sent_again_is_not_done_again(make_image):
    async with Relay() as relay:
        image = make_image(files=settings(relay, rights="settings"))
        device = await relay.device()
        async with Page(image.ws) as page:
            await device.send("CMD", "send_message", ["once"], "w-1")
            assert (await answer(device, "w-1"))[0] == {"id": "w-1"}
            assert await page.event("fake_interface/msg") == "ONCE"
            # The answer got lost, and the relay comes again.
            device.connection.transport.abort()
            device = await relay.device()
            await device.send("CMD", "send_message", ["once"], "w-1")
            assert (await answer(device, "w-1"))[0] == {"id": "w-1"}
            await device.send("CMD", "set", ["device/iam", "a b"], "w-2")
            refusal = (await answer(device, "w-2"))[0]
            assert "device/iam" in refusal["error"]
            await device.send("CMD", "set", ["device/iam", "a b"], "w-2")
            assert (await answer(device, "w-2"))[0] == refusal
            await device.send("CMD", "send_message", ["next"], "w-3")
            assert await page.event("fake_interface/msg") == "NEXT"


async def test_events_that_a_relay_is_too_slow_for_are_dropped_and_counted(make_image):
    # It reads nothing for a while, as behind a bad line.
    async with Relay(max_queue=1) as relay:
        image = make_image(files=settings(relay))
        device = await relay.device()
        async with Page(image.ws) as page:
            device.connection.transport.pause_reading()
            text = "x" * 1000
            sent = 0
            while metric(image, "relay_dropped_total") == 0:
                for _ in range(50):
                    await page.send("CMD", "send_message", [text])
                    assert await page.event("fake_interface/msg") == text.upper()
                    sent += 1
            await page.send("CMD", "stop_interface")
            await page.reaches({"fake_interface/running": False})
            assert page.state["home/connected"] is True
            device.connection.transport.resume_reading()
            await device.reaches({"fake_interface/running": False})
            assert 0 < device.count("fake_interface/msg") < sent


@pytest.mark.parametrize(
    "lie",
    [
        b"\x00\xff" * 100,
        "[" * 4000,
        '["CMD", "send_message", ["x"], 1, 2]',
        '{"id": 1}',
        '["GET", "state", [], {"a": 1}]',
        "x" * 9000,
        "\x00",
    ],
    ids=lambda lie: repr(lie[:20]),
)
async def test_a_relay_that_talks_nonsense(make_image, lie):
    async with Relay() as relay:
        image = make_image(files=settings(relay))
        device = await relay.device()
        await device.receive()
        await device.connection.send(lie)
        async with Page(image.ws) as page:
            await page.round_trip()
            if len(lie) > 8192:
                # RFC 6455 section 7.4.1: too big; it comes again.
                assert await device.closed() == 1009
                device = await relay.device()
                await device.receive()
            else:
                assert "error" in await device.receive()
            await device.send("GET", "hal", [], 5)
            assert "hal" in (await answer(device, 5))[0]


async def test_a_relay_that_closes_at_once_is_not_hammered(make_image):
    arrivals = []

    async def leave(connection):
        arrivals.append(asyncio.get_running_loop().time())

    async with serve(leave, "127.0.0.1", 0, subprotocols=["websock.v1"]) as server:
        home = {"host": "127.0.0.1", "port": server.sockets[0].getsockname()[1]}
        image = make_image(files={"app.json": {"home": home}})
        async with Page(image.ws) as page:
            await page.reaches({"home/reason": "closed by the relay (1000)"})
            while len(arrivals) < 2:
                await asyncio.sleep(0.1)
            assert arrivals[1] - arrivals[0] > 3.9


async def test_a_step_of_the_clock_ends_nothing(make_image):
    async with Relay() as relay:
        image = make_image(files=settings(relay, ping_interval=0.5, ping_timeout=0.5))
        device = await relay.device()
        await device.receive()
        async with Page(image.ws) as page:
            for now in (1_900_000_000, 1_000_000_000, 1_800_000_000):
                await page.send("CMD", "set_time", [now], now)
                await answer(page, now)
                await asyncio.sleep(0.7)
            await device.send("GET", "time", [], 5)
            message, _ = await answer(device, 5)
            assert message["time_source"] == "page"
            assert page.count("home/connected") == 1


async def test_who_asks_for_a_connection_that_there_is_hurries_nothing_later(make_image):
    async with Relay() as relay:
        image = make_image(files=settings(relay))
        device = await relay.device()
        await device.receive()
        async with Page(image.ws) as page:
            await page.send("CMD", "phone_home", [], 1)
            await answer(page, 1)
            device.connection.transport.abort()
            lost = asyncio.get_running_loop().time()
            await relay.device()
            assert asyncio.get_running_loop().time() - lost > 3.9
