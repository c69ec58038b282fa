"""Commands that wait for a device that is away: kept on the disk, delivered once and in order.

One command at a time is under way to a device, by an id that stays the same until it is answered:
the device remembers the last one, and does not do again what it has done (docs/relay.md).
"""

import asyncio
import logging
import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable

from relay import wire
from relay.exchange import Device, Exchange, Page
from relay.storage import Storage
from relay.store import StoreError, Waiting

# Seconds until a device that is there but does not answer is asked again.
RETRY = 1.0

# Answers that come before the relay where a command was asked for knows that it has been kept.
EARLY_MAX = 100

log = logging.getLogger("relay")

# Called with the answer, None for a command that has expired or was taken back.
Delivered = Callable[[wire.Keys | None], None]


class TooMuch(Exception):
    """There is no room for another command; the text says why."""


class Answer:
    """The answer to a request, to be awaited.

    Attributes:
        future: the answer, None for none; who waits for it may have given up.
    """

    def __init__(self) -> None:
        self.future: asyncio.Future[wire.Keys | None] = asyncio.get_running_loop().create_future()

    def take(self, keys: wire.Keys | None) -> None:
        """What an exchange and deliveries call."""
        if not self.future.done():
            self.future.set_result(keys)


class Deliveries:
    """The queues of all devices.

    Args:
        exchange: what the devices are connected to.
        storage: where the commands are kept.
        most: commands that may wait for one device.
        longest: seconds that one may wait.

    Attributes:
        on_delivered: called with the number and the answer of a command that another relay took.
    """

    def __init__(self, exchange: Exchange, storage: Storage, most: int, longest: float) -> None:
        self._exchange = exchange
        self._storage = storage
        self._queues = storage.queues
        self._most = most
        self._longest = longest
        self._mark = ""
        self._stopped = False
        self._adding: Counter[str] = Counter()
        self._delivered: dict[int, Delivered] = {}
        self._early: OrderedDict[int, wire.Keys | None] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.on_delivered: Callable[[int, wire.Keys | None], None] = lambda number, keys: None
        self._queues.on_added = lambda waiting: self._deliver(waiting.device)
        exchange.watch(self)
        exchange.wait = self._take

    async def start(self) -> None:
        """Begin to deliver."""
        # Another database has other commands by the same numbers.
        mark = await self._storage.secret("waiting", lambda: secrets.token_bytes(4))
        self._mark = mark.hex()

    async def stop(self) -> None:
        """End; what waits stays."""
        self._stopped = True
        tasks = [*self._under_way.values(), *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def total(self) -> int:
        """How many commands wait."""
        return self._queues.total

    def of(self, name: str) -> list[Waiting]:
        """What waits for a device, in its order."""
        return self._queues.of(name)

    async def add(self, name: str, request: wire.Request, who: str) -> Waiting:
        """Keep a command until it is delivered or expires.

        Args:
            name: the device's.
            request: the command; its `wait` is how long.
            who: asks.

        Returns:
            It, when it is on the disk.

        Raises:
            StoreError: it can't be kept.
            TooMuch: too many wait already, or for too long.
        """
        if request.verb != "CMD":
            raise TooMuch("only a CMD may wait")
        if request.wait > self._longest:
            raise TooMuch(f"a command waits {self._longest:g} s at most")
        if len(self.of(name)) + self._adding[name] >= self._most:
            raise TooMuch(f"{self._most} commands wait for {name} already")
        expires = self._exchange.now() + request.wait
        self._adding[name] += 1
        try:
            return await self._storage.add_waiting(name, request.text(), who, expires)
        finally:
            self._adding[name] -= 1
            if not self._adding[name]:
                del self._adding[name]

    def when_delivered(self, waiting: Waiting, delivered: Delivered) -> None:
        """Have a function called once, when a command that was just added has its answer, or ends
        without one."""
        number = waiting.number
        if number in self._early:
            delivered(self._early.pop(number))
        else:
            self._delivered[number] = delivered

    def take_answer(self, number: int, keys: wire.Keys | None) -> bool:
        """Tell who has asked here what has become of a command; says whether anybody has."""
        delivered = self._delivered.pop(number, None)
        if delivered is not None:
            delivered(keys)
            return True
        if self._adding:
            self._early[number] = keys
            if len(self._early) > EARLY_MAX:
                self._early.popitem(last=False)
        return False

    async def take_back(self, name: str, number: int) -> bool:
        """End a command that waits; says whether there was one."""
        for waiting in self.of(name):
            if waiting.number == number:
                await self._end(waiting, None)
                return True
        return False

    def _take(self, page: Page, request: wire.Request) -> None:
        task = asyncio.create_task(self._take_in(page, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take_in(self, page: Page, request: wire.Request) -> None:
        number = request.number

        def delivered(keys: wire.Keys | None) -> None:
            if keys is None:
                page.link.send(wire.refusal(number, f"{request.item} has not been delivered"))
            else:
                page.link.send(wire.answer(number, {**keys, "delivered": True}))

        try:
            waiting = await self.add(page.device, request, page.grant.who)
        except (TooMuch, StoreError) as error:
            page.link.send(wire.refusal(number, str(error)))
            return
        keys = {"waiting": waiting.number, "expires": int(waiting.expires)}
        page.link.send(wire.answer(number, keys))
        self.when_delivered(waiting, delivered)

    # What the exchange tells

    def joined(self, device: Device) -> None:
        self._deliver(device.name)

    def left(self, device: Device) -> None:
        pass

    def changed(self, device: Device, keys: wire.Keys) -> None:
        pass

    async def tick(self) -> None:
        """End what has expired; to be called now and then."""
        now = self._exchange.now()
        for name in self._queues.devices():
            if name not in self._under_way and not self._is_elsewhere(name):
                for waiting in self.of(name):
                    if waiting.expires <= now:
                        await self._end(waiting, None)

    def _is_here(self, name: str) -> bool:
        device = self._exchange.devices.get(name)
        return device is not None and device.link is not None and not device.remote

    def _is_elsewhere(self, name: str) -> bool:
        # The relay that it is connected to delivers, and ends what has expired.
        device = self._exchange.devices.get(name)
        return device is not None and device.link is not None and device.remote

    def _deliver(self, name: str) -> None:
        if self._queues.first(name) is None or name in self._under_way or self._stopped:
            return
        if self._is_here(name):
            task = asyncio.create_task(self._run(name))
            self._under_way[name] = task
            task.add_done_callback(lambda _: self._ended(name))

    def _ended(self, name: str) -> None:
        del self._under_way[name]
        # For what came when the last one had just been delivered.
        self._deliver(name)

    async def _run(self, name: str) -> None:
        try:
            while (waiting := self._queues.first(name)) and self._is_here(name):
                if waiting.expires <= self._exchange.now():
                    await self._end(waiting, None)
                    continue
                # Another relay may have delivered it, and this one not heard of it yet.
                if not await self._storage.still_waits(waiting):
                    continue
                answered = Answer()
                request = wire.parse(waiting.request)
                number = f"w-{self._mark}-{waiting.number}"
                if not self._is_here(name) or not self._exchange.ask(
                    name, request, answered.take, number
                ):
                    return
                keys = await answered.future
                if keys is None:
                    await asyncio.sleep(RETRY)
                else:
                    await self._end(waiting, keys)
        except StoreError as error:
            # It stays first in its queue, and the device knows that it has done it.
            log.error("%s", error)
            await asyncio.sleep(RETRY)

    async def _end(self, waiting: Waiting, keys: wire.Keys | None) -> None:
        await self._storage.remove_waiting(waiting)
        if not self.take_answer(waiting.number, keys):
            self.on_delivered(waiting.number, keys)
