"""Ethernet: what is made of the settings, and the state that clients see."""

import asyncio

import board
import machine
import network
from device.net import lan
from helpers import until

HOST_ONLY = True

RMII = {
    "phy": "LAN8720",
    "address": 1,
    "mdc": 23,
    "mdio": 18,
    "power": 16,
    "ref_clk": 0,
    "ref_clk_mode": "in",
}


class Interface:
    """What network.LAN returns, with a cable that can be pulled."""

    def __init__(self, **options):
        self.options = options
        self.up = False
        self.cable = False

    def active(self, up=None):
        if up is not None:
            self.up = up
        return self.up

    def isconnected(self):
        return self.up and self.cable

    def ifconfig(self):
        return ("10.0.2.15", "255.255.255.0", "10.0.2.2", "10.0.2.3")

    def config(self, name):
        assert name == "mac"
        return b"\x02\x00\x00\x00\x00\xaf"


class Pin:
    IN = 1
    OUT = 3

    def __init__(self, number):
        self.number = number


class Config:
    def __init__(self, **sections):
        self.sections = sections

    def section(self, name):
        return self.sections.get(name, {})


class Ethernet:
    """A board with Ethernet for the time of a with block, and what it published and logged."""

    def __init__(self, make=Interface):
        self.make = make
        self.state = {}
        self.lines = []

    def __enter__(self):
        self.pin = machine.Pin
        machine.Pin = Pin
        network.LAN = self.make
        network.PHY_LAN8720 = 1
        network.PHY_DP83848 = 4
        return self

    def __exit__(self, *error):
        machine.Pin = self.pin
        del network.LAN, network.PHY_LAN8720, network.PHY_DP83848
        if hasattr(board, "LAN"):
            del board.LAN

    def lan(self, **sections):
        made = lan.Lan(
            Config(**sections), self.state.update, lambda *line: self.lines.append(line)
        )
        made.WATCH_MS = 1
        return made


def refused(settings):
    try:
        lan.check(settings)
    except ValueError as error:
        return str(error)
    raise AssertionError("accepted")


def test_a_board_without_ethernet_has_no_state():
    made = lan.Lan(Config(lan=RMII), None, None)
    made.start()
    assert made.status() == {}
    asyncio.run(made.run())  # returns


def test_ethernet_that_nothing_describes_is_left_alone():
    with Ethernet() as ethernet:
        made = ethernet.lan()
        made.start()
        assert made.status() == {}
        assert ethernet.lines == []


def test_the_settings_become_the_drivers_options():
    with Ethernet():
        options = lan.make(RMII).options
    assert options["phy_type"] == 1
    assert options["phy_addr"] == 1
    pins = {name: options[name].number for name in ("mdc", "mdio", "power", "ref_clk")}
    assert pins == {"mdc": 23, "mdio": 18, "power": 16, "ref_clk": 0}
    assert options["ref_clk_mode"] == Pin.IN
    assert len(options) == 7


def test_the_boards_own_settings_are_the_default():
    with Ethernet() as ethernet:
        board.LAN = {"phy": "DP83848", "address": 1}
        made = ethernet.lan()
        made.start()
        assert made._interface.options == {"phy_type": 4, "phy_addr": 1}
        assert made.status()["lan/active"]
        assert made.status()["lan/mac"] == "02:00:00:00:00:AF"
        made = ethernet.lan(lan=RMII)
        made.start()
        assert made._interface.options["phy_type"] == 1


def test_bad_settings_are_named():
    with Ethernet():
        assert refused({}) == "phy must be one of network.PHY_*"
        assert refused({"phy": "NOSUCH"}) == "phy must be one of network.PHY_*"
        assert refused({"phy": "LAN8720", "mdx": 1}) == "unknown field mdx"
        assert refused({"phy": "LAN8720", "mdc": "23"}) == "mdc must be 0 to 48"
        assert refused({"phy": "LAN8720", "mdc": True}) == "mdc must be 0 to 48"
        assert refused({"phy": "LAN8720", "address": 32}) == "address must be 0 to 31"
        assert refused({"phy": "LAN8720", "ref_clk_mode": 1}) == "ref_clk_mode must be in or out"
        assert refused({"phy": "LAN8720", "spi": 1}) == "spi needs sck, mosi and miso"


def test_what_cannot_be_made_is_logged_and_the_device_goes_on():
    def fail(**options):
        raise OSError("esp_eth_driver_install failed")

    for settings, make in (({"phy": 1}, Interface), (RMII, fail)):
        with Ethernet(make) as ethernet:
            made = ethernet.lan(lan=settings)
            made.start()
            assert [level for level, _ in ethernet.lines] == ["error"]
            assert made.status()["lan/active"] is False
            asyncio.run(made.run())  # returns


async def test_state_follows_the_cable():
    with Ethernet() as ethernet:
        made = ethernet.lan(lan=RMII)
        made.start()
        task = asyncio.create_task(made.run())
        await until(lambda: ethernet.state.get("lan/active"))
        assert ethernet.state["lan/ip"] == ""
        made._interface.cable = True
        await until(lambda: ethernet.state.get("lan/connected"))
        assert ethernet.state["lan/ip"] == "10.0.2.15"
        assert ethernet.state["lan/gw"] == "10.0.2.2"
        assert ethernet.state["lan/dns"] == "10.0.2.3"
        made._interface.cable = False
        await until(lambda: not ethernet.state["lan/connected"])
        assert ethernet.state["lan/ip"] == ""
        task.cancel()
        assert ethernet.lines == [
            ("info", "ethernet: address 10.0.2.15"),
            ("info", "ethernet: down"),
        ]
