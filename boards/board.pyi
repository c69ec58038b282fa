"""What the module `board` of every board defines: all that `modules/` may use of it.

A board's own module is frozen beside it: boards/common/modules/board.py for chips of the ESP32
family, boards/UNIX_WEBSOCK/modules/board.py for a program on a computer.
"""

from typing import Any, Protocol

from httpd import Server
from transport import Group, Listener

IAM: str
"""The device's id by default: its name on the network, at the relay and on the page."""

DEV: str
"""The device's type by default, for people."""

MACHINE: str
"""The board's name and, after "with", its chip: "websock with SPIRAM with ESP32"."""

CONNECTIONS: int
"""Connections of clients at a time by default, all servers together."""

SECURE_CONNECTIONS: int
"""How many of them may have TLS."""

TIME_SERVER: str
"""Who is asked for the time by default; "" for nobody."""

LAN: dict[str, Any] | None
"""The Ethernet interface that the board is known to have: the settings of `device.net.lan`. None
where only app.json can tell."""

overrides: dict[str, Any]
"""Configuration by a field's path, as "http/port", that wins over the files and is never saved. It
isn't checked: a port below 0 stands for any free one."""

chip: Chip | None
"""What a start of a chip needs around the app; None for a program on a computer, whose system has
it."""

def extend(server: Server, group: Group) -> None:
    """Add the board's own routes."""

def ready(
    http: Listener,
    sockets: Listener,
    https: Listener | None = None,
    names: Any = None,
) -> None:
    """Say so: the listeners, and the portal's `Resolver` or None, serve from now on."""

def local_port(listener: Listener) -> int | None:
    """The port of what listens at any free one; None where it can't be found out."""

def reset() -> None:
    """Restart the device, by order: the start doesn't count as one after a failure."""

def set_name(name: str) -> None:
    """Be known on networks by this host name, before there is one."""

def set_clock(now: int) -> None:
    """Set what `time.time()` counts from, by the seconds since 1970."""

def resets() -> int:
    """How often the device was restarted by `reset` since it got its power, or was started."""

def trusted(peer: tuple[str, int]) -> bool:
    """Whether a client with this address may use the device while no admin password is set."""

def on_access_point(peer: tuple[str, int]) -> bool:
    """Whether a client with this address is on the device's own access point."""

def over_station(peer: tuple[str, int]) -> bool:
    """Whether a client with this address is cut off when Wi-Fi's station leaves its network."""

def system_heap() -> tuple[int, int, int] | None:
    """Bytes of the heap that isn't Python's: free, largest free block, least free ever. None where
    nothing is to be known of it."""

def direct() -> bool:
    """Whether others are reached without the station or Ethernet."""

class Chip(Protocol):
    """What `device.startup` and main.py need of a chip."""

    @property
    def store(self) -> Store: ...
    def watchdog(self, timeout_ms: int) -> Watchdog:
        """Start the watchdog, which restarts the chip unless it is fed in time, for good."""

    def feed_always(self, fed: Watchdog) -> None:
        """Feed the watchdog without the event loop from now on: the REPL has the chip."""

    def held(self) -> bool:
        """Whether the user asks for safe mode, by the BOOT button."""

    def deliberate(self) -> bool:
        """Whether this start follows an order and no failure."""

    def restart(self) -> None:
        """Restart after a failure."""

class Store(Protocol):
    """Small values outside of the filesystem. A key has up to 15 characters."""

    def read(self, key: str) -> bytes | None:
        """The value; None when there is none."""

    def write(self, key: str, data: bytes) -> None:
        """Keep a value of up to 2,048 bytes.

        Raises:
            OSError: there is no room.
        """

    def remove(self, key: str) -> None:
        """Forget a value; one that isn't there is no error."""

class Watchdog(Protocol):
    def feed(self) -> None: ...

def keeps_place(peer: tuple[str, int]) -> bool | None:
    """Whether one place is kept for this client and its like; None while it is for nobody.

    The device's own access point is how its owner gets in when the network is full of others.
    """

def is_own_address(address: str) -> bool:
    """Whether the device can be reached at this address, or listens at all by it."""
