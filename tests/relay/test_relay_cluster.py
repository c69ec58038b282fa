"""Several relays on NATS: to devices and pages they are one, also when some of them end."""

import asyncio
import contextlib
import json
import random
import signal
import subprocess

import nats
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

import relays
from nats_servers import NatsServer, clear, one_server, three_servers
from relay import cluster, jetstream
from relays import COMMAND, Hook, device_uri, get, order, page_uri, post, running, told, until
from support import DEADLINE, ROOT, free_port

V1 = {"subprotocols": ["websock.v1"]}
PATH = "/api/devices/pump-1/command"


@pytest.fixture
def servers(nats_server, tmp_path):
    """The address of a server that keeps nothing yet."""
    asyncio.run(clear(nats_server.url))
    relays.NATS[:] = [nats_server.url]
    yield [nats_server.url]
    relays.NATS.clear()


@contextlib.asynccontextmanager
async def several(count, **settings):
    """Relays that know each other."""
    async with contextlib.AsyncExitStack() as stack:
        found = [await stack.enter_async_context(running(**settings)) for _ in range(count)]
        await until(lambda: all(each.relay._cluster.others() == count - 1 for each in found))
        yield found


def where(relay, name="pump-1"):
    """Whether a relay has a device: "here", "elsewhere" or None."""
    device = relay.exchange.devices.get(name)
    if device is None or device.link is None:
        return None
    return "elsewhere" if device.remote else "here"


async def reaches(page, keys):
    """Read until a page has been told all of some keys; gives all that it was told."""
    found = {}
    while any(found.get(key) != value for key, value in keys.items()):
        found.update(await told(page))
    return found


class Pump:
    """A device that comes back by itself, to any of several ports, and does each command once.

    done: what it was asked, in order.
    """

    def __init__(self, ports, name="pump-1"):
        self.ports = ports
        self.name = name
        self.done = []
        self._last = None
        self._task = asyncio.create_task(self._run())

    async def _run(self):
        while True:
            port = random.choice(self.ports)
            with contextlib.suppress(OSError, InvalidHandshake, ConnectionClosed, TimeoutError):
                async with asyncio.timeout(5):
                    connection = await connect(
                        f"ws://127.0.0.1:{port}/{self.name}", ping_interval=2, **V1
                    )
                async with connection:
                    await connection.send(json.dumps({"uptime": 1, "iam": self.name}))
                    async for message in connection:
                        *request, number = json.loads(message)
                        if number != self._last:
                            self._last = number
                            self.done.append(request[2][0])
                        await connection.send(json.dumps({"id": number, "done": request[2]}))
            await asyncio.sleep(0.2)

    async def stop(self):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def test_pages_of_one_relay_have_devices_of_another(servers):
    async with several(3) as (one, two, three):
        async with connect(device_uri(one), **V1) as pump:
            await pump.send('{"uptime": 5, "iam": "pump-1", "tank/value": 7}')
            await until(lambda: where(two) == where(three) == "elsewhere")
            async with (
                connect(page_uri(two), **V1) as page,
                connect(page_uri(two)) as classic,
                connect(page_uri(three), **V1) as third,
            ):
                await reaches(page, {"relay/connected": True, "tank/value": 7})
                await reaches(third, {"relay/connected": True, "tank/value": 7})
                await pump.send('{"tank/value": 8}')
                for each in (page, third, classic):
                    await reaches(each, {"tank/value": 8})
                # Answers go to who asked, though all ask with the same id.
                for each in (page, classic, third):
                    await each.send('["GET", "hal", [], 1]')
                numbers = [(await told(pump))[3] for _ in range(3)]
                assert len(set(numbers)) == 3
                for number in reversed(numbers):
                    await pump.send(json.dumps({"id": number, "hal": [number]}))
                answers = [await told(each) for each in (page, classic, third)]
                assert all(each["id"] == 1 for each in answers)
                assert {each["hal"][0] for each in answers} == set(numbers)
                await pump.send('{"tank/value": 9}')
                for each in (page, third, classic):
                    assert await told(each) == {"tank/value": 9}
                # By REST, and on the device's own page.
                asking = asyncio.create_task(post(three, PATH, ["CMD", "x"]))
                *_, number = await told(pump)
                await pump.send(json.dumps({"id": number, "error": "no"}))
                assert await asking == (400, {"error": "no"})
                _, found = await get(three, "/d/pump-1/api/state")
                assert found["tank/value"] == 9
                _, listed = await get(two, "/api/devices")
                assert [line["connected"] for line in listed["devices"]] == [True]
                await pump.close()
                for each in (page, third):
                    await reaches(each, {"relay/connected": False})
        # Its last state is known to all.
        await until(lambda: two.exchange.devices["pump-1"].state.keys().get("tank/value") == 9)


