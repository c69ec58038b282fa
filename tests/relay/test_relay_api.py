"""The relay by REST and live: the list, groups, pushes, history, alerts, audit, the own page."""

import asyncio
import csv
import json
import math
import time

import aiohttp
import pytest
from websockets.asyncio.client import connect

from command_client import Page
from relay import alerts
from relays import (
    Hook,
    device_uri,
    get,
    order,
    page_uri,
    post,
    running,
    stored,
    told,
    until,
    web,
)

V1 = {"subprotocols": ["websock.v1"]}
STATE = {"uptime": 100, "iam": "pump-1", "dev": "pump", "version": "1.0", "wifi/net/rssi": -50}


async def tell(device, **keys):
    await device.send(json.dumps(keys))


async def state(device, **keys):
    await device.send(json.dumps({**STATE, **keys}))


async def test_the_list_live():
    async with running() as relay, connect(page_uri(relay, "api/live")) as live:
        assert await told(live) == {"devices": [], "firing": []}
        async with connect(device_uri(relay), **V1) as pump:
            await state(pump)
            (line,) = (await told(live))["changed"]
            while "dev" not in line:
                (line,) = (await told(live))["changed"]
            assert line.pop("since") > 1e9 and line.pop("seen") > 1e9
            assert line == {
                "name": "pump-1",
                "connected": True,
                "dev": "pump",
                "version": "1.0",
                "signal": -50,
            }
            await pump.send('{"tank/error": "no such pin", "error": "x"}')
            (line,) = (await told(live))["changed"]
            assert line["failing"] == ["tank"] and line["errors"] == 1
        (line,) = (await told(live))["changed"]
        assert "connected" not in line
        _, listed = await get(relay, "/api/devices")
        assert listed["devices"] == [line]
        # Away it can be forgotten.
        assert await post(relay, "/api/devices/pump-1", method="DELETE") == (200, {})
        assert (await told(live))["changed"] == [{"name": "pump-1", "gone": True}]


async def test_what_a_device_told_last_outlasts_the_relay(tmp_path):
    async with running(tmp_path) as relay, connect(device_uri(relay), **V1) as pump:
        await state(pump, **{"tank/value": 5})
        await until(lambda: relay.exchange.devices["pump-1"].state)
        assert (await post(relay, "/api/devices/pump-1", method="DELETE"))[0] == 409
        groups = {"groups": ["roof", "north", "roof"]}
        path = "/api/devices/pump-1/groups"
        assert await post(relay, path, groups, "PUT") == (200, {"groups": ["north", "roof"]})
    async with running(tmp_path) as relay:
        _, found = await get(relay, "/api/devices/pump-1/state")
        assert found["state"]["tank/value"] == 5 and found["groups"] == ["north", "roof"]
        assert "connected" not in found and found["seen"] > 1e9
        assert await post(relay, "/api/devices/pump-1", method="DELETE") == (200, {})
        assert (await get(relay, "/api/devices/pump-1/state"))[0] == 404
    async with running(tmp_path) as relay:
        assert await get(relay, "/api/devices") == (200, {"devices": []})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("hello", "the body is not JSON"),
        ([], "the body is not an object"),
        ({}, "groups must be a list"),
        ({"groups": "a"}, "groups must be a list"),
        ({"groups": ["a"] * 21}, "at most 20"),
        ({"groups": [""]}, "1 to 40 characters"),
        ({"groups": ["x" * 41]}, "1 to 40 characters"),
        ({"groups": ["a,b"]}, "no comma"),
        ({"groups": [5]}, "1 to 40 characters"),
    ],
)
async def test_groups_that_can_not_be(body, text):
    async with running() as relay:
        status, answer = await post(relay, "/api/devices/pump-1/groups", body, "PUT")
        assert status == 400 and text in answer["error"]


async def push(relay, **values):
    async with aiohttp.ClientSession() as session:
        async with session.post(web(relay, "/api/push"), json=values) as response:
            text = await response.text()
            if response.status != 200:
                return response.status, json.loads(text)["error"]
            results = {}
            for line in text.splitlines():
                result = json.loads(line)
                results[result.pop("device")] = result
            return response.status, results


