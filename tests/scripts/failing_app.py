"""The device in the image whose allocations can be made to fail, see tests/failing.

A UDP port, in app.json's "failing": {"port": N}, takes `arm N COUNT MS` and `disarm`; both
answer with what shows that everything goes on: how often the ticker, the Wi-Fi's task and a timer
of asyncio have come round, how many allocations there were, what the poller holds. app.json's
"constants" are those of constants.py. While it is armed a head may take MS.
"""

import asyncio
import json
import socket
from select import POLLIN

from constants import set_constants
from device.device import Device
from device.net.wifi import Wifi
from httpd import connection
from transport import bound_socket, poller

import failing

beats = {"ticker": 0, "wifi": 0, "timer": 0}
_refresh = Wifi.refresh


def _counted_refresh(wifi):
    beats["wifi"] += 1
    _refresh(wifi)


class Control:
    """An endpoint of the poller."""

    def __init__(self, port, device):
        self._device = device
        self._head_timeout = connection.HEAD_TIMEOUT_MS
        self.sock = bound_socket("127.0.0.1", port, socket.SOCK_DGRAM)
        poller.current().add(self, POLLIN)

    def ready(self, events):
        allocations = failing.counted()
        failing.at(0)
        request, peer = self.sock.recvfrom(100)
        arm = request.split()
        state = dict(beats)
        state["allocations"] = allocations
        state["connections"] = len(self._device.group.connections)
        state["clients"] = len(self._device.hub.clients)
        state["endpoints"] = len(poller.current().map)
        self.sock.sendto(json.dumps(state).encode(), peer)
        if arm[0] == b"arm":
            n, count, connection.HEAD_TIMEOUT_MS = [int(number) for number in arm[1:]]
            failing.at(n, count)
        else:
            connection.HEAD_TIMEOUT_MS = self._head_timeout

    def tick(self, now):
        # Small integers only: nothing here may fail.
        beats["ticker"] += 1

    def failed(self, error):
        poller.report("the control port failed", error)


async def _run(config):
    device = Device(config)
    Control(config.section("failing")["port"], device)

    async def timer():
        while True:
            await asyncio.sleep_ms(20)
            beats["timer"] += 1

    running = asyncio.create_task(timer())
    await device.run()
    await running


def app_main(config):
    set_constants(config)
    Wifi.refresh = _counted_refresh
    asyncio.run(_run(config))
