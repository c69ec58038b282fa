"""What devices' numbers have been: a sample of each, at most one in an interval, for some days."""

import logging
import math
from collections.abc import AsyncIterator

from relay import wire
from relay.exchange import Device, Exchange
from relay.storage import Storage
from relay.store import StoreError

# Numbers that are times, or of the device itself.
_TIMES = ("_since", "_at", "/since")

# Of one device; what comes beyond is left out.
KEYS_MAX = 100

# Characters of a key; longer ones have no history.
KEY_MAX = 128

# Samples that wait to be written while the disk fails.
WAITING_MAX = 200_000

# Rows of one read or deletion, so that others get their turn.
PAGE = 10_000

# Points of a chart.
POINTS_MAX = 1_000

log = logging.getLogger("relay")


class History:
    """Writes samples, and reads them.

    Args:
        exchange: what tells values.
        storage: where they are kept.
        interval: seconds from a sample of a value to the next.
        days: that samples are kept.
    """

    def __init__(self, exchange: Exchange, storage: Storage, interval: float, days: float) -> None:
        self._exchange = exchange
        self._storage = storage
        self.interval = interval
        self._days = days
        self._new: dict[tuple[str, str], tuple[float, float]] = {}
        self._counts: dict[str, int] = {}  # of these, by device
        self._last = exchange.now()
        exchange.watch(self)

    # What the exchange tells

    def joined(self, device: Device) -> None:
        pass

    def left(self, device: Device) -> None:
        pass

    def changed(self, device: Device, keys: wire.Keys) -> None:
        name = device.name
        for key, value in keys.items():
            if is_sampled(key, value):
                if (name, key) not in self._new:
                    count = self._counts.get(name, 0)
                    if count >= KEYS_MAX or len(self._new) >= WAITING_MAX:
                        continue
                    self._counts[name] = count + 1
                self._new[name, key] = device.seen, float(value)

    # Writing

    async def tick(self) -> None:
        """Write what is due; to be called about every second."""
        if self._exchange.now() - self._last >= self.interval:
            self._last = self._exchange.now()
            await self.write()

    async def write(self) -> None:
        """Write what has come since the last time.

        Raises:
            StoreError: it can't be written; it is written the next time then.
        """
        new, self._new = self._new, {}
        self._counts.clear()
        rows = [(device, key, time, value) for (device, key), (time, value) in new.items()]
        if not rows:
            return
        try:
            await self._storage.add_samples(rows)
        except StoreError:
            self._new = new | self._new
            raise

    async def trim(self) -> None:
        """Delete what is too old."""
        before = self._exchange.now() - self._days * 86400
        while await self._storage.trim_samples(before, PAGE) == PAGE:
            pass

    # Reading

    async def chart(
        self, device: str, key: str, since: float, until: float, points: int
    ) -> list[tuple[float, float]]:
        """(time, mean) of so many equal parts of a time at most; those without a sample are left
        out."""
        points = max(1, min(points, POINTS_MAX))
        step = max((until - since) / points, self.interval)
        rows = await self._storage.means(device, key, since, until, step)
        return [(since + number * step, value) for number, value in rows]

    async def lines(
        self, device: str, key: str, since: float, until: float
    ) -> AsyncIterator[list[tuple[float, float]]]:
        """All samples, some at a time."""
        while rows := await self._storage.samples(device, key, since, until, PAGE):
            yield rows
            if len(rows) < PAGE:
                return
            since = math.nextafter(rows[-1][0], math.inf)


def is_sampled(key: str, value: object) -> bool:
    """Whether a key's value has a history."""
    return "/" in key and len(key) <= KEY_MAX and not key.endswith(_TIMES) and _is_number(value)


def _is_number(value: object) -> bool:
    # A whole number of JSON may be larger than any that can be kept.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