async def test_a_push_has_a_result_for_each_device():
    async with running(answer_s=1) as relay:
        async with (
            connect(device_uri(relay, "good"), **V1) as good,
            connect(device_uri(relay, "bad"), **V1) as bad,
            connect(device_uri(relay, "mute"), **V1) as mute,
        ):
            for device in (good, bad, mute):
                await state(device)
            async with connect(device_uri(relay, "away"), **V1) as away:
                await state(away)
                await until(lambda: len(relay.exchange.devices) == 4)
                await until(lambda: relay.exchange.devices["away"].state)
            await until(lambda: relay.exchange.devices["away"].link is None)

            async def answer(device, **keys):
                *request, number = await told(device)
                assert request == ["CMD", "set", ["device/dev", "x"]]
                await tell(device, id=number, **keys)

            devices = ["good", "bad", "mute", "away", "none", "good"]
            (status, results), *_ = await asyncio.gather(
                push(relay, devices=devices, request=["CMD", "set", ["device/dev", "x"]], wait=60),
                answer(good),
                answer(bad, error="no"),
            )
            assert status == 200
            assert results["away"].pop("expires") > 1e9
            assert results == {
                "good": {},
                "bad": {"error": "no"},
                "mute": {"error": "mute did not answer"},
                "away": {"waiting": 1},
                "none": {"error": "none is not known"},
            }
            _, results = await push(relay, devices=["away"], request=["CMD", "reboot"])
            assert results == {"away": {"error": "away is not connected"}}
        _, audit = await get(relay, "/api/audit")
        assert [each["what"] for each in audit["audit"]] == ["CMD reboot", "CMD set device/dev"]
        assert audit["audit"][1]["detail"] == "5 devices"


@pytest.mark.parametrize(
    ("values", "status", "text"),
    [
        ({}, 400, "devices must be a list"),
        ({"devices": []}, 400, "devices must be a list"),
        ({"devices": ["a"]}, 400, "message is not a list"),
        ({"devices": ["a"], "request": ["PUT", "x"]}, 400, "use GET or CMD"),
        ({"devices": ["a"], "request": ["CMD", "x"], "wait": "x"}, 400, "wait must be"),
    ],
)
async def test_pushes_that_can_not_be(values, status, text):
    async with running() as relay:
        found, error = await push(relay, **values)
        assert found == status and text in error


async def test_a_push_to_a_whole_fleet():
    async with running() as relay:
        names = [f"a-device-with-the-longest-name-{n}" for n in range(20_000)]
        status, results = await push(relay, devices=names, request=["CMD", "reboot"])
        assert status == 200 and len(results) == 20_000


async def test_history(tmp_path):
    async with running(tmp_path, history_s=1, device_rate=0) as relay:
        async with connect(device_uri(relay), **V1) as pump:
            await state(pump, **{"tank/value": 1.5, "tank/started_at": 5, "valve/running": True})
            await tell(pump, **{"tank/value": 2.5, "tank/huge": 10**400, "a/text": "x"})
            path = "/api/devices/pump-1/history"
            async with asyncio.timeout(30):
                while (await get(relay, path))[1]["keys"] != ["tank/value", "wifi/net/rssi"]:
                    await asyncio.sleep(0.1)
            _, found = await get(relay, path + "/tank/value")
            # The last of an interval.
            assert [value for _, value in found["samples"]] == [2.5]
            async with aiohttp.ClientSession() as session:
                async with session.get(web(relay, path + "/tank/value.csv")) as response:
                    assert response.content_type == "text/csv"
                    assert (
                        'filename="pump-1-tank-value.csv"'
                        in (response.headers["Content-Disposition"])
                    )
                    rows = list(csv.reader((await response.text()).splitlines()))
            assert rows[0] == ["time", "seconds", "tank/value"]
            assert rows[1][0].endswith("Z") and rows[1][2] == "2.5"
            # As the device's own page asks for it.
            _, own = await get(relay, "/d/pump-1/api/history/tank/value")
            assert own["samples"][-1] == 2.5 and own["now"] >= 100
            assert (await get(relay, "/d/pump-1/api/history/tank/none"))[0] == 404
            assert (await get(relay, path + "/tank/value?since=5&until=4"))[0] == 400
            _, none = await get(relay, path + "/tank/value?since=5&until=6")
            assert none["samples"] == []
    # Older than is kept.
    async with running(tmp_path, history_days=0) as relay:
        async with asyncio.timeout(30):
            while (await get(relay, path))[1]["keys"]:
                await asyncio.sleep(0.1)


async def test_history_of_one_device_is_bounded():
    async with running(history_s=1, device_rate=0) as relay:
        async with connect(device_uri(relay), **V1) as pump:
            await state(pump, **{f"many/{n:03}": n for n in range(150)})
            path = "/api/devices/pump-1/history"
            async with asyncio.timeout(30):
                while not (await get(relay, path))[1]["keys"]:
                    await asyncio.sleep(0.1)
            assert len((await get(relay, path))[1]["keys"]) == 100


