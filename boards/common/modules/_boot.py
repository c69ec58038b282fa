"""Mounts the filesystem; MicroPython runs this before anything else.

In the place of the port's own, which stops for ever in front of a filesystem that is damaged.
"""

import gc

from flashbdev import bdev

if bdev:
    from device import boot
    from nvs_store import store

    boot.mount(bdev, store, print)

gc.collect()
