"""The device's HTTP routes: the page, its files, the WebSocket endpoint and the REST API."""

import gc
import json
import os

from httpd import HTTPError, Response, Server, asset, file_response
from httpd.assets import find, names

import build_info

from . import log, login, metrics
from .origin import same_origin

# A folder in the device's filesystem whose files win over the frozen ones, for development.
OVERRIDE = "/www/"

# Largest file that can be put there: the whole page is smaller, and flash has other uses.
MAX_FILE = 131_072

_NO_STORE = (("Cache-Control", "no-store"),)


def make_server(device):
    """The `httpd.Server` with the device's routes; `device` is a `device.device.Device`."""
    server = Server(group=device.group)
    server.guard = login.Guard(device.access)
    login.add_routes(server, device.access)
    server.route("/login", lambda request: page(request, "login.htm"))
    server.route("/", lambda request: page(request, "page.htm"))
    server.route("/static/<name:path>", lambda request, name: page(request, "static/" + name))
    server.route("/ws", lambda request: device.sockets.upgrade(request, same_origin))

    @server.get("/api/state")
    def state(request):
        return Response(device.hub.state, headers=_NO_STORE)

    @server.post("/api/command")
    async def command(request):
        client = _Replies()
        body = await request.read()
        await device.commands.handle(client, body)
        status = 400 if "error" in client.values else 200
        return Response(client.values, status, headers=_NO_STORE)

    @server.get("/api/log")
    def lines(request):
        return Response({"log": log.lines()}, headers=_NO_STORE)

    @server.route("/api/www/<name:path>", methods=("PUT",))
    async def put_file(request, name):
        path = _override(name)
        if path is None:
            raise HTTPError(404)
        _make_folders(path)
        size, created = await request.save(path, MAX_FILE)
        return {"size": size}, 201 if created else 200

    @server.route("/api/www/<name:path>", methods=("DELETE",))
    def delete_file(request, name):
        path = _override(name)
        try:
            os.remove(path or "")
        except OSError:
            raise HTTPError(404)

    @server.get("/metrics")
    def metrics_text(request):
        return Response(metrics.text(device), 200, metrics.CONTENT_TYPE, _NO_STORE)

    @server.get("/health")
    def health(request):
        status = "recovery" if device.recovery else "ok"
        if not device.access.allows(request.headers, request.peer):
            # Enough for a watchdog, nothing for who looks for a known defect.
            return Response({"status": status}, headers=_NO_STORE)
        gc.collect()
        return Response(
            {
                "status": status,
                "version": build_info.VERSION,
                "micropython": build_info.MICROPYTHON,
                "source": build_info.SOURCE,
                "uptime": log.uptime(),
                "heap": {"alloc": gc.mem_alloc(), "free": gc.mem_free()},
                "connections": len(device.group.connections),
                "clients": len(device.hub.clients),
            },
            headers=_NO_STORE,
        )

    return server


class _Replies:
    """A client of the command protocol that is one HTTP request."""

    def __init__(self):
        self.values = {}

    async def send(self, text):
        self.values.update(json.loads(text))


def page(request, name):
    """The response for a file of the page: from OVERRIDE, else frozen.

    Raises:
        HTTPError: 404.
    """
    response = _file(request, name)
    if response is not None:
        return response
    if find(name) is None:
        # Frozen files that the page refers to have a hash in their name: app.3f2a9c10.js.
        stem, _, extension = name.rpartition(".")
        for packed in names():
            if packed.startswith(stem + ".") and packed.endswith("." + extension):
                name = packed
                break
        else:
            raise HTTPError(404)
    return asset(name)(request)


def _file(request, name):
    path = _override(name)
    if path is None:
        return None
    try:
        return file_response(request, path, (("Cache-Control", "no-cache"),))
    except HTTPError as error:
        if error.status != 404:
            raise
        return None


def _override(name):
    # Never out of the folder: no "..", no empty or hidden segment.
    for segment in name.split("/"):
        if not segment or segment.startswith("."):
            return None
    return OVERRIDE + name


def _make_folders(path):
    folder = ""
    for segment in path.split("/")[1:-1]:
        folder += "/" + segment
        try:
            os.mkdir(folder)
        except OSError:
            pass  # it is there, or opening the file will say why not
