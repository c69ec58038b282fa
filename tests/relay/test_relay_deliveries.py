"""Commands that wait for a device: kept, bounded, delivered once and in order."""

import asyncio
import json
import threading

import pytest
from websockets.asyncio.client import connect

from command_client import Page
from relay.store import Store
from relays import device_uri, get, page_uri, post, running, told, until
from support import DEADLINE

V1 = {"subprotocols": ["websock.v1"]}


COMMAND = "/api/devices/pump-1/command"


async def test_commands_wait_for_the_device_and_come_in_order():
    async with running() as relay:
        for n in range(5):
            status, answer = await post(relay, COMMAND + "?wait=60", ["CMD", "send_message", [n]])
            assert status == 202 and answer["waiting"] == n + 1
        async with connect(page_uri(relay), **V1) as page:
            await told(page)
            await page.send('["CMD", "send_message", [5], "mine", {"wait": 60}]')
            answer = await told(page)
            assert answer.pop("expires") > 1e9 and answer == {"id": "mine", "waiting": 6}
            _, listed = await get(relay, "/api/devices/pump-1/waiting")
            assert [each["request"][2] for each in listed["waiting"]] == [[n] for n in range(6)]
            assert {each["who"] for each in listed["waiting"]} == {"anybody"}
            async with connect(device_uri(relay), **V1) as pump:
                for n in range(6):
                    # One at a time: the next comes when this one is answered.
                    *request, number = await told(pump)
                    assert request == ["CMD", "send_message", [n]]
                    assert number.startswith("w-")
                    await pump.send(json.dumps({"id": number, "n": n}))
                while "relay/connected" in (answer := await told(page)):
                    pass
                assert answer == {"id": "mine", "n": 5, "delivered": True}
                await until(lambda: relay.deliveries.total == 0)


async def test_what_was_not_answered_comes_again_by_the_same_id_also_after_a_restart(tmp_path):
    async with running(tmp_path) as relay:
        await post(relay, COMMAND + "?wait=60", ["CMD", "first", []])
        await post(relay, COMMAND + "?wait=60", ["CMD", "second", []])
        async with connect(device_uri(relay), **V1) as pump:
            first = await told(pump)
        async with connect(device_uri(relay), **V1) as pump:
            assert await told(pump) == first
    async with running(tmp_path) as relay, connect(device_uri(relay), **V1) as pump:
        assert await told(pump) == first
        await pump.send(json.dumps({"id": first[3], "error": "no"}))
        second = await told(pump)
        assert second[1] == "second" and second[3] != first[3]
        await pump.send(json.dumps({"id": second[3]}))
        await until(lambda: relay.deliveries.total == 0)
    async with running(tmp_path) as relay:
        assert relay.deliveries.total == 0


async def test_who_waits_for_a_device_that_is_there_gets_its_answer():
    async with running() as relay, connect(device_uri(relay), **V1) as pump:
        asking = asyncio.create_task(post(relay, COMMAND + "?wait=60", ["CMD", "x"]))
        *_, number = await told(pump)
        await pump.send(json.dumps({"id": number, "done": 1}))
        assert await asking == (200, {"done": 1, "delivered": True})
        asking = asyncio.create_task(post(relay, COMMAND + "?wait=60", ["CMD", "x"]))
        *_, number = await told(pump)
        await pump.send(json.dumps({"id": number, "error": "no"}))
        assert await asking == (400, {"error": "no", "delivered": True})


async def test_who_waits_for_a_device_that_goes_and_comes_back_gets_its_answer(monkeypatch):
    gone = threading.Event()
    note = Store.note

    def note_late(*arguments):
        assert gone.wait(DEADLINE)
        note(*arguments)

    # A disk that takes its time to keep the line of the audit log.
    monkeypatch.setattr(Store, "note", note_late)
    async with running() as relay:
        async with connect(device_uri(relay), **V1) as pump:
            asking = asyncio.create_task(post(relay, COMMAND + "?wait=60", ["CMD", "reboot"]))
            first = await told(pump)
        await until(lambda: not list(relay.exchange.connected()))
        gone.set()
        async with connect(device_uri(relay), **V1) as pump:
            assert await told(pump) == first
            await pump.send(json.dumps({"id": first[3]}))
            assert await asking == (200, {"delivered": True})


