"""What differs between boards; here a chip of the ESP32 family. Every board has this module.

Names:
    IAM, DEV: the device's default id and type.
    CONNECTIONS: connections at a time by default.
    SECURE_CONNECTIONS: how many of them may have TLS.
    LAN: default settings of the Ethernet interface (device.net.lan), None where there is none.
    overrides: configuration by path that wins over the files (config.Config).
    extend(server, group): add the board's own routes.
    ready(http, sockets, https=None, names=None): the listeners and the portal's resolver (or None)
        serve.
    reset(): restart the device, by order.
    resets(): how often the device was restarted by reset() since the power came on.
    trusted(peer): whether a client with this address may use the device while no admin password
        is set.
    on_access_point(peer): whether a client with this address is on the device's own access point.
    store, watchdog, feed_always, held, deliberate, restart: what device.startup.boot needs of a
        chip.
"""

import sys
from time import sleep_ms

import machine
import network
from nvs_store import store

IAM = "websock-" + machine.unique_id()[-3:].hex()
DEV = "ESP32"

# lwIP has 16 sockets (sdkconfig.product). Not for clients are: the two listeners, the phone home,
# the portal's DNS, and one to turn a client away with.
CONNECTIONS = 11

# mbedTLS takes buffers of 20 KiB for each from the chip's system heap, and some 10 more during the
# handshake. Beside Wi-Fi there is room for a page's WebSocket and its requests; PSRAM has it for
# as many as a browser opens.
SECURE_CONNECTIONS = 6 if "SPIRAM" in sys.implementation._machine else 2

# A board's Ethernet is wired as its app.json says; only the emulator's is known.
LAN = {"phy": "DP83848", "address": 1} if "QEMU" in sys.implementation._machine else None

overrides = {}

# Marks the count of resets in the RTC's memory.
_RESETS = b"websock"

# Before an interface comes up, which takes over the name: <IAM>.local answers (mDNS, DHCP).
network.hostname(IAM)


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


def reset():
    """Restart the chip, by order: the start does not count as one after a failure."""
    store.remove("starts")
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


def _network(address, mask):
    # IPv4 addresses as text, as accept() and ifconfig() give them.
    value = 0
    for part, mask_part in zip(address.split("."), mask.split(".")):
        value = value << 8 | (int(part) & int(mask_part))
    return value


def restart():
    """Restart the chip after a failure, with time to read the console or to press Ctrl-C."""
    sleep_ms(5000)
    machine.reset()


def watchdog(timeout_ms):
    """Start the chip's watchdog; it can't be stopped again."""
    return machine.WDT(timeout=timeout_ms)


def feed_always(fed):
    """Feed the watchdog from a timer from now on, while the REPL has the chip."""
    machine.Timer(0).init(period=5000, callback=lambda timer: fed.feed())


def deliberate():
    """Whether this start follows an order: waking from deep sleep.

    A soft reset is no order. Before the one of Ctrl-D comes Ctrl-C, after which the starts count
    anew.
    """
    return machine.reset_cause() == machine.DEEPSLEEP_RESET


def held():
    """Whether the BOOT button is held.

    At reset itself that starts the ROM's bootloader: press it right after. An ESP32 with Ethernet
    may have the PHY's clock at that pin, and is not asked; the others have theirs on SPI.
    """
    chip = sys.implementation._machine
    if hasattr(network, "LAN") and "ESP32S3" not in chip and "ESP32C3" not in chip:
        return False
    number = 9 if "ESP32C3" in chip else 0
    button = machine.Pin(number, machine.Pin.IN, machine.Pin.PULL_UP)
    for _ in range(5):
        if button.value():
            return False
        sleep_ms(10)
    return True
