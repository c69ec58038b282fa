"""The device: page, WebSocket, Wi-Fi set-up, interfaces, phone home."""

import asyncio

from device.device import Device


def app_main(config, recovery=None):
    """Run the device for ever.

    Args:
        config: the `device.settings.config.Config`.
        recovery: traceback of the app in whose place this runs.
    """
    device = Device(config, recovery)
    try:
        asyncio.run(device.run())
    except KeyboardInterrupt:
        # On a computer SIGTERM too.
        asyncio.get_event_loop().run_until_complete(device.end())
        raise
