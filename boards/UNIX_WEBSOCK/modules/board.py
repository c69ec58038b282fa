"""What differs between boards; here a program on this computer. Every board has this module.

Names:
    IAM, DEV: the device's default id and type.
    CONNECTIONS: connections at a time by default.
    SECURE_CONNECTIONS: how many of them may have TLS.
    overrides: configuration by path that wins over the files (config.Config).
    extend(server, group): add the board's own routes.
    ready(http, sockets, https=None, names=None): the listeners and the portal's resolver (or None)
        serve.
    reset(): restart the device.
    resets(): how often it was called since the program (the chip: the power) was started.
    trusted(peer): whether a client with this address may use the device while no admin password
        is set; on a chip those of its own access point.
    on_access_point(peer): whether a client with this address is on the device's own access point.
    local_port(listener): the port of one that could choose; a chip's never can.
"""

import os

import hostio
import machine
import network

IAM = "websock-" + machine.unique_id()[-3:].hex()
DEV = "UNIX"

# A desk computer has no shortage of sockets or memory; this is for finding leaks.
CONNECTIONS = 64
SECURE_CONNECTIONS = 16

# Set by websock.py from the program's arguments, before the device's modules are imported.
overrides = {}
bench = False

# The free ports that were picked are kept over a restart, so that clients find the device again.
HTTP_PORT = "WEBSOCK_HTTP_PORT"
WS_PORT = "WEBSOCK_WS_PORT"
HTTPS_PORT = "WEBSOCK_HTTPS_PORT"
DNS_PORT = "WEBSOCK_DNS_PORT"
_RESETS = "WEBSOCK_RESETS"


def extend(server, group):
    """Add /bench/ with --bench."""
    if bench:
        import bench_routes

        bench_routes.add(server, group)


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
            line += " {}://{}:{}/".format(scheme, host, port)
    print(line)


def reset():
    """Start the program anew."""
    os.putenv(_RESETS, str(resets() + 1))
    machine.reset()


def resets():
    """Kept in the environment over a restart."""
    return int(os.getenv(_RESETS) or 0)


def trusted(peer):
    """Everybody: --host says who can reach the program at all."""
    return True


def on_access_point(peer):
    """Whether the simulated air (network) has a station with this address on it."""
    return network.has_client(peer[0])
