"""Simulates what a station that leaves its network does to those who came by it: silence.

No reset and no end of file reaches either side, as on the air; who comes then is turned away. See
"by_station" of `network`.
"""

import io
from asyncio import create_task, sleep_ms

import network
from transport import poller

WATCH_MS = 20

# The sockets of those who were cut off: closed, they would tell their peers.
_lost = []


class _Silence(io.IOBase):
    """In place of a connection's socket: takes everything, gives nothing."""

    def ioctl(self, request, argument):
        return 0

    def write(self, data):
        return len(data)

    def readinto(self, buffer):
        return None


def start(group):
    """Cut off the connections of a `transport.Group` from now on."""
    create_task(_watch(group))


async def _watch(group):
    station = network.WLAN(network.STA_IF)
    was_connected = False
    while True:
        await sleep_ms(WATCH_MS)
        connected = station.isconnected()
        if not connected:
            for connection in list(group.connections):
                address = connection.remote_address
                if type(connection.sock) is not _Silence and network.by_station(address[0]):
                    if was_connected:
                        _cut(connection)
                    else:
                        connection.abort()  # nobody could have come meanwhile
        was_connected = connected


def _cut(connection):
    _lost.append(connection.sock)
    events = connection.events
    poller.current().discard(connection.sock)
    connection.sock = _Silence()
    poller.current().add(connection, events)
