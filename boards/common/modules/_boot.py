"""Mounts the filesystem; MicroPython runs this before anything else.

In the place of the port's own, which stops for ever in front of a filesystem that is damaged.
"""

import gc
import sys

# The product's modules are all frozen: see lazy.add_user_folders.
sys.path[:] = [".frozen"]

import machine  # noqa: E402

try:
    import network
    from flashbdev import bdev

    if bdev:
        from device.settings import copies
        from nvs_store import store

        copies.mount(bdev, store, print)

    # Wi-Fi's driver takes its memory now: what is left is what Python's heap may grow by, and
    # limits are made from that (heap.SIZE).
    if hasattr(network, "WLAN"):
        try:
            network.WLAN(network.STA_IF)
        except (OSError, RuntimeError) as error:
            print("Wi-Fi:", error)

    import board  # noqa: F401, from here on main.py restarts the chip itself
except MemoryError:
    # It would start as a new device does, or end at the REPL.
    machine.reset()

gc.collect()
