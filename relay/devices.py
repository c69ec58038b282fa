"""The server that devices phone, at `/<name>`."""

import asyncio
import contextlib
import logging
import ssl
from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus

from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from relay import names, wire
from relay.access import Access, Refused
from relay.config import Config
from relay.exchange import POLICY_VIOLATION, SERVICE_RESTART, TRY_AGAIN_LATER, Exchange, Message
from relay.links import Full, Pace, Places

# Seconds for a peer to answer a close frame.
CLOSE_TIMEOUT = 5

# When a relay has been restarted, its whole fleet comes within seconds: connections that may wait
# to be accepted, and seconds that a handshake may take meanwhile.
BACKLOG = 4096
OPEN_TIMEOUT = 60

log = logging.getLogger("relay")


class DeviceLink:
    """The `exchange.Link` to a device.

    Args:
        connection: the connection.
        queue_limit: bytes that may wait for the device.
        counts: where it is counted as "slow".
    """

    __slots__ = ("_closing", "_connection", "_counts", "_queue_limit")

    def __init__(
        self, connection: ServerConnection, queue_limit: int, counts: Counter[str]
    ) -> None:
        self._connection = connection
        self._queue_limit = queue_limit
        self._counts = counts
        self._closing: asyncio.Task[None] | None = None

    def send(self, message: Message) -> None:
        if self._closing is not None:
            return
        if self._connection.transport.get_write_buffer_size() > self._queue_limit:
            self._counts["slow"] += 1
            self.close(TRY_AGAIN_LATER, "too slow")
            return
        # `send` would wait for the device, and everybody else with it.
        broadcast([self._connection], message)

    def close(self, code: int, reason: str) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._connection.close(code, reason))

    @property
    def open(self) -> bool:
        """Whether it has not been closed."""
        return self._closing is None


class Devices:
    """The server.

    Args:
        config: where it listens, and its limits.
        exchange: what takes the devices.
        access: who may connect.

    Attributes:
        port: where it listens, also where the configuration says 0.
        places: who is connected.
    """

    def __init__(self, config: Config, exchange: Exchange, access: Access) -> None:
        self._config = config
        self._exchange = exchange
        self._access = access
        # A device that comes again may do so before the connection before has ended.
        self.places = Places(config.max_devices, 2, "devices")
        self._links: dict[DeviceLink, tuple[str, str | None]] = {}
        self._server: Server | None = None
        self.port = 0

    async def start(self, secure: ssl.SSLContext | None = None) -> None:
        """Begin to listen.

        Raises:
            OSError: the address can't be had.
        """
        config = self._config
        self._server = await serve(
            self._serve,
            config.device_host,
            config.device_port,
            ssl=secure,
            process_request=self._look_at,
            select_subprotocol=_subprotocol,
            backlog=BACKLOG,
            open_timeout=OPEN_TIMEOUT,
            compression=None,  # 64 KiB for each connection, for messages of some 100 bytes
            max_size=config.max_message,
            ping_interval=config.ping_s,
            ping_timeout=config.ping_s,
            close_timeout=CLOSE_TIMEOUT,
            server_header=None,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Have all devices come back later, and end."""
        if self._server is not None:
            self._server.close(code=SERVICE_RESTART, reason="the relay is restarting")
            await self._server.wait_closed()

    def check(self) -> None:
        """Close the devices that have lost the right to be here."""
        for link, (name, digest) in self._links.items():
            if not self._access.still_device(name, digest):
                link.close(POLICY_VIOLATION, "the token of this device has changed")

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None  # it was looked at
        name = names.of_path(connection.request.path)
        digest: str | None = connection.digest  # type: ignore[attr-defined]
        # Of no further use, and more than all else that is kept of a device.
        connection.request.headers.clear()
        if connection.response is not None:
            connection.response.headers.clear()
        link = DeviceLink(connection, self._config.device_queue, self._exchange.counts)
        try:
            with self.places.one(name):
                self._links[link] = name, digest
                await self._pass(name, connection, link)
        except Full as error:
            await connection.close(TRY_AGAIN_LATER, str(error))
        finally:
            self._links.pop(link, None)

    async def _pass(self, name: str, connection: ServerConnection, link: DeviceLink) -> None:
        numbered = connection.subprotocol == wire.SUBPROTOCOL
        pace = Pace(self._config.device_rate)
        self._exchange.device_joined(name, link, numbered)
        log.info("device joined: %s", name)
        try:
            with contextlib.suppress(ConnectionClosed):
                async for message in connection:
                    if not pace.allows():
                        link.close(POLICY_VIOLATION, "too many messages")
                    elif link.open:
                        self._exchange.from_device(name, link, message)
        finally:
            self._exchange.device_left(name, link)
            log.info("device left: %s", name)

    async def _look_at(self, connection: ServerConnection, request: Request) -> Response | None:
        if "Origin" in request.headers:
            return connection.respond(HTTPStatus.FORBIDDEN, "this port is for devices\n")
        try:
            name = names.of_path(request.path)
        except names.BadName as error:
            return connection.respond(HTTPStatus.NOT_FOUND, f"{error}\n")
        try:
            digest = self._access.device(name, request.headers)
        except Refused as error:
            log.warning("device refused: %s", error)
            return connection.respond(HTTPStatus.UNAUTHORIZED, f"{error}\n")
        if digest is not None:
            await self._access.device_came(name, digest)
        connection.digest = digest  # type: ignore[attr-defined]
        return None


def _subprotocol(
    connection: ServerConnection, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    # One that offers others only is a device all the same, by the contract of the example.
    return Subprotocol(wire.SUBPROTOCOL) if wire.SUBPROTOCOL in offered else None
