"""The device's Wi-Fi, on the host board's simulated radio."""

import asyncio
import json

import machine
import network
from device.net import wifi, wifi_orders, wifi_start
from device.net.wifi import Wifi
from device.net.wifi_errors import WifiError
from device.settings import config, credentials
from helpers import raises_later, refusal, until

HOST_ONLY = True

machine.FOLDER = ""

WAIT_MS = 10_000

WORKSHOP = {"ssid": "workshop", "password": "correct-horse", "channel": 6, "rssi": -48}
GUEST = {"ssid": "guest", "rssi": -61}
ATTIC = {"ssid": "attic", "password": "under-the-roof", "rssi": -87, "dhcp": False}

PHONE = "02:00:00:00:00:01"

sta = network.WLAN(network.STA_IF)
ap = network.WLAN(network.AP_IF)


class QuickWifi(Wifi):
    """The same with shorter times, as the simulated radio is quicker than a real one."""

    JOIN_MS = 600
    HOLD_MS = 60
    LEAVE_MS = 500
    RETRY_FIRST_MS = 40
    RETRY_LAST_MS = 200
    RETRY_IN_USE_MS = 400
    WATCH_MS = 5


class PatientWifi(QuickWifi):
    """Gives an attempt longer than a test may take."""

    JOIN_MS = 3_600_000


class RestingWifi(QuickWifi):
    """Rests longer between attempts than a test may take."""

    RETRY_FIRST_MS = RETRY_LAST_MS = 3_600_000


class Config(config.Config):
    """The device's settings, never written; `saved` is what a restart would find.

    `overrides` are what no file could ask for.
    """

    def __init__(self, overrides=None, **values):
        super().__init__(overrides)
        self.saved = None
        self.error = None
        self.set_all({name.replace("_", "/", 1): value for name, value in values.items()})

    def save(self):
        if self.error:
            raise self.error
        self.saved = dict(self.values)


class Device:
    """What Wifi publishes and logs, and the tasks round it."""

    def __init__(self, kind=QuickWifi, **values):
        self.config = Config(**values)
        self.state = {}
        self.published = []
        self.lines = []
        self.wifi = kind(self.config, self._publish, self._log)
        self._task = None

    def _publish(self, changed):
        assert changed
        for key in changed:
            assert changed[key] != self.state.get(key), f"{key} did not change"
        self.state.update(changed)
        self.published.append(changed)

    def _log(self, level, text):
        assert level in ("info", "error")
        self.lines.append(text)

    async def __aenter__(self):
        self.wifi.start()
        self._task = asyncio.create_task(self.wifi.run())
        await until(lambda: self.state)
        return self

    async def __aexit__(self, kind, error, traceback):
        # A supervisor that failed raises here.
        if self._task.done():
            await self._task
        self._task.cancel()
        try:
            await self._task
        except asyncio.CancelledError:
            pass


def air(*networks, **settings):
    """Put networks on the air."""
    settings["networks"] = networks
    settings.setdefault("delay_ms", 20)
    with open("wifi_sim.json", "w") as file:
        json.dump(settings, file)


def is_connected():
    return sta.isconnected()


async def reset():
    """The radio as after a hard reset, with the usual networks on the air."""
    air(WORKSHOP, GUEST, ATTIC)
    sta.active(True)
    sta.disconnect()
    await until(lambda: not sta.isconnected())
    # Only a success clears the reason of an earlier failure.
    sta.connect("guest")
    await until(sta.isconnected)
    sta.active(False)
    ap.active(False)


async def refused(error, coroutine):
    return str(await raises_later(error, coroutine))


# Bringing up


