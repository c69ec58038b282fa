"""A device's start and a few requests on LittleFS in memory, which counts what it is asked to do.

usage: build/host/micropython bench/flash_reads.py [--first]

Prints JSON: reads and writes of blocks, and erasures, while the filesystem is mounted, until the
device serves, for one request of the page then, and for a look whether the copies of settings are
up to date. With --first the flash is blank. On a chip each is an access to flash, for which an
emulator takes 20 to 50 ms.
"""

import json
import os
import sys

import vfs

# As on a chip: ports/esp32/modules/flashbdev.py gives LittleFS the partition as it is.
BLOCK = 4096
BLOCKS = 509

# Five files, as a device has that was set up.
FILES = {
    "network.json": {"device": {"iam": "pump-7"}, "sta": {"ssid": "site-north"}},
    "app.json": {"interfaces": [{"name": "meter", "type": "echo"}], "http": {"port": 80}},
    "secrets.json": {"ap/password": "at-least-8", "sta/pass": "correct horse"},
    "admin.json": {},
    "traceback.txt": "Traceback (most recent call last):\n",
}


class Flash:
    """A block device in memory, erased at first."""

    def __init__(self):
        self.data = bytearray(b"\xff" * BLOCK * BLOCKS)
        self.reads = self.writes = self.erasures = 0

    def readblocks(self, block, buffer, offset=0):
        self.reads += 1
        start = block * BLOCK + offset
        buffer[:] = memoryview(self.data)[start : start + len(buffer)]
        return 0

    def writeblocks(self, block, buffer, offset=0):
        self.writes += 1
        start = block * BLOCK + offset
        self.data[start : start + len(buffer)] = buffer
        return 0

    def ioctl(self, operation, argument):
        if operation == 4:
            return BLOCKS
        if operation == 5:
            return BLOCK
        if operation == 6:
            self.erasures += 1
        return 0

    def counted(self):
        """What was done since the last time."""
        counts = {"reads": self.reads, "writes": self.writes, "erasures": self.erasures}
        self.reads = self.writes = self.erasures = 0
        return counts


class Store:
    """A chip's NVS."""

    def __init__(self):
        self.values = {}

    def read(self, key):
        return self.values.get(key)

    def write(self, key, data):
        self.values[key] = bytes(data)

    def remove(self, key):
        self.values.pop(key, None)


def write_files():
    for name, content in FILES.items():
        with open("/" + name, "w") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))


def request(web, path):
    """Have the device's server answer one GET, as far as its handler goes."""
    from httpd.request import Request

    headers = {"host": "127.0.0.1", "accept-encoding": "gzip"}
    made = Request("GET", path, 1, headers, 0)
    web.dispatch(made)


def main():
    first = "--first" in sys.argv
    sys.path[:] = [".frozen"]
    # The simulated hardware's own files are elsewhere.
    scratch = os.getcwd() + "/"
    vfs.umount("/")
    import machine

    vfs.mount(vfs.VfsPosix(scratch), "/host")
    machine.FOLDER = "/host/"

    from device.settings import copies

    flash, store = Flash(), Store()
    if not first:
        vfs.VfsLfs2.mkfs(flash)
        vfs.mount(vfs.VfsLfs2(flash), "/")
        write_files()
        copies.Copies(store).update()
        vfs.umount("/")
    flash.counted()
    found = {}
    copies.mount(flash, store, print)
    found["mount"] = flash.counted()

    import board
    from apps import demo
    from device.settings.config import Config

    board.overrides.update({"http/ip": "127.0.0.1", "http/port": 0, "websocket/port": 0})
    board.overrides["websocket/ip"] = "127.0.0.1"

    class Served(Exception):
        pass

    def ready(*listeners):
        raise Served

    board.ready = ready
    device = []
    make = demo.Device

    def remember(*arguments):
        device.append(make(*arguments))
        return device[0]

    demo.Device = remember
    try:
        demo.app_main(Config(board.overrides))
    except Served:
        pass
    found["start"] = flash.counted()
    web = device[0].web
    web.guard = None  # it asks where the client is
    request(web, "/")
    flash.counted()
    request(web, "/")
    found["page"] = flash.counted()
    kept = copies.Copies(store)
    kept.update()
    flash.counted()
    kept.update()
    found["copies"] = flash.counted()
    print(json.dumps(found))


main()
