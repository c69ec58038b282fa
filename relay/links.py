"""What both servers' connections have in common: how many of them, and how much each may send."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Full(Exception):
    """No more connections; the text says of what."""


class Places:
    """Counts connections, in all and of each holder.

    Args:
        most: in all.
        most_of_one: of one holder: an address, or a token's name.
        what: what they are, for who is refused.

    Attributes:
        taken: how many there are.
    """

    def __init__(self, most: int, most_of_one: int, what: str) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._what = what
        self._holders: Counter[str] = Counter()
        self.taken = 0

    @contextmanager
    def one(self, holder: str) -> Iterator[None]:
        """A place, for as long as the context lasts.

        Raises:
            Full: there is none.
        """
        if self.taken >= self._most:
            raise Full(f"there are {self._most} {self._what} already")
        if self._holders[holder] >= self._most_of_one:
            raise Full(f"{holder} has {self._most_of_one} {self._what} already")
        self._holders[holder] += 1
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
            self._holders[holder] -= 1
            if not self._holders[holder]:
                del self._holders[holder]


class Pace:
    """A token bucket: so many a second, twice as many at once.

    Args:
        rate: messages a second; 0 for any number.
        clock: gives seconds.
    """

    __slots__ = ("_at", "_clock", "_left", "_rate")

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._left = 2 * rate
        self._at = clock()

    def allows(self) -> bool:
        """Take one; says whether it is there."""
        if not self._rate:
            return True
        now = self._clock()
        self._left = min(2 * self._rate, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
