"""What the dashboard and scripts ask of the relay itself: the devices, live and by REST."""

import asyncio
import csv
import io
import json
import logging
import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from aiohttp import WSMsgType, web
from prometheus_client import CONTENT_TYPE_LATEST

from relay import names, wire
from relay.alerts import Alerts, rule_of
from relay.deliveries import Answer, Deliveries, TooMuch
from relay.exchange import Exchange
from relay.fleet import Fleet
from relay.grants import ANYBODY, Grant
from relay.history import History
from relay.metrics import Metrics
from relay.pages import PageLink, Pages, allowed, answer, page_file
from relay.storage import Storage
from relay.store import StoreError

# Devices of one push, and how many are asked at a time.
PUSH_MAX = 20_000
PUSH_AT_A_TIME = 100

# Lines of the audit log that are shown.
AUDIT_SHOWN = 200

# Bytes of the list that wait for a dashboard.
LIVE_QUEUE = 16 << 20

DAY = 86_400.0

log = logging.getLogger("relay")


class Api:
    """The routes below /api/, and the dashboard at /.

    Args:
        pages: the server that they are added to.
        exchange, fleet, history, deliveries, alerts: what they are about.
        storage: where the audit log is kept.

    Attributes:
        metrics: what is counted.
    """

    def __init__(
        self,
        pages: Pages,
        exchange: Exchange,
        fleet: Fleet,
        history: History,
        deliveries: Deliveries,
        alerts: Alerts,
        storage: Storage,
    ) -> None:
        self._pages = pages
        self._exchange = exchange
        self._fleet = fleet
        self._history = history
        self._deliveries = deliveries
        self._alerts = alerts
        self._storage = storage
        self.metrics = Metrics(exchange, deliveries, alerts, storage, pages.places)
        self._live: dict[PageLink, Grant] = {}
        fleet.on_change = self._tell
        device = "/api/devices/{name:.+?}"
        pages.app.add_routes(
            [
                web.get("/", self._dashboard),
                web.get("/health", self._health),
                web.get("/metrics", self._figures),
                web.get("/api/me", self._me),
                web.get("/api/live", self._live_list),
                web.get("/api/devices", self._list),
                web.get(device + "/state", self._state),
                web.post(device + "/command", self._command),
                web.get(device + "/waiting", self._waiting),
                web.delete(device + r"/waiting/{number:\d{1,18}}", self._take_back),
                web.put(device + "/groups", self._groups),
                web.get(device + "/history", self._keys),
                web.get(device + "/history/{key:.+}.csv", self._csv),
                web.get(device + "/history/{key:.+}", self._chart),
                web.delete("/api/devices/{name:.+}", self._forget),
                web.post("/api/push", self._push),
                web.get("/api/alerts", self._rules),
                web.post("/api/alerts", self._add_rule),
                web.delete(r"/api/alerts/{number:\d{1,18}}", self._remove_rule),
                web.get("/api/audit", self._audit),
                web.get(r"/d/{name:.+?}/api/history/{key:.+}.csv", self._csv),
                web.get(r"/d/{name:.+?}/api/history/{key:.+}", self._own_chart),
            ]
        )

    async def _dashboard(self, request: web.Request) -> web.StreamResponse:
        if "Upgrade" in request.headers:
            names.of_path("/")  # which names no device
        self._pages.grant(request)
        return page_file("dashboard.html")

    async def _health(self, request: web.Request) -> web.StreamResponse:
        # For who watches processes, without a login: whether it serves, and can keep what it must.
        try:
            await self._storage.version()
        except StoreError as error:
            log.error("%s", error)
            return answer({"status": "the database fails"}, HTTPStatus.SERVICE_UNAVAILABLE)
        return answer({"status": "ok"})

    async def _figures(self, request: web.Request) -> web.StreamResponse:
        self._pages.grant(request)
        headers = {"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"}
        return web.Response(body=self.metrics.text(), headers=headers)

    async def _me(self, request: web.Request) -> web.StreamResponse:
        grant = self._pages.grant(request)
        return answer(
            {
                "who": grant.who,
                "admin": grant.admin,
                "devices": grant.devices,
                "verbs": grant.verbs,
                "session": grant is not ANYBODY,
            }
        )

    def _admin(self, request: web.Request) -> Grant:
        grant = self._pages.grant(request)
        if not grant.admin:
            raise web.HTTPForbidden(text=f"{grant.who} is no admin")
        return grant

    # The list

    async def _list(self, request: web.Request) -> web.StreamResponse:
        grant = self._pages.grant(request)
        return answer({"devices": list(self._fleet.lines(grant.covers))})

    async def _live_list(self, request: web.Request) -> web.StreamResponse:
        grant = self._pages.grant(request)
        with self._pages.place(request, grant):
            socket = self._pages.socket()
            await socket.prepare(request)
            link = PageLink(socket, LIVE_QUEUE, self._exchange.counts)
            async with self._pages.linked(request, grant, link):
                self._live[link] = grant
                try:
                    devices = list(self._fleet.lines(grant.covers))
                    link.send(wire.dumps({"devices": devices, **self._firing(grant)}))
                    async for message in socket:
                        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                            break
                finally:
                    del self._live[link]
        return socket

    def _tell(self, names: set[str]) -> None:
        for link, grant in self._live.items():
            changed = [self._fleet.line(name) for name in sorted(names) if grant.covers(name)]
            if changed:
                link.send(wire.dumps({"changed": changed}))

    def tick(self) -> None:
        """Tell who looks which alerts fire; to be called about every second."""
        if self._alerts.stirred:
            self._alerts.stirred = False
            for link, grant in self._live.items():
                link.send(wire.dumps(self._firing(grant)))

    def _firing(self, grant: Grant) -> dict[str, Any]:
        return {
            "firing": [
                {"alert": self._alerts.rules[number].name, "device": name, "since": int(since)}
                for (number, name), since in sorted(self._alerts.firing.items())
                if number in self._alerts.rules and grant.covers(name)
            ]
        }

    # One device

    async def _state(self, request: web.Request) -> web.StreamResponse:
        name, _ = self._pages.device(request)
        device = self._exchange.devices.get(name)
        if device is None:
            raise web.HTTPNotFound(text=f"{name} is not known")
        now = self._exchange.now()
        return answer({**self._fleet.line(name), "state": device.whole(now)})

    async def _command(self, request: web.Request) -> web.StreamResponse:
        name, grant = self._pages.device(request)
        found = allowed(grant, await request.text())
        device = self._exchange.devices.get(name)
        # It may be gone when the command has been kept, as by a reboot, and comes back.
        there = device is not None and device.link is not None
        wait = _number(request, "wait", 0)
        if not wait:
            if there:
                # What can't be noted is not done.
                await self._note(grant, _shown(found), name)
            return await self._pages.ask(name, found)
        asked = wire.Request(found.verb, found.item, found.arguments, None, wait)
        waiting = await self._deliveries.add(name, asked, grant.who)
        answered = Answer()
        self._deliveries.when_delivered(waiting, answered.take)
        await self._note(grant, _shown(found), name)
        told = {"waiting": waiting.number, "expires": int(waiting.expires)}
        if not there:
            return answer(told, HTTPStatus.ACCEPTED)
        try:
            keys = await asyncio.wait_for(answered.future, self._exchange.answer_s)
        except TimeoutError:
            return answer(told, HTTPStatus.ACCEPTED)
        if keys is None:
            return answer({"error": f"{found.item} has not been delivered"}, 504)
        return answer({**keys, "delivered": True}, 400 if "error" in keys else 200)

    async def _waiting(self, request: web.Request) -> web.StreamResponse:
        name, _ = self._pages.device(request)
        waiting = [
            {
                "number": each.number,
                "request": json.loads(each.request),
                "who": each.who,
                "expires": int(each.expires),
            }
            for each in self._deliveries.of(name)
        ]
        return answer({"waiting": waiting})

    async def _take_back(self, request: web.Request) -> web.StreamResponse:
        name, grant = self._pages.device(request)
        if not grant.allows("CMD", ""):
            raise web.HTTPForbidden(text=f"{grant.who} may not take back commands")
        if not await self._deliveries.take_back(name, int(request.match_info["number"])):
            raise web.HTTPNotFound(text="no such command waits")
        await self._note(grant, "took back a command", name)
        return answer({})

    async def _groups(self, request: web.Request) -> web.StreamResponse:
        name, _ = self._pages.device(request)
        grant = self._admin(request)
        try:
            groups = await self._fleet.set_groups(name, (await _object(request)).get("groups"))
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        await self._note(grant, "set groups", name, ", ".join(groups))
        return answer({"groups": groups})

    async def _forget(self, request: web.Request) -> web.StreamResponse:
        name, _ = self._pages.device(request)
        grant = self._admin(request)
        if not await self._fleet.remove(name):
            raise web.HTTPConflict(text=f"{name} is connected")
        self._alerts.forget(name)
        await self._note(grant, "forgot a device", name)
        return answer({})

    # History

    async def _keys(self, request: web.Request) -> web.StreamResponse:
        name, _ = self._pages.device(request)
        return answer({"keys": await self._storage.sampled(name)})

    async def _chart(self, request: web.Request) -> web.StreamResponse:
        name, _ = self._pages.device(request)
        since, until = self._span(request)
        key = request.match_info["key"]
        points = int(_number(request, "points", 300))
        found = await self._history.chart(name, key, since, until, points)
        return answer({"key": key, "since": since, "until": until, "samples": found})

    async def _own_chart(self, request: web.Request) -> web.StreamResponse:
        # As the device itself answers it: in seconds since its start.
        name, _ = self._pages.device(request)
        device = self._exchange.devices.get(name)
        if device is None or not device.booted:
            raise web.HTTPNotFound(text=f"{name} has told nothing yet")
        now = self._exchange.now()
        booted = device.booted
        begin = max(booted, now - DAY)
        interval = max(self._history.interval, (now - begin) / 300)
        key = request.match_info["key"]
        rows = await self._storage.means(name, key, begin, now, interval)
        if not rows:
            raise web.HTTPNotFound(text=f"{key} has no history")
        samples: list[float | None] = [None] * (rows[-1][0] + 1)
        for number, value in rows:
            samples[number] = value
        return answer(
            {
                "now": int(now - booted),
                "begin": begin - booted,
                "interval": interval,
                "samples": samples,
            }
        )

    async def _csv(self, request: web.Request) -> web.StreamResponse:
        name, _ = self._pages.device(request)
        key = request.match_info["key"]
        since, until = self._span(request)
        file = f"{name}-{key}".replace("/", "-")
        headers = {
            "Content-Disposition": f'attachment; filename="{_safe(file)}.csv"',
            "Cache-Control": "no-store",
        }
        response = web.StreamResponse(headers=headers)
        response.content_type = "text/csv"
        response.charset = "utf-8"
        await response.prepare(request)
        async for text in _csv_of(key, self._history.lines(name, key, since, until)):
            await response.write(text.encode())
        return response

    def _span(self, request: web.Request) -> tuple[float, float]:
        now = self._exchange.now()
        until = _number(request, "until", now)
        since = _number(request, "since", until - DAY)
        if not since < until:
            raise web.HTTPBadRequest(text="since must be before until")
        return since, until

    # Many devices

    async def _push(self, request: web.Request) -> web.StreamResponse:
        grant = self._pages.grant(request)
        asked = await _object(request)
        devices, wait = asked.get("devices"), asked.get("wait", 0)
        if not isinstance(devices, list) or not 0 < len(devices) <= PUSH_MAX:
            raise web.HTTPBadRequest(text=f"devices must be a list of 1 to {PUSH_MAX} names")
        if isinstance(wait, bool) or not isinstance(wait, int | float) or wait < 0:
            raise web.HTTPBadRequest(text="wait must be a number of seconds")
        found = allowed(grant, json.dumps(asked.get("request")))
        targets = list(dict.fromkeys(map(str, devices)))
        await self._note(grant, _shown(found), None, f"{len(targets)} devices")
        response = web.StreamResponse(headers={"Cache-Control": "no-store"})
        response.content_type = "application/x-ndjson"
        await response.prepare(request)
        places = asyncio.Semaphore(PUSH_AT_A_TIME)
        one = wire.Request(found.verb, found.item, found.arguments, None, wait)

        async def tell(name: str) -> dict[str, Any]:
            async with places:
                return {"device": name, **await self._push_to(grant, name, one)}

        tasks = [asyncio.create_task(tell(name)) for name in targets]
        try:
            for task in asyncio.as_completed(tasks):
                await response.write((wire.dumps(await task) + "\n").encode())
        finally:
            for each in tasks:
                each.cancel()
        return response

    async def _push_to(self, grant: Grant, name: str, request: wire.Request) -> dict[str, Any]:
        if not grant.covers(name) or name not in self._exchange.devices:
            return {"error": f"{name} is not known"}
        answered = Answer()
        if not self._exchange.ask(name, request, answered.take):
            if not request.wait:
                return {"error": f"{name} is not connected"}
            try:
                waiting = await self._deliveries.add(name, request, grant.who)
            except (TooMuch, StoreError) as error:
                return {"error": str(error)}
            return {"waiting": waiting.number, "expires": int(waiting.expires)}
        keys = await answered.future
        return {"error": f"{name} did not answer"} if keys is None else keys

    # Alerts and the audit log

    async def _rules(self, request: web.Request) -> web.StreamResponse:
        self._admin(request)
        rules = [
            {"number": n, **json.loads(rule.text())} for n, rule in self._alerts.rules.items()
        ]
        return answer({"alerts": rules})

    async def _add_rule(self, request: web.Request) -> web.StreamResponse:
        grant = self._admin(request)
        try:
            rule = rule_of(await _object(request))
            number = await self._alerts.add(rule)
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        await self._note(grant, "made an alert", None, rule.name)
        return answer({"number": number}, HTTPStatus.CREATED)

    async def _remove_rule(self, request: web.Request) -> web.StreamResponse:
        grant = self._admin(request)
        number = int(request.match_info["number"])
        if not await self._alerts.remove(number):
            raise web.HTTPNotFound(text="there is no such alert")
        await self._note(grant, "removed an alert", None, str(number))
        return answer({})

    async def _audit(self, request: web.Request) -> web.StreamResponse:
        self._admin(request)
        entries = await self._storage.audit(AUDIT_SHOWN)
        return answer({"audit": [entry._asdict() for entry in entries]})

    async def _note(self, grant: Grant, what: str, device: str | None, detail: str = "") -> None:
        await self._storage.note(grant.who, what, device, detail)


def _shown(request: wire.Request) -> str:
    # What was done, without its arguments: passwords are among them.
    if request.item == "set" and request.arguments:
        keys = request.arguments[0]
        return "CMD set " + (", ".join(keys) if isinstance(keys, dict) else str(keys))[:200]
    return f"{request.verb} {request.item}"[:200]


def _number(request: web.Request, name: str, default: float) -> float:
    text = request.query.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < 1e12:
        raise web.HTTPBadRequest(text=f"{name} must be a number that is not negative")
    return value


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        found = wire.loads(await request.read())
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"the body is not JSON ({error})") from None
    if not isinstance(found, dict):
        raise web.HTTPBadRequest(text="the body is not an object")
    return found


async def _csv_of(key: str, rows: AsyncIterator[list[tuple[float, float]]]) -> AsyncIterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("time", "seconds", key))
    yield text.getvalue()
    async for some in rows:
        text.seek(0)
        text.truncate()
        for at, value in some:
            iso = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
            writer.writerow((iso, f"{at:.3f}", f"{value:.7g}"))
        yield text.getvalue()


def _safe(name: str) -> str:
    return "".join(c if (c.isalnum() and c.isascii()) or c in "-_." else "_" for c in name)
