"""A chip's filesystem: mounted, made anew when it can't be used, its settings kept in a copy.

The copy is in the board's `store`, see device.boot.
"""

import os
from hashlib import sha256

import vfs

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
            return
        except OSError as error:
            problem = error
            salvaged = _salvage()
        vfs.umount("/")
    if not _is_blank(device):
        report("the filesystem can't be used ({}) and is made anew".format(problem))
    vfs.VfsLfs2.mkfs(device)
    vfs.mount(vfs.VfsLfs2(device), "/")
    for name in SETTINGS:
        data = salvaged.get(name) or store.read(_key(name))
        if data:
            with open(name, "wb") as file:
                file.write(data)
            report("{} is put back".format(name))


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
        if data:
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
            digest = b"" if data is None else sha256(data).digest()
            if self._seen.get(name) == digest:
                continue
            kept = self._store.read(_key(name))
            if data is None and kept is not None:
                self._store.remove(_key(name))
            elif data is not None and data != kept:
                self._store.write(_key(name), data)
            self._seen[name] = digest
