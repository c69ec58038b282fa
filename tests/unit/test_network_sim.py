"""The simulated Wi-Fi radio of the host board behaves as the ESP32's does."""

import json
import time

import machine
import network
from helpers import refusal

HOST_ONLY = True

machine.FOLDER = ""

DELAY_MS = 30
WAIT_MS = 5000

WORKSHOP = {"ssid": "workshop", "password": "correct-horse", "channel": 6, "rssi": -48}
GUEST = {"ssid": "guest", "rssi": -61}
ATTIC = {"ssid": "attic", "password": "under-the-roof", "rssi": -87, "dhcp": False}

sta = network.WLAN(network.STA_IF)
ap = network.WLAN(network.AP_IF)


def air(*networks, **settings):
    """Put networks on the air."""
    settings["networks"] = networks
    settings.setdefault("delay_ms", DELAY_MS)
    with open("wifi_sim.json", "w") as file:
        json.dump(settings, file)


def fresh():
    """The radio as after a reset, with the usual networks on the air."""
    air(WORKSHOP, GUEST, ATTIC)
    sta.active(False)
    ap.active(False)
    sta.ifconfig("dhcp")
    sta.config(reconnects=-1)
    # Only a success clears the reason of an earlier failure.
    sta.active(True)
    sta.connect("guest")
    wait(sta.isconnected)
    sta.active(False)


def wait(condition):
    deadline = time.ticks_add(time.ticks_ms(), WAIT_MS)
    while not condition():
        assert time.ticks_diff(deadline, time.ticks_ms()) > 0, "not in time"
        time.sleep_ms(5)


def wait_status(status):
    wait(lambda: sta.status() == status)


def test_one_object_per_interface():
    assert network.WLAN(network.STA_IF) is sta
    assert network.WLAN() is sta
    assert network.WLAN(network.WLAN.IF_AP) is ap
    refusal(ValueError, network.WLAN, 2)


def test_without_a_file_there_are_three_networks():
    fresh()
    machine.FOLDER = "missing/"
    try:
        sta.active(True)
        names = [entry[0] for entry in sta.scan()]
    finally:
        machine.FOLDER = ""
    assert names == [b"workshop", b"guest", b"attic"], names


def test_joining_takes_time_and_gives_an_address():
    fresh()
    sta.active(True)
    assert sta.ifconfig()[0] == "0.0.0.0"
    sta.connect("workshop", "correct-horse")
    assert not sta.isconnected()
    wait(sta.isconnected)
    assert sta.status() == network.STAT_GOT_IP
    assert sta.ifconfig() == ("192.168.7.23", "255.255.255.0", "192.168.7.1", "192.168.7.1")
    assert sta.config("essid") == "workshop"
    assert sta.config("channel") == 6
    assert sta.status("rssi") == -48


def test_a_leave_takes_effect_a_moment_later():
    fresh()
    sta.active(True)
    sta.connect("guest")
    wait(sta.isconnected)
    sta.disconnect()
    assert sta.isconnected()
    wait(lambda: not sta.isconnected())
    assert sta.status() == network.STAT_IDLE
    refusal(OSError, sta.status, "rssi")


def test_reasons():
    for ssid, password, reason in (
        ("workshop", "wrong-horse", network.STAT_WRONG_PASSWORD),
        ("workshop", None, network.STAT_NO_AP_FOUND_W_COMPATIBLE_SECURITY),
        ("guest", "password", network.STAT_NO_AP_FOUND_IN_AUTHMODE_THRESHOLD),
        ("cellar", "password", network.STAT_NO_AP_FOUND),
    ):
        fresh()
        sta.active(True)
        sta.config(reconnects=0)
        sta.connect(ssid, password)
        wait_status(reason)
        assert not sta.isconnected()


