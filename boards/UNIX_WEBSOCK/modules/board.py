"""What differs between boards; here a program on this computer. See boards/board.pyi."""

import os
import socket

import hostio
import machine
import network

IAM = "websock-" + machine.unique_id()[-3:].hex()
DEV = "UNIX"

# The chip whose pins are simulated.
MACHINE = "simulated with ESP32"

# A desk computer has no shortage of sockets or memory; this is for finding leaks.
CONNECTIONS = 64
SECURE_CONNECTIONS = 16

LAN = None

# A computer may have no network at all, and looks for names for seconds then.
TIME_SERVER = ""

# Set by websock.py from the program's arguments, before the device's modules are imported.
chip = None
overrides = {}
bench = False
repl = False  # Ctrl-C leads to the REPL
served = False  # it was ready: from then on a lack of memory isn't the heap's size alone

# The free ports that were picked are kept over a restart, so that clients find the device again.
HTTP_PORT = "WEBSOCK_HTTP_PORT"
WS_PORT = "WEBSOCK_WS_PORT"
HTTPS_PORT = "WEBSOCK_HTTPS_PORT"
DNS_PORT = "WEBSOCK_DNS_PORT"
_RESETS = "WEBSOCK_RESETS"


def extend(server, group):
    """Add /bench/ with --bench; begin to cut off who comes by the simulated station."""
    if bench:
        import bench_routes

        bench_routes.add(server, group)
    if network.by_station():
        import cut_off

        cut_off.start(group)


def local_port(listener):
    """The port that a `transport.Listener` listens at."""
    return hostio.local_port(listener.sock.fileno())


def ready(http, sockets, https=None, names=None):
    """Print the line that says where to connect."""
    host = overrides["http/ip"]
    if ":" in host:  # IPv6
        host = "[" + host + "]"
    line = "ready"
    for listener, scheme, variable in (
        (http, "http", HTTP_PORT),
        (sockets, "ws", WS_PORT),
        (https, "https", HTTPS_PORT),
        (names, "dns", DNS_PORT),
    ):
        if listener is not None:
            port = local_port(listener)
            os.putenv(variable, str(port))
            line += f" {scheme}://{host}:{port}/"
    print(line)
    global served
    served = True


def reset():
    """Start the program anew."""
    if chip is not None:
        chip.store.remove("starts")
    os.putenv(_RESETS, str(resets() + 1))
    machine.reset()


def set_name(name):
    """Simulated, as the network is."""
    network.hostname(name)


def set_clock(now):
    """The computer's clock is its own."""


def resets():
    """Kept in the environment over a restart."""
    return int(os.getenv(_RESETS) or 0)


def trusted(peer):
    """Everybody: --host says who can reach the program at all."""
    return True


def over_station(peer):
    """Whether the simulated air has this address come by the station."""
    return network.by_station(peer[0])


def system_heap():
    """None: the computer's memory is no concern."""
    return None


def direct():
    """Unless the simulated air says that all come by the station."""
    return not network.by_station()


def on_access_point(peer):
    """Whether the simulated air (network) has a station with this address on it."""
    return network.has_client(peer[0])


def keeps_place(peer):
    """For the access point's, if the simulated air says who these are."""
    return network.has_client(peer[0]) if network.has_clients() else None


def is_own_address(address):
    """Tried out."""
    sock = None
    try:
        info = socket.getaddrinfo(address, 0, 0, socket.SOCK_STREAM)[0]
        sock = socket.socket(*info[:3])
        sock.bind(info[-1])
    except OSError:
        return False
    finally:
        if sock is not None:
            sock.close()
    return True
