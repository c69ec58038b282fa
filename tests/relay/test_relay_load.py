"""The small edition of `make bench-relay`: 200 devices and 40 pages, none misses anything."""

import asyncio
import json
import sys

from relays import running, until
from support import ROOT

sys.path.insert(0, str(ROOT / "bench"))

from relay_load import connect, many, state

DEVICES = 200
PAGES = 40
MESSAGES = 50


async def test_a_fleet_and_its_pages():
    async with running(device_rate=0, page_rate=0) as relay:
        devices = await many(
            DEVICES, 20, lambda n: connect(relay.device_port, f"/device-{n}", "websock.v1")
        )
        for n, peer in enumerate(devices):
            peer.send(state(f"device-{n}"))
        await until(lambda: all(each.state for each in relay.exchange.devices.values()))
        assert len(relay.exchange.devices) == DEVICES
        got = {}

        def take(peer, payload):
            got.setdefault(peer, []).append(json.loads(payload))

        pages = await many(
            PAGES, 20, lambda n: connect(relay.page_port, f"/device-{n}", take=take)
        )
        await until(lambda: len(got) == PAGES)
        for number in range(MESSAGES):
            for n, peer in enumerate(devices):
                peer.send(json.dumps({"tank/value": [n, number]}).encode())
            await asyncio.sleep(0)
        await until(lambda: all(len(each) == MESSAGES + 1 for each in got.values()))
        for n, page in enumerate(pages):
            first, *rest = got[page]
            assert first["iam"] == f"device-{n}" and len(first) == 40
            assert [each["tank/value"] for each in rest] == [[n, i] for i in range(MESSAGES)]
        # All leave at once, and what they held is given back but for their last states.
        for peer in (*devices, *pages):
            peer.transport.abort()
        await until(lambda: not list(relay.exchange.connected()))
        assert not any(each.pages for each in relay.exchange.devices.values())