async def test_first_boot_makes_an_access_point_of_its_own():
    await reset()
    async with Device() as device:
        name = "websock-" + sta.config("mac")[-3:].hex()
        assert ap.active()
        assert ap.config("essid") == name
        assert ap.config("authmode") == network.AUTH_WPA2_PSK
        password = device.config.saved["ap/password"]
        assert len(password) == wifi_start.PASSWORD_LENGTH
        assert all(c in wifi_start.PASSWORD_ALPHABET for c in password)
        assert device.state["wifi/ap/active"] is True
        assert device.state["wifi/ap/ssid"] == name
        assert device.state["wifi/net/active"] is True
        assert device.state["wifi/net/connected"] is False
        assert device.state["wifi/stored/ssid"] == ""
        mac = ":".join(["%02X" % b for b in machine.unique_id()])
        assert device.state["wifi/net/mac"] == mac
        assert password not in "".join(device.lines) + json.dumps(device.published)
    # The next boot keeps it, another device has another.
    again = Device(ap_password=password)
    again.wifi.start()
    assert again.config.saved is None
    other = Device()
    other.wifi.start()
    assert other.config.saved["ap/password"] != password


async def test_the_access_point_as_configured():
    await reset()
    settings = {"ap_essid": "own", "ap_password": "long-enough", "ap_hidden": True}
    async with Device(ap_channel=11, **settings) as device:
        assert ap.config("essid") == device.state["wifi/ap/ssid"] == "own"
        assert ap.config("hidden") is True
        assert ap.config("channel") == 11
        assert device.config.saved is None
    open_one = Device(ap_authmode=0, ap_essid="open")
    open_one.wifi.start()
    assert ap.config("authmode") == network.AUTH_OPEN
    assert open_one.config.saved is None


async def test_a_full_flash_does_not_keep_the_access_point_down():
    await reset()
    device = Device(ap_essid="own")
    device.config.error = OSError(28)
    device.wifi.start()
    assert "could not be saved" in device.lines[0]
    assert ap.config("essid") == "own"
    assert ap.config("authmode") == network.AUTH_WPA2_PSK


async def test_an_access_point_that_is_refused_does_not_keep_the_station_down():
    await reset()
    async with Device(overrides={"ap/authmode": 99}, sta_ssid="guest") as device:
        assert device.lines[0].startswith("access point: Wifi Unknown Error")
        await until(lambda: device.state["wifi/net/ap"] == "guest")


async def test_start_is_idempotent_over_a_soft_reset():
    await reset()
    async with Device(sta_ssid="workshop", sta_pass="correct-horse") as device:
        device.wifi.start()
        await until(is_connected)
    # The radio is still up when the program begins again.
    async with Device(sta_ssid="workshop", sta_pass="correct-horse") as device:
        assert sta.isconnected()
        assert device.state["wifi/net/connected"] is True
        await asyncio.sleep_ms(100)
        assert not any("off the network" in line for line in device.lines)
    # On another network than the stored one.
    async with Device(sta_ssid="guest") as device:
        await until(lambda: device.state["wifi/net/ap"] == "guest")
    # Nothing stored.
    async with Device() as device:
        await until(lambda: not sta.isconnected())


async def test_without_a_radio():
    with_radio = wifi.network
    for module in (None, json):
        wifi.network = module
        try:
            device = Device(sta_ssid="workshop", kind=Wifi)
        finally:
            wifi.network = with_radio
        async with device:
            assert device.state["wifi/net/active"] is False
            assert device.state["wifi/ap/active"] is False
            assert device.state["wifi/net/mac"] == ""
            assert device.state["wifi/stored/ssid"] == "workshop"
            text = "this device has no Wi-Fi"
            assert await refused(WifiError, device.wifi.scan()) == text
            assert await refused(WifiError, device.wifi.test("guest")) == text
            device.wifi.store("guest")
            assert device.state["wifi/stored/ssid"] == "guest"


# The stored network


async def test_the_stored_network_is_joined_and_its_state_published():
    await reset()
    async with Device(sta_ssid="workshop", sta_pass="correct-horse") as device:
        await until(lambda: device.state["wifi/net/connected"])
        expected = {
            "wifi/net/active": True,
            "wifi/net/ap": "workshop",
            "wifi/net/ip": "192.168.7.23",
            "wifi/net/gw": "192.168.7.1",
            "wifi/net/dns": "192.168.7.1",
            "wifi/stored/ssid": "workshop",
        }
        for key in expected:
            assert device.state[key] == expected[key], key
        status = device.wifi.status()
        assert device.state == {key: status[key] for key in status if status[key] is not None}
        count = len(device.published)
        await asyncio.sleep_ms(100)
        # Nothing changed, nothing published.
        assert len(device.published) == count
        assert device.lines[-1] == "station: on workshop, address 192.168.7.23"