async def test_alerts(tmp_path, monkeypatch):
    monkeypatch.setattr(alerts, "PAUSE", 0.1)
    # The first call fails, and is made again.
    async with Hook(500) as hook:
        async with running(tmp_path) as relay:
            rule = {"name": "dry", "devices": ["pump-*"], "key": "tank/value", "below": 0}
            assert (await post(relay, "/api/alerts", {**rule, "webhook": hook.url}))[0] == 201
            rule = {"name": "lost", "offline": 1, "webhook": hook.url}
            status, made = await post(relay, "/api/alerts", rule)
            assert status == 201
            async with connect(page_uri(relay, "api/live")) as live:
                await told(live)
                async with (
                    connect(device_uri(relay), **V1) as pump,
                    connect(device_uri(relay, "fan-1"), **V1) as fan,
                ):
                    for value in (1, 0, -1, -2, "x", -3):
                        for device in (pump, fan):
                            await tell(device, **{"tank/value": value})
                    await until(lambda: len(hook.calls) >= 4)
                    await tell(pump, **{"tank/value": 5})
                    await until(lambda: len(hook.calls) >= 5)
                    fires = [(call["fires"], call["tank/value"]) for call in hook.calls]
                    # -1 twice: the first attempt was answered by 500.
                    assert fires == [
                        (True, -1), (True, -1), (False, "x"), (True, -3), (False, 5)
                    ]  # fmt: skip
                    assert {call["device"] for call in hook.calls} == {"pump-1"}
                hook.calls.clear()
                await until(lambda: len(hook.calls) == 2)
                assert {call["device"] for call in hook.calls} == {"pump-1", "fan-1"}
                assert all(call["fires"] and call["alert"] == "lost" for call in hook.calls)
                while len((await told(live)).get("firing", ())) != 2:
                    pass
        hook.calls.clear()
        # It is not told again after a restart, but that the device is back.
        async with running(tmp_path) as relay:
            async with connect(page_uri(relay, "api/live")) as live:
                assert len((await told(live))["firing"]) == 2
            await asyncio.sleep(2.5)
            assert hook.calls == []
            async with connect(device_uri(relay), **V1):
                await until(lambda: hook.calls)
                assert hook.calls[0]["fires"] is False and hook.calls[0]["device"] == "pump-1"
            _, listed = await get(relay, "/api/alerts")
            assert [rule["name"] for rule in listed["alerts"]] == ["dry", "lost"]
            assert listed["alerts"][0]["below"] == 0
            path = f"/api/alerts/{made['number']}"
            assert await post(relay, path, method="DELETE") == (200, {})
            assert (await post(relay, path, method="DELETE"))[0] == 404


async def test_who_was_quiet_before_a_restart_is_not_offline_at_once(tmp_path):
    async with stored(tmp_path) as storage:
        an_hour_ago = time.time() - 3600
        await storage.keep_states([("pump-1", 1.0, an_hour_ago, '{"iam": "pump-1"}')])
    async with Hook() as hook, running(tmp_path) as relay:
        for offline in (600, 1):
            rule = {"name": f"after {offline} s", "offline": offline, "webhook": hook.url}
            assert (await post(relay, "/api/alerts", rule))[0] == 201
        await until(lambda: hook.calls)
        assert [call["alert"] for call in hook.calls] == ["after 1 s"]
        assert hook.calls[0]["offline_since"] == int(an_hour_ago)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({}, "name must be"),
        ({"name": "x" * 65}, "name must be"),
        ({"name": "x"}, "either offline or key"),
        ({"name": "x", "offline": 5, "key": "a/b"}, "either offline or key"),
        ({"name": "x", "offline": 0}, "offline must be 1 to"),
        ({"name": "x", "offline": "5"}, "offline must be a number"),
        ({"name": "x", "key": "a/b"}, "has above or below"),
        ({"name": "x", "key": "", "above": 1}, "key must be"),
        ({"name": "x", "key": "a/b", "above": True}, "above must be a number"),
        ({"name": "x", "offline": 5, "devices": "a"}, "devices must be a list"),
        ({"name": "x", "offline": 5, "devices": []}, "1 to 100 patterns"),
        ({"name": "x", "offline": 5, "webhook": "ftp://a"}, "webhook must be a URL"),
        ({"name": "x", "offline": 5, "webhook": "http://[a"}, "webhook must be a URL"),
        ({"name": "x", "offline": 5, "colour": 1}, "a rule has no colour"),
    ],
)
async def test_alerts_that_can_not_be(rule, text):
    async with running() as relay:
        status, answer = await post(relay, "/api/alerts", rule)
        assert status == 400 and text in answer["error"]


