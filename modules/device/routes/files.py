"""The files of apps, libraries and the page's override, for who develops on a device.

What the device keeps for itself, settings and secrets, lies beside these folders and can't be
reached from here.
"""

import os
from errno import EEXIST, ENOENT

from httpd import HTTPError, Response, file_response
from httpd.files import PART

from .table import look_again

FOLDERS = ("apps", "lib", "www")

# Largest file: the whole page is smaller, and flash has other uses.
MAX_FILE = 131_072

# Bytes of a file's or folder's name: LittleFS takes 255, the browser's address bar shows less.
MAX_NAME = 64

_NO_STORE = (("Cache-Control", "no-store"),)

_FOLDER = 0x4000  # in the mode that os.stat and os.ilistdir give


def overview(device, request):
    """The folders that there are, and the filesystem's size and free space in bytes."""
    _check_open(device)
    found = [name for name in FOLDERS if _is_folder("/" + name)]
    block, _, blocks, free = os.statvfs("/")[:4]
    answer = {"folders": found, "size": block * blocks, "free": block * free}
    return Response(answer, headers=_NO_STORE)


def get(device, request, name):
    """A file, or what is in a folder: sizes in bytes by name, null for a folder."""
    _check_open(device)
    path = _path(name)
    if not _is_folder(path):
        return file_response(request, path, _NO_STORE)
    files = {}
    for entry in os.ilistdir(path):
        files[entry[0]] = None if entry[1] == _FOLDER else os.stat(path + "/" + entry[0])[6]
    return Response({"files": files}, headers=_NO_STORE)


async def put(device, request, name):
    """Store a file, in folders that are made where they are missing."""
    _check_open(device)
    if "/" not in name:
        raise HTTPError(400, "a file is in one of the folders " + ", ".join(FOLDERS))
    answer = await store(device, request, _path(name))
    look_again()
    return answer


def delete(device, request, name):
    """Remove a file, or a folder with nothing in it."""
    _check_open(device)
    path = _path(name)
    try:
        if _is_folder(path):
            os.rmdir(path)
        else:
            os.remove(path)
    except OSError as error:
        if _is_folder(path):
            raise HTTPError(409, "the folder isn't empty")
        raise HTTPError(404) if error.errno == ENOENT else error
    look_again()


def _check_open(device):
    # Whoever is at the device before its owner is must not be able to leave a program behind.
    if device.access.password is None:
        raise HTTPError(403, "files are reached once there is an admin password")


def _path(name):
    # Never out of the folders: no "..", no empty or hidden segment.
    segments = name.split("/")
    if segments[0] not in FOLDERS:
        raise HTTPError(404)
    for segment in segments:
        if not segment or segment.startswith("."):
            raise HTTPError(404)
    return "/" + name


async def store(device, request, path):
    """Keep the body of a request as the file at `path`, and what a handler answers then.

    Raises:
        HTTPError: 400, the name can't be; what `Request.save` raises, or who sends it is shut out
            meanwhile. Nothing is left of it.
    """
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
    return {"size": size}, 201 if created else 200


def _check_name(path):
    for segment in path.split("/"):
        if len(segment.encode()) > MAX_NAME:
            raise HTTPError(400, f"a name has at most {MAX_NAME} bytes")
    if any([c < " " or c == "\x7f" for c in path]):
        raise HTTPError(400, "a name has no control characters")
    # What is being received has names of its own.
    if path.lower().endswith(PART):
        raise HTTPError(400, f"a name does not end in {PART}")
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
        return os.stat(path)[0] & _FOLDER != 0
    except OSError:
        return False
