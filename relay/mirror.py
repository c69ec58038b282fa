"""A key-value bucket of NATS as a dict that is always at hand, and what changes in it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.kv import KeyValue

# Seconds for one answer of JetStream, and until it is asked again.
TIMEOUT = 2.0
PAUSE = 0.2

# Seconds without news of a bucket until it is asked whether there are any.
QUIET = 5.0

# Seconds for what has been written to be seen by who wrote it.
SEEN_TIMEOUT = 2.0

# Changes that are taken at once.
AT_ONCE = 16

log = logging.getLogger("relay")


class Mirror:
    """A bucket's values as they are now.

    Args:
        js: the servers.
        bucket: its name.

    Attributes:
        values: value and revision by key.
        on_put: called with key, value and revision of what is new.
        on_delete: called with the key of what is gone.
        holds: whether the values are kept, or the revisions alone.
        changes: how many there have been.
    """

    def __init__(self, js: JetStreamContext, bucket: str) -> None:
        self._js = js
        self._bucket = bucket
        self.values: dict[str, tuple[bytes, int]] = {}
        self.on_put: Callable[[str, bytes, int], None] = lambda key, value, revision: None
        self.on_delete: Callable[[str], None] = lambda key: None
        self.holds = True
        self.changes = 0
        self._seen = 0
        self._news = asyncio.Event()
        self._whole = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to follow the bucket; returns when all of it is here."""
        self._task = asyncio.create_task(self._run())
        await self._whole.wait()

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def release(self) -> None:
        """Keep the values no more: who needs them has them."""
        self.holds = False
        self.values = {key: (b"", revision) for key, (_, revision) in self.values.items()}

    def refresh(self) -> None:
        """Read the whole bucket again, as after a connection that was lost."""
        if self._following is not None:
            self._following.cancel()

    async def reach(self, revision: int) -> None:
        """Wait until what has been written is here; not for ever."""
        try:
            async with asyncio.timeout(SEEN_TIMEOUT):
                while self._seen < revision:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            self.refresh()

    async def _run(self) -> None:
        try:
            while True:
                self._following = asyncio.create_task(self._follow())
                try:
                    await asyncio.wait([self._following])
                finally:
                    self._following.cancel()
                if not self._following.cancelled() and (error := self._following.exception()):
                    log.debug("%s: %s", self._bucket, error)
                    await asyncio.sleep(PAUSE)
        finally:
            if self._following is not None:
                await asyncio.gather(self._following, return_exceptions=True)

    async def _follow(self) -> None:
        stream = "KV_" + self._bucket
        bucket = await self._js.key_value(self._bucket)
        last = (await self._js.stream_info(stream)).state.last_seq
        watcher: Any = await bucket.watchall()
        try:
            fresh: dict[str, tuple[bytes, int]] = {}
            while (entry := await _next(watcher, TIMEOUT)) is not None:
                last = max(last, entry.revision or 0)
                if entry.operation is None:
                    fresh[entry.key] = entry.value or b"", entry.revision or 0
            self._take_all(fresh, last)
            taken = 0
            while True:
                try:
                    entry = await _next(watcher, QUIET)
                except TimeoutError:
                    last = (await self._js.stream_info(stream)).state.last_seq
                    await asyncio.sleep(PAUSE)
                    if last > self._seen:
                        return  # this consumer has ended, as with a server that kept it
                    continue
                if entry is not None:
                    self._take(entry)
                    taken += 1
                    if taken % AT_ONCE == 0:
                        await asyncio.sleep(0)  # others' turn, as the next may be here already
        finally:
            with contextlib.suppress(NatsError, OSError):
                await watcher.stop()

    def _take_all(self, fresh: dict[str, tuple[bytes, int]], last: int) -> None:
        for key in [key for key in self.values if key not in fresh]:
            self._gone(key)
        for key, (value, revision) in sorted(fresh.items(), key=lambda item: item[1][1]):
            if self.values.get(key, (b"", 0))[1] != revision:
                self._put(key, value, revision)
        self._has_seen(last)
        self._whole.set()

    def _take(self, entry: KeyValue.Entry) -> None:
        revision = entry.revision or 0
        if entry.operation is not None:
            self._gone(entry.key)
        elif self.values.get(entry.key, (b"", 0))[1] < revision:
            self._put(entry.key, entry.value or b"", revision)
        self._has_seen(revision)

    def _put(self, key: str, value: bytes, revision: int) -> None:
        self.values[key] = value if self.holds else b"", revision
        self.changes += 1
        try:
            self.on_put(key, value, revision)
        except Exception:
            log.exception("%s: %s can't be taken", self._bucket, key)

    def _gone(self, key: str) -> None:
        if self.values.pop(key, None) is not None:
            self.changes += 1
            try:
                self.on_delete(key)
            except Exception:
                log.exception("%s: the end of %s can't be taken", self._bucket, key)

    def _has_seen(self, revision: int) -> None:
        # In a bucket that was made anew, the numbers begin again.
        self._seen = revision
        self._news.set()


async def _next(watcher: Any, seconds: float) -> KeyValue.Entry | None:
    # Not its `updates`: before Python 3.12, `wait_for` can take no for an answer when cancelled.
    async with asyncio.timeout(seconds):
        entry: KeyValue.Entry | None = await anext(watcher)
    return entry
