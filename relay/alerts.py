"""Alerts: a device that is offline for too long, or a value beyond a bound, is told to a webhook.

A rule fires once for a device, and is told again when it no longer holds.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from relay import wire
from relay.exchange import Device, Exchange
from relay.grants import Grant, checked_devices
from relay.storage import Storage

NAME_MAX = 64
RULES_MAX = 100

# Of a webhook: seconds for an answer, attempts, seconds between the first two (then the double).
TIMEOUT = 10
ATTEMPTS = 5
PAUSE = 2.0

# What waits to be told; the oldest goes first.
CALLS_MAX = 1_000

log = logging.getLogger("relay")


@dataclass(frozen=True, slots=True)
class Rule:
    """When to tell whom.

    Attributes:
        name: what it is called.
        devices: patterns of their names.
        offline: seconds; None for a rule about a value.
        key: of the value; None for a rule about being offline.
        above, below: the bounds beyond which it fires; either may be None.
        webhook: where it is told, "" to show it on the dashboard only.
    """

    name: str
    devices: tuple[str, ...]
    offline: float | None = None
    key: str | None = None
    above: float | None = None
    below: float | None = None
    webhook: str = ""

    def covers(self, name: str) -> bool:
        """Whether it is about a device."""
        return Grant("", self.devices).covers(name)

    def beyond(self, value: Any) -> bool:
        """Whether a value is beyond a bound."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return (self.above is not None and value > self.above) or (
            self.below is not None and value < self.below
        )

    def text(self) -> str:
        """It in JSON."""
        return json.dumps(
            {name: value for name, value in asdict(self).items() if value not in (None, "")}
        )


def rule_of(found: Any) -> Rule:
    """The rule in a JSON object.

    Raises:
        ValueError: the text says what is wrong.
    """
    if not isinstance(found, dict):
        raise ValueError("a rule is an object")
    unknown = set(found) - set(Rule.__dataclass_fields__)
    if unknown:
        raise ValueError(f"a rule has no {sorted(unknown)[0]}")
    name = found.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= NAME_MAX or not name.isprintable():
        raise ValueError(f"name must be text of 1 to {NAME_MAX} characters")
    devices = found.get("devices", ["*"])
    if not isinstance(devices, list) or not all(isinstance(each, str) for each in devices):
        raise ValueError("devices must be a list of patterns")
    offline, key = found.get("offline"), found.get("key")
    numbers = {each: found.get(each) for each in ("offline", "above", "below")}
    for each, value in numbers.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"{each} must be a number")
    if (offline is None) == (key is None):
        raise ValueError("a rule has either offline or key")
    if offline is not None and not 1 <= offline <= 30 * 86400:
        raise ValueError("offline must be 1 to 2592000 seconds")
    if key is not None:
        if not isinstance(key, str) or not 0 < len(key) <= 128:
            raise ValueError("key must be that of a value, as tank/value")
        if numbers["above"] is None and numbers["below"] is None:
            raise ValueError("a rule about a value has above or below")
    webhook = found.get("webhook", "")
    if not isinstance(webhook, str) or (webhook and not _is_url(webhook)):
        raise ValueError("webhook must be a URL, as https://example.org/hook")
    return Rule(name, checked_devices(devices), key=key, webhook=webhook, **numbers)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and len(text) <= 2000
    except ValueError:
        return False