async def test_devices_and_pages_of_the_example(servers):
    async with several(2) as (one, two), connect(device_uri(one)) as pump:
        await until(lambda: where(two) == "elsewhere")
        async with connect(page_uri(two)) as page:
            await page.send("anything")
            assert await pump.recv() == "anything"
            await page.send(b"\x00\xff")
            assert await pump.recv() == b"\x00\xff"
            await pump.send("an answer")
            assert await page.recv() == "an answer"
            await pump.send(b"\xff\x00")
            assert await page.recv() == b"\xff\x00"


async def test_a_device_that_comes_to_another_relay_takes_over(servers):
    async with several(2) as (one, two):
        async with connect(device_uri(one), **V1) as first:
            await until(lambda: where(two) == "elsewhere")
            async with connect(page_uri(one), **V1) as page, connect(device_uri(two)) as second:
                with pytest.raises(ConnectionClosed):
                    await first.recv()
                assert first.close_code == 4000
                await until(lambda: where(one) == "elsewhere" and where(two) == "here")
                # The end of the first doesn't unregister the second.
                await asyncio.sleep(1.5)
                assert where(one) == "elsewhere"
                await second.send('{"tank/value": 1}')
                await reaches(page, {"tank/value": 1})
        await until(lambda: where(one) is where(two) is None)


async def test_a_device_that_leaves_while_its_coming_is_written_is_gone(servers, monkeypatch):
    left, come, gone = asyncio.Event(), asyncio.Event(), asyncio.Event()
    set_presence = jetstream.JetStream.set_presence
    clear_presence = jetstream.JetStream.clear_presence

    async def late(self, *arguments):
        await left.wait()
        revision = await set_presence(self, *arguments)
        come.set()
        return revision

    async def cleared(self, *arguments):
        await clear_presence(self, *arguments)
        gone.set()

    async with several(2) as (one, two):
        monkeypatch.setattr(jetstream.JetStream, "set_presence", late)
        monkeypatch.setattr(jetstream.JetStream, "clear_presence", cleared)
        async with connect(device_uri(one), **V1):
            await until(lambda: where(one) == "here")
        await until(lambda: where(one) is None)
        left.set()
        await until(lambda: come.is_set() and gone.is_set())
        written = two.relay._storage.presence
        await until(lambda: not written.values and where(two) is None)


async def test_commands_wait_at_all_relays_at_once(servers):
    async with several(2) as (one, two):
        for n in range(4):
            relay = (one, two)[n % 2]
            status, _ = await post(relay, PATH + "?wait=60", ["CMD", "send_message", [n]])
            assert status == 202
        async with connect(page_uri(two), **V1) as page:
            await page.send('["CMD", "send_message", [4], "mine", {"wait": 60}]')
            await reaches(page, {"id": "mine"})
            async with connect(device_uri(one), **V1) as pump:
                for n in range(5):
                    *request, number = await told(pump)
                    assert request == ["CMD", "send_message", [n]]
                    await pump.send(json.dumps({"id": number, "n": n}))
                await reaches(page, {"id": "mine", "n": 4, "delivered": True})
                await until(lambda: one.deliveries.total == two.deliveries.total == 0)
                # Who waits by REST at one for a device that is at the other.
                asking = asyncio.create_task(post(two, PATH + "?wait=60", ["CMD", "x"]))
                *_, number = await told(pump)
                await pump.send(json.dumps({"id": number, "done": 1}))
                assert await asking == (200, {"done": 1, "delivered": True})
        _, made = await post(one, PATH + "?wait=60", ["CMD", "y"])
        path = f"/api/devices/pump-1/waiting/{made['waiting']}"
        await until(lambda: two.deliveries.total == 1)
        assert await post(two, path, method="DELETE") == (200, {})
        await until(lambda: one.deliveries.total == 0)


