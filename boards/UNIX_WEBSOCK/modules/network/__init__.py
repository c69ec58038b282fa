"""Simulated Wi-Fi, with the interface of the ESP32's `network` module.

Follows docs/library/network.WLAN and ports/esp32/network_wlan.c of MicroPython, including what
surprises there: the reason of a failure stays in `status()` until the next success or leave, an
order to leave takes effect a moment later, a scan finds nothing while the station is joining, and
a station that lost its network rejoins by itself as often as `reconnects` allows. No thread runs:
each call first brings the state up to the time of the call.

What is on the air comes from `wifi_sim.json` in the device's filesystem, which is read again
whenever its text changes, so that a network can vanish or change its password while the program
runs. Without that file, or without "networks" in it, there are three: "workshop" (password
"correct-horse"), "guest" (open) and "attic" (weak, password "under-the-roof", nobody there hands
out addresses).

    {
        "delay_ms": 300,
        "networks": [
            {"ssid": "workshop", "password": "correct-horse", "rssi": -48, "channel": 6},
            {"ssid": "attic", "password": "under-the-roof", "rssi": -87, "dhcp": false}
        ],
        "stations": ["02:00:00:00:00:01"],
        "clients": ["127.0.0.1"],
        "by_station": true
    }

`delay_ms` is how long joining and scanning take. A network has `ssid`, or `ssid_hex` for one that
is no text, and optionally `password` (default "": open), `rssi` (dBm, default -60), `channel`
(default 1), `bssid` (default made from its place in the list), `auth` (an AUTH_* value, default
AUTH_WPA2_PSK with a password), `hidden` and `dhcp` (default true: it hands out addresses).
`stations` are the MAC addresses of the stations at this device's own access point, `clients` the
IP addresses whose connections count as theirs. With `by_station` (default false) at the start, all
other addresses are reached by the station: while it is off its network, nothing passes between
them and the device, and connections that there were stay silent for good. A file that can't be
used is reported on standard error, and the networks stay as they were.
"""

import binascii
import os
import time

import machine
from micropython import const

STA_IF = 0
AP_IF = 1

AUTH_OPEN = 0
AUTH_WEP = 1
AUTH_WPA_PSK = 2
AUTH_WPA2_PSK = 3
AUTH_WPA_WPA2_PSK = 4
AUTH_WPA2_ENTERPRISE = 5
AUTH_WPA3_PSK = 6
AUTH_WPA2_WPA3_PSK = 7
AUTH_MAX = 17

STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
# ESP-IDF's wifi_err_reason_t.
STAT_BEACON_TIMEOUT = 200
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
STAT_CONNECT_FAIL = 203
STAT_ASSOC_FAIL = 203
STAT_HANDSHAKE_TIMEOUT = 204
STAT_NO_AP_FOUND_W_COMPATIBLE_SECURITY = 210
STAT_NO_AP_FOUND_IN_AUTHMODE_THRESHOLD = 211
STAT_NO_AP_FOUND_IN_RSSI_THRESHOLD = 212
_ASSOC_LEAVE = const(8)

# IEEE 802.11: the SSID element carries up to 32 bytes; a passphrase has 8 to 63 characters, a
# key given in full 64 hexadecimal digits. ESP-IDF keeps an access point's in 63 bytes.
_SSID_MAX = const(32)
_PASSWORD_MIN = const(8)
_PASSWORD_MAX = const(63)
# MICROPY_PY_NETWORK_HOSTNAME_MAX_LEN
_HOSTNAME_MAX = const(32)
_CLIENTS_MAX = const(10)
_CHANNEL_MAX = const(13)

# ESP_ERR_INVALID_ARG, which the port has no text for.
_INVALID_ARGUMENT = "Wifi Unknown Error 0x0102"

# What is on the air, in the device's filesystem.
AIR_FILE = "wifi_sim.json"

# Between the order to leave a network and its effect.
_LEAVE_MS = const(20)

_STATION_ADDRESS = ("192.168.7.23", "255.255.255.0", "192.168.7.1", "192.168.7.1")
_ACCESS_POINT_ADDRESS = ("192.168.4.1", "255.255.255.0", "192.168.4.1", "0.0.0.0")
_NO_ADDRESS = ("0.0.0.0",) * 4

_hostname = "mpy-esp32"
_country = "XX"
_dns = None


