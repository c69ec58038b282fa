"""Serves the assets for measuring as a chip would, for http_limits.py: runs on MicroPython.

usage: micropython http_assets.py PORT

The image's own server, with sockets that take no more from it at a time than lwIP's do on the
ESP32: this computer's would take a whole asset at once, and nothing would be left to measure.
GET /mem gives the bytes of heap in use after a collection.
"""

import asyncio
import gc
import socket
import sys

from bench_assets import ASSETS
from httpd import Asset, Server

# Linux's number; the socket module doesn't name it. Linux doubles the size: this is lwIP's
# default of 4 segments of 1,440 bytes.
SO_SNDBUF = 7
SEND_BUFFER = 4 * 1440 // 2

server = Server()
for record in ASSETS:
    server.route("/" + record[0], Asset(record))


@server.get("/mem")
def mem(request):
    gc.collect()
    return {"alloc": gc.mem_alloc()}


listener = server.listen("127.0.0.1", int(sys.argv[1]))
# Connections inherit it.
listener.sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUF, SEND_BUFFER)
print("ready")
asyncio.get_event_loop().run_forever()