async def test_a_network_that_vanishes_and_comes_back():
    await reset()
    async with Device(sta_ssid="workshop", sta_pass="correct-horse") as device:
        await until(lambda: device.state["wifi/net/connected"])
        air(GUEST)
        await until(lambda: not device.state["wifi/net/connected"])
        assert device.state["wifi/net/ip"] == device.state["wifi/net/ap"] == ""
        await until(lambda: "station: workshop: network not found" in device.lines)
        air(GUEST, WORKSHOP)
        await until(lambda: device.state["wifi/net/connected"])


async def test_a_failure_is_logged_once():
    await reset()
    async with Device(sta_ssid="workshop", sta_pass="wrong-horse") as device:
        await until(lambda: device.wifi.failures > 3)
        failures = [line for line in device.lines if "wrong password" in line]
        assert len(failures) == 1, device.lines


async def test_the_pause_between_attempts_grows():
    device = Device(kind=Wifi)
    ap.active(True)
    air(GUEST)
    pauses = []
    for failures in (1, 2, 3, 5, 6, 1000):
        device.wifi.failures = failures
        pauses.append(device.wifi._pause())
    assert pauses == [2000, 4000, 8000, 32_000, 60_000, 60_000]
    air(GUEST, stations=[PHONE])
    device.wifi.failures = 1
    assert device.wifi._pause() == 30_000
    device.wifi.failures = 1000
    assert device.wifi._pause() == 60_000


async def test_the_radio_is_left_to_the_access_point_between_attempts():
    await reset()
    air(WORKSHOP, GUEST, stations=[PHONE], delay_ms=2)
    async with Device(sta_ssid="workshop", sta_pass="wrong-horse") as device:
        await until(lambda: device.wifi.failures == 1)
        # Only a station that is not joining finds something; the pause is 400 ms.
        for _ in range(20):
            assert sta.scan(), "on the air"
            assert ap.active() and ap.isconnected()
            await asyncio.sleep_ms(5)
        await until(lambda: device.wifi.failures == 2)
        assert sta.scan()


async def test_a_network_without_addresses_is_left_between_attempts():
    await reset()
    settings = {"sta_ssid": "attic", "sta_pass": "under-the-roof"}
    async with Device(kind=RestingWifi, **settings) as device:
        await until(lambda: "station: attic: no address" in device.lines)

        def is_off():
            try:
                return not sta.status("rssi")
            except OSError:
                return True

        await until(is_off)


# Testing a network


async def test_reasons():
    await reset()
    async with Device() as device:
        for ssid, password, reason in (
            ("workshop", "wrong-horse", "wrong password"),
            # Once more: the driver still says so from the time before.
            ("workshop", "wrong-horse", "wrong password"),
            ("workshop", "", "password required"),
            ("guest", "unnecessary", "security mismatch"),
            ("cellar", "correct-horse", "network not found"),
            ("attic", "under-the-roof", "no address"),
        ):
            assert await device.wifi.test(ssid, password) == (False, reason), (ssid, password)
            assert device.state["wifi/test/running"] is False
            assert device.state["wifi/test/result"] == "Fail"
            assert device.state["wifi/test/reason"] == reason
            assert ap.active()
            await until(lambda: not sta.isconnected())
            # Off the air: nothing is stored.
            await until(sta.scan)
        assert "horse" not in "".join(device.lines) + json.dumps(device.published)


async def test_success_stays_connected():
    await reset()
    async with Device(sta_ssid="guest") as device:
        await until(lambda: device.state["wifi/net/ap"] == "guest")
        assert await device.wifi.test("workshop", "correct-horse") == (True, "")
        assert device.state["wifi/test/result"] == "Success"
        assert device.state["wifi/test/reason"] == ""
        assert {"wifi/test/running": True} in device.published
        await asyncio.sleep_ms(100)
        assert device.state["wifi/net/ap"] == "workshop"
        assert device.state["wifi/stored/ssid"] == "guest"
        # Lost, it is tried again; gone for good, the stored one is back.
        air(GUEST)
        await until(lambda: device.state["wifi/net/ap"] == "guest")