def hostname(name=None):
    """The name sent to DHCP and used by mDNS; ValueError when longer than 32 bytes."""
    global _hostname
    if name is None:
        return _hostname
    if len(name.encode()) > _HOSTNAME_MAX:
        raise ValueError
    _hostname = name


def country(code=None):
    """The two-letter regulatory domain; ValueError for any other length."""
    global _country
    if code is None:
        return _country
    if len(code) != 2:
        raise ValueError
    _country = code


def ipconfig(*params, **settings):
    """`ipconfig("dns")` gives the DNS server in use, `ipconfig(dns=address)` sets it."""
    global _dns
    if settings:
        if params:
            raise TypeError("can't specify pos and kw args")
        for key, value in settings.items():
            if key != "dns":
                raise ValueError("unexpected key")
            _dns = _address(value)
        return None
    if len(params) != 1:
        raise TypeError("must query one param")
    if params[0] != "dns":
        raise ValueError("unexpected key")
    return _dns or WLAN(STA_IF).ifconfig()[3]


def has_client(address):
    """Whether who connects from this IP address is on the access point; only of the simulation."""
    _refresh()
    return _Radio.air is not None and _Radio.access_point.active and address in _Radio.air.clients


def has_clients():
    """Whether IP addresses are told that may be on the access point; only of the simulation."""
    _refresh()
    air = _Radio.air
    return air is not None and _Radio.access_point.active and bool(air.clients)


def by_station(address=None):
    """Whether an IP address, or everybody, is reached by the station; only of the simulation."""
    _refresh()
    return _Radio.air is not None and _Radio.air.by_station and not has_client(address)


class _Station:
    """The station's driver: what it was told to do and how far it is."""

    def __init__(self):
        self.active = False
        self.ssid = b""
        self.password = b""
        self.bssid = None
        self.reason = 0
        # 0: reconnect without end; else one more than the number of reconnects.
        self.tries = 0
        self.network = None
        self.has_address = False
        self.fixed_address = None
        self.joining_since = None
        self._requested = False
        self._failures = 0
        self._leaving_since = None

    @property
    def listens(self):
        """Whether what is on the air makes a difference."""
        busy = self.joining_since is not None or self._leaving_since is not None
        return busy or self.network is not None

    def refresh(self, air):
        now = time.ticks_ms()
        if self._leaving_since is not None:
            if time.ticks_diff(now, self._leaving_since) < _LEAVE_MS:
                return
            self._leave()
        if self.network is not None:
            self._follow(air)
        if self.joining_since is not None:
            if time.ticks_diff(now, self.joining_since) >= air.delay_ms:
                self.joining_since = None
                self._finish_joining(air)

    def _follow(self, air):
        for network in air.networks:
            if network.bssid == self.network.bssid and network.is_same(self.network):
                self.network = network
                self._take_address()
                return
        self._lose(STAT_BEACON_TIMEOUT)

    def _finish_joining(self, air):
        reason = STAT_NO_AP_FOUND
        for network in air.networks:
            if network.ssid != self.ssid or self.bssid not in (None, network.bssid):
                continue
            reason = self._refusal(network)
            if not reason:
                self.network = network
                self._take_address()
                return
        self._lose(reason)

    def _refusal(self, network):
        """Why `network` does not take this station, 0 when it does."""
        if network.auth == AUTH_OPEN:
            # A password sets ESP-IDF's threshold to WPA2.
            return STAT_NO_AP_FOUND_IN_AUTHMODE_THRESHOLD if self.password else 0
        if not self.password:
            return STAT_NO_AP_FOUND_W_COMPATIBLE_SECURITY
        return 0 if self.password == network.password else STAT_WRONG_PASSWORD

    def _take_address(self):
        if self.fixed_address or self.network.dhcp or self.has_address:
            self.has_address = True
            self.reason = 0

    def _lose(self, reason):
        """The driver's event for a lost network or a failed attempt to join."""
        self.network = None
        self.has_address = False
        self.reason = reason
        if not self._requested:
            return
        if self.tries:
            self._failures += 1
            if self._failures >= self.tries:
                return
        self.joining_since = time.ticks_ms()

    def _leave(self):
        """The driver's event for a leave that was ordered."""
        self._leaving_since = None
        self.network = None
        self.has_address = False
        self.reason = _ASSOC_LEAVE
        # It counts as a failure of an attempt that was begun meanwhile.
        self._failures += 1

    def connect(self):
        is_on_network = self.network is not None and self._leaving_since is None
        if self.joining_since is not None or is_on_network:
            raise OSError("Wifi Internal Error")
        if not self.ssid:
            raise OSError("Wifi SSID Invalid")
        self._failures = 0
        self._requested = True
        self.joining_since = time.ticks_ms()

    def disconnect(self):
        self._requested = False
        if self.joining_since is not None or self.network is not None:
            self.joining_since = None
            self._leaving_since = time.ticks_ms()

    def stop(self):
        if self.joining_since is not None or self.network is not None:
            self._leave()
        self.joining_since = None
        self.active = False

    def status(self):
        if self.has_address:
            return STAT_GOT_IP
        if self.reason == _ASSOC_LEAVE:
            return STAT_IDLE
        # These the driver reports even while it tries again.
        if self.reason >= STAT_NO_AP_FOUND:
            return self.reason
        if self._requested and (not self.tries or self._failures < self.tries):
            return STAT_CONNECTING
        return self.reason or STAT_IDLE

    def address(self):
        if not self.has_address:
            return self.fixed_address or _NO_ADDRESS
        return self.fixed_address or _STATION_ADDRESS