async def test_who_may_what_is_the_same_everywhere(servers, tmp_path):
    made = await asyncio.to_thread(order, tmp_path, "device-token", "pump-1")
    token = json.loads(made.splitlines()[-1].removeprefix("secrets.json: "))["home/token"]
    bearer = {"additional_headers": {"Authorization": f"Bearer {token}"}}
    async with several(2, open_devices=False) as (one, two):
        for relay in (one, two):
            async with connect(device_uri(relay), **bearer):
                pass
        async with connect(device_uri(two), **bearer) as pump:
            await asyncio.to_thread(order, tmp_path, "device-revoke", "pump-1")
            with pytest.raises(ConnectionClosed):
                await pump.recv()
            assert pump.close_code == 1008
        await post(one, "/api/devices/pump-1/groups", {"groups": ["east"]}, "PUT")
        await until(lambda: two.relay._fleet.groups == {"pump-1": ["east"]})


async def test_an_alert_is_told_by_one(servers):
    async with Hook() as hook, several(3) as (one, two, three):
        rules = (
            {"name": "lost", "offline": 1, "webhook": hook.url},
            {"name": "high", "key": "tank/value", "above": 5, "webhook": hook.url},
        )
        for rule in rules:
            assert (await post(one, "/api/alerts", rule))[0] == 201
        await until(lambda: all(len(each.relay._alerts.rules) == 2 for each in (one, two, three)))
        async with connect(device_uri(two), **V1) as pump:
            await pump.send('{"uptime": 1, "iam": "pump-1", "tank/value": 9}')
            await until(lambda: len(hook.calls) == 1)
            await until(lambda: all(each.relay._alerts.firing for each in (one, two, three)))
        await until(lambda: len(hook.calls) == 2)
        await asyncio.sleep(2.5)
        assert [(call["alert"], call["fires"]) for call in hook.calls] == [
            ("high", True),
            ("lost", True),
        ]
        # Another takes over, and ends what the first had said.
        async with connect(device_uri(three), **V1) as pump:
            await pump.send('{"uptime": 1, "iam": "pump-1", "tank/value": 1}')
            await until(lambda: len(hook.calls) == 4)
            await asyncio.sleep(1.5)
            ended = sorted((call["alert"], call["fires"]) for call in hook.calls[2:])
            assert ended == [("high", False), ("lost", False)]
            assert len(hook.calls) == 4


async def test_a_relay_that_is_killed(servers, make_relay):
    one, two = make_relay("--open-devices"), make_relay("--open-devices")
    pump = Pump([one.device_port])
    async with connect(page_uri(two), **V1) as page:
        await reaches(page, {"relay/connected": True})
        one.kill()
        assert (await post(two, PATH + "?wait=60", ["CMD", "x", [1]]))[0] in (200, 202)
        await reaches(page, {"relay/connected": False})
        pump.ports = [two.device_port]
        await reaches(page, {"relay/connected": True})
        await until(lambda: pump.done == [1])
    await pump.stop()


async def acknowledged(relay, count, name="pump-1", pause=0.0):
    """Have commands wait; those of which the relay says that it has kept them."""
    kept = []
    for n in range(count):
        try:
            path = f"/api/devices/{name}/command?wait=600"
            status, _ = await post(relay, path, ["CMD", "x", [f"{relay.page_port}-{n}"]])
        except OSError:
            status = None
        if status in (200, 202):
            kept.append(f"{relay.page_port}-{n}")
        await asyncio.sleep(pause)
    return kept


def in_order(done, kept):
    """Whether all that was kept has been done, each once, those of one sender in their order."""
    ours = [each for each in done if each in set(kept)]
    return ours == kept


@pytest.fixture
def cluster_of_three():
    """Three servers of NATS that each have a copy of all."""
    with three_servers() as servers:
        relays.NATS[:] = [server.url for server in servers]
        yield servers
        relays.NATS.clear()


TEST_DEADLINE = 240


async def test_servers_and_relays_are_killed_under_load(cluster_of_three, make_relay):
    edges = [
        make_relay("--open-devices", "--waiting-max", "1000", "--answer-s", "2") for _ in range(3)
    ]
    pump = Pump([each.device_port for each in edges])
    other = Pump([each.device_port for each in edges], "fan-1")
    asking = [
        asyncio.create_task(acknowledged(each, 30, name, 0.1))
        for each in edges[:2]
        for name in ("pump-1", "fan-1")
    ]
    await asyncio.sleep(1)
    cluster_of_three[0].kill()
    await asyncio.sleep(3)
    edges[2].kill()
    await asyncio.sleep(1)
    cluster_of_three[0].start()
    kept = await asyncio.gather(*asking)
    assert all(kept)
    for number, device in enumerate((pump, other, pump, other)):
        try:
            await until(lambda d=device, k=kept[number]: set(k) <= set(d.done), 60)
        except TimeoutError:
            missing = sorted(set(kept[number]) - set(device.done))
            pytest.fail(f"{device.name} has not done {missing}, but {device.done}")
        assert in_order(device.done, kept[number])
        assert len(set(device.done)) == len(device.done)
    await asyncio.gather(pump.stop(), other.stop())


