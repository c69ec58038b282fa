"""boards/common/modules/board.py and chip.py on this Python, beside stand-ins for the chip's own
modules; run by test_boards.py with boards/common/modules on the path."""

import sys
import time
import types

machine = types.ModuleType("machine")
machine.unique_id = lambda: bytes(range(6))
network = types.ModuleType("network")
network.hostname = print
time.sleep_ms = lambda ms: time.sleep(ms / 1000)
esp32 = types.ModuleType("esp32")
esp32.NVS = lambda namespace: namespace
esp32.HEAP_DATA = 4
micropython = types.ModuleType("micropython")
micropython.const = lambda value: value
sys.modules.update(machine=machine, network=network, esp32=esp32, micropython=micropython)
sys.implementation._machine = "websock in QEMU with ESP32"

import board  # noqa: E402
import chip  # noqa: E402

assert board.chip is chip
assert board.LAN == {"phy": "DP83848", "address": 1}
assert board.overrides == {}
assert board.local_port(None) is None
board.set_name(board.IAM)
clock = []
machine.RTC = lambda: types.SimpleNamespace(datetime=clock.append)
time.gmtime = lambda now: (*divmod(now, 60), 0, 0, 0, 0, 0, 0)
board.set_clock(946_684_800 + 65)
assert clock == [(1, 5, 0, 0, 0, 0, 0, 0)]
assert board.SECURE_CONNECTIONS == 2
regions = {0x804: [(160_000, 53_572, 40_000, 6_400), (15_000, 14_656, 14_000, 900)]}
esp32.idf_heap_info = regions.__getitem__
assert board.system_heap() == (68_228, 40_000, 7_300)
near, far = ("192.168.4.2", 1), ("192.168.5.2", 1)
assert board.trusted(far) and not board.on_access_point(far)
assert not board.direct() and not board.over_station(far)


class WLAN:
    AP_IF, STA_IF = 1, 0

    def __init__(self, number):
        self.isconnected = lambda: joined
        self.active = lambda: up
        address = "192.168.4.1" if number == self.AP_IF else "192.168.5.7"
        self.ifconfig = lambda: (address, "255.255.255.0", "", "")


network.WLAN = WLAN
network.AP_IF, network.STA_IF = 1, 0
for up in (True, False):
    for peer in (near, far):
        expected = up and peer is near
        for joined in (True, False):
            assert board.trusted(peer) is board.on_access_point(peer) is expected
            assert board.over_station(peer) is (joined and not expected)


class Pin:
    IN, PULL_UP = 1, 2

    def __init__(self, number, mode, pull):
        asked.append(number)
        self.value = lambda: 0


# The BOOT button, which an ESP32 with Ethernet doesn't have to itself.
machine.Pin = Pin
for name, lan, pin in (
    ("ESP32", False, 0),
    ("ESP32", True, None),
    ("ESP32S3", False, 0),
    ("ESP32S3", True, 0),
    ("ESP32C3", False, 9),
    ("ESP32C3", True, 9),
):
    sys.implementation._machine = "websock with " + name
    if lan:
        network.LAN = None
    asked = []
    assert chip.held() is (pin is not None), name
    assert asked == ([] if pin is None else [pin]), name
    network.__dict__.pop("LAN", None)
machine.DEEPSLEEP_RESET, machine.SOFT_RESET = 4, 5
for cause in (4, 5):
    machine.reset_cause = lambda cause=cause: cause
    assert chip.deliberate() is (cause == 4)
