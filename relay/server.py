"""The relay: its parts, made from the configuration and run together."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from relay.access import Access
from relay.alerts import Alerts
from relay.api import Api
from relay.config import Config, ConfigError
from relay.deliveries import Deliveries
from relay.devices import Devices
from relay.exchange import Exchange
from relay.fleet import Fleet
from relay.history import History
from relay.pages import Pages
from relay.storage import Sqlite, Storage, open_storage
from relay.store import StoreError

if TYPE_CHECKING:
    from relay.cluster import Cluster
    from relay.jetstream import JetStream

# Seconds from one look at what has waited too long, or has changed in the database, to the next.
TICK = 1.0

# Seconds from one deletion of what is too old to the next.
TRIM = 3600.0

log = logging.getLogger("relay")


class Relay:
    """Both servers, from `start` to `stop`.

    Args:
        config: the configuration.
        storage: what it keeps; closed when the relay stops.

    Attributes:
        exchange: who is connected.
        deliveries: what waits for devices.
        device_port, page_port: where it listens, also where the configuration says 0.
    """

    def __init__(self, config: Config, storage: Storage) -> None:
        self._config = config
        self._storage = storage
        self._version = -1
        self._access = Access(config, storage)
        self.exchange = Exchange(config.answer_s, devices_max=config.max_devices)
        self._devices = Devices(config, self.exchange, self._access)
        self._pages = Pages(config, self.exchange, self._access)
        self._access.on_change = self._check
        self._fleet = Fleet(self.exchange, storage)
        self._history = History(self.exchange, storage, config.history_s, config.history_days)
        self.deliveries = Deliveries(self.exchange, storage, config.waiting_max, config.waiting_s)
        self._alerts = Alerts(self.exchange, storage)
        self._api = Api(
            self._pages,
            self.exchange,
            self._fleet,
            self._history,
            self.deliveries,
            self._alerts,
            storage,
        )
        self._ticking: asyncio.Task[None] | None = None
        self._cluster = None if isinstance(storage, Sqlite) else self._join(storage)

    def _join(self, storage: "JetStream") -> "Cluster":
        # What isn't used isn't imported.
        from relay.cluster import Cluster

        cluster = Cluster(self.exchange, storage, self._fleet, self.deliveries, self._alerts)
        self._api.metrics.others = cluster.others
        return cluster

    @property
    def device_port(self) -> int:
        return self._devices.port

    @property
    def page_port(self) -> int:
        return self._pages.port

    async def start(self) -> None:
        """Begin to serve.

        Raises:
            ConfigError: the certificate can't be used.
            OSError: an address can't be had.
            StoreError: the database can't be used.
        """
        try:
            secure = _secure(self._config)
            await self._access.load()
            for part in (self._fleet, self.deliveries, self._alerts):
                await part.start()
            if self._cluster is not None:
                await self._cluster.start()
            await self._devices.start(secure)
            await self._pages.start(secure)
        except BaseException:
            await self.stop()
            raise
        self._ticking = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """Have everybody come back later, and end."""
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
            self._ticking = None
        await asyncio.gather(self._devices.stop(), self._pages.stop())
        await self.deliveries.stop()
        await self._alerts.stop()
        await self._fleet.stop()
        with contextlib.suppress(StoreError):
            await self._history.write()
        if self._cluster is not None:
            await self._cluster.stop()
        await self._storage.close()

    async def _reload(self) -> None:
        # Another process, or another relay, may have changed something.
        version = await self._storage.version()
        if version != self._version:
            for part in (self._access, self._fleet, self._alerts):
                await part.reload()
            self._version = version

    def _check(self) -> None:
        self._devices.check()
        self._pages.check()

    async def _tick(self) -> None:
        trimmed = 0.0
        while True:
            await asyncio.sleep(TICK)
            self.exchange.tick()
            self._api.tick()
            parts = [
                self._reload,
                self._fleet.tick,
                self._history.tick,
                self.deliveries.tick,
                self._alerts.tick,
            ]
            if self.exchange.now() - trimmed > TRIM:
                trimmed = self.exchange.now()
                parts.append(self._history.trim)
            for part in parts:
                try:
                    await part()
                except StoreError as error:
                    # As with a full disk: what can go on does.
                    log.error("%s", error)
                except Exception:
                    log.exception("%s failed", part)


def _secure(config: Config) -> ssl.SSLContext | None:
    if not config.cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(config.cert, config.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{config.cert} and {config.key} can't be used: {error}") from error
    return context


@contextlib.asynccontextmanager
async def running(config: Config) -> AsyncIterator[Relay]:
    """A relay that serves within the context."""
    relay = Relay(config, await open_storage(config))
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()
