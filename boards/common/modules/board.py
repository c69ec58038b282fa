"""What differs between boards; here a chip of the ESP32 family. Every board has this module.

Names:
    IAM, DEV: the device's default id and type.
    CONNECTIONS: connections at a time by default.
    LAN: default settings of the Ethernet interface (device.lan), None where there is none.
    overrides: configuration by path that wins over the files (config.Config).
    extend(server, group): add the board's own routes.
    ready(http, sockets): the listeners (or None) serve.
    reset(): restart the device.
    resets(): how often the device was restarted by reset() since the power came on.
    trusted(peer): whether a client with this address may use the device while no admin password
        is set.
"""

import sys

import machine
import network

IAM = "websock-" + machine.unique_id()[-3:].hex()
DEV = "ESP32"

# lwIP has 16 sockets (sdkconfig.product). Not for clients are: the two listeners, the phone home,
# the portal's DNS, and one to turn a client away with.
CONNECTIONS = 11

# A board's Ethernet is wired as its app.json says; only the emulator's is known.
LAN = {"phy": "DP83848", "address": 1} if "QEMU" in sys.implementation._machine else None

overrides = {}

# Marks the count of resets in the RTC's memory.
_RESETS = b"websock"

# Before an interface comes up, which takes over the name: <IAM>.local answers (mDNS, DHCP).
network.hostname(IAM)


def extend(server, group):
    """Nothing: the product's own routes are all there is."""


def ready(http, sockets):
    """Keep the radio awake while the device serves.

    Asleep between beacons, it answers up to 100 ms late or more. Costs some 80 mA.
    """
    if hasattr(network, "WLAN"):
        try:
            network.WLAN(network.STA_IF).config(pm=network.WLAN.PM_NONE)
        except (OSError, RuntimeError):
            pass  # the radio did not come up, which is logged already
    print("ready")


def reset():
    """Restart the chip."""
    machine.RTC().memory(_RESETS + (resets() + 1).to_bytes(4, "big"))
    machine.reset()


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
    if not hasattr(network, "WLAN"):
        return True
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


def _network(address, mask):
    # IPv4 addresses as text, as accept() and ifconfig() give them.
    value = 0
    for part, mask_part in zip(address.split("."), mask.split(".")):
        value = value << 8 | (int(part) & int(mask_part))
    return value
