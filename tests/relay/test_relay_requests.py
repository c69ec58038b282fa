"""`websock.v1`: answers go to who asked, and the relay knows what a device has told last."""

import asyncio
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from relays import device_uri, page_uri, running, told, until

V1 = {"subprotocols": ["websock.v1"]}
STATE = {"uptime": 5, "iam": "pump-1", "dev": "tester", "tank/value": 7, "wifi/net/reason": "x"}


def device(relay, name="pump-1", **options):
    return connect(device_uri(relay, name), **{**V1, **options})


async def asked(device):
    """The next request to a device: what is asked, and its id."""
    *request, number = await told(device)
    return request, number


async def knows(relay, name="pump-1"):
    await until(lambda: (found := relay.exchange.devices.get(name)) and found.state)


async def test_the_answer_goes_to_who_asked():
    async with running() as relay, device(relay) as pump:
        assert pump.subprotocol == "websock.v1"
        async with (
            connect(page_uri(relay)) as classic,
            connect(page_uri(relay), **V1) as first,
            connect(page_uri(relay), **V1) as second,
        ):
            assert (await told(first))["relay/connected"] is True
            assert (await told(second))["relay/connected"] is True
            # All ask with the same id, and are answered the other way round.
            await classic.send('["GET", "hal"]')
            request, of_classic = await asked(pump)
            assert request == ["GET", "hal", []]
            await first.send('["GET", "hal", [], 1]')
            _, of_first = await asked(pump)
            await second.send('["GET", "nonsense", null, 1]')
            _, of_second = await asked(pump)
            assert len({of_classic, of_first, of_second}) == 3
            await pump.send(json.dumps({"id": of_second, "error": "no"}))
            await pump.send(json.dumps({"id": of_first, "hal": [1]}))
            await pump.send(json.dumps({"id": of_classic, "hal": [2]}))
            await pump.send(json.dumps({"last": True}))
            assert await told(second) == {"id": 1, "error": "no"}
            assert await told(first) == {"id": 1, "hal": [1]}
            assert await told(classic) == {"hal": [2]}
            for page in (classic, first, second):
                assert await told(page) == {"last": True}


async def test_who_asks_without_an_id_gets_no_empty_answer():
    async with running() as relay, device(relay) as pump:
        async with connect(page_uri(relay)) as page:
            await page.send('["CMD", "stop_interface"]')
            _, number = await asked(pump)
            await pump.send(json.dumps({"id": number}))
            await pump.send('{"tank/running": false}')
            assert await told(page) == {"tank/running": False}


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ("hello", {"error": "message is not JSON"}),
        ("[" * 50_000, {"error": "message is not JSON"}),
        ('{"GET": "wifi"}', {"error": "message is not a list"}),
        ('["GET"]', {"error": "message has 1 items"}),
        ('["PUT", "x", [], 3]', {"id": 3, "error": "unknown request 'PUT'"}),
        ('["GET", 1, [], 3]', {"id": 3, "error": "the second item must be text"}),
        ('["GET", "x", {}, "q"]', {"id": "q", "error": "the arguments must be a list"}),
        ('["GET", "x", [], 1.5]', {"error": "the id must be"}),
        ('["GET", "x", [], 3, 4]', {"id": 3, "error": "the options must be"}),
        ('["GET", "x", [], 3, {"until": 1}]', {"id": 3, "error": "the options must be"}),
        ('["CMD", "x", [], 3, {"wait": "long"}]', {"id": 3, "error": "wait must be"}),
        ('["CMD", "x", [], 3, {"wait": NaN}]', {"error": "message is not JSON"}),
        ('["CMD", "x", [1e999]]', {"error": "message is not JSON"}),
    ],
)
async def test_a_bad_request_is_told_to_its_sender_alone(message, answer):
    async with running() as relay, device(relay) as pump:
        async with connect(page_uri(relay)) as page, connect(page_uri(relay)) as other:
            await page.send(message)
            found = await told(page)
            assert found["error"].startswith(answer["error"])
            assert found == {**answer, "error": found["error"]}
            await pump.send('{"next": 1}')
            assert await told(other) == {"next": 1}


async def test_a_page_gets_the_last_state_at_once():
    async with running() as relay:
        async with device(relay) as pump:
            await pump.send(json.dumps(STATE))
            await pump.send('{"tank/value": 8, "wifi/net/reason": null, "tank/msg": "once"}')
            await pump.send('{"info": "once", "hal": [{"name": "tank"}]}')
            await until(lambda: "hal" in relay.exchange.devices["pump-1"].state.keys())
            state = {"uptime": 5, "iam": "pump-1", "dev": "tester", "tank/value": 8}
            state["hal"] = [{"name": "tank"}]
            async with connect(page_uri(relay)) as page:
                assert await told(page) == state
            async with connect(page_uri(relay), **V1) as page:
                first = await told(page)
                assert first.pop("relay/since") > 1e9
                assert first == {**state, "relay/connected": True}
                # The device asks for none of it.
                await pump.close()
                gone = await told(page)
                assert gone.pop("relay/since") > 1e9 and gone == {"relay/connected": False}
        # It is away: who speaks websock.v1 sees what it has told last, as such.
        async with connect(page_uri(relay), **V1) as page:
            first = await told(page)
            assert first["relay/connected"] is False and first["tank/value"] == 8
            await page.send('["GET", "hal", [], 9]')
            assert await told(page) == {"id": 9, "error": "pump-1 is not connected"}
            async with device(relay) as pump:
                assert (await told(page))["relay/connected"] is True
                await pump.send('{"uptime": 1, "iam": "pump-1"}')
                assert await told(page) == {"uptime": 1, "iam": "pump-1"}
        # Nothing is left of what it doesn't say any more.
        assert relay.exchange.devices["pump-1"].state.keys() == {"iam": "pump-1"}


