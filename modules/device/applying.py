"""Puts settings that were changed to use: at once where that can be, else a restart is due."""

import asyncio
import gc

from micropython import const

from .net import keep_running
from .settings.config import field

# A part that there is no memory to make is tried again after so long.
_RETRY_MS = const(100)


def apply(device, before):
    """Use new values.

    Args:
        device: the `device.Device`.
        before: the fields' values by path before they were changed.
    """
    config = device.config
    before = {path: before[path] for path in before if before[path] != config.get(path)}
    # What the device runs with, where that isn't what is stored.
    pending = device.pending
    for path, value in before.items():
        if field(path)[5]:
            continue
        if path not in pending:
            pending[path] = value
        if config.get(path) == pending[path]:
            del pending[path]
    device.hub.update({"restart_needed": bool(pending) or None})
    if "device/dev" in before:
        device.hub.update({"dev": config.get("device/dev")})
    if "time/zone" in before:
        device.hub.update({"time_zone": config.get("time/zone") or None})
    if "http/names" in before or "http/proxy" in before:
        device.guard.reread()
    wifi = device.wifi
    if "ap/mode" in before and config.get("ap/mode") == "always":
        if wifi.access_point is not None and wifi.address is None:
            from .net.wifi_start import start_access_point

            start_access_point(wifi)
    if any([path.startswith("sta/") for path in before]):
        wifi.reread()
    # The relay's rights are asked for with each of its messages.
    if any([path.startswith("home/") and path != "home/rights" for path in before]):
        # It may be the relay that asks for it, in the task that ends with that.
        asyncio.create_task(_phone_home(device))


async def _phone_home(device):
    if device.homing is not None:
        device.homing.cancel()
    while True:
        try:
            device.make_home()
            if device.home is not None:
                device.homing = asyncio.create_task(keep_running(device.home))
            return
        except MemoryError:
            # Nobody else would ever phone home again.
            gc.collect()
        await asyncio.sleep_ms(_RETRY_MS)
