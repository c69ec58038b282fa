"""Handlers of the REST API: state, commands, log, health, metrics and the page's override."""

import gc
import json
import os

import board
import clock
from httpd import HTTPError, Response

import build_info

from .. import log
from .table import look_again, override

_NO_STORE = (("Cache-Control", "no-store"),)


def state(device, request):
    from ..pieces import of_state

    pieces = (text.encode() for text in of_state(device.hub.state))
    return Response(pieces, 200, "application/json", _NO_STORE)


async def command(device, request):
    from ..commands import FULL, MAX_COMMAND

    client = _Replies()
    body = await request.read(MAX_COMMAND)
    right = device.access.still(request)
    await device.handle(client, body, right)
    error = client.values.get("error")
    status = 200 if error is None else 507 if error.endswith(FULL) else 400
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
    # Nothing there is to be imported.
    for ending in (".py", ".mpy"):
        if path.lower().endswith(ending):
            raise HTTPError(400, f"a name does not end in {ending}")
    from .files import store

    answer = await store(device, request, path)
    look_again()
    return answer


def delete_file(device, request, name):
    path = override(name)
    try:
        os.remove(path or "")
    except OSError:
        raise HTTPError(404)


def metrics(device, request):
    from .metrics import CONTENT_TYPE, pieces

    return Response(pieces(device), 200, CONTENT_TYPE, _NO_STORE)


def health(device, request):
    status = "recovery" if device.recovery else "ok"
    if device.access.right(request, request.peer) is None:
        # Enough for a watchdog, nothing for who looks for a known defect.
        return Response({"status": status}, headers=_NO_STORE)
    gc.collect()
    answer = {
        "status": status,
        "version": build_info.VERSION,
        "micropython": build_info.MICROPYTHON,
        "source": build_info.SOURCE,
        "uptime": clock.uptime(),
        "heap": {"alloc": gc.mem_alloc(), "free": gc.mem_free()},
        "connections": len(device.group.connections),
        "clients": len(device.hub.clients),
    }
    system = board.system_heap()
    if system is not None:
        free, largest, minimum = system
        answer["system_heap"] = {"free": free, "largest": largest, "minimum": minimum}
    return Response(answer, headers=_NO_STORE)
