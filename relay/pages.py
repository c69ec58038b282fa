"""The server that pages and scripts ask: WebSockets at `/<name>` as in the example, each device's
own page below `/d/<name>/`, and who may log in."""

import asyncio
import gzip
import json
import logging
import ssl
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote, urlsplit

from aiohttp import WSMsgType, web

from relay import frozen, names, wire
from relay.access import COOKIE, SESSION_SECONDS, Access, Refused, TooMany
from relay.config import Config
from relay.deliveries import Answer, TooMuch
from relay.exchange import (
    POLICY_VIOLATION,
    SERVICE_RESTART,
    TRY_AGAIN_LATER,
    Exchange,
    Message,
    Page,
)
from relay.grants import ANYBODY, Grant
from relay.links import Full, Pace, Places
from relay.store import StoreError

NO_STORE = {"Cache-Control": "no-store"}

WWW = Path(__file__).parent / "www"
SHARED = Path(__file__).parents[1] / "frozen_www"
PAGE_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Methods that change nothing (RFC 9110 section 9.2.1).
_SAFE = ("GET", "HEAD", "OPTIONS")

# The largest is a push to all devices.
_BODY_MAX = 2 << 20

# Seconds for a peer to answer a close frame, and for requests to end when the relay does.
CLOSE_TIMEOUT = 5

# Connections that may wait to be accepted.
BACKLOG = 1024

log = logging.getLogger("relay")


class PageLink:
    """The `exchange.Link` to a page: what waits for it is sent by a task of its own.

    Args:
        socket: the connection.
        queue_limit: bytes that may wait for the page.
        counts: where it is counted as "slow".
    """

    __slots__ = ("_close", "_counts", "_limit", "_news", "_queue", "_size", "_socket")

    def __init__(
        self, socket: web.WebSocketResponse, queue_limit: int, counts: Counter[str]
    ) -> None:
        self._socket = socket
        self._counts = counts
        self._limit = queue_limit
        self._queue: deque[Message] = deque()
        self._size = 0
        self._news = asyncio.Event()
        self._close: tuple[int, str] | None = None

    def send(self, message: Message) -> None:
        if self._close is not None:
            return
        if self._size > self._limit:
            self._queue.clear()
            self._counts["slow"] += 1
            self.close(TRY_AGAIN_LATER, "too slow")
            return
        self._queue.append(message)
        self._size += len(message)
        self._news.set()

    def close(self, code: int, reason: str) -> None:
        if self._close is None:
            self._close = code, reason
            self._news.set()

    @property
    def open(self) -> bool:
        """Whether it has not been closed."""
        return self._close is None

    async def run(self) -> None:
        """Send until the connection ends, or is to be closed."""
        socket, queue = self._socket, self._queue
        while True:
            while queue:
                message = queue.popleft()
                if isinstance(message, str):
                    await socket.send_str(message)
                else:
                    await socket.send_bytes(message)
                self._size -= len(message)
            if self._close is not None:
                code, reason = self._close
                await socket.close(code=code, message=reason.encode()[:123])
                return
            self._news.clear()
            await self._news.wait()


