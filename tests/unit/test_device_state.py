"""The whole device's state: whose keys are whose."""

import interfaces
import network
from device import net as module
from device.device import Device
from device.settings.config import Config
from transport import poller

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


def test_outputs_have_their_level_before_there_is_a_network():
    from machine import Pin

    network.WLAN(network.AP_IF).active(False)
    pump = {"name": "pump", "type": "gpio", "pin": 4, "initial": 1}
    later = {"name": "later", "type": "gpio", "pin": 5, "initial": 1, "start": False}
    device = Device(Config({"interfaces": [pump, later]}))
    assert Pin(4)() == 1 and Pin(5)() == 0
    assert not device.wifi.address  # `run` brings it up


class Failing:
    """A part that fails twice before it ends."""

    runs = 0

    async def run(self):
        self.runs += 1
        if self.runs < 3:
            raise MemoryError


async def test_a_part_that_fails_is_run_again_until_it_ends():
    pause, module.RESTART_MS = module.RESTART_MS, 1
    reported = []
    poller.set_reporter(lambda message, error: reported.append(type(error)))
    try:
        part = Failing()
        await module.keep_running(part)
    finally:
        module.RESTART_MS = pause
        poller.set_reporter(None)
    assert part.runs == 3 and reported == [MemoryError, MemoryError]
