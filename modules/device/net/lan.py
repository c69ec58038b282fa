"""The device's Ethernet, on boards that have it (network.LAN of MicroPython's ESP32 port).

Which PHY it is and how it is wired is the object "lan" at the top of app.json, else `board.LAN`:

    {"lan": {"phy": "LAN8720", "address": 0, "mdc": 23, "mdio": 18, "power": 12,
             "ref_clk": 17, "ref_clk_mode": "out"}}
    {"lan": {"phy": "W5500", "spi": 1, "sck": 12, "mosi": 11, "miso": 13, "cs": 10, "int": 9}}
    {"lan": {"phy": "W5500", "spi": 1, "sck": 6, "mosi": 7, "miso": 5, "cs": 10, "int": 4}}

"phy" is a name of network.PHY_*, the others are GPIO numbers, except "address" (0 to 31) and "spi"
(the number of the bus). Addresses come by DHCP. Without the object, and on a board without
network.LAN, there is no Ethernet and no lan/* state.
"""

import asyncio

import board

try:
    import network
except ImportError:
    network = None

# GPIO numbers as they are passed on; the largest that a chip of the family has is 48.
_PINS = ("mdc", "mdio", "reset", "power", "cs", "int", "ref_clk")
_SPI_PINS = ("sck", "mosi", "miso")
_PIN_MAX = 48
_ADDRESS_MAX = 31
_MODES = ("in", "out")

# Hz; the driver sets its own for its transfers.
_SPI_BAUDRATE = 20_000_000


def check(settings):
    """Check the object "lan".

    Raises:
        ValueError: what is wrong with it.
    """
    known = ("phy", "address", "spi", "ref_clk_mode") + _PINS + _SPI_PINS
    for key in sorted(settings):
        if key not in known:
            raise ValueError("unknown field " + key)
    phy = settings.get("phy")
    if not isinstance(phy, str) or not hasattr(network, "PHY_" + phy):
        raise ValueError("phy must be one of network.PHY_*")
    limits = {"address": _ADDRESS_MAX, "spi": 2}
    for key in ("address", "spi") + _PINS + _SPI_PINS:
        value = settings.get(key)
        if value is not None:
            most = limits.get(key, _PIN_MAX)
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
                raise ValueError(f"{key} must be 0 to {most}")
    if settings.get("ref_clk_mode") not in (None,) + _MODES:
        raise ValueError("ref_clk_mode must be in or out")
    if settings.get("spi") is not None and None in [settings.get(pin) for pin in _SPI_PINS]:
        raise ValueError("spi needs sck, mosi and miso")


def make(settings):
    """Make the interface that the object "lan" describes.

    Raises:
        ValueError: what is wrong with it.
        OSError: the driver found no such PHY.
    """
    import machine

    check(settings)
    options = {
        "phy_type": getattr(network, "PHY_" + settings["phy"]),
        "phy_addr": settings.get("address") or 0,
    }
    for pin in _PINS:
        if settings.get(pin) is not None:
            options[pin] = machine.Pin(settings[pin])
    mode = settings.get("ref_clk_mode")
    if mode:
        options["ref_clk_mode"] = machine.Pin.IN if mode == "in" else machine.Pin.OUT
    if settings.get("spi") is not None:
        pins = {pin: machine.Pin(settings[pin]) for pin in _SPI_PINS}
        options["spi"] = machine.SPI(settings["spi"], baudrate=_SPI_BAUDRATE, **pins)
    return network.LAN(**options)


class Lan:
    """Brings the Ethernet interface up and keeps the lan/* state.

    Args:
        config: the `config.Config`.
        publish: called with a dict of the state that changed.
        log: called with a level and a line.
        changed: called when it has come up, or is down.
    """

    # How often the interface is looked at.
    WATCH_MS = 500

    def __init__(self, config, publish, log, changed=None):
        self._publish = publish
        self._log = log
        self._changed = changed
        self._interface = None
        self._published = {}
        self._settings = None
        if network is not None and hasattr(network, "LAN"):
            self._settings = config.section("lan") or board.LAN

    def start(self):
        """Bring the interface up; does nothing when there is none. Failures are logged."""
        if not self._settings or self._interface is not None:
            return
        try:
            interface = make(self._settings)
            interface.active(True)
        except (OSError, RuntimeError, ValueError, TypeError) as error:
            self._log("error", f"ethernet: {error}")
            return
        self._interface = interface

    @property
    def connected(self):
        """Whether it is up, with an address."""
        return self._interface is not None and self._interface.isconnected()

    def status(self):
        """The lan/* state, empty without Ethernet."""
        if not self._settings:
            return {}
        state = {
            "lan/active": False,
            "lan/connected": False,
            "lan/mac": "",
            "lan/ip": "",
            "lan/gw": "",
            "lan/dns": "",
        }
        interface = self._interface
        if interface is not None:
            state["lan/active"] = interface.active()
            state["lan/mac"] = ":".join(["%02X" % byte for byte in interface.config("mac")])
            if interface.isconnected():
                state["lan/connected"] = True
                address, _, gateway, dns = interface.ifconfig()
                state["lan/ip"], state["lan/gw"], state["lan/dns"] = address, gateway, dns
        return state

    async def run(self):
        """Keep the state up to date; returns at once without Ethernet."""
        if self._interface is None:
            return
        connected = False
        while True:
            state = self.status()
            if state["lan/connected"] != connected:
                connected = state["lan/connected"]
                news = "address " + state["lan/ip"] if connected else "down"
                self._log("info", "ethernet: " + news)
                if self._changed is not None:
                    self._changed()
            changed = {key: state[key] for key in state if state[key] != self._published.get(key)}
            if changed:
                self._publish(changed)
                self._published = state
            await asyncio.sleep_ms(self.WATCH_MS)
