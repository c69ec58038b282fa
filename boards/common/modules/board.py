"""What differs between boards; here a chip of the ESP32 family. Every board has this module.

Names:
    IAM, DEV: the device's default id and type.
    CONNECTIONS: connections at a time by default.
    LAN: default settings of the Ethernet interface (device.lan), None where there is none.
    overrides: configuration by path that wins over the files (config.Config).
    extend(server, group): add the board's own routes.
    ready(http, sockets): the listeners (or None) serve.
    reset(): restart the device.
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
    machine.reset()
