"""Runs on MicroPython: a server with handlers of all kinds for test_http_requests.py.

usage: micropython http_server.py FOLDER [tls=CERTIFICATES] [NAME=NUMBER of httpd.connection]...

With tls, the port is one of HTTPS, with the files server.pem and server.key of CERTIFICATES.
"""

import asyncio
import gc
import os
import sys

import hostio
import httpd.connection
import transport
import vfs
from httpd import HTTPError, Response, Server, file_response

context = None
for setting in sys.argv[2:]:
    name, value = setting.split("=")
    if name == "tls":
        from device.routes import certificate

        context = certificate.load(value + "/server.pem", value + "/server.key")
    else:
        setattr(httpd.connection, name, int(value))

server = Server(transport.Group(8))
ended = []


@server.get("/ok")
def ok(request):
    return "ok"


@server.get("/soon")
async def soon(request):
    await asyncio.sleep_ms(5)
    return "soon"


@server.post("/echo")
async def echo(request):
    return bytes(await request.read(100_000))


@server.post("/count")
async def count(request):
    size = 0
    async for piece in request:
        size += len(piece)
    return str(size)


@server.post("/form")
async def form(request):
    return await request.form()


@server.post("/json")
async def json(request):
    return {"got": await request.json()}


@server.post("/refuse")
async def refuse(request):
    raise HTTPError(403, "not you")


@server.post("/refuse-late")
async def refuse_late(request):
    async for _piece in request:
        raise HTTPError(403, "not that")


@server.get("/pieces")
def pieces(request):
    return Response(iter([b"one", b"", b"two"]), 200, "text/plain")


@server.get("/short")
def short(request):
    return Response(iter([b"one"]), 200, "text/plain", length=5)


@server.get("/raises")
async def raises(request):
    raise ValueError("secret")


@server.get("/raises-in-pieces")
def raises_in_pieces(request):
    def make():
        yield b"one"
        raise ValueError("secret")

    return Response(make(), 200, "text/plain", length=10)


@server.get("/no-memory-for-pieces")
def no_memory_for_pieces(request):
    def make():
        yield bytearray(1 << 40)

    return Response(make(), 200, "text/plain")


@server.get("/no-memory")
async def no_memory(request):
    bytearray(1 << 40)


@server.get("/big")
def big(request):
    block = bytearray(10_000)
    return Response((block for _ in range(1000)), 200, "text/plain", length=10_000_000)


@server.get("/numbers")
def numbers(request):
    return "".join(f"{i:07d}\n" for i in range(131_072))


@server.get("/stream")
async def stream(request):
    stream = await request.stream(200, "text/plain")
    await stream.send("one")
    await stream.send(b"")
    await stream.send(b"two")


@server.get("/stream-raises")
async def stream_raises(request):
    stream = await request.stream()
    await stream.send("one")
    raise ValueError("secret")


@server.get("/events")
async def events(request):
    events = await request.events()
    try:
        await events.send({"a": 1}, event="state", id=7, retry=500)
        await events.send("two\nlines")
        await events.send()
        await asyncio.Event().wait()
    finally:
        ended.append("events")


@server.get("/flood")
async def flood(request):
    stream = await request.stream()
    sent = 0
    try:
        while True:
            await stream.send(bytes(1000))
            sent += 1000
            server.most = max(server.most, request.connection.transport.queued)
    finally:
        ended.append("flood")


@server.route("/file/<name>", methods=("PUT",))
async def put(request, name):
    size, created = await request.save(name, 50_000)
    return str(size), 201 if created else 200


class Flash:
    """A flash of 16 blocks in memory."""

    def __init__(self):
        self.data = bytearray(16 * 512)

    def readblocks(self, number, buf, offset=0):
        start = number * 512 + offset
        buf[:] = self.data[start : start + len(buf)]

    def writeblocks(self, number, buf, offset=0):
        start = number * 512 + offset
        self.data[start : start + len(buf)] = buf

    def ioctl(self, operation, argument):
        return {4: 16, 5: 512, 6: 0}.get(operation)


@server.route("/flash/<name>", methods=("PUT",))
async def put_on_flash(request, name):
    await request.save("/flash/" + name, 50_000)


@server.get("/flash")
def list_flash(request):
    return os.listdir("/flash")


@server.get("/file/<name>")
def get(request, name):
    return file_response(request, name)


@server.get("/cookie")
def cookie(request):
    response = Response(request.cookies)
    response.set_cookie("session", "abc", 60)
    return response


@server.get("/status")
def status(request):
    gc.collect()
    return {
        "statuses": server.statuses,
        "ended": ended,
        "files": os.listdir(),
        "alloc": gc.mem_alloc(),
        "most": server.most,
        "connections": len(server.group.connections),
    }


flash = Flash()
vfs.VfsLfs2.mkfs(flash)
vfs.mount(vfs.VfsLfs2(flash), "/flash")
server.most = 0
os.chdir(sys.argv[1])
gc.threshold(20_000)
listener = server.listen("127.0.0.1", 0, context)
print("port", hostio.local_port(listener.sock.fileno()))
asyncio.get_event_loop().run_forever()