async def test_a_device_that_is_there_but_does_not_answer_is_asked_again():
    async with running(answer_s=0.3) as relay, connect(device_uri(relay), **V1) as pump:
        status, answer = await post(relay, COMMAND + "?wait=60", ["CMD", "x"])
        assert status == 202 and answer["waiting"] == 1
        first = await told(pump)
        assert await told(pump) == first
        await pump.send(json.dumps({"id": first[3]}))
        await until(lambda: relay.deliveries.total == 0)


async def test_what_has_expired_is_not_delivered():
    async with running() as relay:
        async with connect(page_uri(relay), **V1) as page:
            await told(page)
            await page.send('["CMD", "late", [], 1, {"wait": 0.2}]')
            assert "waiting" in await told(page)
            answer = await told(page)
            assert answer == {"id": 1, "error": "late has not been delivered"}
        await post(relay, COMMAND + "?wait=60", ["CMD", "in_time"])
        async with connect(device_uri(relay), **V1) as pump:
            assert (await told(pump))[1] == "in_time"


async def test_one_that_waits_can_be_taken_back():
    async with running() as relay:
        await post(relay, COMMAND + "?wait=60", ["CMD", "a"])
        await post(relay, COMMAND + "?wait=60", ["CMD", "b"])
        path = "/api/devices/pump-1/waiting/"
        assert await post(relay, path + "1", "", "DELETE") == (200, {})
        assert (await post(relay, path + "1", "", "DELETE"))[0] == 404
        assert (await post(relay, "/api/devices/pump-2/waiting/2", "", "DELETE"))[0] == 404
        async with connect(device_uri(relay), **V1) as pump:
            assert (await told(pump))[1] == "b"


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("?wait=60", ["GET", "hal"], 429, "only a CMD may wait"),
        ("?wait=700000", ["CMD", "x"], 429, "a command waits 604800 s at most"),
        ("?wait=soon", ["CMD", "x"], 400, "wait must be a number"),
        ("?wait=-1", ["CMD", "x"], 400, "wait must be a number"),
        ("?wait=60", "hello", 400, "message is not JSON"),
        ("", "hello", 400, "message is not JSON"),
        ("", ["CMD", "x"], 503, "pump-1 is not connected"),
    ],
)
async def test_commands_that_can_not_be(path, body, status, text):
    async with running() as relay:
        found, answer = await post(relay, COMMAND + path, body)
        assert found == status and text in answer["error"]


async def test_what_waits_is_bounded():
    async with running(waiting_max=3) as relay:
        asked = [post(relay, COMMAND + "?wait=60", ["CMD", "x"]) for _ in range(6)]
        statuses = sorted([status for status, _ in await asyncio.gather(*asked)])
        assert statuses == [202, 202, 202, 429, 429, 429]
        assert relay.deliveries.total == 3
        async with connect(page_uri(relay), **V1) as page:
            await told(page)
            await page.send('["CMD", "x", [], 1, {"wait": 60}]')
            assert "3 commands wait for pump-1 already" in (await told(page))["error"]


async def test_a_command_that_waits_is_done_once_by_a_device(make_relay, make_image):
    program = make_relay()
    home = {"host": "127.0.0.1", "port": program.device_port, "rights": "settings"}
    files = {"network.json": {"device": {"iam": "pump-1"}}, "app.json": {"home": home}}
    status, _ = await post(program, COMMAND + "?wait=600", ["CMD", "send_message", ["a"]])
    assert status == 202
    # What was acknowledged outlasts the relay.
    program.kill()
    image = make_image(files=files)
    async with Page(image.ws) as page:
        again = make_relay("--device-port", program.device_port)
        assert await page.event("fake_interface/msg") == "A"
        # One that restarts the device is not done again when it is back.
        status, answer = await post(again, COMMAND + "?wait=600", ["CMD", "reboot"])
        assert (status, answer) == (200, {"delivered": True})
    await asyncio.to_thread(image.wait_ready)
    async with Page(image.ws) as page:
        await page.reaches({"home/connected": True})
        status, answer = await post(again, COMMAND + "?wait=600", ["CMD", "send_message", ["b"]])
        assert (status, answer) == (200, {"delivered": True})
        assert await page.event("fake_interface/msg") == "B"
        assert page.count("fake_interface/msg") == 1
