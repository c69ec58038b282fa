"""The relay's two WebSocket servers: an `exchange.Exchange` on the network."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from http import HTTPStatus
from urllib.parse import urlsplit

from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from relay import names
from relay.config import Config
from relay.exchange import Exchange, Message

# RFC 6455 section 7.4.1 and IANA's registry.
SERVICE_RESTART = 1012
TRY_AGAIN_LATER = 1013

log = logging.getLogger("relay")


class WebSocketLink:
    """A `Link` to the peer of a connection.

    Args:
        connection: the connection.
        queue_limit: bytes that may wait for the peer.
    """

    def __init__(self, connection: ServerConnection, queue_limit: int) -> None:
        self._connection = connection
        self._queue_limit = queue_limit
        self._closing: asyncio.Task[None] | None = None

    def send(self, message: Message) -> None:
        if self._closing is not None:
            return
        if self._connection.transport.get_write_buffer_size() > self._queue_limit:
            self.close(TRY_AGAIN_LATER, "too slow")
            return
        # `send` would wait for the peer, and everybody else with it.
        broadcast([self._connection], message)

    def close(self, code: int, reason: str) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._connection.close(code, reason))


class Relay:
    """Both servers, from `start` to `stop`.

    Attributes:
        exchange: who is connected.
        device_port, page_port: where it listens, also where the configuration says 0.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self.exchange = Exchange()
        self._servers: list[Server] = []
        self.device_port = self.page_port = 0

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: an address can't be had.
        """
        config = self._config
        common = {
            "compression": None,  # 64 KiB for each connection, for messages of some 100 bytes
            "max_size": config.max_message,
            "ping_interval": config.ping_s,
            "ping_timeout": config.ping_s,
            "close_timeout": 5,
            "server_header": None,
        }
        try:
            devices = await serve(
                self._serve_device,
                config.device_host,
                config.device_port,
                process_request=_look_at_device,
                **common,
            )
            self._servers.append(devices)
            pages = await serve(
                self._serve_page,
                config.page_host,
                config.page_port,
                process_request=self._look_at_page,
                **common,
            )
            self._servers.append(pages)
        except BaseException:
            await self.stop()
            raise
        self.device_port = devices.sockets[0].getsockname()[1]
        self.page_port = pages.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Have everybody come back later, and end."""
        for server in self._servers:
            server.close(code=SERVICE_RESTART, reason="the relay is restarting")
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    async def _serve_device(self, connection: ServerConnection) -> None:
        name = _name_of(connection)
        link = WebSocketLink(connection, self._config.device_queue)
        self.exchange.device_joined(name, link)
        log.info("device joined: %s", name)
        try:
            async for message in _messages(connection):
                self.exchange.from_device(name, link, message)
        finally:
            self.exchange.device_left(name, link)
            log.info("device left: %s", name)

    async def _serve_page(self, connection: ServerConnection) -> None:
        name = _name_of(connection)
        link = WebSocketLink(connection, self._config.page_queue)
        self.exchange.page_joined(name, link)
        try:
            async for message in _messages(connection):
                self.exchange.from_page(name, link, message)
        finally:
            self.exchange.page_left(name, link)

    def _look_at_page(self, connection: ServerConnection, request: Request) -> Response | None:
        origin = request.headers.get("Origin")
        # Scripts send none; a browser says which site's page it is (RFC 6455 section 10.2).
        if origin is not None and origin not in self._config.origins:
            if urlsplit(origin).netloc.lower() != request.headers.get("Host", "").lower():
                return connection.respond(HTTPStatus.FORBIDDEN, f"pages of {origin} may not\n")
        return _look_at_name(connection, request)


def _look_at_device(connection: ServerConnection, request: Request) -> Response | None:
    if "Origin" in request.headers:
        return connection.respond(HTTPStatus.FORBIDDEN, "this port is for devices\n")
    return _look_at_name(connection, request)


def _look_at_name(connection: ServerConnection, request: Request) -> Response | None:
    try:
        names.of_path(request.path)
    except names.BadName as error:
        return connection.respond(HTTPStatus.NOT_FOUND, f"{error}\n")
    return None


def _name_of(connection: ServerConnection) -> str:
    assert connection.request is not None  # it was looked at
    return names.of_path(connection.request.path)


async def _messages(connection: ServerConnection) -> AsyncIterator[Message]:
    with contextlib.suppress(ConnectionClosed):
        async for message in connection:
            yield message
