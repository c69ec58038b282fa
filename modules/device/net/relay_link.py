"""The device's side of `websock.v1`, the subprotocol that it speaks with a relay (docs/relay.md).

The relay gets the whole state first, later the keys that change, at most once in an interval. A
relay that is slow gets each key's last value, so what waits for it is bounded; events that it is
too slow for are dropped and counted.
"""

import gc
from asyncio import Event, create_task, sleep_ms

from micropython import const
from websockets import ConnectionClosed, WebSocketException

from ..log import log, report
from ..pieces import of_changes, of_state

SUBPROTOCOL = "websock.v1"

# Characters of events that wait.
_WAITING = const(2048)

# What there is no memory to send is tried again after so long.
_RETRY_MS = const(100)


class RelayLink:
    """A connection to a relay that speaks `websock.v1`; a client of the command protocol.

    Args:
        hub: the `hub.Hub`, whose `relay` it is while it serves.
        connection: of `websockets`.
        interval: seconds between messages of changes.

    Attributes:
        connection: likewise.
        dropped: events that the relay was too slow for.
    """

    def __init__(self, hub, connection, interval):
        self._hub = hub
        self.connection = connection
        self._pause = int(interval * 1000)
        self._whole = True  # it needs the whole state
        self._changed = set()
        self._events = []
        self._waiting = 0
        self._news = Event()  # of the state
        self._passing = Event()
        self.dropped = 0

    # What the hub tells

    def changed(self, keys):
        """Take note of keys that have changed."""
        self._changed.update(keys)
        self._news.set()

    def missed(self):
        """Take note that changes were lost: the relay gets the whole state again."""
        self._whole = True
        self._news.set()

    def event(self, text):
        """Take a message that passes once."""
        if self._waiting + len(text) > _WAITING:
            self.dropped += 1
            return
        self._events.append(text)
        self._waiting += len(text)
        self._passing.set()

    # The connection

    async def serve(self, handle):
        """Serve until the connection ends.

        Args:
            handle: coroutine function called with this object and each message.
        """
        hub = self._hub
        hub.flush()
        hub.relay = self
        self._news.set()
        senders = [
            create_task(self._keep(self._news, self._send_changes, self._pause)),
            create_task(self._keep(self._passing, self._send_events, 0)),
        ]
        try:
            async for message in self.connection:
                hub.messages += 1
                await handle(self, message)
        except WebSocketException as error:
            log("info", f"relay lost: {error}")
        finally:
            hub.relay = None
            for sender in senders:
                sender.cancel()

    async def send(self, text):
        """Send an answer, behind the changes that came before it."""
        await self._send_changes()
        await self.connection.send(text)

    async def _keep(self, event, send, pause):
        try:
            while True:
                await event.wait()
                event.clear()
                try:
                    await send()
                except MemoryError:
                    gc.collect()
                    self.missed()
                    await sleep_ms(_RETRY_MS)
                await sleep_ms(pause)
        except ConnectionClosed:
            pass
        except Exception as error:
            # Without it the relay would hear nothing more.
            report("phone home", error)
            self.connection.start_closing()

    async def _send_changes(self):
        state = self._hub.state
        if self._whole:
            self._changed.clear()
            self._whole = False
            await self.connection.send(of_state(state))
        if self._changed:
            keys = self._changed
            self._changed = set()
            await self.connection.send(of_changes(state, keys))

    async def _send_events(self):
        while self._events:
            text = self._events.pop(0)
            self._waiting -= len(text)
            try:
                await self.connection.send(text)
            except MemoryError:
                self.dropped += 1
                raise


__all__ = ("SUBPROTOCOL", "RelayLink")
