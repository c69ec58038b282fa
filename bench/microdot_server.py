"""The peer: microdot, the web framework that MicroPython users know.

usage: micropython microdot_server.py PORT FOLDER      FOLDER holds the package microdot

Serves GET /bench/ok, /bench/30k and /bench/mem, and a WebSocket echo at /bench/echo.
"""

import gc
import os
import sys

sys.path.insert(0, sys.argv[2])

from microdot import Microdot, Request, Response
from microdot.websocket import WebSocket, with_websocket

Request.max_content_length = 1 << 20
Request.max_body_length = 1 << 20
WebSocket.max_message_length = 1 << 20

LARGE = (os.urandom(64) * 470)[:30000]

app = Microdot()


@app.route("/bench/ok")
async def ok(request):
    return "ok"


@app.route("/bench/30k")
async def large(request):
    return Response(body=LARGE, headers={"Content-Type": "text/html"})


@app.route("/bench/mem")
async def memory(request):
    gc.collect()
    return {"alloc": gc.mem_alloc(), "free": gc.mem_free()}


@app.route("/bench/echo")
@with_websocket
async def echo(request, websocket):
    while True:
        await websocket.send(await websocket.receive())


app.run(host="127.0.0.1", port=int(sys.argv[1]))
