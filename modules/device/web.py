"""The device's HTTP routes: the page, its files, the WebSocket endpoint and the REST API."""

import gc
import json

import build_info
from httpd import HTTPError, Response, Server, asset, file_response
from httpd.assets import find, names

from . import log

# A folder in the device's filesystem whose files win over the frozen ones, for development.
OVERRIDE = "/www/"


def same_origin(origin, host):
    """Whether a request comes from a page of this server (RFC 6455 section 10.2).

    Who sends no Origin isn't a browser. The scheme isn't compared: a proxy may add TLS.

    Args:
        origin: the Origin header or None.
        host: the Host header or None.
    """
    return origin is None or _authority(origin) == (host or "").lower()


def same_host(origin, host):
    """`same_origin` for the WebSocket port, which the page on another port of this host uses."""
    return origin is None or _name(_authority(origin)) == _name((host or "").lower())


def _authority(origin):
    scheme, _, authority = origin.lower().partition("://")
    # A default port isn't written in the Host header.
    for name, port in (("http", ":80"), ("https", ":443")):
        if scheme == name and authority.endswith(port):
            return authority[: -len(port)]
    return authority or None


def _name(authority):
    if not authority:
        return authority
    if authority.startswith("["):
        return authority.partition("]")[0]
    return authority.partition(":")[0]


def make_server(device):
    """The `httpd.Server` with the device's routes; `device` is a `device.device.Device`."""
    server = Server(group=device.group)
    server.route("/", lambda request: page(request, "page.htm"))
    server.route("/static/<name:path>", lambda request, name: page(request, "static/" + name))
    server.route("/ws", lambda request: device.sockets.upgrade(request, same_origin))

    @server.get("/api/state")
    def state(request):
        return Response(device.hub.state, headers=(("Cache-Control", "no-store"),))

    @server.post("/api/command")
    async def command(request):
        if not same_origin(request.headers.get("origin"), request.headers.get("host")):
            raise HTTPError(403, "Origin not allowed")
        client = _Replies()
        body = await request.read()
        await device.commands.handle(client, body)
        status = 400 if "error" in client.values else 200
        return Response(client.values, status, headers=(("Cache-Control", "no-store"),))

    @server.get("/health")
    def health(request):
        gc.collect()
        return Response(
            {
                "status": "recovery" if device.recovery else "ok",
                "version": build_info.VERSION,
                "micropython": build_info.MICROPYTHON,
                "source": build_info.SOURCE,
                "uptime": log.uptime(),
                "heap": {"alloc": gc.mem_alloc(), "free": gc.mem_free()},
                "connections": len(device.group.connections),
                "clients": len(device.hub.clients),
            },
            headers=(("Cache-Control", "no-store"),),
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
    # Never out of the folder: no "..", no empty or hidden segment.
    for segment in name.split("/"):
        if not segment or segment.startswith("."):
            return None
    try:
        return file_response(request, OVERRIDE + name, (("Cache-Control", "no-cache"),))
    except HTTPError as error:
        if error.status != 404:
            raise
        return None