def test_a_reason_stays_until_success_or_leave():
    fresh()
    sta.active(True)
    sta.config(reconnects=0)
    sta.connect("workshop", "wrong-horse")
    wait_status(network.STAT_WRONG_PASSWORD)
    # Nothing to leave: the reason stays, over the next attempt too.
    sta.disconnect()
    time.sleep_ms(50)
    assert sta.status() == network.STAT_WRONG_PASSWORD
    sta.connect("workshop", "correct-horse")
    assert sta.status() == network.STAT_WRONG_PASSWORD
    wait_status(network.STAT_GOT_IP)


def test_without_dhcp_there_is_no_address():
    fresh()
    sta.active(True)
    sta.connect("attic", "under-the-roof")

    def associated():
        try:
            return sta.status("rssi") == -87
        except OSError:
            return False

    wait(associated)
    assert not sta.isconnected()
    sta.ifconfig(("10.0.0.9", "255.255.255.0", "10.0.0.1", "10.0.0.1"))
    wait(sta.isconnected)
    assert sta.ifconfig()[0] == "10.0.0.9"


def test_a_network_that_vanishes_and_comes_back():
    fresh()
    sta.active(True)
    sta.connect("workshop", "correct-horse")
    wait(sta.isconnected)
    air(GUEST)
    assert not sta.isconnected()
    wait_status(network.STAT_NO_AP_FOUND)
    air(WORKSHOP)
    wait(sta.isconnected)


def test_a_password_that_changes():
    fresh()
    sta.active(True)
    sta.connect("workshop", "correct-horse")
    wait(sta.isconnected)
    air({"ssid": "workshop", "password": "battery-staple"})
    assert not sta.isconnected()
    wait_status(network.STAT_WRONG_PASSWORD)


def test_reconnects_are_limited():
    fresh()
    sta.active(True)
    sta.config(reconnects=1)
    assert sta.config("reconnects") == 1
    sta.connect("workshop", "correct-horse")
    wait(sta.isconnected)
    air(GUEST)
    wait_status(network.STAT_NO_AP_FOUND)
    air(WORKSHOP)
    # One scan succeeds only once the driver has given up: it finds nothing while joining.
    wait(sta.scan)
    time.sleep_ms(3 * DELAY_MS)
    assert not sta.isconnected()


def test_wrong_use():
    fresh()
    assert refusal(OSError, sta.scan) == "STA must be active"
    refusal(OSError, sta.connect, "guest")
    refusal(OSError, sta.disconnect)
    refusal(OSError, ap.config, essid="own")
    refusal(OSError, sta.config, password="correct-horse")
    refusal(OSError, ap.config, "reconnects")
    refusal(OSError, ap.status, "rssi")
    refusal(OSError, sta.status, "stations")
    refusal(ValueError, sta.status, "weather")
    refusal(ValueError, sta.config, "password")
    refusal(ValueError, sta.config, weather=1)
    refusal(TypeError, sta.config)
    refusal(TypeError, sta.config, "mac", pm=0)
    sta.active(True)
    sta.connect("guest")
    assert refusal(OSError, sta.connect, "workshop") == "Wifi Internal State Error"
    assert sta.scan() == []
    wait(sta.isconnected)
    assert refusal(OSError, sta.connect) == "Wifi Internal Error"


def test_scan():
    fresh()
    air(
        WORKSHOP,
        {"ssid": "backstage", "hidden": True, "rssi": -40},
        {"ssid_hex": "ff00", "auth": network.AUTH_WEP, "bssid": "02:00:00:00:00:09"},
    )
    sta.active(True)
    found = sta.scan()
    assert [entry[0] for entry in found] == [b"", b"workshop", b"\xff\x00"], found
    assert found[1][2:5] == (6, -48, network.AUTH_WPA2_PSK)
    assert found[2][1] == b"\x02\x00\x00\x00\x00\x09"
    assert found[2][4] == network.AUTH_WEP
    sta.connect("backstage")
    wait(sta.isconnected)


