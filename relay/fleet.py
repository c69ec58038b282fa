"""The list of devices as the dashboard shows it, live; it outlasts the relay's restarts."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from relay import wire
from relay.exchange import Device, Exchange
from relay.storage import Storage
from relay.store import StoreError

GROUPS_MAX = 20
GROUP_MAX = 40

# Seconds from one write of states that have changed to the next.
SAVE_SECONDS = 10.0

# States of one write: while they are put together, nothing else happens.
SAVE_AT_ONCE = 50

# Keys of a state that the list shows.
_SHOWN = ("dev", "version", "wifi/net/rssi", "recovery")

log = logging.getLogger("relay")


class Fleet:
    """What is known of all devices.

    Args:
        exchange: who is connected.
        storage: where last states and groups are kept.

    Attributes:
        groups: of each device that is in one.
        on_change: called with the names of the devices whose line has changed.
    """

    def __init__(self, exchange: Exchange, storage: Storage) -> None:
        self._exchange = exchange
        self._storage = storage
        self.groups: dict[str, list[str]] = {}
        self.on_change: Callable[[set[str]], None] = lambda names: None
        self._changed: set[str] = set()
        self._unsaved: set[str] = set()
        self._saved_at = exchange.now()
        exchange.watch(self)

    async def start(self) -> None:
        """Read what was kept."""
        await self.reload()
        for name, booted, seen, state in await self._storage.states():
            self._exchange.remember(name, state, booted, seen)

    async def reload(self) -> None:
        """Read the groups again."""
        groups = await self._storage.groups()
        self._changed.update(
            name for name in groups | self.groups if groups.get(name) != self.groups.get(name)
        )
        self.groups = groups

    def learn(self, name: str, state: str, booted: float, seen: float) -> None:
        """Take what another relay has kept of a device."""
        self._exchange.remember(name, state, booted, seen)
        self._changed.add(name)

    def unlearn(self, name: str) -> None:
        """Forget a device, as another relay has."""
        self._unsaved.discard(name)
        self._exchange.remove(name)
        self._changed.add(name)

    async def stop(self) -> None:
        """Keep what has changed."""
        try:
            await self.save()
        except StoreError as error:
            log.error("%s", error)

    async def tick(self) -> None:
        """Tell who looks what has changed; to be called about every second."""
        if self._changed:
            changed, self._changed = self._changed, set()
            self.on_change(changed)
        if self._exchange.now() - self._saved_at >= SAVE_SECONDS:
            self._saved_at = self._exchange.now()
            await self.save()

    async def save(self) -> None:
        """Keep the states that have changed.

        Raises:
            StoreError: they can't be kept; they are the next time then.
        """
        unsaved, self._unsaved = list(self._unsaved), set()
        for start in range(0, len(unsaved), SAVE_AT_ONCE):
            names = unsaved[start : start + SAVE_AT_ONCE]
            found = [self._exchange.devices.get(name) for name in names]
            rows = [
                (each.name, each.booted, each.seen, each.state.text())
                for each in found
                if each is not None and each.state
            ]
            try:
                await self._storage.keep_states(rows)
            except StoreError:
                self._unsaved.update(unsaved[start:])
                raise

    # What the exchange tells

    def joined(self, device: Device) -> None:
        self._changed.add(device.name)

    def left(self, device: Device) -> None:
        self._changed.add(device.name)
        if not device.remote:
            self._unsaved.add(device.name)

    def changed(self, device: Device, keys: wire.Keys) -> None:
        self._unsaved.add(device.name)
        if "error" in keys or any(key in keys for key in _SHOWN) or _has_errors(keys):
            self._changed.add(device.name)

    # The list

    def line(self, name: str) -> dict[str, Any]:
        """A device as the list shows it; `gone` alone for one that isn't known any more."""
        device = self._exchange.devices.get(name)
        if device is None:
            return {"name": name, "gone": True}
        state = device.state.keys()
        failing = [key[:-6] for key in state if key.endswith("/error") and state[key]]
        line = {
            "name": name,
            "connected": device.link is not None,
            "since": int(device.since),
            "seen": int(device.seen),
            "dev": state.get("dev"),
            "version": state.get("version"),
            "signal": state.get("wifi/net/rssi"),
            "errors": device.errors,
            "failing": failing,
            "recovery": bool(state.get("recovery")),
            "groups": self.groups.get(name),
        }
        return {key: value for key, value in line.items() if value not in (None, [], False, 0)}

    def lines(self, covers: Callable[[str], bool]) -> Iterable[dict[str, Any]]:
        """All devices that a grant covers, by their names."""
        return (self.line(name) for name in sorted(self._exchange.devices) if covers(name))

    async def set_groups(self, name: str, groups: Any) -> list[str]:
        """Say to which groups a device belongs; gives these.

        Raises:
            ValueError: what can't be one.
        """
        if not isinstance(groups, list) or len(groups) > GROUPS_MAX:
            raise ValueError(f"groups must be a list of at most {GROUPS_MAX} texts")
        for group in groups:
            if not isinstance(group, str) or not 0 < len(group) <= GROUP_MAX:
                raise ValueError(f"a group has 1 to {GROUP_MAX} characters")
            if not group.isprintable() or "," in group:
                raise ValueError("a group has printable characters and no comma")
        found = sorted(set(groups))
        await self._storage.set_groups(name, found)
        self.groups.pop(name, None)
        if found:
            self.groups[name] = found
        self._changed.add(name)
        return found

    async def remove(self, name: str) -> bool:
        """Forget a device that is away; says whether it is."""
        device = self._exchange.devices.get(name)
        if device is not None and device.link is not None:
            return False
        await self._storage.remove_device(name)
        self.groups.pop(name, None)
        self.unlearn(name)
        return True


def _has_errors(keys: wire.Keys) -> bool:
    return any(key.endswith("/error") for key in keys)