async def test_only_admins_and_only_ones_own_devices(tmp_path):
    token = order(tmp_path, "page-token", "chart", "--devices", "pump-1", "--verbs", "GET")
    async with running(tmp_path) as relay:
        async with (
            connect(device_uri(relay), **V1) as pump,
            connect(device_uri(relay, "tank-1"), **V1) as tank,
        ):
            await state(pump)
            await state(tank)
            await until(lambda: all(each.state for each in relay.exchange.devices.values()))

            async def asked(path, method="GET", **values):
                headers = {"Authorization": f"Bearer {token}"}
                async with aiohttp.ClientSession(headers=headers) as session:
                    async with session.request(method, web(relay, path), **values) as response:
                        return response.status, await response.json()

            _, listed = await asked("/api/devices")
            assert [line["name"] for line in listed["devices"]] == ["pump-1"]
            assert (await asked("/api/me"))[1]["admin"] is False
            uri = page_uri(relay, "api/live") + f"?token={token}"
            async with connect(uri) as live:
                assert [line["name"] for line in (await told(live))["devices"]] == ["pump-1"]
            for path, method in (
                ("/api/alerts", "GET"),
                ("/api/alerts", "POST"),
                ("/api/alerts/1", "DELETE"),
                ("/api/audit", "GET"),
                ("/api/devices/pump-1", "DELETE"),
                ("/api/devices/pump-1/groups", "PUT"),
                ("/api/devices/tank-1/state", "GET"),
                ("/api/devices/tank-1/history", "GET"),
                ("/api/devices/tank-1/history/a/b.csv", "GET"),
                ("/api/devices/tank-1/waiting", "GET"),
                ("/api/devices/pump-1/waiting/1", "DELETE"),
                ("/d/tank-1/", "GET"),
                ("/d/tank-1/api/state", "GET"),
                ("/d/tank-1/api/history/a/b", "GET"),
            ):
                assert (await asked(path, method, data="{}"))[0] == 403, path
            for path, body in (
                ("/api/devices/pump-1/command", ["CMD", "reboot"]),
                ("/api/devices/pump-1/command?wait=60", ["CMD", "reboot"]),
                ("/api/push", {"devices": ["pump-1"], "request": ["CMD", "reboot"]}),
            ):
                status, answer = await asked(path, "POST", json=body)
                assert status == 403 and answer["error"] == "chart may not CMD reboot"
            headers = {"Authorization": f"Bearer {token}"}
            async with aiohttp.ClientSession(headers=headers) as session:
                body = {"devices": ["tank-1"], "request": ["GET", "hal"]}
                async with session.post(web(relay, "/api/push"), json=body) as response:
                    result = await response.json(content_type=None)
            assert result == {"device": "tank-1", "error": "tank-1 is not known"}


async def test_the_devices_own_page_by_the_relay(make_image):
    async with running() as relay:
        home = {"host": "127.0.0.1", "port": relay.device_port}
        image = make_image(
            files={"network.json": {"device": {"iam": "pump-1"}}, "app.json": {"home": home}}
        )
        async with Page(image.ws) as page:
            await page.reaches({"home/connected": True})
        # The same bytes, and by the same headers.
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            async with session.get(image.http + "/") as own:
                page = await own.read()
            async with session.get(web(relay, "/d/pump-1/")) as response:
                assert await response.read() == page
                for name in ("Content-Type", "Content-Encoding", "ETag", "Cache-Control"):
                    assert response.headers[name] == own.headers[name]
                etag = response.headers["ETag"]
            headers = {"If-None-Match": etag}
            async with session.get(web(relay, "/d/pump-1/"), headers=headers) as response:
                assert response.status == 304
            headers = {"Accept-Encoding": "identity"}
            async with session.get(web(relay, "/d/pump-1/"), headers=headers) as response:
                assert "Content-Encoding" not in response.headers
                assert b"<!doctype html>" in await response.read()
            async with session.get(web(relay, "/d/pump-1"), allow_redirects=False) as response:
                assert response.headers["Location"] == "/d/pump-1/"
        _, found = await get(relay, "/d/pump-1/api/state")
        assert found["iam"] == "pump-1" and math.isfinite(found["uptime"])
        path = "/d/pump-1/api/command"
        assert (await post(relay, path, ["GET", "hal"]))[1]["hal"][0]["name"] == "fake_interface"
        status, answer = await post(relay, path, ["CMD", "start_interface", ["none"]])
        assert (status, answer) == (400, {"error": "unknown interface 'none'"})
        assert (await get(relay, "/d/pump-1/api/session"))[1]["authenticated"] is True
        for path in ("/d/pump-1/api/backup", "/d/pump-1/static/none.js", "/nothing"):
            assert (await get(relay, path))[0] == 404
        async with connect(page_uri(relay, "d/pump-1/ws")) as page:
            assert (await told(page))["iam"] == "pump-1"
            image.kill()
            with pytest.raises(Exception, match="1013"):
                while True:
                    await page.recv()
        async with connect(page_uri(relay, "d/pump-1/ws")) as page:
            with pytest.raises(Exception, match="pump-1 is not connected"):
                await page.recv()
        assert (await get(relay, "/d/pump-1/api/state"))[0] == 503
