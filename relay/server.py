"""The relay: its parts, made from the configuration and run together."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from relay.access import Access
from relay.config import Config, ConfigError
from relay.devices import Devices
from relay.exchange import Exchange
from relay.pages import Pages
from relay.store import Keeper, Store, StoreError

# Seconds from one look at what has waited too long, or has changed in the database, to the next.
TICK = 1.0

log = logging.getLogger("relay")


class Relay:
    """Both servers, from `start` to `stop`.

    Args:
        config: the configuration.

    Attributes:
        exchange: who is connected.
        device_port, page_port: where it listens, also where the configuration says 0.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._keeper = Keeper(Store(Path(config.data)))
        self._access = Access(config, self._keeper)
        self.exchange = Exchange(config.answer_s, devices_max=config.max_devices)
        self._devices = Devices(config, self.exchange, self._access)
        self._pages = Pages(config, self.exchange, self._access)
        self._access.on_change = self._check
        self._ticking: asyncio.Task[None] | None = None

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
        self._keeper.close()

    def _check(self) -> None:
        self._devices.check()
        self._pages.check()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self.exchange.tick()
            try:
                await self._access.reload()
            except StoreError as error:
                log.error("%s", error)


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
    relay = Relay(config)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()
