"""Handlers of the REST API: state, commands, log, health, metrics and the page's override."""

import gc
import json
import os

import board
from httpd import HTTPError, Response

import build_info

from .. import log
from .table import look_again, override

# Largest file that can be put beside the page: the whole page is smaller, and flash has other
# uses.
MAX_FILE = 131_072

_NO_STORE = (("Cache-Control", "no-store"),)


def state(device, request):
    return Response(device.hub.state, headers=_NO_STORE)


async def command(device, request):
    from ..commands import MAX_COMMAND

    client = _Replies()
    body = await request.read(MAX_COMMAND)
    await device.handle(client, body)
    status = 400 if "error" in client.values else 200
    return Response(client.values, status, headers=_NO_STORE)


class _Replies:
    # A client of the command protocol that is one HTTP request.

    def __init__(self):
        self.values = {}

    async def send(self, text):
        self.values.update(json.loads(text))


def log_lines(device, request):
    return Response({"log": log.lines()}, headers=_NO_STORE)


async def put_file(device, request, name):
    path = override(name)
    if path is None:
        raise HTTPError(404)
    _make_folders(path)
    look_again()
    size, created = await request.save(path, MAX_FILE)
    return {"size": size}, 201 if created else 200


def _make_folders(path):
    folder = ""
    for segment in path.split("/")[1:-1]:
        folder += "/" + segment
        try:
            os.mkdir(folder)
        except OSError:
            pass  # it is there, or opening the file will say why not


def delete_file(device, request, name):
    path = override(name)
    try:
        os.remove(path or "")
    except OSError:
        raise HTTPError(404)


def metrics(device, request):
    from .metrics import CONTENT_TYPE, text

    return Response(text(device), 200, CONTENT_TYPE, _NO_STORE)


def health(device, request):
    status = "recovery" if device.recovery else "ok"
    if not device.access.allows(request, request.peer):
        # Enough for a watchdog, nothing for who looks for a known defect.
        return Response({"status": status}, headers=_NO_STORE)
    gc.collect()
    answer = {
        "status": status,
        "version": build_info.VERSION,
        "micropython": build_info.MICROPYTHON,
        "source": build_info.SOURCE,
        "uptime": log.uptime(),
        "heap": {"alloc": gc.mem_alloc(), "free": gc.mem_free()},
        "connections": len(device.group.connections),
        "clients": len(device.hub.clients),
    }
    system = board.system_heap()
    if system is not None:
        free, largest, minimum = system
        answer["system_heap"] = {"free": free, "largest": largest, "minimum": minimum}
    return Response(answer, headers=_NO_STORE)