async def test_a_tested_network_that_blinks_is_joined_again():
    await reset()
    async with Device() as device:
        assert await device.wifi.test("workshop", "correct-horse") == (True, "")
        air(GUEST)
        await until(lambda: not sta.isconnected())
        air(WORKSHOP)
        await until(lambda: device.state["wifi/net/ap"] == "workshop")


async def test_failure_falls_back_to_the_stored_network():
    await reset()
    async with Device(sta_ssid="workshop", sta_pass="correct-horse") as device:
        await until(lambda: device.state["wifi/net/connected"])
        for ssid, password in (("guest", "unnecessary"), ("workshop", "wrong-horse")):
            ok, _ = await device.wifi.test(ssid, password)
            assert not ok
            await until(lambda: device.state["wifi/net/ap"] == "workshop")


async def test_a_test_does_not_wait_for_the_supervisor():
    await reset()
    # Joining would take longer than the whole test may.
    air(GUEST, delay_ms=60_000)
    async with Device(sta_ssid="cellar", kind=PatientWifi) as device:
        await until(lambda: sta.config("essid") == "cellar")
        testing = asyncio.create_task(device.wifi.test("guest"))
        await until(lambda: sta.config("essid") == "guest")
        air(GUEST)
        assert await testing == (True, "")


async def test_an_earlier_failure_does_not_delay_the_next():
    await reset()
    async with Device(kind=PatientWifi) as device:
        for _ in range(2):
            result = await device.wifi.test("workshop", "wrong-horse")
            assert result == (False, "wrong password")


async def test_a_driver_that_keeps_its_reason():
    await reset()

    class StubbornWifi(QuickWifi):
        async def _leave(self):
            """As _leave() where the driver does not count giving up as a leave."""
            self._station.disconnect()
            await until(lambda: not sta.isconnected())

    async with Device(kind=StubbornWifi) as device:
        for _ in range(2):
            result = await device.wifi.test("workshop", "wrong-horse")
            assert result == (False, "wrong password")
        assert await device.wifi.test("workshop", "correct-horse") == (True, "")


async def test_the_stored_network_is_due_after_a_test():
    await reset()
    air(GUEST)
    async with Device(sta_ssid="workshop", sta_pass="correct-horse", kind=RestingWifi) as device:
        await until(lambda: device.wifi.failures == 1)
        air(WORKSHOP)
        assert await device.wifi.test("cellar") == (False, "network not found")
        await until(lambda: device.state["wifi/net/ap"] == "workshop")


async def test_one_test_at_a_time():
    await reset()
    async with Device() as device:
        first = asyncio.create_task(device.wifi.test("cellar"))
        await until(lambda: device.state["wifi/test/running"])
        text = await refused(WifiError, device.wifi.test("guest"))
        assert text == "another network is being tested"
        assert await refused(WifiError, device.wifi.scan()) == "a network is being tested"
        assert await first == (False, "network not found")
        assert await device.wifi.test("guest") == (True, "")


async def test_a_connection_that_does_not_hold():
    await reset()

    class LongHold(QuickWifi):
        HOLD_MS = WAIT_MS

    async with Device(kind=LongHold) as device:
        testing = asyncio.create_task(device.wifi.test("guest"))
        await until(is_connected)
        # Time for the test to notice, which looks every 5 ms.
        await asyncio.sleep_ms(200)
        air(WORKSHOP)
        assert await testing == (False, "connection lost")


async def test_nobody_answers():
    await reset()
    async with Device() as device:
        air(WORKSHOP, delay_ms=60_000)
        assert await device.wifi.test("workshop", "correct-horse") == (False, "no answer")


async def test_a_cancelled_test_gives_the_station_back():
    await reset()
    async with Device(sta_ssid="workshop", sta_pass="correct-horse") as device:
        await until(lambda: device.state["wifi/net/connected"])
        testing = asyncio.create_task(device.wifi.test("attic", "under-the-roof"))
        await until(lambda: not device.state["wifi/net/connected"])
        testing.cancel()
        await until(lambda: device.state["wifi/net/ap"] == "workshop")
        assert device.state["wifi/test/running"] is False
        assert device.state["wifi/test/result"] == "Fail"


