"""Where the relay keeps what has to outlast it: in SQLite, or in NATS for the relays of a cluster.

Both have the same methods, which wait for the disk, and keep the commands that wait for devices at
hand in `queues`.
"""

import asyncio
import functools
import sqlite3
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeAlias, TypeVar

from relay.config import Config
from relay.store import Store, StoreError, Waiting

if TYPE_CHECKING:
    from relay.jetstream import JetStream

P = ParamSpec("P")
T = TypeVar("T")


class Queues:
    """The commands that wait, by their devices and in their order.

    Attributes:
        on_added: called with each that comes.
        total: how many there are.
    """

    def __init__(self) -> None:
        self._queues: dict[str, dict[int, Waiting]] = {}
        self.on_added: Callable[[Waiting], None] = lambda waiting: None
        self.total = 0

    def of(self, device: str) -> list[Waiting]:
        """What waits for a device."""
        return list(self._queues.get(device, {}).values())

    def first(self, device: str) -> Waiting | None:
        """What is to be delivered next to a device."""
        return next(iter(self._queues.get(device, {}).values()), None)

    def devices(self) -> list[str]:
        """The devices that something waits for."""
        return list(self._queues)

    def add(self, waiting: Waiting) -> None:
        """Take one that is later than all of its device; once."""
        queue = self._queues.setdefault(waiting.device, {})
        if waiting.number not in queue:
            queue[waiting.number] = waiting
            self.total += 1
            self.on_added(waiting)

    def remove(self, device: str, number: int) -> None:
        """End one, if it is there."""
        queue = self._queues.get(device, {})
        if queue.pop(number, None) is not None:
            self.total -= 1
            if not queue:
                del self._queues[device]


def _in_thread(
    method: Callable[Concatenate[Store, P], T],
) -> Callable[Concatenate["Sqlite", P], Coroutine[Any, Any, T]]:
    async def run(self: "Sqlite", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run(lambda: method(self.store, *args, **kwargs))

    return run


class Sqlite:
    """A database of one relay's own, in a thread of its own; the methods are `Store`'s.

    Args:
        store: the database.

    Attributes:
        store: likewise.
        queues: the commands that wait.
        errors: how often it has failed.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.queues = Queues()
        self.errors = 0
        self._thread = ThreadPoolExecutor(1, "store")

    async def run(self, work: Callable[[], T]) -> T:
        """What a function gives, called in the database's thread.

        Raises:
            StoreError: the database fails, as when the disk is full.
        """

        def kept() -> T:
            try:
                return work()
            except sqlite3.Error as error:
                self.errors += 1
                raise StoreError(f"{self.store.path}: {error}") from error

        return await asyncio.get_running_loop().run_in_executor(self._thread, kept)

    async def start(self) -> None:
        """Read what waits."""
        for waiting in await self.run(self.store.waiting):
            self.queues.add(waiting)

    async def close(self) -> None:
        """End, after what is under way."""
        self._thread.shutdown()
        self.store.close()

    version = _in_thread(Store.version)
    secret = _in_thread(Store.secret)
    add_device_token = _in_thread(Store.add_device_token)
    device_tokens = _in_thread(Store.device_tokens)
    device_token_used = _in_thread(Store.device_token_used)
    revoke_device = _in_thread(Store.revoke_device)
    set_user = _in_thread(Store.set_user)
    users = _in_thread(Store.users)
    remove_user = _in_thread(Store.remove_user)
    add_page_token = _in_thread(Store.add_page_token)
    page_tokens = _in_thread(Store.page_tokens)
    remove_page_token = _in_thread(Store.remove_page_token)
    note = _in_thread(Store.note)
    audit = _in_thread(Store.audit)
    set_groups = _in_thread(Store.set_groups)
    groups = _in_thread(Store.groups)
    keep_states = _in_thread(Store.keep_states)
    states = _in_thread(Store.states)
    remove_device = _in_thread(Store.remove_device)
    add_samples = _in_thread(Store.add_samples)
    samples = _in_thread(Store.samples)
    means = _in_thread(Store.means)
    sampled = _in_thread(Store.sampled)
    trim_samples = _in_thread(Store.trim_samples)
    add_alert = _in_thread(Store.add_alert)
    alerts = _in_thread(Store.alerts)
    remove_alert = _in_thread(Store.remove_alert)
    set_firing = _in_thread(Store.set_firing)
    firing = _in_thread(Store.firing)

    async def add_waiting(self, device: str, request: str, who: str, expires: float) -> Waiting:
        """Keep a command; its number is larger than that of all before it."""
        add = functools.partial(self.store.add_waiting, device, request, who, expires)
        waiting = Waiting(await self.run(add), device, request, who, expires)
        self.queues.add(waiting)
        return waiting

    async def still_waits(self, waiting: Waiting) -> bool:
        """Whether a command is not ended, by whomever."""
        return waiting in self.queues.of(waiting.device)

    async def remove_waiting(self, waiting: Waiting) -> None:
        """End a command, if it waits."""
        await self.run(functools.partial(self.store.remove_waiting, waiting.number))
        self.queues.remove(waiting.device, waiting.number)


Storage: TypeAlias = "Sqlite | JetStream"


async def open_storage(config: Config) -> Storage:
    """The storage that a configuration names, ready to be used.

    Raises:
        StoreError: it can't be used.
    """
    if config.nats:
        # What isn't used isn't imported.
        from relay.jetstream import JetStream

        storage: Storage = JetStream(config)
    else:
        storage = Sqlite(Store(Path(config.data), config.data_max))
    try:
        await storage.start()
    except BaseException:
        await storage.close()
        raise
    return storage
