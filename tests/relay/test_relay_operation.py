"""What who runs the relay sees: metrics, health, logs, a database that is full."""

import asyncio
import json
import time

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect

from relays import device_uri, get, order, page_uri, post, running, told, until, web

V1 = {"subprotocols": ["websock.v1"]}


async def figures(relay):
    async with aiohttp.ClientSession() as session:
        async with session.get(web(relay, "/metrics")) as response:
            assert response.status == 200
            assert response.headers["Content-Type"].startswith("text/plain; version=")
            text = await response.text()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_metrics():
    async with running(answer_s=0.2) as relay:
        async with connect(device_uri(relay), **V1) as pump, connect(page_uri(relay)) as page:
            await page.send('["GET", "hal"]')
            await told(pump)
            await told(page)  # that there was no answer
            await pump.send('{"a/b": 1}')
            await told(page)
            await post(relay, "/api/devices/pump-2/command?wait=60", ["CMD", "x"])
            found = await figures(relay)
    assert found["relay_devices_connected",] == 1
    assert found["relay_pages",] == 1
    assert found["relay_messages_total", "device"] == 1
    assert found["relay_messages_total", "page"] == 1
    assert found["relay_unanswered_total",] == 1
    assert found["relay_waiting",] == 1
    assert found["relay_slow_total",] == found["relay_store_errors_total",] == 0
    assert found["process_resident_memory_bytes",] > 1e6


async def test_a_full_database_stops_nothing_that_passes(tmp_path):
    async with running(tmp_path, data_max=1 << 20, waiting_max=1000, max_message=1 << 20) as relay:
        assert await get(relay, "/health") == (200, {"status": "ok"})
        async with connect(device_uri(relay), **V1) as pump, connect(page_uri(relay)) as page:
            status, kept = 202, 0
            while status == 202:
                body = ["CMD", "x", ["y" * 50_000]]
                status, answer = await post(relay, "/api/devices/away/command?wait=60", body)
                kept += status == 202
            assert (status, answer) == (507, {"error": "the relay can't keep this now"})
            async with connect(page_uri(relay, "away"), **V1) as other:
                await told(other)
                await other.send(json.dumps([*body, 7, {"wait": 60}]))
                answer = await told(other)
                assert answer["id"] == 7 and "full" in answer["error"]
            await page.send('["GET", "hal"]')
            *_, number = await told(pump)
            await pump.send(json.dumps({"id": number, "hal": []}))
            assert await told(page) == {"hal": []}
            assert (await figures(relay))["relay_store_errors_total",] >= 2
            # What was acknowledged is delivered, and makes room.
            async with connect(device_uri(relay, "away"), **V1) as away:
                for _ in range(kept):
                    *_, number = await told(away)
                    await away.send(json.dumps({"id": number}))
            await until(lambda: relay.deliveries.total == 0)
            status, _ = await post(relay, "/api/devices/away/command?wait=60", body)
            assert status == 202


async def test_health_says_that_the_database_fails(tmp_path):
    async with running(tmp_path) as relay:
        relay.relay._storage.store.close()
        status, answer = await get(relay, "/health")
        assert (status, answer) == (503, {"status": "the database fails"})


def test_the_log_is_json_and_rotates(tmp_path, make_relay):
    log = tmp_path / "relay.log"
    settings = ("--log-file", log, "--log-format", "json", "--log-size", 10_000)
    program = make_relay(*settings)

    async def come_and_go():
        for _ in range(120):
            async with connect(device_uri(program, "x" * 100)):
                pass

    asyncio.run(come_and_go())
    program.kill()
    assert (tmp_path / "relay.log.1").stat().st_size <= 10_000
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["level"] for line in lines} == {"INFO"}
    assert lines[-1]["message"].startswith("device ")
    assert lines[-1]["time"].startswith(time.strftime("%Y-", time.gmtime()))


async def test_a_backup_of_a_relay_that_runs_is_what_another_goes_on_with(tmp_path):
    async with running(tmp_path / "one") as relay:
        await post(relay, "/api/devices/pump-1/command?wait=600", ["CMD", "x"])
        (tmp_path / "two").mkdir()
        copy = tmp_path / "two" / "relay.sqlite3"
        await asyncio.to_thread(order, tmp_path / "one", "backup", copy)
    async with running(tmp_path / "two") as relay, connect(device_uri(relay), **V1) as pump:
        assert (await told(pump))[1] == "x"


def test_a_backup_is_its_owners_alone(tmp_path):
    order(tmp_path, "user", "ann", "--admin", text="correct horse battery\n")
    copy = tmp_path / "copy" / "relay.sqlite3"
    copy.parent.mkdir()
    order(tmp_path, "backup", str(copy))
    assert copy.stat().st_mode & 0o777 == 0o600
    # It is a database to go on with.
    assert order(copy.parent, "users") == "ann: GET,CMD of *, admin"
    for path in ("/nowhere/file", str(copy)):
        with pytest.raises(AssertionError, match=f"{path} can't be written"):
            order(tmp_path, "backup", path)
