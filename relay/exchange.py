"""Who is connected, and what passes between them. No sockets here: a `Link` stands for one.

A device and a page each speak either the contract of the example, where messages pass as they are
and every page gets every answer; or `websock.v1`, where a request has an id and its answer goes to
who asked. Between the two, the relay gives a page's request an id of its own, and takes it off.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from relay import wire
from relay.grants import Grant
from relay.state import State

# Private use (RFC 6455 section 7.4.2): the device's connection is no longer the one that counts.
TAKEN_OVER = 4000

# RFC 6455 section 7.4.1 and IANA's registry.
POLICY_VIOLATION = 1008
SERVICE_RESTART = 1012
TRY_AGAIN_LATER = 1013

# Characters of a device's state; one with ten interfaces has some 3,000.
STATE_MAX = 65_536

# Seconds; what is beyond is no time that a device has run.
UPTIME_MAX = 1e9

Message = str | bytes

# Called with the answer to a request, None when there will be none.
Answered = Callable[[wire.Keys | None], None]

log = logging.getLogger("relay")


class Link(Protocol):
    """The way to a peer. Neither of these waits."""

    def send(self, message: Message) -> None:
        """Send a message; a peer too slow for it is closed instead."""

    def close(self, code: int, reason: str) -> None:
        """Begin to close."""


class Device:
    """A device that is connected or has been.

    Attributes:
        name: its name.
        link: its connection, None without one.
        remote: whether the connection that counts, or was the last, is another relay's.
        numbered: whether it speaks `websock.v1`.
        state: its last state, empty for one that doesn't.
        booted: when it has started, in seconds since 1970, by the last `uptime`; 0 before.
        since: when it was connected or has left.
        seen: when it was last heard of.
        pages: those who look at it, None for nobody.
        errors: how many errors it has told since it was connected.
    """

    __slots__ = (
        "asked",
        "booted",
        "errors",
        "link",
        "name",
        "numbered",
        "pages",
        "remote",
        "seen",
        "since",
        "size",
        "state",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.link: Link | None = None
        self.remote = False
        self.numbered = False
        self.state = State()
        self.size = 0  # of the messages that it came from
        self.booted = 0.0
        self.since = self.seen = 0.0
        self.pages: set[Page] | None = None
        self.errors = 0
        self.asked = 0  # requests without an answer yet

    def whole(self, now: float) -> wire.Keys:
        """Its state with the time, as it would tell it itself."""
        keys = self.state.keys()
        if self.booted:
            keys["uptime"] = int(now - self.booted)
        return keys


class Page:
    """A page or a script that looks at one device.

    Args:
        device: the device's name.
        link: its connection.
        grant: what it may do.
        numbered: whether it speaks `websock.v1`.
        own: whether it is the device's own page: away with the device, it comes back by itself.
    """

    __slots__ = ("asked", "device", "grant", "link", "numbered", "own")

    def __init__(
        self, device: str, link: Link, grant: Grant, numbered: bool = False, own: bool = False
    ) -> None:
        self.device = device
        self.link = link
        self.grant = grant
        self.numbered = numbered
        self.own = own
        self.asked = 0  # requests without an answer yet


class Watcher(Protocol):
    """Who is told what happens to devices: the dashboard, the history, alerts, deliveries."""

    def joined(self, device: Device) -> None:
        """It is connected."""

    def left(self, device: Device) -> None:
        """It isn't any more."""

    def changed(self, device: Device, keys: wire.Keys) -> None:
        """Its state, or an event."""


class _Asked:
    __slots__ = ("answered", "device", "due")

    def __init__(self, device: Device, due: float, answered: Answered) -> None:
        self.device = device
        self.due = due
        self.answered = answered


