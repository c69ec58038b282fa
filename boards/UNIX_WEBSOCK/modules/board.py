"""What differs between boards; here a program on this computer. Every board has this module.

Names:
    IAM, DEV: the device's default id and type.
    CONNECTIONS: connections at a time by default.
    overrides: configuration by path that wins over the files (config.Config).
    extend(server, group): add the board's own routes.
    ready(http, sockets): the listeners (or None) serve.
    reset(): restart the device.
"""

import os

import hostio
import machine

IAM = "websock-" + machine.unique_id()[-3:].hex()
DEV = "UNIX"

# A desk computer has no shortage of sockets; this is for finding leaks.
CONNECTIONS = 64

# Set by websock.py from the program's arguments, before the device's modules are imported.
overrides = {}
bench = False

# The free ports that were picked are kept over a restart, so that clients find the device again.
HTTP_PORT = "WEBSOCK_HTTP_PORT"
WS_PORT = "WEBSOCK_WS_PORT"


def extend(server, group):
    """Add /bench/ with --bench."""
    if bench:
        import bench_routes

        bench_routes.add(server, group)


def ready(http, sockets):
    """Print the line that says where to connect."""
    line = "ready"
    for listener, scheme, variable in ((http, "http", HTTP_PORT), (sockets, "ws", WS_PORT)):
        if listener is not None:
            port = hostio.local_port(listener.sock.fileno())
            os.putenv(variable, str(port))
            line += " {}://{}:{}/".format(scheme, overrides["http/ip"], port)
    print(line)


def reset():
    """Start the program anew."""
    machine.reset()