def test_access_point():
    fresh()
    assert ap.active() is False
    ap.active(True)
    assert ap.config("ssid").startswith("ESP_")
    refusal(OSError, ap.config, essid="own", authmode=3, password="short")
    assert ap.config("ssid").startswith("ESP_")
    ap.config(essid="own", authmode=3, password="long-enough", hidden=True, channel=11)
    assert ap.config("essid") == "own"
    assert ap.config("authmode") == 3
    assert ap.config("hidden") is True
    assert ap.config("channel") == 11
    refusal(RuntimeError, ap.config, channel=0)
    refusal(RuntimeError, ap.config, max_clients=99)
    refusal(RuntimeError, ap.config, authmode=99)
    assert ap.ifconfig()[0] == "192.168.4.1"
    assert not ap.isconnected()
    air(GUEST, stations=["02:00:00:00:00:01"])
    assert ap.isconnected()
    assert ap.status("stations") == [(b"\x02\x00\x00\x00\x00\x01",)]
    ap.active(False)
    assert ap.status("stations") == []


def test_networks_that_are_there_unless_others_are_named():
    for content in ({}, {"delay_ms": 0}):
        fresh()
        with open("wifi_sim.json", "w") as file:
            json.dump(content, file)
        sta.active(True)
        assert [found[0] for found in sta.scan()] == [b"workshop", b"guest", b"attic"]
    with open("wifi_sim.json", "w") as file:
        json.dump({"networks": []}, file)
    assert sta.scan() == []


def test_clients_of_the_access_point():
    fresh()
    assert not network.has_client("127.0.0.1")
    air(GUEST, clients=["127.0.0.1"])
    assert not network.has_client("127.0.0.1")
    ap.active(True)
    assert network.has_client("127.0.0.1")
    assert not network.has_client("127.0.0.10")
    air(GUEST)
    assert not network.has_client("127.0.0.1")


def test_addresses():
    fresh()
    assert sta.ipconfig("dhcp4") is True
    sta.ipconfig(addr4="10.1.2.3/16", gw4="10.1.0.1")
    assert sta.ipconfig("addr4") == ("10.1.2.3", "255.255.0.0")
    assert sta.ipconfig("gw4") == "10.1.0.1"
    assert sta.ipconfig("dhcp4") is False
    sta.ipconfig(dhcp4=True)
    assert sta.ipconfig("dhcp4") is True
    refusal(ValueError, sta.ifconfig, "static")
    refusal(ValueError, sta.ifconfig, ("10.1.2", "255.0.0.0", "10.1.0.1", "10.1.0.1"))
    refusal(ValueError, sta.ipconfig, "addr6")
    refusal(ValueError, ap.ipconfig, "dhcp4")
    refusal(TypeError, sta.ipconfig)


def test_names_and_mac():
    network.hostname("bench")
    assert network.hostname() == "bench"
    refusal(ValueError, network.hostname, "x" * 33)
    network.country("DE")
    assert network.country() == "DE"
    refusal(ValueError, network.country, "DEU")
    own = sta.config("mac")
    assert own == machine.unique_id()
    assert ap.config("mac")[:5] == own[:5]
    assert ap.config("mac") != own
    refusal(ValueError, sta.config, mac=b"12345")
    refusal(OSError, sta.config, mac=b"\x01" * 6)


def test_a_bad_file_changes_nothing():
    fresh()
    sta.active(True)
    sta.connect("workshop", "correct-horse")
    wait(sta.isconnected)
    for text in (
        "{",
        "[]",
        '{"networks": [{"password": "x"}]}',
        '{"networks": [{"ssid": "a", "ssiid": "b"}]}',
        '{"networks": [3]}',
        '{"delay_ms": -1}',
        '{"stations": ["02:00"]}',
        '{"clients": [127]}',
    ):
        with open("wifi_sim.json", "w") as file:
            file.write(text)
        assert sta.isconnected(), text
        assert len(sta.scan()) == 3, text
