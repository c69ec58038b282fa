"""The device: its parts, made from the configuration and run together."""

import asyncio
import gc
from asyncio import core

import board
from heap import BLOCK_SIZE
from micropython import const
from transport import AddressError, Group, poller, set_namer, set_reporter, suspend
from websockets import Server

import build_info

from .access.access import Access
from .access.guard import NOT_OWN
from .access.origin import same_host
from .equipment import Equipment
from .hub import Hub
from .log import log, report
from .net import keep_running
from .net.wifi import Wifi
from .routes.table import make_server
from .settings.names import host_name

# Largest WebSocket message taken from a client; beyond it 1009. Commands are at most
# commands.MAX_COMMAND, what lies between gets an error.
MAX_MESSAGE = 8_192

# POLICY_VIOLATION (RFC 6455 section 7.4.1): the client's session has ended.
_LOGGED_OUT = const(1008)

# GOING_AWAY, and how long who is connected has to take note of it.
_GOING_AWAY = const(1001)
PARTING_MS = 500

# SERVICE_RESTART, RFC 6455's registry: the client may come back soon.
_RESTART = const(1012)


class Device:
    """The product.

    Args:
        config: the `config.Config`.
        recovery: traceback of the app that failed, when this runs in its place.

    Attributes:
        hub, equipment, wifi, access: the parts.
        lan, home: likewise, None without Ethernet or a relay.
        group: the connections of all servers.
        sockets: the `websockets.Server`.
        web: the `httpd.Server`.
        guard: what every request is checked by.
        pending: values that fields had when the device started, of those that have changed since
            and whose new value is used after a restart.
    """

    def __init__(self, config, recovery=None):
        self.config = config
        self.recovery = recovery
        self.group = Group(
            config.get("limits/connections"), config.get("limits/secure_connections"), kept=1
        )
        self.group.own = board.keeps_place
        self.hub = hub = Hub()
        host = host_name(config.get("device/iam"))
        board.set_name(host)
        hub.update(
            {
                "host": host + ".local",
                "iam": config.get("device/iam"),
                "dev": config.get("device/dev"),
                "version": build_info.VERSION,
                "app": config.get("app"),
            }
        )
        if recovery:
            hub.update({"recovery": recovery})
        for problem in config.problems:
            log("error", problem)
        # Before there is a network: outputs have their level from now on.
        self.equipment = Equipment(config, hub)
        self.wifi = Wifi(config, hub.update, log, self._network_changed)
        hub.update(self.wifi.status())
        self.lan = None
        if config.section("lan") or board.LAN:
            from .net.lan import Lan

            self.lan = Lan(config, hub.update, log, self._network_changed)
            hub.update(self.lan.status())
        self._commands = None
        self._restarting = self._names = None
        self.pending = {}
        self.make_home()
        zone = config.get("time/zone")
        if zone:
            hub.update({"time_zone": zone})
        self.access = Access(self._revoked, config.forced("access/opened"))
        self.sockets = Server(
            self._serve_client,
            group=self.group,
            origins=same_host,
            process_request=self._check_client,
            keep_headers=False,
            max_size=MAX_MESSAGE,
            write_limit=BLOCK_SIZE,
        )
        self.web = make_server(self)
        self.guard = self.web.guard

    async def run(self):
        """Serve for ever.

        A port that can't be listened at is logged, and the others are served.

        Raises:
            transport.AddressError: one that the program's user asked for.
        """
        set_reporter(report)
        set_namer(self.equipment.name_of)
        asyncio.get_event_loop().set_exception_handler(_task_failed)
        config = self.config
        equipment = asyncio.create_task(keep_running(self.equipment))
        http = self._listen(self.web, "http") or self._listen(self.web, "http", True)
        sockets = self._listen(self.sockets, "websocket")
        https = self._listen_with_tls() if config.get("https/port") else None
        self.wifi.start()
        if self.lan is not None:
            self.lan.start()
        parts = [part for part in (self.wifi, self.lan) if part is not None]
        if config.get("time/server"):
            from .net.ntp import Ntp

            parts.append(Ntp(config, self._online, self.take_time))
        tasks = [asyncio.create_task(keep_running(part)) for part in parts] + [equipment]
        if self.home is not None:
            self.homing = asyncio.create_task(keep_running(self.home))
        self._open_portal()
        self.wifi.opened = self._open_portal
        board.extend(self.web, self.group)
        gc.collect()
        board.ready(http, sockets, https, self._names)
        try:
            await suspend(core.TaskQueue())  # which nobody wakes
        finally:
            for task in tasks:
                task.cancel()
            if self.homing is not None:
                self.homing.cancel()

    def make_home(self):
        """Make the part that phones home, as the settings are now."""
        config = self.config
        self.home = self.homing = None
        if config.get("home/host") or config.get("home/ip"):
            from .net.home import Home

            self.home = Home(config, self.hub, self._handle_relay, self._online)
        else:
            off = {"home/url": "", "home/connected": False}
            off["home/reason"] = off["home/retry_at"] = None
            self.hub.update(off)

    def _listen(self, server, name, default=False):
        # At the address and port of its section, or of the defaults; None where that fails.
        get = self.config.get
        try:
            return server.listen(get(name + "/ip", default), get(name + "/port", default))
        except AddressError as error:
            if name + "/port" in board.overrides:
                raise
            log("error", str(error))
            return None

    def _open_portal(self):
        # The access point's DNS, once there is one.
        if self._names is None and self.config.get("portal/dns_port") and self.wifi.address:
            from .net.portal import resolve

            self._names = resolve(self.config, self.wifi)

    def _listen_with_tls(self):
        from .routes.https import Redirect, listen

        web = self.web
        listener = listen(self.config, web)
        if listener is None:
            return None
        if self.group.limit == board.CONNECTIONS:
            # The board's limit leaves sockets for two listeners.
            self.group.limit -= 1
        if self.config.get("https/redirect"):
            port = self.config.get("https/port")
            # Negative: any free port, which only the program's arguments can ask for.
            web.guard = Redirect(web.guard, port if port > 0 else board.local_port(listener))
        return listener

    async def handle(self, client, message, right=None, repeats=False):
        """Carry out one message: see `commands.Commands.handle`.

        Without `right` it is that of the client's handshake.
        """
        if self._commands is None:
            from .commands import Commands

            self._commands = Commands(
                self.hub,
                self.config,
                self.wifi,
                self.equipment,
                self._reboot,
                self.use_settings,
                lambda: self.home,
            )
        await self._commands.handle(client, message, right or client.request.right, repeats)

    def take_time(self, now, source="server"):
        """Note what time it is: see `wallclock.take`."""
        from .wallclock import take

        take(self.hub, now, source)

    def use_settings(self, before):
        """Use settings that have changed: see `applying.apply`."""
        from .applying import apply

        apply(self, before)

    def _handle_relay(self, client, message):
        # Whatever the relay is told by others: it has never given the admin password.
        return self.handle(client, message, self.config.get("home/rights"), True)

    def _online(self):
        links = (self.wifi, self.lan)
        return board.direct() or any([link.connected for link in links if link is not None])

    def _network_changed(self):
        if self.home is not None:
            self.home.network_changed()

    def _check_client(self, connection, request):
        # One that came by the other port has been checked by the guard, which is then the same.
        if not self.guard.owns(request.headers.get("host")):
            return connection.respond(403, NOT_OWN)
        request.right = self.access.right(request, connection.remote_address)
        if request.right is None:
            return connection.respond(401, "log in first")
        password = self.access.password
        request.holder = None if password is None else password.holder(request.headers)
        return None

    def _revoked(self, holder):
        for client in list(self.sockets.connections):
            if holder is None or client.request.holder == holder:
                client.start_closing(_LOGGED_OUT, "log in again")

    def _serve_client(self, client):
        return self.hub.serve(client, self.handle)

    def _reboot(self):
        if self._restarting is None:
            self._restarting = asyncio.create_task(self._restart())

    async def _restart(self):
        await self._part(_RESTART, "reboot")
        board.reset()

    async def end(self):
        """Tell who is connected that the device goes; to be called when `run` was interrupted."""
        if self._restarting is not None:
            self._restarting.cancel()
        await self._part(_GOING_AWAY, "shutting down")

    async def _part(self, code, reason):
        relay = None if self.home is None else self.home.connection
        if relay is not None:
            relay.start_closing(code, reason)
        self.sockets.close(code=code, reason=reason)
        # For what was written to arrive; who doesn't answer the close frame doesn't hold it up.
        await asyncio.sleep_ms(PARTING_MS // 2)
        if self.sockets.connections or (relay is not None and relay.transport is not None):
            await asyncio.sleep_ms(PARTING_MS // 2)


def _task_failed(loop, context):
    # Not by log.report: what raises here ends the event loop.
    poller.report("a task failed", context["exception"])
