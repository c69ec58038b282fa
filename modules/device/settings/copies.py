"""A chip's filesystem: mounted, made anew when it can't be used, its settings kept in a copy.

The copy is in the board's `store`, see startup.boot. LittleFS may also lose files, or what is in
them, without noticing: a file that is gone or no text while its copy is there is put back.
"""

import os
from hashlib import sha256

import vfs

from . import storage
from .storage import BACKUP

# config.py's files.
SETTINGS = ("/network.json", "/app.json", "/secrets.json", "/admin.json")

# Largest file that a copy is kept of: the chip's NVS has 24 KiB for all that use it.
COPY_MAX = 2048

# A read from flash may fail once, when the supply is bad.
MOUNT_ATTEMPTS = 3

# Bytes that LittleFS reads at a time: while the settings are looked at, and later. Its own 32 make
# a start cost 1,900 accesses to flash, and 47 are left; the first takes 2.4 KiB of RAM meanwhile,
# the other 240 bytes more than 32 do.
_READ_AT_START = 256
_READ = 64


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
            vfs.mount(vfs.VfsLfs2(device, readsize=_READ_AT_START), "/")
        except OSError as error:
            problem = error
            continue
        found = {}
        try:
            os.listdir("/")
            for name in SETTINGS:
                found[name] = _read(name)
                if found[name] is None:
                    found[name + BACKUP] = _read(name + BACKUP)
        except OSError as error:
            problem = error
            salvaged.update(_salvage())
            vfs.umount("/")
            continue
        _put_back(found, {}, store, report)
        vfs.umount("/")
        try:
            vfs.mount(vfs.VfsLfs2(device, readsize=_READ), "/")
        except OSError as error:
            problem = error
            for name in SETTINGS:
                if found[name] not in (None, _LARGE):
                    salvaged[name] = found[name]
            continue
        for name, data in found.items():
            if data is not _LARGE:
                storage.preloaded[name] = data
        return
    if not _is_blank(device):
        report(f"the filesystem can't be used ({problem}) and is made anew")
    vfs.VfsLfs2.mkfs(device)
    vfs.mount(vfs.VfsLfs2(device, readsize=_READ), "/")
    _put_back({}, salvaged, store, report)


def _put_back(found, salvaged, store, report):
    # `found` has what was read of the files, and is kept up to date.
    for name in SETTINGS:
        there = found.get(name)
        if there is _LARGE or (there is not None and _is_text(there)):
            continue
        # With its backup a file is not lost: the power went while it was saved, see storage.
        if found.get(name + BACKUP) is not None or (
            there is not None and _is_there(name + BACKUP)
        ):
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
            found[name] = data
            report(f"{name} is put back")


def _is_there(name):
    try:
        os.stat(name)
    except OSError:
        return False
    return True


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
        if data not in (None, _LARGE) and _is_text(data):
            found[name] = data
    return found


# In place of a content that is too large to be kept.
_LARGE = b"large"


def _read(name):
    """A file's content, None when there is no such file, or _LARGE."""
    try:
        return storage.read(name, COPY_MAX)
    except ValueError:
        return _LARGE


def _key(name):
    return name[1:]


def forget(store):
    """Remove the copies of all settings, before these themselves are removed."""
    for name in SETTINGS:
        store.remove(_key(name))


def outdate(store, name):
    """Remove the copy of one of the settings, which is about to change."""
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
            if data is _LARGE:
                data = None
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