class Alerts:
    """The rules, and for which devices they fire.

    Args:
        exchange: what tells values.
        storage: where the rules are kept.

    Attributes:
        rules: by their numbers.
        firing: since when (seconds since 1970), by the rule's number and the device.
        stirred: whether that has changed since who shows it has said False.
        leads: whether this relay of several is the one that tells who is offline.
    """

    def __init__(self, exchange: Exchange, storage: Storage) -> None:
        self._exchange = exchange
        self._storage = storage
        self.rules: dict[int, Rule] = {}
        self.firing: dict[tuple[int, str], float] = {}
        self.stirred = False
        self._began = exchange.now()
        self.leads: Callable[[], bool] = lambda: True
        self._news: deque[tuple[int, str, float | None]] = deque()
        # By the webhook, so that one that hangs holds up no other.
        self._calls: dict[str, deque[dict[str, Any]]] = {}
        self._calling: dict[str, asyncio.Task[None]] = {}
        self._session: aiohttp.ClientSession | None = None
        exchange.watch(self)

    async def start(self) -> None:
        """Read the rules."""
        await self.reload()
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT))

    async def reload(self) -> None:
        """Read the rules again, and for what they fire, which other relays may have changed."""
        texts = await self._storage.alerts()
        new = {number: rule_of(json.loads(text)) for number, text in texts.items()}
        added = [number for number in new if number not in self.rules]
        self.rules = new
        found = {(number, device): since for number, device, since in await self._storage.firing()}
        for number, name, since in self._news:
            if since is None:
                found.pop((number, name), None)
            else:
                found[number, name] = since
        found = {key: found[key] for key in found if key[0] in new}
        if found != self.firing:
            self.firing = found
            self.stirred = True
        if added:
            self._look_at_all()

    async def stop(self) -> None:
        """End."""
        tasks = list(self._calling.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def add(self, rule: Rule) -> int:
        """Keep a rule.

        Raises:
            ValueError: there are too many.
        """
        if len(self.rules) >= RULES_MAX:
            raise ValueError(f"there are {RULES_MAX} rules already")
        number = await self._storage.add_alert(rule.text())
        self.rules[number] = rule
        self._look_at_all()
        return number

    async def remove(self, number: int) -> bool:
        """End a rule; says whether there was one."""
        self.rules.pop(number, None)
        for key in [key for key in self.firing if key[0] == number]:
            del self.firing[key]
        return await self._storage.remove_alert(number)

    def forget(self, name: str) -> None:
        """End what fires for a device that is no longer known."""
        for number, device in [key for key in self.firing if key[1] == name]:
            self._set(number, device, None)

    # What the exchange tells

    def joined(self, device: Device) -> None:
        if self.leads():
            self._is_back(device)

    def _is_back(self, device: Device) -> None:
        for number, rule in self.rules.items():
            if rule.offline is not None and (number, device.name) in self.firing:
                self._tell(number, rule, device, False)

    def left(self, device: Device) -> None:
        pass

    def changed(self, device: Device, keys: wire.Keys) -> None:
        if self.rules:
            self._look(device, keys)

    def _look_at_all(self) -> None:
        for device in self._exchange.devices.values():
            if not device.remote:
                self._look(device, device.state.keys())

    def _look(self, device: Device, keys: wire.Keys) -> None:
        for number, rule in self.rules.items():
            if rule.key is not None and rule.key in keys and rule.covers(device.name):
                fires = rule.beyond(keys[rule.key])
                if fires != ((number, device.name) in self.firing):
                    self._tell(number, rule, device, fires, keys[rule.key])

    async def tick(self) -> None:
        """Look who is offline for too long; to be called every few seconds."""
        if self.leads():
            self._look_who_is_away()
        while self._news:
            await self._storage.set_firing(*self._news[0])
            self._news.popleft()

    def _look_who_is_away(self) -> None:
        now = self._exchange.now()
        offline = [(n, rule) for n, rule in self.rules.items() if rule.offline is not None]
        for device in list(self._exchange.devices.values()) if offline else ():
            if device.link is not None:
                self._is_back(device)
                continue
            # One that was last heard of before the relay started may be on its way back.
            away = now - max(device.since, self._began)
            for number, rule in offline:
                if (
                    device.since
                    and (number, device.name) not in self.firing
                    and away > (rule.offline or 0)
                    and rule.covers(device.name)
                ):
                    self._tell(number, rule, device, True)

    def _tell(
        self, number: int, rule: Rule, device: Device, fires: bool, value: Any = None
    ) -> None:
        now = self._exchange.now()
        began = self.firing.get((number, device.name), now)
        self._set(number, device.name, now if fires else None)
        log.warning("alert %s: %s, %s", "fires" if fires else "ends", rule.name, device.name)
        if rule.webhook:
            call: dict[str, Any] = {
                "alert": rule.name,
                "device": device.name,
                "fires": fires,
                "since": int(began),
            }
            if rule.key is None:
                call["offline_since"] = int(device.since)
            else:
                call[rule.key] = value
            self._call(rule.webhook, call)

    def _set(self, number: int, device: str, since: float | None) -> None:
        if since is None:
            self.firing.pop((number, device), None)
        else:
            self.firing[number, device] = since
        self._news.append((number, device, since))
        self.stirred = True

    # Webhooks

    def _call(self, url: str, call: dict[str, Any]) -> None:
        self._calls.setdefault(url, deque(maxlen=CALLS_MAX)).append(call)
        if url not in self._calling:
            self._calling[url] = asyncio.create_task(self._work(url))

    async def _work(self, url: str) -> None:
        try:
            while calls := self._calls[url]:
                await self._post(url, calls.popleft())
        finally:
            del self._calling[url], self._calls[url]

    async def _post(self, url: str, call: dict[str, Any]) -> None:
        assert self._session is not None
        pause = PAUSE
        for attempt in range(ATTEMPTS):
            try:
                async with self._session.post(url, json=call, allow_redirects=False) as response:
                    if response.status < 300:
                        return
                    problem = f"status {response.status}"
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                problem = str(error) or type(error).__name__
            if attempt < ATTEMPTS - 1:
                await asyncio.sleep(pause)
                pause *= 2
        log.error("webhook %s not called: %s", urlsplit(url).hostname, problem)
