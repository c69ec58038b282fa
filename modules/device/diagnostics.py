"""What somebody asks for who wonders what is wrong with a device (GET diagnostics)."""

import gc
import os
import sys

import board
import clock
import heap
import machine
import micropython
from micropython import const

import build_info

# How exactly the largest free block is looked for, in bytes.
_STEP = const(256)

# machine's names of why the chip has started.
_CAUSES = (
    ("PWRON_RESET", "power on"),
    ("HARD_RESET", "reset"),
    ("WDT_RESET", "watchdog"),
    ("DEEPSLEEP_RESET", "deep sleep"),
    ("SOFT_RESET", "soft reset"),
)


def diagnose(hub):
    """A dict of values by name, for people; sizes in bytes, times in seconds."""
    gc.collect()
    heap.least_free = min(gc.mem_free(), heap.least_free)
    found = {
        "version": build_info.VERSION,
        "micropython": build_info.MICROPYTHON,
        "machine": sys.implementation._machine,
        "reset_cause": _cause(),
        "resets": board.resets(),
        "uptime": clock.seconds(),
        "heap_allocated": gc.mem_alloc(),
        "heap_free": gc.mem_free(),
        "heap_least_free": heap.least_free,
        "clients": len(hub.clients),
        "messages": hub.messages,
        "messages_dropped": hub.dropped,
    }
    try:
        found["stack_used"] = micropython.stack_use()
    except AttributeError:
        pass  # not every build has it
    system = board.system_heap()
    if system is None:
        found["heap_largest_free"] = _largest_free()
    else:
        # A larger block than there is comes from there, and would be missing from it for good.
        found["system_heap_free"], found["system_heap_largest"], found["system_heap_least"] = (
            system
        )
    try:
        size, _, _, free = os.statvfs("/")[:4]
        found["flash_free"] = size * free
    except OSError:
        pass  # there is no filesystem: the device runs all the same
    for key in ("wifi/net/ip", "wifi/net/rssi", "wifi/net/mac", "lan/ip"):
        value = hub.state.get(key)
        if value:
            found[key.replace("/", "_")] = value
    return found


def _largest_free():
    # MicroPython has no figure for it.
    least, most = 0, gc.mem_free()
    while most - least > _STEP:
        middle = (least + most) // 2
        try:
            bytearray(middle)
            least = middle
        except MemoryError:
            most = middle
    gc.collect()
    return least


def _cause():
    cause = machine.reset_cause()
    for name, text in _CAUSES:
        if getattr(machine, name, None) == cause:
            return text
    return str(cause)
