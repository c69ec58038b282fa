"""The device with other values of its constants than a product has, so that tests needn't wait.

app.json's object "constants" has them by module: {"device.net.wifi": {"Wifi.JOIN_MS": 1500}}.
"""

import asyncio

from device.device import Device
from lazy import load


def set_constants(config):
    for module, values in config.section("constants").items():
        for name, value in values.items():
            owner = load(module, None)
            *path, last = name.split(".")
            for part in path:
                owner = getattr(owner, part)
            getattr(owner, last)  # there is one
            setattr(owner, last, value)


def app_main(config):
    set_constants(config)
    asyncio.run(Device(config).run())
