"""Handlers of the REST API: state, commands, log, health, metrics and the page's override."""

import gc
import json
import os
from errno import EEXIST

import board
import clock
from httpd import HTTPError, Response
from httpd.files import PART

import build_info

from .. import log
from .table import look_again, override

# Largest file that can be put beside the page: the whole page is smaller, and flash has other
# uses.
MAX_FILE = 131_072

# Bytes of a file's or folder's name: LittleFS takes 255, the browser's address bar shows less.
MAX_NAME = 64

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
    _check_name(path)
    made = []
    try:
        _make_folders(path, made)
        size, created = await request.save(path, MAX_FILE, lambda: device.access.still(request))
    except BaseException:  # a cancelled task must not leave folders either
        for folder in reversed(made):
            try:
                os.rmdir(folder)
            except OSError:
                pass  # another upload has put something there meanwhile
        raise
    look_again()
    return {"size": size}, 201 if created else 200


def _check_name(path):
    for segment in path.split("/"):
        if len(segment.encode()) > MAX_NAME:
            raise HTTPError(400, f"a name has at most {MAX_NAME} bytes")
    if any([c < " " or c == "\x7f" for c in path]):
        raise HTTPError(400, "a name has no control characters")
    # Nothing there is to be imported; and what is being received has names of its own.
    for ending in (".py", ".mpy", PART):
        if path.lower().endswith(ending):
            raise HTTPError(400, f"a name does not end in {ending}")
    if _is_folder(path):
        raise HTTPError(400, "there is a folder of this name")


def _make_folders(path, made):
    folder = ""
    for segment in path.split("/")[1:-1]:
        folder += "/" + segment
        try:
            os.mkdir(folder)
            made.append(folder)
        except OSError as error:
            if error.errno != EEXIST:
                raise
            if not _is_folder(folder):
                raise HTTPError(400, "there is a file of a folder's name")


def _is_folder(path):
    try:
        return os.stat(path)[0] & 0x4000 != 0
    except OSError:
        return False


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
