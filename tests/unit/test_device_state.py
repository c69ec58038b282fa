"""The whole device's state: whose keys are whose."""

import interfaces
import network
from device.device import Device
from device.settings.config import Config

HOST_ONLY = True  # needs the host's board module


class LanConfig(Config):
    def section(self, name):
        return {"phy": "LAN8720"} if name == "lan" else {}


def test_an_interface_cannot_have_the_name_of_a_part_of_the_device():
    network.LAN = None  # a board with Ethernet, which needs no more than its class to say so
    try:
        device = Device(LanConfig({"home/host": "relay.example", "interfaces": []}))
    finally:
        del network.LAN
    parts = {key.partition("/")[0] for key in device.hub.state if "/" in key}
    assert parts == set(interfaces.RESERVED_NAMES), parts
    for name in parts:
        try:
            interfaces.create({"name": name, "type": "echo"}, None)
        except ValueError as error:
            assert str(error) == f"interface {name}: the name is taken by the device"
        else:
            raise AssertionError(name)
