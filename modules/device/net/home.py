"""Phone home: the device keeps a connection to its relay, which then is one more client."""

import random
from asyncio import CancelledError, Event, TimeoutError, wait_for
from time import ticks_diff, ticks_ms

from ..log import log

# Seconds between attempts: the first, how it grows, the longest, and the share by which each is
# varied so that a fleet doesn't come back in step after its relay's restart.
RETRY_FIRST = 5
RETRY_FACTOR = 1.5
RETRY_LONGEST = 60
RETRY_JITTER = 0.2

# A connection that held for so many seconds was a good one: the next attempt is a first one.
GOOD_SECONDS = 30

OPEN_TIMEOUT = 10


def delay(attempt, random=random.random):
    """Seconds to wait after failed attempt number `attempt` (0, 1, ...)."""
    # The exponent is bounded: so is the number.
    seconds = min(RETRY_FIRST * RETRY_FACTOR ** min(attempt, 20), RETRY_LONGEST)
    return seconds * (1 + RETRY_JITTER * (2 * random() - 1))


def uri(config):
    """The relay's URI by `config`, None when there is no relay."""
    host = config.get("home/host") or config.get("home/ip")
    if not host:
        return None
    if ":" in host:  # IPv6
        host = "[" + host + "]"
    port = config.get("home/port")
    path = config.get("home/path") or config.get("device/iam")
    secure = config.get("home/tls")
    if secure is None:
        secure = bool(config.get("home/token"))
    return f"{'wss' if secure else 'ws'}://{host}:{port}/" + path.lstrip("/")


class Home:
    """Keeps the connection.

    Args:
        config: the `config.Config`.
        hub: the `hub.Hub`, whose state shows home/url and home/connected.
        handle: coroutine function called with the connection and each message.
        online: called without arguments, tells whether there is a network to reach the relay by.

    Attributes:
        connection: of `websockets`, None without one.
        dropped: events that relays were too slow for, by connections that have ended.
    """

    def __init__(self, config, hub, handle, online):
        self._hub = hub
        self._handle = handle
        self._online = online
        self._arrived = Event()  # a network came up since the last attempt
        self._config = config
        self._uri = uri(config)
        token = config.get("home/token")
        # RFC 6750 section 2.1.
        self._headers = {"Authorization": "Bearer " + token} if token else {}
        self._ping = (config.get("home/ping_interval"), config.get("home/ping_timeout"))
        self._interval = config.get("home/interval")
        self.connection = None
        self.dropped = 0
        hub.update({"home/url": self._uri or "", "home/connected": False})

    async def run(self):
        """Connect, serve, connect again; returns at once when there is no relay."""
        if self._uri is None:
            return
        from websockets import InvalidURI, connect

        from .relay_link import SUBPROTOCOL

        trust = None
        if self._uri.startswith("wss:"):
            from .relay_tls import Unusable, relay_context

            try:
                trust = relay_context(self._config)
            except Unusable as error:
                log("error", f"phone home: {error}")
                return
        attempt = 0
        while True:
            self._arrived.clear()
            if not self._online():
                log("info", "phone home: waits for a network")
                while not self._online():
                    await self._arrived.wait()
                    self._arrived.clear()
                attempt = 0
            try:
                connection = await connect(
                    self._uri,
                    subprotocols=[SUBPROTOCOL],
                    additional_headers=self._headers,
                    ssl=trust,
                    open_timeout=OPEN_TIMEOUT,
                    ping_interval=self._ping[0],
                    ping_timeout=self._ping[1],
                )
            except InvalidURI as error:
                log("error", f"phone home: {error}")
                return
            except Exception as error:  # OSError, TimeoutError, InvalidHandshake
                log("info", f"phone home: {type(error).__name__}: {error}")
            else:
                began = ticks_ms()
                try:
                    await self._serve(connection)
                except (Exception, CancelledError) as error:
                    self._left(connection)
                    raise error
                # Not at a KeyboardInterrupt: the relay is told then that the device ends.
                self._left(connection)
                if ticks_diff(ticks_ms(), began) > GOOD_SECONDS * 1000:
                    attempt = 0
            try:
                await wait_for(self._arrived.wait(), delay(attempt))
                attempt = 0
            except TimeoutError:
                attempt += 1

    def network_changed(self):
        """Take note that the station or Ethernet has come up, or is down."""
        connection = self.connection
        transport = None if connection is None else connection.transport
        if self._online():
            # A further network is no reason to hurry when this connection ends some day.
            if transport is None:
                self._arrived.set()
        elif transport is not None:
            # It would take a ping without an answer to notice.
            transport.abort()

    async def _serve(self, connection):
        from websockets import WebSocketException

        self.connection = connection
        self._hub.update({"home/connected": True})
        if connection.subprotocol is None:
            try:
                await self._hub.serve(connection, self._handle)
            except WebSocketException:
                pass
            return
        from .relay_link import RelayLink

        link = RelayLink(self._hub, connection, self._interval)
        try:
            await link.serve(self._handle)
        finally:
            self.dropped += link.dropped

    def _left(self, connection):
        self.connection = None
        connection.start_closing()
        self._hub.update({"home/connected": False})


__all__ = ("Home", "delay", "uri")
