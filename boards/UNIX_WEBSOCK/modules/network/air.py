"""What the simulated radio can hear, see the package."""

import binascii
import json
import sys

import machine

from . import AIR_FILE, AUTH_OPEN, AUTH_WPA2_PSK

_NETWORK_FIELDS = (
    "ssid",
    "ssid_hex",
    "password",
    "rssi",
    "channel",
    "bssid",
    "auth",
    "hidden",
    "dhcp",
)

_DEFAULT_AIR = """{
    "delay_ms": 300,
    "networks": [
        {"ssid": "workshop", "password": "correct-horse", "rssi": -48, "channel": 6},
        {"ssid": "guest", "rssi": -61, "channel": 1},
        {"ssid": "attic", "password": "under-the-roof", "rssi": -87, "channel": 11, "dhcp": false}
    ]
}"""


class Network:
    """One network on the air, from its entry in the file.

    Raises:
        ValueError: the entry is a bad one.
    """

    def __init__(self, entry, index):
        for key in entry:
            if key not in _NETWORK_FIELDS:
                raise ValueError(f"unknown field {key}")
        if "ssid_hex" in entry:
            self.ssid = binascii.unhexlify(entry["ssid_hex"])
        else:
            self.ssid = entry["ssid"].encode()
        self.password = entry.get("password", "").encode()
        self.rssi = entry.get("rssi", -60)
        self.channel = entry.get("channel", 1)
        bssid = entry.get("bssid")
        self.bssid = _mac(bssid) if bssid else bytes((2, 0, 0, 0, 1, index))
        self.auth = entry.get("auth", AUTH_WPA2_PSK if self.password else AUTH_OPEN)
        self.hidden = entry.get("hidden", False)
        self.dhcp = entry.get("dhcp", True)

    def is_same(self, other):
        return (self.ssid, self.password, self.auth) == (other.ssid, other.password, other.auth)


class Air:
    """What the radio can hear, as the file says."""

    def __init__(self):
        self._text = None
        self._take(_DEFAULT_AIR)

    def refresh(self):
        try:
            with open(machine.FOLDER + AIR_FILE) as file:
                text = file.read()
        except OSError:
            text = _DEFAULT_AIR
        if text == self._text:
            return
        try:
            self._take(text)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._text = text
            print(f"{AIR_FILE}: {error!r}", file=sys.stderr)

    def _take(self, text):
        settings = json.loads(text)
        if "networks" not in settings:
            settings["networks"] = json.loads(_DEFAULT_AIR)["networks"]
        networks = [Network(entry, i) for i, entry in enumerate(settings["networks"])]
        stations = [_mac(station) for station in settings.get("stations", ())]
        clients = [address + "" for address in settings.get("clients", ())]
        by_station = settings.get("by_station", False)
        if type(by_station) is not bool:
            raise ValueError("by_station")
        delay_ms = settings.get("delay_ms", 300)
        if type(delay_ms) is not int or delay_ms < 0:
            raise ValueError("delay_ms")
        self.networks = sorted(networks, key=lambda network: -network.rssi)
        self.stations = stations
        self.clients = clients
        self.by_station = by_station
        self.delay_ms = delay_ms
        self._text = text


def _mac(text):
    mac = binascii.unhexlify(text.replace(":", ""))
    if len(mac) != 6:
        raise ValueError(f"MAC address {text}")
    return mac
