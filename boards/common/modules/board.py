"""What differs between boards; here a chip of the ESP32 family. Every board has this module.

Names:
    IAM, DEV: the device's default id and type.
    CONNECTIONS: connections at a time by default.
    LAN: default settings of the Ethernet interface (device.lan), None where there is none.
    overrides: configuration by path that wins over the files (config.Config).
    extend(server, group): add the board's own routes.
    ready(http, sockets): the listeners (or None) serve.
    reset(): restart the device.
    resets(): how often it was called since the power came.
    trusted(peer): whether a client with this address may use the device while no admin password
        is set: those of its own access point, which has a password of its own.
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

_RESETS = b"resets:"

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
    memory = machine.RTC().memory()
    # The memory is an app's, if one has put something there.
    if not memory or memory.startswith(_RESETS):
        machine.RTC().memory(_RESETS + str(resets() + 1).encode())
    machine.reset()


def resets():
    """Kept in the RTC's memory, which loses it with the power."""
    memory = machine.RTC().memory()
    return int(memory[len(_RESETS) :]) if memory.startswith(_RESETS) else 0


def trusted(peer):
    """Clients of the access point; everybody where there is none to set the password over."""
    if not hasattr(network, "WLAN"):
        return True
    point = network.WLAN(network.AP_IF)
    if not point.active():
        return False
    address, mask = point.ifconfig()[:2]
    return _subnet(peer[0], mask) == _subnet(address, mask)


def _subnet(address, mask):
    return [int(a) & int(m) for a, m in zip(address.split("."), mask.split("."))]