async def test_a_radio_that_refuses():
    await reset()
    async with Device() as device:
        sta.active(False)
        text = "the station is not active"
        assert await refused(WifiError, device.wifi.test("guest")) == text
        assert await refused(WifiError, device.wifi.scan()) == text
        await until(lambda: not device.state["wifi/net/active"])
    device = Device()
    # Not brought up: what the driver raises becomes the reason.
    reason = await device.wifi.join("guest", "")
    assert reason.startswith("radio: "), reason


# Arguments


def test_ssid():
    for good in ("a", "x" * 32, "ü" * 16, " "):
        credentials.check_ssid(good)
    surrogate = bytes((0xED, 0xA0, 0x80)).decode()
    for bad in ("", "x" * 33, "ü" * 17, "a\x00", surrogate, None, 5, b"bytes", ["a"]):
        assert refusal(ValueError, credentials.check_ssid, bad).startswith("the SSID must"), bad


def test_password():
    for good in ("", "x" * 8, "x" * 63, "0123456789abcdefABCDEF0123456789" * 2):
        credentials.check_password(good)
    for bad in ("x" * 7, "x" * 64, "x" * 65, "with\x00nul", None, 12345678, b"bytes---"):
        text = refusal(ValueError, credentials.check_password, bad)
        assert text.startswith("the password must"), bad
        assert "xxx" not in text


async def test_bad_arguments_change_nothing():
    await reset()
    async with Device(sta_ssid="workshop", sta_pass="correct-horse") as device:
        await until(lambda: device.state["wifi/net/connected"])
        for arguments in (("", ""), ("guest", "short"), (5, ""), ("guest", None)):
            await refused(ValueError, device.wifi.test(*arguments))
            refusal(ValueError, device.wifi.store, *arguments)
        assert sta.isconnected()
        assert device.config.get("sta/ssid") == "workshop"
        assert device.config.saved is None or device.config.saved["sta/ssid"] == "workshop"


# Storing


async def test_store_and_restart():
    await reset()
    async with Device() as device:
        device.wifi.store("workshop", "correct-horse")
        assert device.state["wifi/stored/ssid"] == "workshop"
        assert device.config.saved["sta/pass"] == "correct-horse"
        await until(lambda: device.state["wifi/net/ap"] == "workshop")
        # On a network: it stays there until it loses it.
        device.wifi.store("guest")
        await asyncio.sleep_ms(100)
        assert device.state["wifi/net/ap"] == "workshop"
        assert "horse" not in "".join(device.lines) + json.dumps(device.published)
    saved = device.config.saved
    async with Device(sta_ssid=saved["sta/ssid"], sta_pass=saved["sta/pass"]) as device:
        await until(lambda: device.state["wifi/net/ap"] == "guest")


async def test_storing_ends_the_pause():
    await reset()
    async with Device(sta_ssid="cellar", kind=RestingWifi) as device:
        await until(lambda: device.wifi.failures == 1)
        device.wifi.store("guest")
        await until(lambda: device.state["wifi/net/ap"] == "guest")


async def test_a_tested_network_gives_way_to_one_stored_later():
    await reset()
    async with Device() as device:
        assert await device.wifi.test("workshop", "correct-horse") == (True, "")
        device.wifi.store("guest")
        # It sends the station away, but is still there.
        sta.disconnect()
        await until(lambda: device.state["wifi/net/ap"] == "guest")


async def test_a_store_that_cannot_be_saved():
    await reset()
    device = Device(ap_password="long-enough")
    device.config.error = OSError(28)
    refusal(OSError, device.wifi.store, "guest")


# Scanning


async def test_scan():
    await reset()
    air(
        {"ssid": "twice", "rssi": -70, "channel": 1},
        {"ssid": "twice", "rssi": -50, "channel": 11, "password": "correct-horse"},
        {"ssid": "backstage", "rssi": -30, "hidden": True},
        {"ssid": "café", "rssi": -60},
        {"ssid_hex": "636166e9", "rssi": -65},
    )
    async with Device() as device:
        assert await device.wifi.scan() == [
            {"ssid": "twice", "rssi": -50, "channel": 11, "secure": True},
            {"ssid": "café", "rssi": -60, "channel": 1, "secure": False},
            {"ssid": "caf\\xe9", "rssi": -65, "channel": 1, "secure": False},
        ]


