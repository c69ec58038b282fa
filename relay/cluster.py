"""The relays of a cluster: each has the connections of some devices and pages, and passes on by
NATS what is for those of the others.

To a relay, a device that is connected to another is one whose `Link` leads there, and a relay
whose pages look at a device is one page more of it. Who is connected where is in a bucket: the
last that was written there is the connection that counts, as within one relay. What passes is not
kept; after a gap, the whole state is sent again.
"""

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections import deque

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from relay import wire
from relay.alerts import Alerts
from relay.deliveries import Deliveries
from relay.exchange import Device, Exchange, Message, Page
from relay.fleet import Fleet
from relay.grants import ANYBODY
from relay.jetstream import JetStream, decoded, state_of
from relay.store import StoreError

ALL = "relay.all"
ONE = "relay.edge."

# Seconds from one sign of life to the next, and without one until a relay is taken for dead.
BEAT = 1.0
DEAD = 5.0

# Seconds from one list of what is looked at to the next, and until what is in none is looked at no
# more; names in one message, of which NATS' own limit is 1 MiB.
LOOK = 5.0
LOOKED = 15.0
NAMES_MAX = 2_000

# Seconds that a relay takes to tell the others that it leaves.
LEAVE_TIMEOUT = 2

# Bytes that wait to be sent to the other relays; what is beyond is lost, and made up for by the
# whole state.
OUT_MAX = 32 << 20

# Changes of who is connected that are written at a time.
AT_A_TIME = 256

log = logging.getLogger("relay")


class RemoteLink:
    """The `exchange.Link` to a device that is connected to another relay."""

    __slots__ = ("_cluster", "_device", "edge")

    def __init__(self, cluster: "Cluster", edge: str, device: str) -> None:
        self._cluster = cluster
        self._device = device
        self.edge = edge

    def send(self, message: Message) -> None:
        self._cluster.send(self.edge, "in", self._device, message)

    def close(self, code: int, reason: str) -> None:
        # The other relay learns from the bucket that it has been taken over.
        pass


class EdgeLink:
    """The `exchange.Link` to another relay whose pages look at a device of this one."""

    __slots__ = ("_cluster", "_device", "_edge")

    def __init__(self, cluster: "Cluster", edge: str, device: str) -> None:
        self._cluster = cluster
        self._device = device
        self._edge = edge

    def send(self, message: Message) -> None:
        self._cluster.send(self._edge, "out", self._device, message)

    def close(self, code: int, reason: str) -> None:
        # Its pages learn from the bucket that the device is gone.
        pass