class _AccessPoint:
    """The access point's settings, as ESP-IDF has them at first."""

    def __init__(self):
        self.active = False
        self.ssid = None
        self.password = b""
        self.auth = AUTH_OPEN
        self.channel = 1
        self.hidden = False
        self.max_clients = 4
        self.fixed_address = None

    def address(self):
        return self.fixed_address or _ACCESS_POINT_ADDRESS


class _Radio:
    """What both interfaces share."""

    air = None  # made when something listens
    station = _Station()
    access_point = _AccessPoint()
    macs = {}
    txpower = 80
    pm = 1
    protocol = 7


def _air():
    if _Radio.air is None:
        from .air import Air

        _Radio.air = Air()
    return _Radio.air


def _is_file():
    try:
        os.stat(machine.FOLDER + AIR_FILE)
    except OSError:
        return False
    return True


def _refresh():
    station = _Radio.station
    if _Radio.air is not None or station.listens or _is_file():
        air = _air()
        air.refresh()
        station.refresh(air)


class WLAN:
    """The station (`WLAN(STA_IF)`) or the access point (`WLAN(AP_IF)`); one object of each."""

    IF_STA = STA_IF
    IF_AP = AP_IF
    SEC_OPEN = AUTH_OPEN
    SEC_WEP = AUTH_WEP
    SEC_WPA = AUTH_WPA_PSK
    SEC_WPA2 = AUTH_WPA2_PSK
    SEC_WPA_WPA2 = AUTH_WPA_WPA2_PSK
    SEC_WPA2_ENT = AUTH_WPA2_ENTERPRISE
    SEC_WPA3 = AUTH_WPA3_PSK
    SEC_WPA2_WPA3 = AUTH_WPA2_WPA3_PSK
    PM_NONE = 0
    PM_PERFORMANCE = 1
    PM_POWERSAVE = 2

    _interfaces = {}

    def __new__(cls, interface_id=STA_IF):
        if interface_id not in (STA_IF, AP_IF):
            raise ValueError("invalid WLAN interface identifier")
        if interface_id not in cls._interfaces:
            interface = cls._interfaces[interface_id] = object.__new__(cls)
            interface._id = interface_id
        return cls._interfaces[interface_id]

    def active(self, is_active=None):
        """Whether the interface is up; with an argument, bring it up or down."""
        _refresh()
        driver = self._driver()
        if is_active is not None:
            if driver.active and not is_active and driver is _Radio.station:
                driver.stop()
            driver.active = bool(is_active)
        return driver.active

    def connect(self, ssid=None, key=None, *, bssid=None):
        """Begin to join a network and return; without arguments, the same as last time.

        Raises:
            OSError: the station is not active, is joining, or is on a network already.
        """
        _refresh()
        station = _Radio.station
        if not station.active:
            started = _Radio.access_point.active
            raise OSError("Wifi Invalid Mode" if started else "Wifi Not Started")
        if ssid is not None or key is not None or bssid is not None:
            if station.joining_since is not None:
                raise OSError("Wifi Internal State Error")
            if bssid is not None and len(bssid) != 6:
                raise ValueError
            station.ssid = _bytes(ssid or b"")[:_SSID_MAX]
            station.password = _bytes(key or b"")[: _PASSWORD_MAX + 1]
            station.bssid = bssid and bytes(bssid)
        station.connect()

    def disconnect(self):
        """Leave the network, or give up joining; takes effect a moment later."""
        _refresh()
        self._require_started()
        _Radio.station.disconnect()

    def isconnected(self):
        """Whether the station has an address, or a station is at the access point."""
        _refresh()
        if self._id == STA_IF:
            return _Radio.station.has_address
        return bool(self._stations())

    def status(self, param=None):
        """A STAT_* value or ESP-IDF's reason; `status("rssi")`, `status("stations")`."""
        _refresh()
        if param is None:
            return _Radio.station.status() if self._id == STA_IF else None
        if param == "stations":
            self._require(AP_IF)
            return [(station,) for station in self._stations()]
        if param == "rssi":
            self._require(STA_IF)
            if _Radio.station.network is None:
                raise OSError("Wifi Not Connected")
            return _Radio.station.network.rssi
        raise ValueError("unknown status param")

    def scan(self):
        """[(ssid, bssid, channel, rssi, security, hidden)], strongest first; blocks."""
        _refresh()
        station = _Radio.station
        if not station.active:
            raise OSError("STA must be active")
        if station.joining_since is not None:
            return []
        air = _air()
        time.sleep_ms(air.delay_ms)
        return [
            (b"" if n.hidden else n.ssid, n.bssid, n.channel, n.rssi, n.auth, False)
            for n in air.networks
        ]

    def config(self, *params, **settings):
        """Get one setting by name, or set several by keyword.

        Raises:
            ValueError: an unknown name.
            OSError: a name of the other interface, or an access point that isn't up or would have
                too short a password.
        """
        _refresh()
        if settings:
            if params:
                raise TypeError("either pos or kw args are allowed")
            if self._id == AP_IF:
                self._check_access_point(settings)
            for key in settings:
                self._set(key, settings[key])
            return None
        if len(params) != 1:
            raise TypeError("can query only one param")
        return self._get(params[0])

    def ifconfig(self, config=None):
        """(address, netmask, gateway, DNS server); set with the like, or "dhcp"."""
        _refresh()
        driver = self._driver()
        if config is None:
            return driver.address()
        if isinstance(config, (tuple, list)):
            address, netmask, gateway, dns = config
            if isinstance(netmask, int):
                netmask = _netmask(netmask)
            driver.fixed_address = tuple(
                _address(text) for text in (address, netmask, gateway, dns)
            )
        elif self._id == STA_IF and config == "dhcp":
            driver.fixed_address = None
        else:
            raise ValueError("invalid arguments")

    def ipconfig(self, *params, **settings):
        """Get "dhcp4" (station only), "addr4" or "gw4", or set them by keyword."""
        if settings:
            if params:
                raise TypeError("can't specify pos and kw args")
            for key in settings:
                self._set_ip(key, settings[key])
            return None
        if len(params) != 1:
            raise TypeError("must query one param")
        address, netmask, gateway, _ = self.ifconfig()
        if params[0] == "addr4":
            return (address, netmask)
        if params[0] == "gw4":
            return gateway
        if params[0] == "dhcp4" and self._id == STA_IF:
            return _Radio.station.fixed_address is None
        raise ValueError("unexpected key")

    def _set_ip(self, key, value):
        address, netmask, gateway, dns = self.ifconfig()
        if key == "addr4":
            if isinstance(value, str):
                address, slash, prefix = value.partition("/")
                if slash:
                    netmask = _netmask(int(prefix))
            else:
                address, netmask = value
        elif key == "gw4":
            gateway = value
        elif key == "dhcp4" and self._id == STA_IF:
            if value:
                self.ifconfig("dhcp")
                return
        else:
            raise ValueError("unexpected key")
        self.ifconfig((address, netmask, gateway, dns))

    def _driver(self):
        return _Radio.station if self._id == STA_IF else _Radio.access_point

    def _stations(self):
        air = _Radio.air
        return air.stations if air is not None and _Radio.access_point.active else []

    def _require(self, interface_id):
        if self._id != interface_id:
            raise OSError("STA required" if interface_id == STA_IF else "AP required")

    def _require_started(self):
        if not _Radio.station.active and not _Radio.access_point.active:
            raise OSError("Wifi Not Started")

    def _mac(self):
        # The access point's address is the one after the chip's own.
        own = machine.unique_id()
        return _Radio.macs.get(self._id) or own[:5] + bytes(((own[5] + self._id) & 0xFF,))

    def _ssid(self):
        driver = self._driver()
        if driver.ssid is None:
            return "ESP_" + binascii.hexlify(self._mac()[3:]).decode().upper()
        return driver.ssid.decode()

    def _channel(self):
        self._require_started()
        network = _Radio.station.network
        return network.channel if network else _Radio.access_point.channel

    def _get(self, key):
        if key == "mac":
            return self._mac()
        if key in ("ssid", "essid"):
            return self._ssid()
        if key == "channel":
            return self._channel()
        if key == "max_clients":
            return _Radio.access_point.max_clients
        if key == "txpower":
            return _Radio.txpower * 0.25
        if key == "pm":
            return _Radio.pm
        if key == "protocol":
            return _Radio.protocol
        if key in ("hostname", "dhcp_hostname"):
            self._require(STA_IF)
            return hostname()
        if key == "reconnects":
            self._require(STA_IF)
            return _Radio.station.tries - 1
        if key == "hidden":
            self._require(AP_IF)
            return _Radio.access_point.hidden
        if key in ("security", "authmode"):
            self._require(AP_IF)
            return _Radio.access_point.auth
        raise ValueError("unknown config param")

    def _set(self, key, value):
        access_point = _Radio.access_point
        if key == "mac":
            if len(value) != 6:
                raise ValueError("invalid buffer length")
            if value[0] & 1:
                raise OSError("Wifi Invalid MAC Address")
            _Radio.macs[self._id] = bytes(value)
        elif key in ("hostname", "dhcp_hostname"):
            hostname(value)
        elif key == "reconnects":
            self._require(STA_IF)
            _Radio.station.tries = 0 if value == -1 else (value + 1) & 0xFF
        elif key == "txpower":
            _Radio.txpower = int(value * 4)
        elif key == "pm":
            _Radio.pm = value
        elif key == "protocol":
            _Radio.protocol = value
        elif key == "channel":
            if not 1 <= value <= _CHANNEL_MAX:
                raise RuntimeError(_INVALID_ARGUMENT)
            access_point.channel = value
        elif key in ("ssid", "essid"):
            self._require(AP_IF)
            access_point.ssid = _bytes(value)[:_SSID_MAX]
        elif key in ("key", "password"):
            self._require(AP_IF)
            access_point.password = _bytes(value)[:_PASSWORD_MAX]
        elif key in ("security", "authmode"):
            self._require(AP_IF)
            if not AUTH_OPEN <= value < AUTH_MAX:
                raise RuntimeError(_INVALID_ARGUMENT)
            access_point.auth = value
        elif key == "hidden":
            self._require(AP_IF)
            access_point.hidden = bool(value)
        elif key == "max_clients":
            self._require(AP_IF)
            if not 0 < value <= _CLIENTS_MAX:
                raise RuntimeError(_INVALID_ARGUMENT)
            access_point.max_clients = value
        else:
            raise ValueError("unknown config param")

    def _check_access_point(self, settings):
        """What ESP-IDF checks when it takes an access point's settings, all at once."""
        access_point = _Radio.access_point
        if not access_point.active:
            raise OSError("Wifi Invalid Mode")
        auth = settings.get("authmode", settings.get("security", access_point.auth))
        password = settings.get("password", settings.get("key", access_point.password))
        if auth != AUTH_OPEN and len(_bytes(password)) < _PASSWORD_MIN:
            raise OSError("Wifi Invalid Password")


def _bytes(text):
    return text.encode() if isinstance(text, str) else bytes(text)


def _address(text):
    """The dotted quad `text` itself, or ValueError."""
    parts = text.split(".")
    if len(parts) != 4 or not all(part.isdigit() and int(part) < 256 for part in parts):
        raise ValueError("invalid arguments")
    return text


def _netmask(bits):
    mask = 0xFFFFFFFF << (32 - bits) & 0xFFFFFFFF
    return ".".join([str(mask >> shift & 0xFF) for shift in (24, 16, 8, 0)])
