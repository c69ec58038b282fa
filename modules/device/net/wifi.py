"""The device's Wi-Fi: its own access point, and the site's network that it joins as a station.

Follows docs/library/network.WLAN of MicroPython and, for what happens underneath,
ports/esp32/network_wlan.c. On the chip `scan()` blocks everything for some 2 s and `active(True)`
for some 100 ms, so a scan happens only when a client asks for it, and the interfaces are brought
up once. While the station is joining, the radio leaves the access point's channel, and one that
tries again without pause makes the access point unusable: the driver's own reconnecting is
turned off, and `Wifi.run` decides when to try.
"""

import asyncio
from time import ticks_add, ticks_diff, ticks_ms

from lazy import unload
from micropython import const

try:
    import network
except ImportError:
    network = None

# What status() says besides failures (modnetwork.h).
_IDLE = const(1000)
_CONNECTING = const(1001)
_GOT_IP = const(1010)


class Wifi:
    """Keeps the access point up and the station on its network.

    Args:
        config: the `config.Config`; used are ap/* and sta/*.
        publish: called with a dict of the wifi/* keys that changed.
        log: called with a level and a line.
        changed: called when the station has come to a network, or is off it.
    """

    # One attempt to join, which includes DHCP; a slow router takes 10 s.
    JOIN_MS = 15_000

    # How long a network that is tested has to hold: a wrong setting of the access point's shows
    # as a connection that ends at once.
    HOLD_MS = 1_000

    # A station that does everything right is refused now and then: attempts in one test.
    TEST_ATTEMPTS = 2

    # For leaving a network: the driver's event comes some ms after the order.
    LEAVE_MS = 1_000

    # Pause between attempts to join the stored network: doubled from the first to the last.
    RETRY_FIRST_MS = 2_000
    RETRY_LAST_MS = 60_000

    # The least pause while somebody uses the access point, probably to correct the settings.
    RETRY_IN_USE_MS = 30_000

    # How often the radio is looked at.
    WATCH_MS = 500

    # Called when the access point has come up after the start.
    opened = None

    def __init__(self, config, publish, log, changed=None):
        self.config = config
        self._publish = publish
        self.log = log
        self._changed = changed
        has_wlan = network is not None and hasattr(network, "WLAN")
        self.station = network.WLAN(network.STA_IF) if has_wlan else None
        self.access_point = network.WLAN(network.AP_IF) if has_wlan else None
        self._mac = ""
        if has_wlan:
            self._mac = ":".join(["%02X" % b for b in self.station.config("mac")])
        self._started = False
        self._published = {}
        # (SSID, password) of a network that passed a test and is in use since.
        self.tested = None
        self.test_state = {
            "wifi/test/running": False,
            "wifi/test/result": "",
            "wifi/test/reason": "",
        }
        # Lock of whoever gives the station orders; the supervisor gives way to the others.
        self.orders = None
        self.waiting = 0
        self.failures = 0
        self.next_attempt = None
        self.last_reason = ""
        self.round = []  # (SSID, password) of networks still to be tried
        self.signal = 0
        self._since = ticks_ms()  # when the station came to its network, or was off it

    # Bringing up

    def start(self):
        """Bring up the access point and the station; does nothing when called again.

        The radio may be up already: it stays so over a soft reset. The stored network is joined
        by `run`. A radio that refuses is logged, and the device goes on without.
        """
        if self._started or self.station is None:
            return
        self._started = True
        from .wifi_start import start_access_point, start_station

        if self.config.get("ap/mode") == "always" or not self.config.get("sta/ssid"):
            start_access_point(self)
        start_station(self)
        unload("device.net.wifi_start")

    # State

    @property
    def address(self):
        """The access point's own IPv4 address; None while it isn't up."""
        if self.access_point is None or not self.access_point.active():
            return None
        return self.access_point.ifconfig()[0]

    @property
    def connected(self):
        """Whether the station is on a network, with an address."""
        return self.station is not None and self.station.isconnected()

    def status(self):
        """The wifi/* state; `wifi/scan` is not part of it."""
        state = {
            "wifi/ap/active": False,
            "wifi/ap/ssid": "",
            "wifi/net/active": False,
            "wifi/net/mac": "",
            "wifi/net/ap": "",
            "wifi/net/connected": False,
            "wifi/net/ip": "",
            "wifi/net/gw": "",
            "wifi/net/dns": "",
            "wifi/net/rssi": None,
            "wifi/net/reason": self.last_reason or None,
            "wifi/stored/ssid": self.config.get("sta/ssid"),
            "wifi/stored/networks": None,  # where there are several
        }
        if self.config.get("sta/more"):
            state["wifi/stored/networks"] = [ssid for ssid, _ in self.config.networks()]
        state.update(self.test_state)
        if self.station is None:
            return state
        state["wifi/net/mac"] = self._mac
        if self.access_point.active():
            state["wifi/ap/active"] = True
            state["wifi/ap/ssid"] = self.access_point.config("essid")
        if self.station.active():
            state["wifi/net/active"] = True
            if self.station.isconnected():
                from .joined import status

                status(self, state)
        return state

    def refresh(self):
        """Publish what changed since the last time."""
        state = self.status()
        before = self._published
        changed = {key: state[key] for key in state if state[key] != before.get(key)}
        if changed:
            self._publish(changed)
            self._published = state

    # Supervision

    async def run(self):
        """Keep the station on its network and the state up to date; never returns."""
        was_connected = False
        while True:
            self.refresh()
            if self.station is not None:
                connected = self.station.isconnected()
                if connected != was_connected:
                    self._log_change(connected)
                    was_connected = connected
                    self._since = ticks_ms()
                    if self._changed is not None:
                        self._changed()
                due = self.next_attempt
                if (
                    not connected
                    and not self.waiting
                    and self.station.active()
                    and (self.tested or self.config.get("sta/ssid"))
                    and (due is None or ticks_diff(due, ticks_ms()) <= 0)
                ):
                    await self._attempt()
                    continue
                if self.config.get("ap/mode") != "always":
                    from .wifi_start import watch_access_point

                    lasted = ticks_diff(ticks_ms(), self._since)
                    watch_access_point(self, connected, lasted)
            await asyncio.sleep_ms(self.WATCH_MS)

    def _log_change(self, connected):
        if connected:
            from .joined import essid

            address = self.station.ifconfig()[0]
            self.log("info", f"station: on {essid(self)}, address {address}")
            self.failures = 0
            self.last_reason = ""
        else:
            self.log("error", "station: off the network")
            self.next_attempt = None
        self.round = []

    async def _next(self):
        """(SSID, password) of the network to try next."""
        if self.tested:
            return self.tested
        if not self.round:
            networks = self.config.networks()
            if len(networks) > 1:
                from .wifi_orders import by_order_and_signal

                await self.leave()  # while it is joining, a station hears nothing
                networks = by_order_and_signal(self.station, networks)
            self.round = networks
        return self.round.pop(0)

    async def _attempt(self):
        """Try once to join; after a failure the radio is off the air until the next attempt."""
        # Not `async with`: leaving it takes memory, and without that the lock stays for ever.
        orders = self.ordering()
        await orders.acquire()
        try:
            ssid, password = await self._next()
            reason = await self.join(ssid, password, supervised=True)
            if reason:
                await self.leave()
        finally:
            orders.release()
        if not reason:
            return
        if self.waiting:
            self.next_attempt = None
            return
        if reason != self.last_reason:
            self.last_reason = reason
            self.log("error", f"station: {ssid}: {reason}")
        self.tested = None
        if self.round:
            return  # another network may be there
        self.failures += 1
        self.next_attempt = ticks_add(ticks_ms(), self._pause())

    def _pause(self):
        """How long to wait after the last failure, in ms."""
        # The exponent is bounded: so is the number that the shift makes.
        pause = min(self.RETRY_FIRST_MS << min(self.failures - 1, 16), self.RETRY_LAST_MS)
        if self.access_point.isconnected():
            pause = max(pause, self.RETRY_IN_USE_MS)
        return pause

    # Orders to the station, to be given within self.ordering()

    def ordering(self):
        if self.orders is None:
            self.orders = asyncio.Lock()
        return self.orders

    async def leave(self):
        """Be off every network, with no reason of an earlier failure left in status().

        The driver keeps the last failure's until a success or a leave, and takes a leave into
        account only when there is something to leave.
        """
        station = self.station
        try:
            station.disconnect()
            if station.status() not in (_IDLE, _CONNECTING, _GOT_IP):
                station.connect()
                station.disconnect()
        except (OSError, RuntimeError):
            # There was no network to be on; at worst the earlier failure's reason stays.
            pass
        deadline = ticks_add(ticks_ms(), self.LEAVE_MS)
        while ticks_diff(deadline, ticks_ms()) > 0:
            if not station.isconnected() and station.status() == _IDLE:
                return
            await asyncio.sleep_ms(self.LEAVE_MS // 50)

    async def join(self, ssid, password, supervised=False):
        """Try once to join a network; returns "" with an address, else the reason.

        A `supervised` attempt ends early when a client wants the station.
        """
        try:
            return await self._join_radio(ssid, password, supervised)
        except (OSError, RuntimeError) as error:
            return f"radio: {error}"

    async def _join_radio(self, ssid, password, supervised):
        station = self.station
        await self.leave()
        before = station.status()
        self.joined = ssid
        if self.config.get("sta/ip"):
            from .wifi_start import set_address

            set_address(station, self.config)
        if "\\x" in ssid:
            from ..settings.credentials import ssid_bytes

            ssid = ssid_bytes(ssid)
        station.connect(ssid, password or None)
        deadline = ticks_add(ticks_ms(), self.JOIN_MS)
        while ticks_diff(deadline, ticks_ms()) > 0:
            await asyncio.sleep_ms(self.WATCH_MS)
            self.refresh()
            if station.isconnected():
                return ""
            status = station.status()
            if status != before and status not in (_IDLE, _CONNECTING, _GOT_IP):
                from .join_reasons import reason_of

                return reason_of(status, password)
            if supervised and self.waiting:
                return "interrupted"
        from .join_reasons import late_reason

        return late_reason(station, before, password)

    # What clients ask for

    async def scan(self):
        """Look for networks, which blocks everything for some 2 s on the chip.

        Returns:
            [{"ssid", "rssi", "channel", "secure"}], strongest first.

        Raises:
            WifiError: it can't be done now.
        """
        from .wifi_orders import scan

        return await scan(self)

    async def test(self, ssid, password="", leaving=None):
        """Try a network, and publish wifi/test/*.

        After a failure the station goes back to the stored network, if there is one.

        Args:
            leaving: coroutine function, called before the station leaves the network that it is
                on, when wifi/test/running is published.

        Returns:
            (True, "") with the station on it, or (False, reason).

        Raises:
            ValueError: an SSID or password that can't be.
            WifiError: there is no station, or another test is running.
        """
        from .wifi_orders import test

        return await test(self, ssid, password, leaving)

    def store(self, ssid, password=""):
        """Save the network to join first from now on, in front of those that are stored.

        A station that is on another network stays there until it loses it, or a restart.

        Raises:
            ValueError: an SSID or password that can't be.
            OSError: it can't be saved.
        """
        from .wifi_orders import store

        store(self, ssid, password)

    def reread(self):
        """Take note that other networks are stored, which are due now."""
        self.tested = None
        self.failures = 0
        self.next_attempt = None
        self.round = []
        self.refresh()
