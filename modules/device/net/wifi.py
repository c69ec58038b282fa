"""The device's Wi-Fi: its own access point, and the site's network that it joins as a station.

Follows docs/library/network.WLAN of MicroPython and, for what happens underneath,
ports/esp32/network_wlan.c. On the chip `scan()` blocks everything for some 2 s and `active(True)`
for some 100 ms, so a scan happens only when a client asks for it, and the interfaces are brought
up once. While the station is joining, the radio leaves the access point's channel, and one that
tries again without pause makes the access point unusable: the driver's own reconnecting is
turned off, and `Wifi.run` decides when to try.
"""

import asyncio
import os
import sys
from time import ticks_add, ticks_diff, ticks_ms

from lazy import unload
from micropython import const

try:
    import network
except ImportError:
    network = None

# More networks than anybody would look through; keeps the message about them below 3 KiB.
SCAN_MAX = 32

# 12 characters of 32 are 60 bits. No l, o, 0 or 1, which look like others on a label.
PASSWORD_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
PASSWORD_LENGTH = 12

AUTH_OPEN = const(0)

# What status() says besides failures (modnetwork.h).
_IDLE = const(1000)
_CONNECTING = const(1001)
_GOT_IP = const(1010)


class WifiError(Exception):
    """What was asked for can't be done now; the text says why, for the user."""


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

    def __init__(self, config, publish, log, changed=None):
        self._config = config
        self._publish = publish
        self._log = log
        self._changed = changed
        has_wlan = network is not None and hasattr(network, "WLAN")
        self._station = network.WLAN(network.STA_IF) if has_wlan else None
        self._access_point = network.WLAN(network.AP_IF) if has_wlan else None
        self._mac = ""
        if has_wlan:
            self._mac = ":".join(["%02X" % b for b in self._station.config("mac")])
        self._started = False
        self._published = {}
        # (SSID, password) of a network that passed a test and is in use since.
        self._tested = None
        self._test_state = {
            "wifi/test/running": False,
            "wifi/test/result": "",
            "wifi/test/reason": "",
        }
        # Lock of whoever gives the station orders; the supervisor gives way to the others.
        self._orders = None
        self._waiting = 0
        self._failures = 0
        self._next_attempt = None
        self._last_reason = ""

    # Bringing up

    def start(self):
        """Bring up the access point and the station; does nothing when called again.

        The radio may be up already: it stays so over a soft reset. The stored network is joined
        by `run`. A radio that refuses is logged, and the device goes on without.
        """
        if self._started or self._station is None:
            return
        self._started = True
        try:
            self._start_access_point()
        except (OSError, RuntimeError) as error:
            self._log("error", f"access point: {error}")
        try:
            self._start_station()
        except (OSError, RuntimeError) as error:
            self._log("error", f"station: {error}")

    def _start_access_point(self):
        settings = self._access_point_settings()
        # Settings are refused while the interface is down.
        self._access_point.active(True)
        self._access_point.config(**settings)
        try:
            # RFC 8910, DHCP option 114: phones open the page by themselves. Needs a patched port.
            self._access_point.config(portal_uri=f"http://{self.address}/")
        except ValueError:
            pass
        self._log("info", f"access point: {settings['essid']}")
        if "password" in settings:
            # For who has the device in hand, at the console only: the log goes to clients.
            print(
                f"access point {settings['essid']}, password {settings['password']}",
                file=sys.stderr,
            )

    def _access_point_settings(self):
        config = self._config
        settings = {
            "essid": config.get("ap/essid") or "websock-" + self._station.config("mac")[-3:].hex(),
            "authmode": config.get("ap/authmode"),
            "hidden": config.get("ap/hidden"),
            "channel": config.get("ap/channel"),
        }
        if settings["authmode"] != AUTH_OPEN:
            settings["password"] = self._access_point_password()
        return settings

    def _access_point_password(self):
        password = self._config.get("ap/password")
        if password:
            return password
        password = "".join([PASSWORD_ALPHABET[b & 31] for b in os.urandom(PASSWORD_LENGTH)])
        self._config.set("ap/password", password)
        try:
            self._config.save()
        except OSError as error:
            self._log("error", f"access point: its new password could not be saved: {error}")
        unload("device.settings.changes")  # needed again when somebody changes a setting
        return password

    def _start_station(self):
        station = self._station
        station.active(True)
        station.config(reconnects=0)
        ssid = self._config.get("sta/ssid")
        if not ssid or not station.isconnected() or station.config("essid") != ssid:
            # Left over from before a soft reset.
            station.disconnect()

    # State

    @property
    def address(self):
        """The access point's own IPv4 address; None while it isn't up."""
        if self._access_point is None or not self._access_point.active():
            return None
        return self._access_point.ifconfig()[0]

    @property
    def connected(self):
        """Whether the station is on a network, with an address."""
        return self._station is not None and self._station.isconnected()

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
            "wifi/stored/ssid": self._config.get("sta/ssid"),
        }
        state.update(self._test_state)
        if self._station is None:
            return state
        state["wifi/net/mac"] = self._mac
        if self._access_point.active():
            state["wifi/ap/active"] = True
            state["wifi/ap/ssid"] = self._access_point.config("essid")
        if self._station.active():
            state["wifi/net/active"] = True
            if self._station.isconnected():
                address, _, gateway, dns = self._station.ifconfig()
                state["wifi/net/connected"] = True
                state["wifi/net/ap"] = self._station.config("essid")
                state["wifi/net/ip"] = address
                state["wifi/net/gw"] = gateway
                state["wifi/net/dns"] = dns
        return state

    def _refresh(self):
        """Publish what changed since the last time."""
        state = self.status()
        changed = {key: state[key] for key in state if state[key] != self._published.get(key)}
        if changed:
            self._publish(changed)
            self._published = state

    # Supervision

    async def run(self):
        """Keep the station on its network and the state up to date; never returns."""
        was_connected = False
        while True:
            self._refresh()
            if self._station is not None:
                connected = self._station.isconnected()
                if connected != was_connected:
                    self._log_change(connected)
                    was_connected = connected
                    if self._changed is not None:
                        self._changed()
                due = self._next_attempt
                if (
                    not connected
                    and not self._waiting
                    and self._station.active()
                    and self._credentials()
                    and (due is None or ticks_diff(due, ticks_ms()) <= 0)
                ):
                    await self._attempt()
                    continue
            await asyncio.sleep_ms(self.WATCH_MS)

    def _log_change(self, connected):
        if connected:
            ssid = self._station.config("essid")
            self._log("info", f"station: on {ssid}, address {self._station.ifconfig()[0]}")
            self._failures = 0
            self._last_reason = ""
        else:
            self._log("error", "station: off the network")
            self._next_attempt = None

    def _credentials(self):
        """(SSID, password) of the network to be on, None for none."""
        if self._tested:
            return self._tested
        ssid = self._config.get("sta/ssid")
        return (ssid, self._config.get("sta/pass")) if ssid else None

    async def _attempt(self):
        """Try once to join; after a failure the radio is off the air until the next attempt."""
        # Not `async with`: leaving it takes memory, and without that the lock stays for ever.
        orders = self._ordering()
        await orders.acquire()
        try:
            ssid, password = self._credentials()
            reason = await self._join(ssid, password, supervised=True)
            if reason:
                await self._leave()
        finally:
            orders.release()
        if not reason:
            return
        if self._waiting:
            self._next_attempt = None
            return
        if reason != self._last_reason:
            self._last_reason = reason
            self._log("error", f"station: {ssid}: {reason}")
        self._tested = None
        self._failures += 1
        self._next_attempt = ticks_add(ticks_ms(), self._pause())

    def _pause(self):
        """How long to wait after the last failure, in ms."""
        # The exponent is bounded: so is the number that the shift makes.
        pause = min(self.RETRY_FIRST_MS << min(self._failures - 1, 16), self.RETRY_LAST_MS)
        if self._access_point.isconnected():
            pause = max(pause, self.RETRY_IN_USE_MS)
        return pause

    # Orders to the station, to be given within self._ordering()

    def _ordering(self):
        if self._orders is None:
            self._orders = asyncio.Lock()
        return self._orders

    async def _leave(self):
        """Be off every network, with no reason of an earlier failure left in status().

        The driver keeps the last failure's until a success or a leave, and takes a leave into
        account only when there is something to leave.
        """
        station = self._station
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

    async def _join(self, ssid, password, supervised=False):
        """Try once to join a network; returns "" with an address, else the reason.

        A `supervised` attempt ends early when a client wants the station.
        """
        try:
            return await self._join_radio(ssid, password, supervised)
        except (OSError, RuntimeError) as error:
            return f"radio: {error}"

    async def _join_radio(self, ssid, password, supervised):
        station = self._station
        await self._leave()
        before = station.status()
        station.connect(ssid, password or None)
        deadline = ticks_add(ticks_ms(), self.JOIN_MS)
        while ticks_diff(deadline, ticks_ms()) > 0:
            await asyncio.sleep_ms(self.WATCH_MS)
            self._refresh()
            if station.isconnected():
                return ""
            status = station.status()
            if status != before and status not in (_IDLE, _CONNECTING, _GOT_IP):
                from .join_reasons import reason_of

                return reason_of(status, password)
            if supervised and self._waiting:
                return "interrupted"
        return self._late_reason(before, password)

    def _late_reason(self, before, password):
        """Why an attempt did not end in time."""
        from .join_reasons import NO_ADDRESS, NO_ANSWER, reason_of

        try:
            # Only known on a network: it took the station, but gave no address.
            self._station.status("rssi")
            return NO_ADDRESS
        except OSError:
            pass
        status = self._station.status()
        if status == before and status not in (_IDLE, _CONNECTING):
            # It may be the old failure's, but nothing better is known.
            return reason_of(status, password)
        return NO_ANSWER

    # What clients ask for

    async def scan(self):
        """Look for networks, which blocks everything for some 2 s on the chip.

        Returns:
            [{"ssid", "rssi", "channel", "secure"}], strongest first.

        Raises:
            WifiError: it can't be done now.
        """
        self.require_station()
        if self._test_state["wifi/test/running"]:
            raise WifiError("a network is being tested")
        self._waiting += 1
        try:
            # A scan while the station is joining finds nothing: the supervisor leaves first.
            orders = self._ordering()
            await orders.acquire()
            try:
                found = self._station.scan()
            finally:
                orders.release()
        except (OSError, RuntimeError) as error:
            raise WifiError(f"scan: {error}")
        finally:
            self._waiting -= 1
        from utf8 import printable

        strongest = {}
        for ssid, _, channel, rssi, security, hidden in found:
            # A hidden network's SSID is empty, or as many zeros as it has bytes.
            if hidden or not ssid.strip(b"\x00"):
                continue
            if ssid not in strongest or rssi > strongest[ssid]["rssi"]:
                strongest[ssid] = {
                    "ssid": printable(ssid),
                    "rssi": rssi,
                    "channel": channel,
                    "secure": security != AUTH_OPEN,
                }
        networks = sorted(strongest.values(), key=lambda entry: -entry["rssi"])
        return networks[:SCAN_MAX]

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
        from ..settings.credentials import check

        check(ssid, password)
        self.require_station()
        if self._test_state["wifi/test/running"]:
            raise WifiError("another network is being tested")
        self._set_test_state(True, "", "")
        self._waiting += 1
        reason = "cancelled"
        try:
            orders = self._ordering()
            await orders.acquire()
            try:
                if leaving is not None and self._station.isconnected():
                    await leaving()
                reason = await self._try(ssid, password)
                if reason:
                    await self._leave()
                else:
                    self._tested = (ssid, password)
            finally:
                orders.release()
        finally:
            self._waiting -= 1
            # Whatever was tried before, the stored network is due now.
            self._next_attempt = None
            self._set_test_state(False, "Fail" if reason else "Success", reason)
        return not reason, reason

    async def _try(self, ssid, password):
        from .join_reasons import CONNECTION_LOST, NO_ADDRESS

        self._tested = None
        reason = ""
        for _ in range(self.TEST_ATTEMPTS):
            reason = await self._join(ssid, password)
            if not reason:
                return "" if await self._holds() else CONNECTION_LOST
            if reason == NO_ADDRESS:
                break
        return reason

    async def _holds(self):
        """Whether the connection lasts for HOLD_MS."""
        deadline = ticks_add(ticks_ms(), self.HOLD_MS)
        while ticks_diff(deadline, ticks_ms()) > 0:
            await asyncio.sleep_ms(self.WATCH_MS)
            if not self._station.isconnected():
                return False
        return True

    def _set_test_state(self, running, result, reason):
        state = self._test_state
        state["wifi/test/running"] = running
        state["wifi/test/result"] = result
        state["wifi/test/reason"] = reason
        try:
            self._refresh()
        except MemoryError:
            pass  # `run` publishes it

    def store(self, ssid, password=""):
        """Save the network to join from now on.

        A station that is on another network stays there until it loses it, or a restart.

        Raises:
            ValueError: an SSID or password that can't be.
            OSError: it can't be saved.
        """
        from ..settings.credentials import check

        check(ssid, password)
        self._config.set_all({"sta/ssid": ssid, "sta/pass": password})
        self._config.save()
        self.reread()

    def reread(self):
        """Take note that another network is stored, which is due now."""
        self._tested = None
        self._failures = 0
        self._next_attempt = None
        self._refresh()

    def require_station(self):
        """See that there is a station that can join a network.

        Raises:
            WifiError: there is none.
        """
        if self._station is None:
            raise WifiError("this device has no Wi-Fi")
        if not self._station.active():
            raise WifiError("the station is not active")
