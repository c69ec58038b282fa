"""The size of MicroPython's heap, which the limits of buffers follow."""

import gc

# Bytes. On the ESP32 the heap grows by itself, and what it may still grow by counts as free; what
# is to be left to Wi-Fi and TCP doesn't (boards/common/board.h).
SIZE = gc.mem_alloc() + gc.mem_free()

# Whether there is little: limits are smaller then, and garbage is collected more often.
SMALL = SIZE < 65_536

# The least that was free when a client came or somebody asked, after a collection.
least_free = SIZE

# With less of it free, those that need none now make way for others (transport.relief).
RESERVE = SIZE // 4

# Bytes that a connection receives at a time, which is also the longest HTTP head. 4 KiB are three
# TCP segments and hold any browser's; half of it holds most, and is what a small heap can give.
BLOCK_SIZE = 2048 if SMALL else 4096
