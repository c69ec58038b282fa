"""The device's HTTP server: its routes, the page and its files."""

import os
from time import ticks_diff, ticks_ms

from httpd import HTTPError, Server, asset
from httpd.assets import find, names
from lazy import load

from ..access.guard import Guard
from ..access.origin import same_origin, secure_origin

# A folder in the device's filesystem whose files win over the frozen ones, for development.
OVERRIDE = "/www/"

# How long a folder that wasn't there isn't looked for, at most.
LOOK_MS = 2_000

_looked = None  # time.ticks_ms()
_overridden = False

_ROUTES = (
    ("/", (("GET", "device.routes.table", "index"),)),
    ("/static/<path:name>", (("GET", "device.routes.table", "static"),)),
    ("/ws", (("GET", "device.routes.table", "websocket"),)),
    (
        "/login",
        (("GET", "device.routes.table", "login"), ("POST", "device.routes.login", "login")),
    ),
    ("/logout", (("POST", "device.routes.login", "logout"),)),
    ("/password", (("POST", "device.routes.login", "password"),)),
    (
        "/api/tokens",
        (("GET", "device.routes.login", "tokens"), ("POST", "device.routes.login", "make_token")),
    ),
    ("/api/tokens/<name>", (("DELETE", "device.routes.login", "revoke_token"),)),
    ("/api/session", (("GET", "device.routes.session", "session"),)),
    ("/api/state", (("GET", "device.routes.api", "state"),)),
    ("/api/command", (("POST", "device.routes.api", "command"),)),
    (
        "/api/backup",
        (("GET", "device.routes.backup", "backup"), ("POST", "device.routes.backup", "sealed")),
    ),
    ("/api/restore", (("POST", "device.routes.backup", "restore"),)),
    (
        "/api/history/<name>/<key>",
        (("GET", "device.routes.history", "history"),),
    ),
    ("/api/log", (("GET", "device.routes.api", "log_lines"),)),
    (
        "/api/www/<path:name>",
        (("PUT", "device.routes.api", "put_file"), ("DELETE", "device.routes.api", "delete_file")),
    ),
    ("/api/files", (("GET", "device.routes.files", "overview"),)),
    (
        "/api/files/<path:name>",
        (
            ("GET", "device.routes.files", "get"),
            ("PUT", "device.routes.files", "put"),
            ("DELETE", "device.routes.files", "delete"),
        ),
    ),
    ("/metrics", (("GET", "device.routes.api", "metrics"),)),
    ("/health", (("GET", "device.routes.api", "health"),)),
)


def make_server(device):
    """The `httpd.Server` with the device's routes; `device` is a `device.device.Device`."""
    server = Server(group=device.group)
    server.routes(_ROUTES, device)
    server.guard = Guard(device.access, device.config)
    # Also for what the guard refuses: whether there is such a path or not, it may be another
    # host's.
    server.fallback = lambda request: load("device.net.portal", "answer")(device, request)
    return server


def index(device, request):
    return page(request, "page.htm")


def login(device, request):
    return page(request, "login.htm")


def static(device, request, name):
    return page(request, "static/" + name)


def websocket(device, request):
    return device.sockets.upgrade(request, secure_origin if request.secure else same_origin)


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


def look_again():
    """Look for OVERRIDE with the next request: a file was put there."""
    global _looked
    _looked = None


def _is_overridden():
    # A look into the filesystem is some 30 accesses to flash; most devices have no such folder.
    global _looked, _overridden
    now = ticks_ms()
    if _looked is None or not 0 <= ticks_diff(now, _looked) < LOOK_MS:
        _looked = now
        try:
            os.stat(OVERRIDE[:-1])
            _overridden = True
        except OSError:
            _overridden = False
    return _overridden


def _file(request, name):
    path = override(name) if _is_overridden() else None
    if path is None:
        return None
    try:
        os.stat(path)
    except OSError:
        return None
    from httpd import file_response

    try:
        return file_response(request, path, (("Cache-Control", "no-cache"),))
    except HTTPError as error:
        if error.status != 404:
            raise
        return None


def override(name):
    """The path of the page's file `name` in OVERRIDE; None when there can't be one.

    Never out of the folder: no "..", no empty or hidden segment.
    """
    for segment in name.split("/"):
        if not segment or segment.startswith("."):
            return None
    return OVERRIDE + name