async def test_relays_are_restarted_one_after_another(servers, make_relay):
    edges = []
    for _ in range(2):
        ports = ("--device-port", free_port(), "--page-port", free_port())
        edges.append(make_relay("--open-devices", "--waiting-max", "1000", *ports))
    pump = Pump([each.device_port for each in edges])
    kept = []
    for edge in edges:
        stays = next(each for each in edges if each is not edge)
        asking = asyncio.create_task(acknowledged(stays, 20, pause=0.05))
        await asyncio.sleep(0.3)
        edge.process.send_signal(signal.SIGTERM)
        _, errors = await asyncio.to_thread(edge.process.communicate, timeout=DEADLINE)
        assert edge.process.returncode == 0 and "Traceback" not in errors
        edge.start()
        kept.append(await asking)
    assert all(len(each) == 20 for each in kept)
    await until(lambda: set(kept[0] + kept[1]) <= set(pump.done))
    assert all(in_order(pump.done, each) for each in kept)
    await pump.stop()


async def test_an_edge_goes_on_for_its_own_without_nats(monkeypatch):
    monkeypatch.setattr(jetstream, "PATIENCE", 1.0)
    with contextlib.ExitStack() as stack:
        server = await asyncio.to_thread(lambda: stack.enter_context(one_server()))
        stack.callback(relays.NATS.clear)
        relays.NATS[:] = [server.url]
        async with several(2) as (one, two), connect(device_uri(one), **V1) as pump:
            await pump.send('{"uptime": 5, "iam": "pump-1", "tank/value": 7}')
            await until(lambda: where(two) == "elsewhere")
            async with connect(page_uri(one)) as page, connect(page_uri(two), **V1) as far:
                await reaches(page, {"tank/value": 7})
                await reaches(far, {"tank/value": 7})
                server.kill()
                await reaches(far, {"relay/connected": False})
                await pump.send('{"tank/value": 8}')
                await reaches(page, {"tank/value": 8})
                await page.send('["GET", "hal", [], 1]')
                *_, number = await told(pump)
                await pump.send(json.dumps({"id": number, "hal": []}))
                assert await told(page) == {"id": 1, "hal": []}
                # What has to be kept is refused, and nobody is told anything else.
                await page.send('["CMD", "x", [], 2, {"wait": 60}]')
                refused = await told(page)
                assert refused["id"] == 2 and "NATS keeps nothing now" in refused["error"]
                assert (await get(one, "/health"))[0] == 503
                assert (await post(one, PATH + "?wait=60", ["CMD", "x"]))[0] == 507
                server.start()
                await reaches(far, {"relay/connected": True, "tank/value": 8})
                await pump.send('{"tank/value": 9}')
                await reaches(far, {"tank/value": 9})
                await until(lambda: where(two) == "elsewhere")
                await page.send('["CMD", "y", [], 3, {"wait": 60}]')
                while (await told(page)).get("id") != 3:
                    pass
                *request, number = await told(pump)
                assert request[1] == "y"


