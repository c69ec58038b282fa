"""A chip's filesystem: mounted, made anew when it can't be used, its settings kept in a copy.

The copy is in the board's `store`, see startup.boot. LittleFS may also lose files, or what is in
them, without noticing: a file that is gone or no text while its copy is there is put back.
"""

import os
from hashlib import sha256

import vfs

from .storage import BACKUP

# config.py's files.
SETTINGS = ("/network.json", "/app.json", "/secrets.json", "/admin.json")

# Largest file that a copy is kept of: the chip's NVS has 24 KiB for all that use it.
COPY_MAX = 2048

# A read from flash may fail once, when the supply is bad.
MOUNT_ATTEMPTS = 3


def mount(device, store, report):
    """Mount the chip's filesystem as "/", made anew when it can't be used.

    What can still be read of the settings, else their copy in the store, is put back.

    Args:
        device: block device for LittleFS.
        store: see above.
        report: called with one line when the filesystem was not as it should be.
    """
    salvaged = {}
    problem = None
    for _ in range(MOUNT_ATTEMPTS):
        try:
            vfs.mount(vfs.VfsLfs2(device), "/")
        except OSError as error:
            problem = error
            continue
        try:
            os.listdir("/")
            for name in SETTINGS:
                _read(name)
        except OSError as error:
            problem = error
            salvaged.update(_salvage())
            vfs.umount("/")
            continue
        _put_back({}, store, report)
        return
    if not _is_blank(device):
        report(f"the filesystem can't be used ({problem}) and is made anew")
    vfs.VfsLfs2.mkfs(device)
    vfs.mount(vfs.VfsLfs2(device), "/")
    _put_back(salvaged, store, report)


def _put_back(salvaged, store, report):
    # With its backup a file is not lost: the power went while it was saved, see storage.
    for name in SETTINGS:
        if _is_usable(name) or _is_there(name + BACKUP):
            continue
        data = salvaged.get(name) or store.read(_key(name))
        if not data:
            continue
        try:
            with open(name, "wb") as file:
                file.write(data)
        except OSError as error:
            report(f"{name} can't be put back: {error}")
        else:
            report(f"{name} is put back")


def _is_there(name):
    try:
        os.stat(name)
    except OSError:
        return False
    return True


def _is_usable(name):
    return _is_there(name) and (os.stat(name)[6] > COPY_MAX or _is_text(_read(name)))


def _is_text(data):
    # What was typed wrong by a person passes; what is in a block that was damaged doesn't.
    try:
        str(data, "utf-8")
    except UnicodeError:
        return False
    return len(data) > 0 and b"\0" not in data


def _is_blank(device):
    block = bytearray(device.ioctl(5, 0))  # 5: the size of a block
    device.readblocks(0, block)
    return all(byte == 0xFF for byte in block)


def _salvage():
    found = {}
    for name in SETTINGS:
        try:
            data = _read(name)
        except OSError:
            continue
        if data is not None and _is_text(data):
            found[name] = data
    return found


def _read(name):
    """A file's content; None when there is no such file or it is too large to be kept."""
    try:
        size = os.stat(name)[6]
    except OSError as error:
        if error.errno == 2:  # ENOENT
            return None
        raise
    if size > COPY_MAX:
        return None
    with open(name, "rb") as file:
        return file.read()


def _key(name):
    return name[1:]


def forget(store):
    """Remove the copies of all settings, before these themselves are removed."""
    for name in SETTINGS:
        store.remove(_key(name))


class Copies:
    """Keeps copies of the settings in the store."""

    def __init__(self, store):
        self._store = store
        self._seen = {}

    def update(self):
        """Copy the files that changed; a file that is gone loses its copy."""
        for name in SETTINGS:
            try:
                data = _read(name)
            except OSError:
                continue  # it can't be read: the copy is all there is
            if data is None and _is_there(name + BACKUP):
                continue  # it is being saved
            digest = b"" if data is None else sha256(data).digest()
            if self._seen.get(name) == digest:
                continue
            if data is not None and not _is_text(data):
                continue  # as above
            kept = self._store.read(_key(name))
            if data is None and kept is not None:
                self._store.remove(_key(name))
            elif data is not None and data != kept:
                self._store.write(_key(name), data)
            self._seen[name] = digest