async def test_scan_is_limited():
    await reset()
    air(*[{"ssid": f"network {i}", "rssi": -i} for i in range(40)])
    async with Device() as device:
        found = await device.wifi.scan()
        assert [entry["ssid"] for entry in found] == [
            f"network {i}" for i in range(wifi_orders.SCAN_MAX)
        ]


async def test_scan_while_joining_and_while_connected():
    await reset()
    # The attempt would take longer than the whole test may.
    air(WORKSHOP, GUEST, delay_ms=60_000)
    settings = {"sta_ssid": "workshop", "sta_pass": "correct-horse"}
    async with Device(kind=PatientWifi, **settings) as device:
        await until(lambda: sta.config("essid") == "workshop")
        scanning = asyncio.create_task(device.wifi.scan())
        await until(lambda: sta.status() == network.STAT_IDLE)
        air(WORKSHOP, GUEST)
        found = await scanning
        assert [entry["ssid"] for entry in found] == ["workshop", "guest"]
        await until(lambda: device.state["wifi/net/connected"])
        assert len(await device.wifi.scan()) == 2
        assert sta.isconnected()


async def test_scan_with_nothing_around():
    await reset()
    air()
    async with Device() as device:
        assert await device.wifi.scan() == []


# Several networks


def stored(device):
    return [ssid for ssid, _ in device.config.networks()]


async def test_another_stored_network_is_joined_when_the_first_is_away():
    await reset()
    air(GUEST)
    async with Device(sta_ssid="workshop", sta_pass="correct-horse", sta_more=["guest"]) as device:
        await until(lambda: device.state["wifi/net/connected"])
        assert device.state["wifi/net/ap"] == "guest"
        assert device.state["wifi/stored/networks"] == ["workshop", "guest"]
        assert abs(device.state["wifi/net/rssi"] + 61) < 3
        # What it left for is there no longer either: the first is due again.
        air(WORKSHOP)
        await until(lambda: device.state["wifi/net/ap"] == "workshop")
        assert "wifi/net/reason" not in device.state or not device.state["wifi/net/reason"]


async def test_networks_are_tried_by_order_and_signal():
    await reset()
    names = ("hidden", "far", "near", "nearer", "farther")
    air(
        {"ssid": "near", "rssi": -70},
        {"ssid": "nearer", "rssi": -40},
        {"ssid": "far", "rssi": -85},
        {"ssid": "farther", "rssi": -80},
    )
    sta.active(True)
    networks = [(name, "") for name in names]
    found = wifi_orders.by_order_and_signal(sta, networks)
    assert [ssid for ssid, _ in found] == ["near", "nearer", "farther", "far", "hidden"]


async def test_why_a_stored_network_fails_is_told_while_it_does():
    await reset()
    air(WORKSHOP)
    async with Device(sta_ssid="workshop", sta_pass="wrong-password") as device:
        await until(lambda: device.state.get("wifi/net/reason") == "wrong password")
        device.wifi.store("workshop", "correct-horse")
        await until(lambda: device.state["wifi/net/connected"])
        await until(lambda: device.state["wifi/net/reason"] is None)


async def test_networks_are_stored_ordered_and_forgotten():
    await reset()
    async with Device() as device:
        for i in range(9):
            device.wifi.store(f"net {i}", f"password {i}")
        assert stored(device) == [f"net {i}" for i in (8, 7, 6, 5, 4, 3, 2, 1)]
        assert dict(device.config.networks()) == {f"net {i}": f"password {i}" for i in range(1, 9)}
        wifi_orders.order(device.wifi, stored(device)[::-1])
        assert stored(device) == [f"net {i}" for i in range(1, 9)]
        wifi_orders.forget(device.wifi, "net 1")
        wifi_orders.forget(device.wifi, "net 5")
        assert device.config.networks()[:2] == [("net 2", "password 2"), ("net 3", "password 3")]
        refusal(ValueError, wifi_orders.forget, device.wifi, "net 5")
        refusal(ValueError, wifi_orders.order, device.wifi, ["net 2"])
        refusal(ValueError, wifi_orders.order, device.wifi, 5)
        # One that is stored again comes to the front, with its new password.
        device.wifi.store("net 4", "another one")
        assert device.config.networks()[0] == ("net 4", "another one")
        for ssid in stored(device):
            wifi_orders.forget(device.wifi, ssid)
        assert device.config.networks() == [] and device.config.get("sta/pass") == ""