class Exchange:
    """Devices and pages of one relay, by the devices' names.

    Args:
        answer_s: seconds that a device may take to answer.
        requests_max: requests of one page that may be without an answer.
        devices_max: devices that are remembered.
        clock: gives seconds since 1970.

    Attributes:
        devices: all that are connected, have pages, or are remembered.
        answer_s: likewise.
        counts: messages by "device" and by "page", requests "unanswered", peers too "slow".
        wait: called with a page and its request that may wait for the device; None without that.
        on_pages: called with a device when its first page has come, or its last has gone.
    """

    def __init__(
        self,
        answer_s: float = 30,
        requests_max: int = 32,
        devices_max: int = 20_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.devices: dict[str, Device] = {}
        self.counts: Counter[str] = Counter()
        self.wait: Callable[[Page, wire.Request], None] | None = None
        self.on_pages: Callable[[Device], None] = lambda device: None
        self._watchers: list[Watcher] = []
        self.answer_s = answer_s
        self._requests_max = requests_max
        self._devices_max = devices_max
        self._clock = clock
        # By the ids that devices get; in the order of their ends, as all have the same time.
        self._asked: dict[int | str, _Asked] = {}
        self._last_number = 0

    def watch(self, watcher: Watcher) -> None:
        """Tell somebody what happens to devices from now on."""
        self._watchers.append(watcher)

    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock()

    def connected(self) -> Iterable[Device]:
        """The devices that are connected."""
        return (device for device in self.devices.values() if device.link is not None)

    # Devices

    def device_joined(
        self, name: str, link: Link, numbered: bool = False, elsewhere_since: float | None = None
    ) -> None:
        """Take a device's connection, in the place of the one before.

        Args:
            name: the device's.
            link: the connection.
            numbered: whether it speaks `websock.v1`.
            elsewhere_since: when it was connected to another relay; None for a connection here.
        """
        device = self._device(name)
        before = device.link
        if before is not None:
            self._give_up(device)
            before.close(TAKEN_OVER, "another connection of this device took over")
        device.link = link
        device.remote = elsewhere_since is not None
        device.numbered = numbered
        device.since = device.seen = elsewhere_since or self._clock()
        device.errors = 0
        if before is None:
            self._tell_presence(device)
        for watcher in self._watchers:
            watcher.joined(device)

    def device_left(self, name: str, link: Link) -> None:
        """Forget a device's connection, unless another has taken over."""
        device = self.devices.get(name)
        if device is None or device.link is not link:
            return
        device.link = None
        device.since = device.seen = self._clock()
        self._give_up(device)
        self._tell_presence(device)
        for watcher in self._watchers:
            watcher.left(device)
        for page in [page for page in device.pages or () if page.own]:
            page.link.close(TRY_AGAIN_LATER, f"{name} is not connected")
        self._forget(device)

    def from_device(self, name: str, link: Link, message: Message) -> None:
        """Take a device's message: an answer for who asked, or what is for all its pages."""
        device = self.devices.get(name)
        if device is None or device.link is not link:
            return  # what was under way when another took over
        self.counts["device"] += 1
        device.seen = self._clock()
        if device.numbered:
            keys = wire.keys_of(message)
            if keys is not None:
                if "id" in keys:
                    self._answered(device, keys.pop("id"), keys)
                    return
                self._take(device, keys, len(message))
        # A page that is closed for it leaves the set later, not meanwhile.
        for page in device.pages or ():
            page.link.send(message)

    def _take(self, device: Device, keys: wire.Keys, size: int) -> None:
        if wire.is_whole(keys):
            uptime = keys.pop("uptime")
            good = isinstance(uptime, int | float) and 0 <= uptime < UPTIME_MAX
            device.booted = device.seen - uptime if good else 0.0
            device.state.replace(keys)
            device.size = size
        else:
            device.state.update(keys)
            device.size += size
        if "error" in keys:
            device.errors += 1
        if device.size > STATE_MAX:
            # What came again counted again.
            device.size = len(device.state)
            if device.size > STATE_MAX and device.link is not None:
                device.link.close(POLICY_VIOLATION, f"a state over {STATE_MAX} bytes")
                device.state.clear()
        # Each relay writes down what its own devices tell.
        for watcher in () if device.remote else self._watchers:
            watcher.changed(device, keys)

    def _device(self, name: str) -> Device:
        device = self.devices.get(name)
        if device is None:
            device = self.devices[name] = Device(name)
        return device

    def _forget(self, device: Device) -> None:
        # One that is known stays, so that its last state does.
        if device.link is None and not device.pages:
            if not device.state or len(self.devices) > self._devices_max:
                self.devices.pop(device.name, None)

    def remember(self, name: str, state: str, booted: float, seen: float) -> None:
        """Take the last state of a device, as JSON, from before the relay's restart or from
        another relay; what it tells here is newer."""
        device = self._device(name)
        if device.link is not None and (not device.remote or device.pages):
            return
        device.state.load(state)
        device.booted = booted
        device.seen = seen
        if device.link is None:
            device.since = seen

    def remove(self, name: str) -> None:
        """Forget a device's last state."""
        device = self.devices.get(name)
        if device is not None:
            device.state.clear()
            self._forget(device)

    # Pages

    def page_joined(self, page: Page) -> None:
        """Take a page's connection; it gets the device's last state at once."""
        device = self._device(page.device)
        if page.own and device.link is None:
            page.link.close(TRY_AGAIN_LATER, f"{page.device} is not connected")
            self._forget(device)
            return
        if device.pages is None:
            device.pages = set()
        device.pages.add(page)
        if len(device.pages) == 1:
            self.on_pages(device)
        if page.numbered:
            page.link.send(wire.dumps({**device.whole(self._clock()), **_presence(device)}))
        elif device.link is not None and device.state:
            page.link.send(wire.dumps(device.whole(self._clock())))

    def page_left(self, page: Page) -> None:
        """Forget a page's connection."""
        device = self.devices.get(page.device)
        if device is not None and device.pages is not None:
            device.pages.discard(page)
            if not device.pages:
                device.pages = None
                self.on_pages(device)
            self._forget(device)

    def from_page(self, page: Page, message: Message) -> None:
        """Take a page's message; whatever is wrong with it is told to that page alone."""
        self.counts["page"] += 1
        device = self.devices.get(page.device)
        if device is None:
            return  # of a device's own page, which is being closed
        everything = page.grant.allows("GET", "") and page.grant.allows("CMD", "")
        if not device.numbered and not page.numbered and everything:
            # The example's contract; there it needn't even be JSON.
            if device.link is None:
                page.link.send(wire.refusal(None, f"{page.device} is not connected"))
            else:
                device.link.send(message)
            return
        try:
            request = wire.parse(message)
        except wire.BadRequest as error:
            page.link.send(wire.refusal(error.number, str(error)))
            return
        if not page.grant.allows(request.verb, request.item):
            text = f"{page.grant.who} may not {request.verb} {request.item}"
            page.link.send(wire.refusal(request.number, text))
        elif request.wait and self.wait is not None:
            self.wait(page, request)
        else:
            self._ask_for(page, device, request)

    def _ask_for(self, page: Page, device: Device, request: wire.Request) -> None:
        number = request.number

        def answered(keys: wire.Keys | None) -> None:
            page.asked -= 1
            if keys is None:
                keys = {"error": f"{page.device} did not answer"}
            # Who asked without an id expects none, and nothing where there is nothing to say.
            if number is not None or keys:
                page.link.send(wire.answer(number, keys))

        if page.asked >= self._requests_max:
            text = f"more than {self._requests_max} requests without an answer"
            page.link.send(wire.refusal(number, text))
            return
        page.asked += 1
        if not self.ask(device.name, request, answered):
            page.asked -= 1
            page.link.send(wire.refusal(number, f"{page.device} is not connected"))

    # Requests

    def ask(
        self,
        name: str,
        request: wire.Request,
        answered: Answered,
        number: str | None = None,
    ) -> bool:
        """Send a request to a device.

        Args:
            name: the device's.
            request: what is asked.
            answered: called once, with the answer, or with None when there will be none.
            number: the id that the device gets, its own by default.

        Returns:
            Whether the device is connected; `answered` is called only then.
        """
        device = self.devices.get(name)
        if device is None or device.link is None:
            return False
        if not device.numbered:
            # It has no ids: its answer goes to every page, as in the example.
            device.link.send(request.text())
            answered({})
            return True
        self._last_number += 1
        asked = _Asked(device, self._clock() + self.answer_s, answered)
        key: int | str = number or self._last_number
        self._asked[key] = asked
        device.asked += 1
        device.link.send(request.text(key))
        return True

    def _answered(self, device: Device, number: Any, keys: wire.Keys) -> None:
        # An id is a device's word: it may be of any type, and another device's.
        asked = self._asked.get(number) if isinstance(number, int | str) else None
        if asked is None or asked.device is not device:
            return
        del self._asked[number]
        device.asked -= 1
        asked.answered(keys)

    def tick(self) -> None:
        """End what has waited too long; to be called about every second."""
        now = self._clock()
        for number, asked in list(self._asked.items()):
            if asked.due > now:
                break
            self._end(number, asked)

    def _give_up(self, device: Device) -> None:
        # What a connection that has ended will not answer.
        if device.asked:
            for number, asked in list(self._asked.items()):
                if asked.device is device:
                    self._end(number, asked)

    def _end(self, number: int | str, asked: _Asked) -> None:
        del self._asked[number]
        asked.device.asked -= 1
        self.counts["unanswered"] += 1
        asked.answered(None)

    def _tell_presence(self, device: Device) -> None:
        pages = [page for page in device.pages or () if page.numbered]
        if pages:
            text = wire.dumps(_presence(device))
            for page in pages:
                page.link.send(text)


def _presence(device: Device) -> wire.Keys:
    return {"relay/connected": device.link is not None, "relay/since": int(device.since)}
