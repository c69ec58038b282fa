"""The state that clients see, and the clients.

State is a flat dict of JSON values by key. A client gets all of it when it joins, and after that
the keys that change; what changes between two turns of the event loop travels in one message.
Events (`info`, `error`, `<interface>/msg`) pass once and aren't kept.
"""

import asyncio
import gc
import json

import websockets
from micropython import const

from .log import log

# TRY_AGAIN_LATER (RFC 6455 section 7.4.1 and IANA's registry).
_TRY_AGAIN_LATER = const(1013)

# Changes that there was no memory to send are tried again after so long, so many times. Clients
# get them with all the state then, which comes in small pieces, when they have come back.
_RETRY_MS = const(100)
_RETRIES = const(20)


class Hub:
    """State and clients.

    Attributes:
        state: dict of the current values; change it through `update`.
        clients: the set of connected `websockets` connections.
        relay: the `net.relay_link.RelayLink`, None without one.
        messages: number of messages received from clients.
        dropped: number of messages that clients were too slow for.
    """

    def __init__(self):
        self.state = {}
        self.clients = set()
        self.relay = None
        self.messages = 0
        self._dropped = 0  # by clients that have left
        self._changed = set()
        self._flushing = False
        self._joining = {}  # keys that changed while a client was being sent the state, by its id

    def update(self, values):
        """Set state keys (a dict); None removes one, which clients are told as null."""
        state = self.state
        changed = self._changed
        for key, value in values.items():
            if value is None:
                if key not in state:
                    continue
            elif key in state and state[key] == value:
                continue
            # Before the change itself: without the memory for either, nobody misses one.
            changed.add(key)
            if value is None:
                del state[key]
            else:
                state[key] = value
        if changed and not self._flushing:
            asyncio.create_task(self._flush_soon())
            self._flushing = True

    def publish(self, key, value):
        """What interfaces call: state, or an event when the key ends in /msg."""
        if key.endswith("/msg"):
            self.event({key: value})
        else:
            self.update({key: value})

    def event(self, values):
        """Send a dict to every client now, after the changes that came before it."""
        self.flush()
        if self.clients or self.relay is not None:
            text = json.dumps(values)
            websockets.broadcast(self.clients, text)
            if self.relay is not None:
                self.relay.event(text)

    def info(self, text):
        """Log a line and show it on every page."""
        log("info", text)
        self.event({"info": text})

    def flush(self):
        """Send the changes that haven't been sent."""
        changed = self._changed
        if changed:
            for missed in self._joining.values():
                missed.update(changed)
            if self.clients:
                changes = json.dumps({key: self.state.get(key) for key in changed})
                websockets.broadcast(self.clients, changes)
            if self.relay is not None:
                self.relay.changed(changed)
            changed.clear()

    @property
    def dropped(self):
        return self._dropped + sum([client.dropped for client in self.clients])

    async def _flush_soon(self):
        await asyncio.sleep_ms(0)
        try:
            for _ in range(_RETRIES):
                try:
                    self.flush()
                    return
                except MemoryError:
                    gc.collect()
                await asyncio.sleep_ms(_RETRY_MS)
            for missed in self._joining.values():
                missed.update(self._changed)
            if self.relay is not None:
                self.relay.missed()
            self._changed.clear()
            for client in self.clients:
                client.start_closing(_TRY_AGAIN_LATER, "out of memory")
        finally:
            self._flushing = False

    async def serve(self, client, handle):
        """Serve one client until it leaves.

        Args:
            client: a `websockets` connection.
            handle: coroutine function called with the client and each message.
        """
        from .pieces import of_state

        # Changes under way are in the state already: nobody gets them twice.
        self.flush()
        missed = self._joining[id(client)] = set()
        try:
            await client.send(of_state(self.state))
        finally:
            del self._joining[id(client)]
        self.clients.add(client)
        try:
            if missed:
                await client.send(json.dumps({key: self.state.get(key) for key in missed}))
            log("info", f"client joined: {client.request.path} ({len(self.clients)})")
            async for message in client:
                self.messages += 1
                await handle(client, message)
        except websockets.ConnectionClosed as error:
            log("info", f"client lost: {error}")
        finally:
            self.clients.discard(client)
            self._dropped += client.dropped
            log("info", f"client left ({len(self.clients)})")