class Cable:
    """What is between a relay and a server, to be cut: nothing passes then, and nobody is told."""

    def __init__(self, port):
        self._to = port
        self.cut = False
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.url = f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exception):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _join(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        try:
            await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        finally:
            writer.close()
            far_writer.close()

    async def _pass(self, reader, writer):
        while data := await reader.read(65536):
            while self.cut:
                await asyncio.sleep(0.05)
            writer.write(data)
            await writer.drain()
        writer.close()


async def test_a_network_that_is_cut(servers, monkeypatch):
    monkeypatch.setattr(jetstream, "PATIENCE", 1.0)
    port = int(servers[0].rpartition(":")[2])
    async with Cable(port) as cable, running() as two, running(nats=(cable.url,)) as one:
        await until(lambda: two.relay._cluster.others() == one.relay._cluster.others() == 1)
        async with connect(device_uri(one), **V1) as pump, connect(page_uri(two), **V1) as far:
            await pump.send('{"uptime": 5, "iam": "pump-1", "tank/value": 7}')
            await reaches(far, {"relay/connected": True, "tank/value": 7})
            cable.cut = True
            # To the others, it is gone; and the device, which is still there, is found elsewhere.
            await reaches(far, {"relay/connected": False})
            status, _ = await post(two, PATH + "?wait=600", ["CMD", "x", [1]])
            assert status == 202
            async with connect(page_uri(one)) as near:
                await pump.send('{"tank/value": 8}')
                await reaches(near, {"tank/value": 8})
            async with connect(device_uri(two), **V1) as moved:
                await moved.send('{"uptime": 6, "iam": "pump-1", "tank/value": 9}')
                *request, number = await told(moved)
                assert request == ["CMD", "x", [1]]
                await moved.send(json.dumps({"id": number}))
                await reaches(far, {"relay/connected": True, "tank/value": 9})
                await until(lambda: two.deliveries.total == 0)
                cable.cut = False
                # The later connection counts, and nothing is delivered twice.
                with pytest.raises(ConnectionClosed):
                    while True:
                        assert "CMD" not in await told(pump)
                assert pump.close_code == 4000
                await until(lambda: where(one) == "elsewhere" and where(two) == "here")
                assert one.deliveries.total == 0


def failing(*arguments):
    """What a relay says that can't start."""
    done = subprocess.run(
        [*COMMAND, "--device-port", "0", "--page-port", "0", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert "Traceback" not in done.stderr and done.returncode == 1
    return done.stderr


def test_a_nats_server_that_is_not_there(tmp_path):
    url = f"nats://127.0.0.1:{free_port()}"
    assert f"relay: NATS at {url} can't be reached: " in failing("--nats", url)
    assert "can't be reached" in failing("--nats", "nats://nowhere.invalid:4222")
    assert "can't be reached" in failing("--nats", "nonsense://x:y")


def test_a_nats_server_that_keeps_nothing(tmp_path):
    server = NatsServer(tmp_path)
    text = (tmp_path / "one.conf").read_text().splitlines()
    (tmp_path / "one.conf").write_text("\n".join(each for each in text if "jetstream" not in each))
    server.start()
    try:
        assert "no JetStream answers (nats-server -js)" in failing("--nats", server.url)
    finally:
        server.kill()


def test_more_than_a_server_has_room_for(servers):
    message = failing("--nats", servers[0], "--data-max", str(1 << 50))
    assert f"data_max, {1 << 50} bytes, is more than it has" in message


async def test_what_no_relay_says_ends_none(servers):
    async with several(2) as (one, two), connect(device_uri(one), **V1) as pump:
        client = await nats.connect(servers[0])
        subjects = [cluster.ALL, cluster.ONE + one.relay._cluster.edge]
        for subject in subjects:
            for payload in (b"", b"\n", b"[]", b"{}", b"null", b'["x","in","pump-1",false]\n{'):
                await client.publish(subject, payload)
            for kind in ("in", "out", "look", "looks", "unlook", "delivered", "nonsense"):
                for body in (b"", b"[1]", b"\xff", b"[[[["):
                    head = json.dumps(["stranger", kind, "pump-1", False]).encode()
                    await client.publish(subject, head + b"\n" + body)
        await client.flush()
        await until(lambda: where(two) == "elsewhere")
        async with connect(page_uri(two), **V1) as page:
            await reaches(page, {"relay/connected": True})
            await pump.send('{"tank/value": 1}')
            await reaches(page, {"tank/value": 1})
        # A stranger that says nothing more is taken for gone.
        await until(lambda: one.relay._cluster.others() == 1)
        await client.close()


async def test_a_relay_that_starts_beside_the_others_knows_all(servers):
    async with running() as one, connect(device_uri(one), **V1) as pump:
        await pump.send('{"uptime": 5, "iam": "pump-1", "tank/value": 7}')
        await until(lambda: one.exchange.devices["pump-1"].state)
        await one.relay._fleet.save()
        await post(one, "/api/devices/pump-2/command?wait=60", ["CMD", "x"])
        async with running() as two:
            await until(lambda: where(two) == "elsewhere")
            assert two.exchange.devices["pump-1"].state.keys()["tank/value"] == 7
            assert two.deliveries.total == 1
            _, health = await get(two, "/health")
            assert health == {"status": "ok"}
        # It leaves in order: its end is not a death.
        await until(lambda: one.relay._cluster.others() == 0, 3)
