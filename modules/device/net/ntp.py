"""The time from a server of the network."""

import random
import socket
from asyncio import sleep, sleep_ms
from errno import EAGAIN
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

from ..log import log
from .sntp import NoTime, request, unix_time

# How long an answer may take, and how often it is looked for.
ANSWER_MS = 3000
_LOOK_MS = const(50)

# Seconds until the next try after a failure, doubled up to the longest; and after a success. A
# crystal is a second off after a day at worst.
RETRY_FIRST = 15
RETRY_LONGEST = 3600
INTERVAL = 6 * 3600

# What there is no network for is looked for again after so many seconds.
_OFFLINE = const(2)


async def ask(host, port):
    """The time of a server, in seconds since 1970.

    Raises:
        OSError, NoTime: it can't be had.
    """
    family, kind, proto, _, address = socket.getaddrinfo(host, port, 0, socket.SOCK_DGRAM)[0]
    sock = socket.socket(family, kind, proto)
    try:
        sock.setblocking(False)
        sock.connect(address)
        asked = request()
        sock.send(asked)
        deadline = ticks_add(ticks_ms(), ANSWER_MS)
        while ticks_diff(deadline, ticks_ms()) > 0:
            await sleep_ms(_LOOK_MS)
            try:
                answer = sock.recv(64)
            except OSError as error:
                if error.errno != EAGAIN:
                    raise
                continue
            return unix_time(answer, asked)
        raise NoTime("no answer")
    finally:
        sock.close()


class Ntp:
    """Keeps the time right.

    Args:
        config: the `config.Config`.
        online: called without arguments, tells whether there is a network.
        found: called with the time, in seconds since 1970.
    """

    def __init__(self, config, online, found):
        self._config = config
        self._online = online
        self._found = found

    async def run(self):
        """Ask again and again; never returns."""
        wait = RETRY_FIRST
        while True:
            while not self._online():
                await sleep(_OFFLINE)
            try:
                now = await ask(self._config.get("time/server"), self._config.get("time/port"))
            except (OSError, NoTime) as error:
                if wait == RETRY_FIRST:
                    log("info", f"time server: {error}")
                await sleep(wait)
                wait = min(2 * wait, RETRY_LONGEST)
                continue
            self._found(now)
            wait = RETRY_FIRST
            # Not all of a fleet at once.
            await sleep(INTERVAL * (0.9 + random.random() / 5))