class Cluster:
    """One relay's part.

    Args:
        exchange, fleet, deliveries, alerts: of this relay.
        storage: what they share.

    Attributes:
        edge: this relay's name among them, a new one at each start.
    """

    def __init__(
        self,
        exchange: Exchange,
        storage: JetStream,
        fleet: Fleet,
        deliveries: Deliveries,
        alerts: Alerts,
    ) -> None:
        self.edge = secrets.token_hex(6)
        self._exchange = exchange
        self._storage = storage
        self._client = storage.client
        self._fleet = fleet
        self._deliveries = deliveries
        self._alive: dict[str, float] = {}
        # By devices anywhere: the relay that has said to have it, since when, whether it has ids,
        # and the revision by which it did.
        self._where: dict[str, tuple[str, float, bool, int]] = {}
        # Devices here: those whose place in the bucket has to be looked at, and its revision.
        self._unsaid: dict[str, None] = {}
        self._said: dict[str, int] = {}
        # By devices here: the relays that look at them, and until when.
        self._looks: dict[str, dict[str, tuple[Page, float]]] = {}
        self._unknown: dict[str, float] = {}
        self._looked_at = 0.0
        self._out: deque[tuple[str, bytes]] = deque()
        self._size = 0
        self._gap = False
        self._news = asyncio.Event()
        self._changes = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        exchange.watch(self)
        exchange.on_pages = self._pages_changed
        deliveries.on_delivered = self._tell_delivered
        alerts.leads = self.leads

    async def start(self) -> None:
        """Join the others."""
        states, presence = self._storage.last_states, self._storage.presence
        states.on_put = lambda key, value, revision: self._state_put(key, value)
        states.on_delete = lambda key: self._fleet.unlearn(decoded(key))
        presence.on_put = self._presence_put
        presence.on_delete = self._absent
        for key, (value, revision) in presence.values.items():
            self._presence_put(key, value, revision)
        presence.release()
        self._storage.on_reconnected = self._reconnected
        for subject in (ONE + self.edge, ALL):
            await self._client.subscribe(subject, cb=self._take)
        self._tell_all("hello")
        self._tasks = [asyncio.create_task(work()) for work in (self._beat, self._send, self._say)]
        log.info("relay %s joined the cluster", self.edge)

    async def stop(self) -> None:
        """Leave the others; who was connected here is not any more."""
        if self._tasks:
            await self._say_all(within=LEAVE_TIMEOUT)
            self._tell_all("bye")
            await self._flush()
            with contextlib.suppress(NatsError, OSError):
                await self._client.flush(LEAVE_TIMEOUT)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def leads(self) -> bool:
        """Whether this relay does what one has to do for all."""
        return self._client.is_connected and all(self.edge < edge for edge in self._alive)

    def others(self) -> int:
        """How many other relays there are."""
        return len(self._alive)

    # What passes

    def send(self, edge: str, kind: str, name: str, message: Message = "") -> None:
        """Have another relay take a message about a device; doesn't wait."""
        binary = isinstance(message, bytes)
        body = message if isinstance(message, bytes) else message.encode()
        head = json.dumps([self.edge, kind, name, binary]).encode()
        self._put(ONE + edge, head + b"\n" + body)

    def _tell_all(self, kind: str, name: str = "", body: str = "") -> None:
        head = json.dumps([self.edge, kind, name, False])
        self._put(ALL, f"{head}\n{body}".encode())

    def _put(self, subject: str, payload: bytes) -> None:
        if not self._client.is_connected or self._size > OUT_MAX:
            self._gap = True
            return
        self._out.append((subject, payload))
        self._size += len(payload)
        self._news.set()

    async def _send(self) -> None:
        while True:
            await self._flush()
            self._news.clear()
            await self._news.wait()

    async def _flush(self) -> None:
        while self._out:
            subject, payload = self._out.popleft()
            self._size -= len(payload)
            try:
                await self._client.publish(subject, payload)
            except (NatsError, OSError) as error:
                log.debug("NATS: %s", error)
                self._gap = True

    async def _take(self, message: Msg) -> None:
        try:
            head, _, body = message.data.partition(b"\n")
            edge, kind, name, binary = json.loads(head)
            if edge == self.edge:
                return
            self._take_from(edge, kind, name, body if binary else body.decode())
        except Exception:
            # Of another version, or not a relay's: no reason not to take the next.
            log.exception("a message of another relay can't be taken")

    def _take_from(self, edge: str, kind: str, name: str, message: Message) -> None:
        if kind == "bye":
            self._is_gone(edge)
            return
        self._is_alive(edge)
        if kind == "hello":
            self._tell_all("alive")
        elif kind == "in":
            self._to_device(edge, name, message)
        elif kind == "out":
            self._from_device(edge, name, message)
        elif kind == "look":
            self._look(edge, name, again=True)
        elif kind == "looks":
            for each in json.loads(message):
                self._look(edge, each)
        elif kind == "unlook":
            self._unlook(edge, name)
        elif kind == "delivered":
            keys = json.loads(message) if message else None
            self._deliveries.take_answer(int(name), keys)

    def _to_device(self, edge: str, name: str, message: Message) -> None:
        device = self._here(name)
        if device is None or device.link is None:
            return  # gone meanwhile: the other relay learns it from the bucket
        if not device.numbered:
            device.link.send(message)
            return
        request = wire.parse(message)

        def answered(keys: wire.Keys | None) -> None:
            if keys is not None:
                self.send(edge, "out", name, wire.answer(request.number, keys))

        self._exchange.ask(name, request, answered)

    def _from_device(self, edge: str, name: str, message: Message) -> None:
        device = self._exchange.devices.get(name)
        link = None if device is None else device.link
        if isinstance(link, RemoteLink) and link.edge == edge:
            self._exchange.from_device(name, link, message)

    def _tell_delivered(self, number: int, keys: wire.Keys | None) -> None:
        self._tell_all("delivered", str(number), "" if keys is None else wire.dumps(keys))

    # Who looks at which devices of another relay

    def _pages_changed(self, device: Device) -> None:
        if isinstance(device.link, RemoteLink):
            self.send(device.link.edge, "look" if device.pages else "unlook", device.name)

    def _look(self, edge: str, name: str, again: bool = False) -> None:
        device = self._here(name)
        if device is None:
            return
        if again:
            self._unlook(edge, name)
        looks = self._looks.setdefault(name, {})
        page, _ = looks.get(edge, (None, 0))
        if page is None:
            # It is told the whole state, and no more than a page of the example would be.
            page = Page(name, EdgeLink(self, edge, name), ANYBODY)
            self._exchange.page_joined(page)
        looks[edge] = page, time.monotonic() + LOOKED

    def _unlook(self, edge: str, name: str) -> None:
        looks = self._looks.get(name, {})
        page, _ = looks.pop(edge, (None, 0))
        if page is not None:
            self._exchange.page_left(page)
            if not looks:
                del self._looks[name]

    def _looking(self) -> list[tuple[str, str, float]]:
        return [
            (edge, name, until)
            for name, looks in self._looks.items()
            for edge, (_, until) in looks.items()
        ]

    def _tell_looks(self) -> None:
        looked: dict[str, list[str]] = {}
        for device in self._exchange.connected():
            if isinstance(device.link, RemoteLink) and device.pages:
                looked.setdefault(device.link.edge, []).append(device.name)
        for edge, names in looked.items():
            for start in range(0, len(names), NAMES_MAX):
                self.send(edge, "looks", "", json.dumps(names[start : start + NAMES_MAX]))

    # Who is connected where

    def joined(self, device: Device) -> None:
        if device.remote:
            self._nobody_looks_at(device)
        else:
            self._say_soon(device.name)

    def left(self, device: Device) -> None:
        if not device.remote:
            self._nobody_looks_at(device)
            self._say_soon(device.name)

    def _nobody_looks_at(self, device: Device) -> None:
        for edge in list(self._looks.get(device.name, ())):
            self._unlook(edge, device.name)

    def _say_soon(self, name: str) -> None:
        self._unsaid[name] = None
        self._changes.set()

    def changed(self, device: Device, keys: wire.Keys) -> None:
        pass

    def _here(self, name: str) -> Device | None:
        device = self._exchange.devices.get(name)
        return None if device is None or device.link is None or device.remote else device

    async def _say(self) -> None:
        while True:
            await self._changes.wait()
            self._changes.clear()
            await self._say_all()

    async def _say_all(self, within: float | None = None) -> None:
        try:
            async with asyncio.timeout(within):
                while self._unsaid and self._client.is_connected:
                    names = list(self._unsaid)[:AT_A_TIME]
                    for name in names:
                        del self._unsaid[name]
                    await asyncio.gather(*map(self._say_one, names))
        except TimeoutError:
            pass

    async def _say_one(self, name: str) -> None:
        device = self._here(name)
        try:
            if device is not None:
                where = {"edge": self.edge, "since": device.since, "numbered": device.numbered}
                self._said[name] = 0  # what comes now is earlier
                value = json.dumps(where).encode()
                self._said[name] = await self._storage.set_presence(name, value)
                # Another may have written it since.
                self._present(name)
            elif revision := self._said.pop(name, 0):
                await self._storage.clear_presence(name, revision)
        except StoreError as error:
            log.error("%s", error)
            self._unsaid[name] = None

    def _presence_put(self, key: str, value: bytes, revision: int) -> None:
        name, where = decoded(key), json.loads(value)
        self._where[name] = where["edge"], where["since"], where["numbered"], revision
        self._present(name)

    def _present(self, name: str) -> None:
        edge, since, numbered, revision = self._where.get(name, ("", 0, False, 0))
        if edge == self.edge or edge not in self._alive:
            return
        device = self._exchange.devices.get(name)
        if self._here(name) is not None:
            if not self._said.get(name) or revision < self._said[name]:
                return
            log.info("device %s is connected to relay %s now", name, edge)
            del self._said[name]
        elif device is not None and isinstance(device.link, RemoteLink):
            if device.link.edge == edge and device.since == since:
                return
        self._exchange.device_joined(name, RemoteLink(self, edge, name), numbered, since)
        if (device := self._exchange.devices[name]).pages:
            self._pages_changed(device)

    def _absent(self, key: str) -> None:
        name = decoded(key)
        self._where.pop(name, None)
        device = self._exchange.devices.get(name)
        if device is not None and isinstance(device.link, RemoteLink):
            self._exchange.device_left(name, device.link)
        elif self._here(name) is not None:
            self._say_soon(name)

    def _is_alive(self, edge: str) -> None:
        new = edge not in self._alive
        self._alive[edge] = time.monotonic()
        if new:
            log.info("relay %s is in the cluster", edge)
            self._tell_all("alive")
            for name in list(self._where):
                self._present(name)

    def _is_gone(self, edge: str) -> None:
        if self._alive.pop(edge, None) is None:
            return
        log.warning("relay %s is gone", edge)
        for device in list(self._exchange.connected()):
            if isinstance(device.link, RemoteLink) and device.link.edge == edge:
                self._exchange.device_left(device.name, device.link)
        for other, name, _ in self._looking():
            if other == edge:
                self._unlook(edge, name)

    def _state_put(self, key: str, value: bytes) -> None:
        name = decoded(key)
        if self._here(name) is None:
            booted, seen, state = state_of(value)
            self._fleet.learn(name, state, booted, seen)

    def _reconnected(self) -> None:
        self._gap = True
        self._changes.set()
        self._tell_all("hello")
        for device in self._exchange.connected():
            if device.pages:
                self._pages_changed(device)

    # Now and then

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            try:
                await self._tick()
            except StoreError as error:
                log.error("%s", error)
            except Exception:
                log.exception("the cluster's beat failed")

    async def _tick(self) -> None:
        now = time.monotonic()
        self._tell_all("alive")
        for edge, heard in list(self._alive.items()):
            if now - heard > DEAD:
                self._is_gone(edge)
        for edge, name, until in self._looking():
            if until < now:
                self._unlook(edge, name)
        if self._gap and self._client.is_connected and not self._out:
            self._gap = False
            for edge, name, _ in self._looking():
                self._look(edge, name, again=True)
        if now - self._looked_at > LOOK:
            self._looked_at = now
            self._tell_looks()
            self._check_presence()
            if self.leads():
                await self._forget_the_dead()

    def _check_presence(self) -> None:
        # What is said is what is, also when a server has lost it.
        for device in self._exchange.connected():
            if not device.remote and device.name not in self._where:
                self._say_soon(device.name)

    async def _forget_the_dead(self) -> None:
        now = time.monotonic()
        named: dict[str, list[tuple[str, int]]] = {}
        for name, (edge, _, _, revision) in self._where.items():
            if edge != self.edge and edge not in self._alive:
                named.setdefault(edge, []).append((name, revision))
        self._unknown = {edge: self._unknown.get(edge, now) for edge in named}
        for edge, since in self._unknown.items():
            if now - since > 2 * DEAD:
                for start in range(0, len(named[edge]), AT_A_TIME):
                    some = named[edge][start : start + AT_A_TIME]
                    await asyncio.gather(
                        *(self._storage.clear_presence(name, at) for name, at in some)
                    )
