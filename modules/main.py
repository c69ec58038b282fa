"""Boots the app that `app.json` names, and in its place the device itself when that app fails.

A frozen main.py wins over one on the filesystem; the user's way in is the setting "app".
"""

import gc

import apps
import board
import heap
from device.boot import Boot
from device.config import Config
from device.log import log
from transport import close_all


def main():
    """Run until interrupted. SystemExit and KeyboardInterrupt pass through."""
    # Collect often: the heap stays dense, and the chip's system keeps what Python doesn't need.
    gc.threshold(heap.SIZE // 8)
    boot = Boot(board, log)
    try:
        _run(boot, Config(boot.overrides()))
    except KeyboardInterrupt:
        boot.release()
        raise
    except Exception as error:
        if not boot.on_chip:
            raise
        # The device's own app failed. After some of these starts the next is in safe mode.
        try:
            from device import recovery

            recovery.keep(error)
        finally:
            board.restart()


def _run(boot, config):
    boot.start()
    name = config.get("app")
    if boot.safe:
        from device import recovery

        text = "safe mode: {}\n{}".format(boot.safe, recovery.last())
    elif name == apps.DEVICE:
        text = None
    else:
        # Before the app: it may leave no memory for an import.
        from device import recovery

        try:
            app_main = apps.load(name)
            app_main(config)
        except Exception as error:
            text = recovery.keep(error)
        else:
            return
        close_all()
        gc.collect()
    # The device's own app, which brings up the access point and the page.
    apps.load(apps.DEVICE)(config, text)


main()