async def test_a_network_is_kept_only_if_it_works():
    await reset()
    air(WORKSHOP, GUEST)
    async with Device(sta_ssid="guest") as device:
        await until(lambda: device.state["wifi/net/connected"])
        good, reason = await wifi_orders.join(device.wifi, "workshop", "wrong-password", None)
        assert (good, reason) == (False, "wrong password")
        assert stored(device) == ["guest"]
        await until(lambda: device.state["wifi/net/ap"] == "guest")
        assert await wifi_orders.join(device.wifi, "workshop", "correct-horse", None) == (True, "")
        assert stored(device) == ["workshop", "guest"]
        await until(lambda: device.state["wifi/net/ap"] == "workshop")


async def test_a_name_that_is_no_text_is_joined_by_its_bytes():
    await reset()
    air({"ssid_hex": "636166e9", "rssi": -50})
    for text, data in (
        ("caf\\xe9", b"caf\xe9"),
        ("café", "café".encode()),
        ("a\\x41", b"a\\x41"),  # ASCII needs no escape
        ("\\x", b"\\x"),
        ("\\xE9\\xfg", b"\xe9\\xfg"),
    ):
        assert credentials.ssid_bytes(text) == data, text
    async with Device() as device:
        (found,) = await device.wifi.scan()
        assert found["ssid"] == "caf\\xe9"
        good, reason = await device.wifi.test(found["ssid"])
        assert good, reason
        await until(lambda: device.state["wifi/net/connected"])
    refusal(ValueError, credentials.check_ssid, "\\xe9" * 33)
    credentials.check_ssid("\\xe9" * 32)


async def test_a_static_address():
    await reset()
    air(GUEST)
    address = {"sta_ip": "192.168.7.99", "sta_gateway": "192.168.7.2", "sta_dns": "9.9.9.9"}
    async with Device(sta_ssid="guest", **address) as device:
        await until(lambda: device.state["wifi/net/connected"])
        assert device.state["wifi/net/ip"] == "192.168.7.99"
        assert device.state["wifi/net/gw"] == "192.168.7.2"
        assert device.state["wifi/net/dns"] == "9.9.9.9"


# When there is an access point


def times_of_modes(needed, stable):
    """Set the times of ap/mode, in ms; of the module that the device uses after its start."""
    module = __import__("device.net.wifi_start", None, None, ("watch_access_point",))
    module.NEEDED_AFTER_MS, module.STABLE_AFTER_MS = needed, stable


async def test_the_access_point_comes_when_it_is_needed_and_goes():
    await reset()
    air(GUEST)
    async with Device(sta_ssid="guest", ap_mode="needed") as device:
        times_of_modes(100, 100)
        await until(lambda: device.state["wifi/net/connected"])
        assert not ap.active()
        air()
        await until(lambda: ap.active())
        await until(lambda: device.state["wifi/ap/active"])
        # It stays as long as somebody uses it.
        air(GUEST, stations=[PHONE])
        await until(lambda: device.state["wifi/net/connected"])
        await asyncio.sleep_ms(300)
        assert ap.active()
        air(GUEST)
        await until(lambda: not ap.active())
        await until(lambda: not device.state["wifi/ap/active"])


async def test_an_access_point_that_never_comes_does_as_long_as_nothing_is_stored():
    await reset()
    air(GUEST)
    async with Device(ap_mode="never") as device:
        times_of_modes(20, 20)
        await until(lambda: ap.active())
        device.wifi.store("guest")
        await until(lambda: not ap.active())
        air()
        await asyncio.sleep_ms(300)
        assert not ap.active()