async def test_a_device_without_ids_is_one_of_the_examples():
    async with running() as relay, connect(device_uri(relay)) as pump:
        assert pump.subprotocol is None
        async with (
            connect(page_uri(relay), **V1) as page,
            connect(page_uri(relay)) as classic,
        ):
            assert (await told(page))["relay/connected"] is True
            await classic.send("anything")
            assert await pump.recv() == "anything"
            await page.send('["GET", "hal", [], 1]')
            assert await told(pump) == ["GET", "hal", []]
            assert await told(page) == {"id": 1}  # it is on its way
            await pump.send('{"hal": []}')
            assert await told(page) == await told(classic) == {"hal": []}


async def test_a_device_that_does_not_answer():
    async with running(answer_s=0.5) as relay, device(relay) as pump:
        async with connect(page_uri(relay)) as page:
            await page.send('["GET", "hal", [], "a"]')
            _, number = await asked(pump)
            assert await told(page) == {"id": "a", "error": "pump-1 did not answer"}
            # Too late, and what was never asked, is nobody's.
            for late in (number, 999, "w-1", None, [1], {"a": 1}, True, 1.5):
                await pump.send(json.dumps({"id": late, "hal": []}))
            await page.send('["GET", "hal", [], "b"]')
            _, number = await asked(pump)
            await pump.send(json.dumps({"id": number, "hal": [1]}))
            message = await told(page)
            assert message == {"hal": []} or message == {"id": "b", "hal": [1]}


async def test_a_device_that_goes_leaves_no_request_open():
    async with running() as relay, connect(page_uri(relay), **V1) as page:
        await told(page)
        for way in ("goes", "is taken over"):
            async with device(relay) as pump:
                while not (await told(page)).get("relay/connected"):
                    pass
                await page.send('["GET", "hal", [], "a"]')
                await asked(pump)
                if way == "is taken over":
                    async with device(relay):
                        message = await told(page)
                else:
                    pump.transport.abort()
                    message = await told(page)
                assert message == {"id": "a", "error": "pump-1 did not answer"}


async def test_no_device_answers_for_another():
    async with running() as relay, device(relay) as pump, device(relay, "pump-2") as other:
        async with connect(page_uri(relay)) as page:
            await page.send('["GET", "hal", [], 1]')
            _, number = await asked(pump)
            await other.send(json.dumps({"id": number, "hal": ["false"]}))
            await other.send(json.dumps({"uptime": 1, "iam": "pump-1"}))
            await knows(relay, "pump-2")
            await pump.send(json.dumps({"id": number, "hal": ["true"]}))
            assert await told(page) == {"id": 1, "hal": ["true"]}
            assert not relay.exchange.devices["pump-1"].state


async def test_a_page_has_so_many_requests_open():
    async with running() as relay, device(relay) as pump:
        async with connect(page_uri(relay)) as page:
            for number in range(33):
                await page.send(json.dumps(["GET", "hal", [], number]))
            text = "more than 32 requests without an answer"
            assert await told(page) == {"id": 32, "error": text}
            _, number = await asked(pump)
            await pump.send(json.dumps({"id": number}))
            assert await told(page) == {"id": 0}


async def test_a_state_has_a_limit():
    async with running(device_rate=0) as relay, device(relay) as pump:
        # What comes again doesn't count again.
        for number in range(50):
            await pump.send(json.dumps({"tank/text": f"{number}" + "x" * 5000}))
        state = relay.exchange.devices["pump-1"].state
        await until(lambda: state.keys().get("tank/text", "").startswith("49"))
        with pytest.raises(ConnectionClosed):
            for number in range(50):
                await pump.send(json.dumps({f"key-{number}": "x" * 5000}))
                await asyncio.sleep(0.001)
            await pump.recv()
        assert pump.close_code == 1008 and "a state over" in pump.close_reason


async def test_too_many_messages_end_their_sender():
    async with running(device_rate=10, page_rate=10) as relay, device(relay) as pump:
        async with connect(page_uri(relay)) as page, connect(page_uri(relay)) as other:
            for _ in range(30):
                await page.send('["GET", "hal"]')
            with pytest.raises(ConnectionClosed):
                while True:
                    await page.recv()
            assert page.close_code == 1008 and page.close_reason == "too many messages"
            with pytest.raises(ConnectionClosed):
                for _ in range(30):
                    await pump.send("{}")
                while True:
                    await pump.recv()
            assert pump.close_code == 1008
            await other.ping()


@pytest.mark.parametrize(
    "text",
    [
        f'{{"uptime": 1{"0" * 400}, "iam": "x"}}',
        '{"uptime": "soon", "iam": "x"}',
        '{"uptime": -1, "iam": "x"}',
        '{"uptime": null, "iam": null}',
        '{"uptime": true, "iam": [[[]]]}',
        '{"hal": NaN}',
        '{"a": 1e999}',
        '{"\\ud800": "\\ud800"}',
        "{}",
        "[]",
        "5",
    ],
)
async def test_whatever_a_device_tells_ends_nobody(text):
    async with running() as relay, device(relay) as pump:
        await pump.send(text)
        await pump.send('{"uptime": 5, "iam": "pump-1"}')
        await until(lambda: relay.exchange.devices["pump-1"].booted)
        async with connect(page_uri(relay), **V1) as page:
            found = await told(page)
            assert found["iam"] == "pump-1" and found["uptime"] in (5, 6)
