"""Phone home: the device keeps a connection to its relay, which then is one more client."""

import random
from asyncio import CancelledError, Event, TimeoutError, wait_for
from time import ticks_diff, ticks_ms

import clock
from heap import BLOCK_SIZE
from micropython import const

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

# Bytes of a message, as from other clients.
_MAX_MESSAGE = const(8192)


def delay(attempt, random=random.random):
    """Seconds to wait after failed attempt number `attempt` (0, 1, ...)."""
    # The exponent is bounded: so is the number.
    seconds = min(RETRY_FIRST * RETRY_FACTOR ** min(attempt, 20), RETRY_LONGEST)
    return seconds * (1 + RETRY_JITTER * (2 * random() - 1))


def uris(config):
    """The relays' URIs by `config`, in order of preference; none when there is no relay."""
    path = config.get("home/path") or config.get("device/iam")
    secure = config.get("home/tls")
    if secure is None:
        secure = bool(config.get("home/token"))
    found = []
    for place in (config.get("home/host") or config.get("home/ip")).replace(",", " ").split():
        if place.count(":") > 1 and "[" not in place:  # IPv6
            place = "[" + place + "]"
        if ":" not in place.split("]")[-1]:
            place += f":{config.get('home/port')}"
        found.append(f"{'wss' if secure else 'ws'}://{place}/" + path.lstrip("/"))
    return found


class Home:
    """Keeps the connection.

    Args:
        config: the `config.Config`.
        hub: the `hub.Hub`, whose state shows home/url and home/connected; without a connection
            also home/reason, and home/retry_at in seconds since the start.
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
        self._hurry = Event()  # a network came up since the last attempt, or somebody asked
        self._config = config
        self._uris = uris(config)
        self._trust = None
        self.connection = None
        self.dropped = 0
        url = self._uris[0] if self._uris else ""
        hub.update(
            {"home/url": url, "home/connected": False, "home/reason": None, "home/retry_at": None}
        )

    async def run(self):
        """Connect, serve, connect again; returns at once when there is no relay."""
        if not self._uris:
            return
        if self._uris[0].startswith("wss:"):
            from .relay_tls import Unusable, relay_context

            try:
                self._trust = relay_context(self._config)
            except Unusable as error:
                log("error", f"phone home: {error}")
                self._tell(str(error))
                return
        attempt = 0
        while True:
            self._hurry.clear()
            if not self._online():
                log("info", "phone home: waits for a network")
                self._tell("waits for a network")
                while not self._online():
                    await self._hurry.wait()
                    self._hurry.clear()
                attempt = 0
            began = ticks_ms()
            if await self._phone() and ticks_diff(ticks_ms(), began) > GOOD_SECONDS * 1000:
                attempt = 0
            pause = delay(attempt)
            self._hub.update({"home/retry_at": clock.seconds() + int(pause + 1)})
            try:
                await wait_for(self._hurry.wait(), pause)
                attempt = 0
            except TimeoutError:
                attempt += 1
            self._hub.update({"home/retry_at": None})

    async def _phone(self):
        # Serves the first relay that takes the device; says whether one did.
        from websockets import InvalidURI, connect

        from .relay_link import SUBPROTOCOL

        config = self._config
        token = config.get("home/token")
        for uri in self._uris:
            self._hub.update({"home/url": uri})
            try:
                connection = await connect(
                    uri,
                    subprotocols=[SUBPROTOCOL],
                    # RFC 6750 section 2.1.
                    additional_headers={"Authorization": "Bearer " + token} if token else {},
                    ssl=self._trust,
                    open_timeout=OPEN_TIMEOUT,
                    max_size=_MAX_MESSAGE,
                    write_limit=BLOCK_SIZE,
                    ping_interval=config.get("home/ping_interval"),
                    ping_timeout=config.get("home/ping_timeout"),
                )
            except InvalidURI as error:
                log("error", f"phone home: {error}")
                self._tell(str(error))
            except Exception as error:  # OSError, TimeoutError, InvalidHandshake
                log("info", f"phone home: {type(error).__name__}: {error}")
                self._tell(_reason(error))
            else:
                try:
                    self._tell(None)
                    await self._serve(connection)
                except (Exception, CancelledError) as error:
                    self._left(connection)
                    raise error
                # Not at a KeyboardInterrupt: the relay is told then that the device ends.
                self._left(connection)
                return True
        return False

    def _tell(self, reason):
        self._hub.update({"home/reason": reason})

    def phone_now(self):
        """Try at once, if there is no connection."""
        if self.connection is None:
            self._hurry.set()

    def network_changed(self):
        """Take note that the station or Ethernet has come up, or is down."""
        connection = self.connection
        transport = None if connection is None else connection.transport
        if self._online():
            # A further network is no reason to hurry when this connection ends some day.
            if transport is None:
                self._hurry.set()
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

        link = RelayLink(self._hub, connection, self._config.get("home/interval"))
        try:
            await link.serve(self._handle)
        finally:
            self.dropped += link.dropped

    def _left(self, connection):
        self.connection = None
        connection.start_closing()
        close = connection.protocol.close_rcvd
        reason = "connection lost" if close is None else f"closed by the relay ({close.code})"
        if close is not None and close.reason:
            reason = "closed by the relay: " + close.reason
        self._hub.update({"home/connected": False, "home/reason": reason})


def _reason(error):
    # What went wrong, for the page.
    from websockets import InvalidStatus

    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        if status in (401, 403):
            return f"the relay refuses the token ({status})"
        return f"the relay refuses the connection ({status})"
    return str(error) or type(error).__name__


__all__ = ("Home", "delay", "uris")
