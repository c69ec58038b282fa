"""Boots the app that `app.json` names, and in its place the device itself when that app fails."""

import gc

import board
import heap
from device.log import log
from device.settings.config import Config
from lazy import add_user_folders, unload
from transport import close_all

# The device's own app.
DEVICE = "demo"


def main():
    """Run until interrupted; KeyboardInterrupt passes through."""
    # Collect often: the heap stays dense, and the chip's system keeps what Python doesn't need.
    # In a small one garbage between objects that stay would leave no holes that are large enough.
    gc.threshold(heap.SIZE // (16 if heap.SMALL else 8))
    if board.chip is None:
        _run(Config(board.overrides))
        return
    boot = None
    try:
        try:
            from device.startup.boot import Boot

            boot = Boot(board.chip, log)
            boot.start()
            _run(Config(boot.overrides(board.overrides)), boot)
            boot.release()
        except Exception as error:
            # The device's own app failed, or memory on the way there. After some of these starts
            # the next is in safe mode.
            try:
                from device.startup import recovery

                recovery.keep(error)
            finally:
                board.chip.restart()
    except KeyboardInterrupt:
        # For the REPL. What nobody serves any more is closed; its tasks don't go on in the next
        # event loop.
        if boot is not None:
            boot.release()
        close_all()
        add_user_folders()
        raise


def _run(config, boot=None):
    name = config.get("app")
    if boot and boot.safe:
        from device.startup import recovery

        text = f"safe mode: {boot.safe}\n{recovery.last()}"
    elif name == DEVICE:
        text = None
    else:
        # Before the app: it may leave no memory for an import.
        from device.startup import recovery

        if boot:
            boot.guest = True
        try:
            running = _load(name)(config)
            if hasattr(running, "throw"):  # of an `async def app_main`
                import asyncio

                asyncio.run(running)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # CancelledError and SystemExit are no Exception
            text = recovery.keep(error)
        else:
            # Nobody would find the device any more.
            text = f"app {name} has ended, without an error\n"
            log("info", f"app {name} has ended")
        close_all()
        gc.collect()
        if boot:
            boot.guest = False
            boot.start()
    # The device's own app, which brings up the access point and the page.
    _load(DEVICE)(config, text)


def _load(name):
    # What finds apps has found this one, and is let go.
    import apps

    app_main = apps.load(name)
    unload("apps")
    return app_main
