"""Mounts a filesystem image as a chip does, and prints what the device makes of its settings."""

import json
import sys

import vfs
from device.settings.config import Config


class Flash:
    def __init__(self, name, blocks):
        with open(name, "rb") as file:
            self.data = file.read()
        self.blocks = blocks

    def readblocks(self, block, buffer, offset=0):
        start = block * 4096 + offset
        data = self.data[start : start + len(buffer)]
        for index in range(len(buffer)):
            buffer[index] = data[index] if index < len(data) else 0xFF

    def ioctl(self, operation, argument):
        return {4: self.blocks, 5: 4096}.get(operation, 0)


flash = Flash(sys.argv[1], int(sys.argv[2]))
names = sys.argv[3:]
vfs.umount("/")
vfs.mount(vfs.VfsLfs2(flash), "/")
config = Config()
print(json.dumps([config.problems, {name: config.get(name) for name in names}]))