class Pages:
    """The server.

    Args:
        config: where it listens, and its limits.
        exchange: what takes the pages.
        access: who may what.

    Attributes:
        app: what further routes are added to.
        port: where it listens, also where the configuration says 0.
        places: who is connected.
    """

    def __init__(self, config: Config, exchange: Exchange, access: Access) -> None:
        self._config = config
        self._exchange = exchange
        self._access = access
        self._assets = frozen.load()
        self.places = Places(config.max_pages, config.max_pages_of_one, "pages")
        self._links: dict[PageLink, Callable[[], bool]] = {}
        self._runner: web.AppRunner | None = None
        self.port = 0
        self.app = web.Application(client_max_size=_BODY_MAX, middlewares=[self._guard])
        self.app.add_routes(
            [
                web.get("/login", self._login_page),
                web.post("/login", self._login),
                web.post("/logout", self._logout),
                web.get("/static/{file:[a-z]+[.](css|js|svg)}", self._file),
                web.get(r"/d/{name:.+?}/ws", self._own_socket),
                web.get(r"/d/{name:.+?}/static/{file:.+}", self._own_file),
                web.get(r"/d/{name:.+?}/api/session", self._own_session),
                web.get(r"/d/{name:.+?}/api/state", self._own_state),
                web.post(r"/d/{name:.+?}/api/command", self._own_command),
                web.get(r"/d/{name:.+?}/login", self._own_login),
            ]
        )

    async def start(self, secure: ssl.SSLContext | None = None) -> None:
        """Begin to listen.

        Raises:
            OSError: the address can't be had.
        """
        # Last: what is left of a device's page, and then any other name is a device's.
        self.app.add_routes(
            [
                web.get(r"/d/{name:.+?}/{rest:api/.*}", self._own_nothing),
                web.get(r"/d/{name:.+?}/", self._own_page),
                web.get(r"/d/{name:.+}", self._own_folder),
                web.get(r"/{name:.*}", self._device_socket),
            ]
        )
        self._runner = web.AppRunner(
            self.app, access_log=None, shutdown_timeout=CLOSE_TIMEOUT, handle_signals=False
        )
        await self._runner.setup()
        site = web.TCPSite(
            self._runner,
            self._config.page_host,
            self._config.page_port,
            ssl_context=secure,
            backlog=BACKLOG,
        )
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Have all pages come back later, and end."""
        for link in self._links:
            link.close(SERVICE_RESTART, "the relay is restarting")
        if self._runner is not None:
            await self._runner.cleanup()

    def check(self) -> None:
        """Close the pages that have lost the right to be here."""
        for link, still in self._links.items():
            if not still():
                link.close(POLICY_VIOLATION, "log in again")

    # Who asks

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            self._check_site(request)
            response = await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return answer({"error": error.text or error.reason}, error.status)
        except Refused as error:
            if _wants_page(request):
                here = quote(request.rel_url.path_qs.lstrip("/"), safe="")
                raise web.HTTPFound(f"/login?next={here}") from None
            return answer({"error": str(error)}, HTTPStatus.UNAUTHORIZED)
        except names.BadName as error:
            return answer({"error": str(error)}, HTTPStatus.NOT_FOUND)
        except StoreError as error:
            log.error("%s", error)
            return answer({"error": "the relay can't keep this now"}, 507)
        except (TooMany, Full, TooMuch) as error:
            return answer({"error": str(error)}, HTTPStatus.TOO_MANY_REQUESTS)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return answer({"error": "the relay failed, see its log"}, 500)
        return response

    def _check_site(self, request: web.Request) -> None:
        host = request.headers.get("Host", "")
        if self._access.open_to_all(request.headers) and not self._is_own(host):
            # A page of any site could have its name lead here, and nobody has to log in.
            raise web.HTTPMisdirectedRequest(text=f"{host} is not a name of this relay")
        origin = request.headers.get("Origin")
        if request.method in _SAFE and "Upgrade" not in request.headers:
            return
        # Scripts send none; a browser says which site's page it is (RFC 6455 section 10.2).
        if origin is not None and origin not in self._config.origins:
            if urlsplit(origin).netloc.lower() != host.lower():
                raise web.HTTPForbidden(text=f"pages of {origin} may not")

    def _is_own(self, host: str) -> bool:
        try:
            name = (urlsplit("//" + host).hostname or "").rstrip(".")
        except ValueError:
            return False
        if ":" in name or name.replace(".", "").isdigit() or name == "localhost":
            return True
        return name in self._config.hosts

    def grant(self, request: web.Request) -> Grant:
        """What who asks may do.

        Raises:
            Refused: nothing.
        """
        return self._access.page(request.headers, request.query, request.remote or "")

    def address(self, request: web.Request) -> str:
        """Whom a request is from, by the word of a proxy that is believed."""
        remote = request.remote or ""
        if remote in self._config.proxies:
            return request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() or remote
        return remote

    def place(self, request: web.Request, grant: Grant) -> AbstractContextManager[None]:
        """A place of who asks, for as long as the context lasts.

        Raises:
            Full: there is none.
        """
        return self.places.one(self.address(request) if grant is ANYBODY else grant.who)

    def device(self, request: web.Request) -> tuple[str, Grant]:
        """The device that a request is about, and what who asks may do.

        Raises:
            BadName: there is no such device.
            HTTPForbidden, Refused: who asks may not look at it.
        """
        name = names.checked(request.match_info["name"])
        grant = self.grant(request)
        if not grant.covers(name):
            raise web.HTTPForbidden(text=f"{grant.who} may not look at {name}")
        return name, grant

    # Sockets

    async def _device_socket(self, request: web.Request) -> web.StreamResponse:
        if "Upgrade" not in request.headers:
            raise web.HTTPNotFound(text="there is nothing here")
        return await self._socket(request, *self.device(request))

    async def _own_socket(self, request: web.Request) -> web.StreamResponse:
        return await self._socket(request, *self.device(request), own=True)

    async def _socket(
        self, request: web.Request, name: str, grant: Grant, own: bool = False
    ) -> web.StreamResponse:
        with self.place(request, grant):
            socket = self.socket()
            await socket.prepare(request)
            link = PageLink(socket, self._config.page_queue, self._exchange.counts)
            numbered = socket.ws_protocol == wire.SUBPROTOCOL
            page = Page(name, link, grant, numbered, own)
            pace = Pace(self._config.page_rate)
            async with self.linked(request, grant, link):
                self._exchange.page_joined(page)
                try:
                    async for message in socket:
                        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                            break
                        if not pace.allows():
                            link.close(POLICY_VIOLATION, "too many messages")
                        elif link.open:
                            self._exchange.from_page(page, message.data)
                finally:
                    self._exchange.page_left(page)
        return socket

    def socket(self) -> web.WebSocketResponse:
        """A WebSocket with the relay's limits."""
        return web.WebSocketResponse(
            protocols=(wire.SUBPROTOCOL,),
            compress=False,
            heartbeat=self._config.ping_s,
            max_msg_size=self._config.max_message,
            timeout=CLOSE_TIMEOUT,
        )

    def linked(self, request: web.Request, grant: Grant, link: PageLink) -> "_Linked":
        """A context in which a link sends, and is closed when `grant` no longer holds."""

        def still() -> bool:
            try:
                return self.grant(request) == grant
            except Refused:
                return False

        return _Linked(
            self._links, link, still, self._access.seconds_left(request.headers, request.query)
        )

    # Files

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["file"]
        # The look of the devices' page, its helpers, and the library of its charts are shared.
        for folder in (WWW, SHARED):
            if (folder / "static" / name).is_file():
                headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
                return web.FileResponse(folder / "static" / name, headers=headers)
        return self._asset(request, "static/" + name)

    # A device's own page

    async def _own_folder(self, request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(request.path + "/")

    async def _own_page(self, request: web.Request) -> web.StreamResponse:
        self.device(request)
        if not self._assets:
            raise web.HTTPNotFound(text="the page isn't here: run make assets first")
        return self._asset(request, frozen.PAGE)

    async def _own_file(self, request: web.Request) -> web.StreamResponse:
        # Nobody's secret, and the same for all devices.
        return self._asset(request, "static/" + request.match_info["file"])

    def _asset(self, request: web.Request, name: str) -> web.StreamResponse:
        asset = self._assets.get(name)
        if asset is None:
            raise web.HTTPNotFound
        if asset.etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers={"ETag": asset.etag})
        if asset.headers.get("Content-Encoding") != "gzip" or _takes_gzip(request):
            return web.Response(body=asset.body, headers=asset.headers)
        headers = {key: asset.headers[key] for key in asset.headers if key != "Content-Encoding"}
        return web.Response(body=gzip.decompress(asset.body), headers=headers)

    async def _own_session(self, request: web.Request) -> web.StreamResponse:
        try:
            self.device(request)
        except Refused:
            return answer({"password": True, "authenticated": False, "right": None})
        # What may be done is asked with each command; the device's password is its own.
        return answer({"password": True, "authenticated": True, "right": "control"})

    async def _own_state(self, request: web.Request) -> web.StreamResponse:
        name, _ = self.device(request)
        device = self._exchange.devices.get(name)
        if device is None or device.link is None:
            raise web.HTTPServiceUnavailable(text=f"{name} is not connected")
        return answer(device.whole(self._exchange.now()))

    async def _own_command(self, request: web.Request) -> web.StreamResponse:
        name, grant = self.device(request)
        return await self.ask(name, allowed(grant, await request.text()))

    async def ask(self, name: str, request: wire.Request) -> web.StreamResponse:
        """The answer of a device to a request, as the device gives it by HTTP."""
        answered = Answer()
        if not self._exchange.ask(name, request, answered.take):
            raise web.HTTPServiceUnavailable(text=f"{name} is not connected")
        keys = await answered.future
        if keys is None:
            return answer({"error": f"{name} did not answer"}, HTTPStatus.GATEWAY_TIMEOUT)
        return answer(keys, HTTPStatus.BAD_REQUEST if "error" in keys else HTTPStatus.OK)

    async def _own_login(self, request: web.Request) -> web.StreamResponse:
        # The device's own page has a link to it: here that is where one came from.
        self.grant(request)
        raise web.HTTPFound("/")

    async def _own_nothing(self, request: web.Request) -> web.StreamResponse:
        raise web.HTTPNotFound(text="not by way of the relay: ask the device itself")

    # Who may

    async def _login_page(self, request: web.Request) -> web.StreamResponse:
        return page_file("login.html")

    async def _login(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        name, password = form.get("name"), form.get("password")
        if not isinstance(name, str) or not isinstance(password, str):
            raise web.HTTPBadRequest(text="name and password are needed")
        try:
            cookie = await self._access.log_in(name, password, self.address(request))
        except Refused as error:
            log.warning("login of %r refused, from %s", name[:40], self.address(request))
            return answer({"error": str(error)}, HTTPStatus.UNAUTHORIZED)
        response = answer({"user": name})
        response.set_cookie(
            COOKIE,
            cookie,
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="Strict",
            secure=self._is_secure(request),
        )
        return response

    def _is_secure(self, request: web.Request) -> bool:
        by_proxy = request.remote in self._config.proxies
        return request.secure or (
            by_proxy and request.headers.get("X-Forwarded-Proto", "") == "https"
        )

    async def _logout(self, request: web.Request) -> web.StreamResponse:
        response = answer({})
        response.del_cookie(COOKIE)
        return response


class _Linked:
    def __init__(
        self,
        links: dict[PageLink, Callable[[], bool]],
        link: PageLink,
        still: Callable[[], bool],
        seconds: float | None,
    ) -> None:
        self._links = links
        self._link = link
        self._still = still
        self._seconds = seconds
        self._end: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        self._links[self._link] = self._still
        if self._seconds is not None:
            loop = asyncio.get_running_loop()
            self._end = loop.call_later(
                self._seconds, self._link.close, POLICY_VIOLATION, "the token has expired"
            )
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        # The peer may leave at any time.
        try:
            await self._link.run()
        except ConnectionError:
            pass

    async def __aexit__(self, *exception: object) -> None:
        del self._links[self._link]
        if self._end is not None:
            self._end.cancel()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def page_file(name: str) -> web.FileResponse:
    """A page of the relay's own; its scripts and styles are files below /static/."""
    return web.FileResponse(WWW / name, headers=PAGE_HEADERS)


def answer(values: wire.Keys, status: int = HTTPStatus.OK) -> web.Response:
    """A response of JSON that nobody keeps."""
    return web.json_response(values, status=status, headers=NO_STORE, dumps=json.dumps)


def allowed(grant: Grant, message: str) -> wire.Request:
    """The request in a message.

    Raises:
        HTTPBadRequest: there is none.
        HTTPForbidden: it isn't in the grant.
    """
    try:
        found = wire.parse(message)
    except wire.BadRequest as error:
        raise web.HTTPBadRequest(text=str(error)) from None
    if not grant.allows(found.verb, found.item):
        raise web.HTTPForbidden(text=f"{grant.who} may not {found.verb} {found.item}")
    return found


def _takes_gzip(request: web.Request) -> bool:
    return "gzip" in request.headers.get("Accept-Encoding", "")


def _wants_page(request: web.Request) -> bool:
    return request.method == "GET" and "text/html" in request.headers.get("Accept", "")
