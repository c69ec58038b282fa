"""launcher.py on a chip: which app runs, and what follows when it fails."""

import asyncio
import sys

import board
import launcher
from device.startup import boot, recovery
from helpers import Store, Watchdog

HOST_ONLY = True


class Chip:
    """The host's board with a chip, which this is too, and apps of its own, in a with block.

    An app is an exception that it ends with, or a coroutine function that it runs.
    """

    def __init__(self, **chosen):
        self.apps = chosen
        self.ran = []
        self.starts = self.restarts = 0
        self.interrupted = False
        self.dogs = []
        self.timers = []
        self.button = False
        self.store = Store()

    def __enter__(self):
        self.load, launcher._load = launcher._load, self.find
        self.path, recovery.PATH = recovery.PATH, "traceback.txt"
        board.chip = self
        return self

    def __exit__(self, *error):
        launcher._load, recovery.PATH = self.load, self.path
        board.chip = None
        sys.modules.pop("main", None)

    def find(self, name):
        assert len(self.dogs) == self.starts  # before anything of an app is imported

        def app_main(config, text=None):
            self.ran.append((name, text))
            app = self.apps.get(name)
            if isinstance(app, BaseException):
                raise app
            if app:
                asyncio.run(app())

        return app_main

    # As boards/board.pyi says

    def held(self):
        return self.button

    def deliberate(self):
        return False

    def feed_always(self, dog):
        self.timers.append(dog)

    def watchdog(self, timeout_ms):
        self.dogs.append(Watchdog())
        return self.dogs[-1]

    def restart(self):
        self.restarts += 1
        if self.interrupted:
            raise KeyboardInterrupt

    def start(self):
        self.starts += 1
        asyncio.new_event_loop()
        sys.modules.pop("main", None)
        __import__("main")


def test_the_device_runs():
    with Chip() as chip:
        chip.start()
        assert chip.ran == [("demo", None)]
        assert chip.restarts == 0


def test_the_device_that_fails_restarts_and_ends_in_safe_mode_with_its_traceback():
    with Chip(demo=ValueError("broken at the start")) as chip:
        for _ in range(3):
            chip.start()
        assert chip.ran == 3 * [("demo", None)]
        assert chip.restarts == 3
        chip.start()
        name, text = chip.ran[-1]
        assert name == "demo"
        assert text.startswith("safe mode: 3 starts in a row ended within 60 s\n")
        assert "ValueError: broken at the start" in text


def test_a_start_that_lacks_memory_is_followed_by_another():
    kept = boot.Boot.start

    def failing(self):
        raise MemoryError

    with Chip() as chip:
        boot.Boot.start = failing
        try:
            chip.start()
        finally:
            boot.Boot.start = kept
        assert chip.restarts == 1 and chip.ran == []


def test_the_button_passes_by_the_users_app():
    with Chip() as chip:
        chip.button = True
        board.overrides["app"] = "mine"
        try:
            chip.start()
        finally:
            del board.overrides["app"]
        assert [name for name, _ in chip.ran] == ["demo"]
        assert chip.ran[0][1].startswith("safe mode: the BOOT button was held")


def test_the_users_app_that_fails_is_replaced_without_a_restart():
    with Chip(mine=ValueError("mine")) as chip:
        board.overrides["app"] = "mine"
        try:
            chip.start()
        finally:
            del board.overrides["app"]
        assert [name for name, _ in chip.ran] == ["mine", "demo"]
        assert "ValueError: mine" in chip.ran[1][1]
        assert chip.restarts == 0


def test_the_watchdog_is_fed_on_by_what_replaces_an_app_that_failed_while_it_ran():
    async def mine():
        await asyncio.sleep_ms(5)
        raise ValueError("mine")

    async def device():
        (dog,) = chip.dogs
        before = dog.fed
        while dog.fed < before + 2:
            await asyncio.sleep_ms(1)

    feed, boot.FEED_MS = boot.FEED_MS, 1
    with Chip(mine=mine, demo=device) as chip:
        board.overrides["app"] = "mine"
        try:
            chip.start()
        finally:
            del board.overrides["app"]
            boot.FEED_MS = feed
        assert [name for name, _ in chip.ran] == ["mine", "demo"]
        assert len(chip.dogs) == 1


def test_an_app_that_exits_is_one_that_failed():
    with Chip(mine=SystemExit(3)) as chip:
        board.overrides["app"] = "mine"
        try:
            chip.start()
        finally:
            del board.overrides["app"]
        assert [name for name, _ in chip.ran] == ["mine", "demo"]
        assert "SystemExit: 3" in chip.ran[-1][1]
        assert not chip.restarts


def test_ctrl_c_before_a_restart_keeps_the_watchdog_from_ending_the_repl():
    async def device():
        await asyncio.sleep_ms(1)
        raise ValueError("broken")

    with Chip(demo=device) as chip:
        chip.interrupted = True
        try:
            chip.start()
            interrupted = False
        except KeyboardInterrupt:
            interrupted = True
        assert interrupted
        assert chip.timers == chip.dogs


def test_an_app_that_ends_is_replaced_without_a_restart_and_the_watchdog_is_fed():
    with Chip(mine=None) as chip:
        board.overrides["app"] = "mine"
        try:
            chip.start()
        finally:
            del board.overrides["app"]
        assert chip.ran == [("mine", None), ("demo", "app mine has ended, without an error\n")]
        assert chip.timers == chip.dogs
        assert chip.store.values["starts"] == b"\x00"


def test_ctrl_c_leads_to_the_repl_and_is_no_failure():
    with Chip(demo=KeyboardInterrupt()) as chip:
        try:
            chip.start()
            interrupted = False
        except KeyboardInterrupt:
            interrupted = True
        assert interrupted
        assert chip.restarts == 0
        assert chip.store.values["starts"] == b"\x00"


def test_ctrl_c_leaves_nothing_behind_in_the_event_loop():
    ran = []

    async def other():
        await asyncio.sleep_ms(1)
        ran.append("other")

    async def device():
        asyncio.create_task(other())
        await asyncio.sleep_ms(0)
        raise KeyboardInterrupt

    async def at_the_repl():
        await asyncio.sleep_ms(5)
        return "result"

    with Chip(demo=device) as chip:
        try:
            chip.start()
        except KeyboardInterrupt:
            pass
        assert asyncio.run(at_the_repl()) == "result"
        assert ran == []
