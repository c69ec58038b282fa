"""The state that clients see, and the clients.

State is a flat dict of JSON values by key. A client gets all of it when it joins, and after that
the keys that change; what changes between two turns of the event loop travels in one message.
Events (`info`, `error`, `<interface>/msg`) pass once and aren't kept.
"""

import asyncio
import gc
import json

import clock
import websockets
from heap import BLOCK_SIZE

from .log import log

# Bytes of a fragment, more or less: 512, and half of it on a small heap.
PIECE = BLOCK_SIZE // 8

# Changes that there was no memory to send are tried again after so long.
RETRY_MS = 100


def _json_pieces(values):
    """The JSON of a dict with text keys, and of the time, as an iterator of texts."""
    text = f'{{"uptime": {clock.seconds()}'
    before = ", "
    for key in list(values):
        text += before + json.dumps(key) + ": " + json.dumps(values.get(key))
        before = ", "
        if len(text) >= PIECE:
            yield text
            text = ""
    yield text + "}"


class Hub:
    """State and clients.

    Attributes:
        state: dict of the current values; change it through `update`.
        clients: the set of connected `websockets` connections.
        messages: number of messages received from clients.
        dropped: number of messages that clients were too slow for.
    """

    def __init__(self):
        self.state = {}
        self.clients = set()
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

    def snapshot(self):
        """The state as a client gets it first: with the time, which never is a change."""
        state = dict(self.state)
        state["uptime"] = clock.seconds()
        return state

    def publish(self, key, value):
        """What interfaces call: state, or an event when the key ends in /msg."""
        if key.endswith("/msg"):
            self.event({key: value})
        else:
            self.update({key: value})

    def event(self, values):
        """Send a dict to every client now, after the changes that came before it."""
        self.flush()
        if self.clients:
            websockets.broadcast(self.clients, json.dumps(values))

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
            changed.clear()

    @property
    def dropped(self):
        return self._dropped + sum([client.dropped for client in self.clients])

    async def _flush_soon(self):
        await asyncio.sleep_ms(0)
        try:
            while True:
                try:
                    self.flush()
                    return
                except MemoryError:
                    gc.collect()
                await asyncio.sleep_ms(RETRY_MS)
        finally:
            self._flushing = False

    async def serve(self, client, handle):
        """Serve one client until it leaves.

        Args:
            client: a `websockets` connection.
            handle: coroutine function called with the client and each message.
        """
        # Changes under way are in the state already: nobody gets them twice.
        self.flush()
        # In fragments: as one text it would be the largest thing that is ever in memory.
        missed = self._joining[id(client)] = set()
        try:
            await client.send(_json_pieces(self.state))
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
