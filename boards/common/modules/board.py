"""What differs between boards; here a chip of the ESP32 family. See boards/board.pyi."""

import sys
import time

import chip
import esp32
import machine
import network
from micropython import const

IAM = "websock-" + machine.unique_id()[-3:].hex()
DEV = "ESP32"
MACHINE = sys.implementation._machine

# lwIP has 16 sockets (sdkconfig.product). Not for clients are: the two listeners, the phone home,
# the portal's DNS, and one to turn a client away with.
CONNECTIONS = 11

# mbedTLS takes buffers of 20 KiB for each from the chip's system heap, and some 10 more during the
# handshake. Beside Wi-Fi there is room for a page's WebSocket and its requests; PSRAM has it for
# as many as a browser opens.
SECURE_CONNECTIONS = 6 if "SPIRAM" in MACHINE else 2

# A board's Ethernet is wired as its app.json says; only the emulator's is known.
LAN = {"phy": "DP83848", "address": 1} if "QEMU" in MACHINE else None

TIME_SERVER = "pool.ntp.org"

overrides = {}

# MALLOC_CAP_INTERNAL of ESP-IDF's esp_heap_caps.h.
_INTERNAL = const(1 << 11)

# Marks the count of resets in the RTC's memory.
_RESETS = b"websock"


def extend(server, group):
    """Nothing: the product's own routes are all there is."""


def ready(http, sockets, https=None, names=None):
    """Keep the radio awake while the device serves.

    Asleep between beacons, it answers up to 100 ms late or more. Costs some 80 mA.
    """
    if hasattr(network, "WLAN"):
        try:
            network.WLAN(network.STA_IF).config(pm=network.WLAN.PM_NONE)
        except (OSError, RuntimeError):
            pass  # the radio did not come up, which is logged already
    print("ready")


def local_port(listener):
    """None: MicroPython's sockets of lwIP have no getsockname."""
    return None


def reset():
    """Restart the chip, by order: the start does not count as one after a failure."""
    chip.store.remove("starts")
    machine.RTC().memory(_RESETS + (resets() + 1).to_bytes(4, "big"))
    machine.reset()


def set_name(name):
    """Before an interface comes up, which takes it over: <name>.local answers (mDNS, DHCP)."""
    network.hostname(name[:32])


def set_clock(now):
    """The RTC's, whose epoch is 2000."""
    year, month, day, hour, minute, second, weekday, _ = time.gmtime(now - 946_684_800)
    machine.RTC().datetime((year, month, day, weekday, hour, minute, second, 0))


def resets():
    """Kept in the RTC's memory, which a reset leaves and a power cut doesn't."""
    memory = machine.RTC().memory()
    if len(memory) != len(_RESETS) + 4 or not memory.startswith(_RESETS):
        return 0
    return int.from_bytes(memory[len(_RESETS) :], "big")


def trusted(peer):
    """Who is on the device's own access point, which has a password of its own.

    A board without Wi-Fi has only its wire: whoever is at it.
    """
    return not hasattr(network, "WLAN") or on_access_point(peer)


def on_access_point(peer):
    """Told by the address."""
    if not hasattr(network, "WLAN"):
        return False
    own = network.WLAN(network.AP_IF)
    if not own.active():
        return False
    address, mask = own.ifconfig()[:2]
    station = network.WLAN(network.STA_IF)
    if station.isconnected():
        site, site_mask = station.ifconfig()[:2]
        if _network(address, site_mask) == _network(site, site_mask):
            return False  # the site's network has the same addresses: nothing tells them apart
    return _network(peer[0], mask) == _network(address, mask)


def keeps_place(peer):
    """For who is on the access point, while it is up."""
    if not hasattr(network, "WLAN") or not network.WLAN(network.AP_IF).active():
        return None
    return on_access_point(peer)


def is_own_address(address):
    """An interface's of Wi-Fi; of Ethernet's nothing is known, and lwIP would bind to any."""
    if address == "0.0.0.0":
        return True
    if not hasattr(network, "WLAN"):
        parts = address.split(".")
        return len(parts) == 4 and all([part.isdigit() and int(part) < 256 for part in parts])
    interfaces = [network.WLAN(kind) for kind in (network.AP_IF, network.STA_IF)]
    return address in [i.ifconfig()[0] for i in interfaces if i.active()]


def over_station(peer):
    """Whoever isn't on the access point, while the station is on a network.

    Nothing tells who comes by Ethernet: better one too many is asked to come back.
    """
    if not hasattr(network, "WLAN") or not network.WLAN(network.STA_IF).isconnected():
        return False
    return not on_access_point(peer)


def system_heap():
    """ESP-IDF's in the internal memory, which Wi-Fi, lwIP and TLS live from."""
    regions = esp32.idf_heap_info(esp32.HEAP_DATA | _INTERNAL)
    free = sum([region[1] for region in regions])
    largest = max([region[2] for region in regions])
    # Each region's, whenever it was: at no time less was free than their sum.
    return free, largest, sum([region[3] for region in regions])


def direct():
    """Never: it needs the station or Ethernet."""
    return False


def _network(address, mask):
    # IPv4 addresses as text, as accept() and ifconfig() give them.
    value = 0
    for part, mask_part in zip(address.split("."), mask.split(".")):
        value = value << 8 | (int(part) & int(mask_part))
    return value
