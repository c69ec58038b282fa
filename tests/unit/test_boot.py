"""Filesystem, safe mode and watchdog of a chip, with LittleFS in memory."""

import asyncio
import os

import board
import vfs
from device.settings import config, copies, storage
from device.startup import boot
from helpers import Store, Watchdog, until

HOST_ONLY = True


class Flash:
    """A block device of 64 blocks of 512 bytes in memory, erased at first."""

    SIZE = 512

    def __init__(self):
        self.data = bytearray(b"\xff" * self.SIZE * 64)
        self.failures = 0
        self.broken = None  # a block that can't be read

    def readblocks(self, block, buffer, offset=0):
        if block == self.broken:
            return -5
        if self.failures:
            self.failures -= 1
            return -5
        start = block * self.SIZE + offset
        buffer[:] = self.data[start : start + len(buffer)]
        return 0

    def writeblocks(self, block, buffer, offset=None):
        start = block * self.SIZE + (offset or 0)
        self.data[start : start + len(buffer)] = buffer
        return 0

    def ioctl(self, operation, argument):
        if operation == 4:
            return len(self.data) // self.SIZE
        if operation == 5:
            return self.SIZE
        return 0


class Chip:
    """A `board.chip`."""

    def __init__(self, store=None):
        self.store = store or Store()
        self.button = False
        self.ordered = False
        self.dog = None
        self.timer = None

    def watchdog(self, timeout_ms):
        assert timeout_ms == boot.WATCHDOG_MS
        self.dog = Watchdog()
        return self.dog

    def feed_always(self, dog):
        self.timer = dog

    def held(self):
        return self.button

    def deliberate(self):
        return self.ordered


class Mounted:
    """A chip's filesystem as the root, for the time of a with block."""

    def __init__(self, flash, store):
        self.flash = flash
        self.store = store
        self.lines = []

    def __enter__(self):
        vfs.umount("/")
        copies.mount(self.flash, self.store, self.lines.append)
        return self

    def __exit__(self, *error):
        vfs.umount("/")
        vfs.mount(vfs.VfsPosix("/"), "/")


def write(name, data):
    with open(name, "wb") as file:
        file.write(data)


def read(name):
    with open(name, "rb") as file:
        return file.read()


# Filesystem


def test_the_settings_are_those_of_the_configuration():
    assert copies.SETTINGS == (config.NETWORK, config.APP, config.SECRETS, config.ADMIN)


def test_a_new_chip_gets_a_filesystem_without_a_word():
    flash, store = Flash(), Store()
    with Mounted(flash, store) as mounted:
        assert mounted.lines == []
        assert os.listdir("/") == []
        write("/app.json", b"{}")
    with Mounted(flash, store) as mounted:
        assert mounted.lines == []
        assert read("/app.json") == b"{}"


def test_a_read_that_fails_once_erases_nothing():
    flash, store = Flash(), Store()
    with Mounted(flash, store):
        write("/network.json", b'{"a": 1}')
    flash.failures = copies.MOUNT_ATTEMPTS - 1
    with Mounted(flash, store) as mounted:
        assert mounted.lines == []
        assert read("/network.json") == b'{"a": 1}'


class Flaky(Flash):
    """A block device one of whose reads fails."""

    def __init__(self, flash, number):
        self.data = flash.data
        self.failures = 0
        self.broken = None
        self.number = number
        self.reads = 0

    def readblocks(self, block, buffer, offset=0):
        self.reads += 1
        if self.reads == self.number:
            return -5
        return super().readblocks(block, buffer, offset)


def test_whichever_read_fails_the_settings_are_there():
    flash, store = Flash(), Store()
    content = b'{"sta": {"ssid": "site"}}'
    with Mounted(flash, store):
        write("/network.json", content)
        write("/app.json", b"{}")
    whole = bytes(flash.data)
    number = 0
    while True:
        number += 1
        once = Flaky(flash, number)
        with Mounted(once, store) as mounted:
            done = once.reads < number  # no read was left to fail
            once.number = 0
            assert mounted.lines == []
            assert read("/network.json") == content
        assert flash.data == whole  # nothing is written
        if done:
            break
    assert number > 20


def test_what_another_firmware_left_is_replaced():
    flash, store = Flash(), Store()
    for index in range(len(flash.data)):
        flash.data[index] = index & 0xFF
    with Mounted(flash, store) as mounted:
        assert len(mounted.lines) == 1
        assert "is made anew" in mounted.lines[0]
        write("/app.json", b"{}")


def test_the_settings_survive_a_filesystem_that_is_destroyed():
    flash, store = Flash(), Store()
    with Mounted(flash, store):
        write("/network.json", b'{"sta": {"ssid": "site"}}')
        write("/secrets.json", b'{"sta": {"site": "secret key"}}')
        copies.Copies(store).update()
    for index in range(2 * Flash.SIZE):
        flash.data[index] = 0
    with Mounted(flash, store) as mounted:
        assert "is made anew" in mounted.lines[0]
        assert mounted.lines[1:] == ["/network.json is put back", "/secrets.json is put back"]
        assert read("/network.json") == b'{"sta": {"ssid": "site"}}'
        assert read("/secrets.json") == b'{"sta": {"site": "secret key"}}'
        assert sorted(os.listdir("/")) == ["network.json", "secrets.json"]


def test_a_file_that_can_not_be_read_is_replaced_by_its_copy_and_the_others_stay():
    flash, store = Flash(), Store()
    # Beyond LittleFS's inline files, so that its content has blocks of its own.
    large = b'{"x": "' + b"y" * 900 + b'"}'
    with Mounted(flash, store):
        write("/network.json", large)
        copies.Copies(store).update()
        write("/app.json", b'{"newer": 1}')
    flash.broken = flash.data.find(b"y" * 400) // Flash.SIZE
    with Mounted(flash, store) as mounted:
        flash.broken = None
        assert "is made anew" in mounted.lines[0]
        assert read("/app.json") == b'{"newer": 1}'
        assert read("/network.json") == large


def test_a_damaged_file_is_not_what_is_kept_of_a_filesystem_made_anew():
    flash, store = Flash(), Store()
    with Mounted(flash, store):
        write("/network.json", b'{"a": "' + b"x" * 300 + b'"}')
        write("/app.json", b'{"b": 2}')
        copies.Copies(store).update()
        write("/app.json", bytes(8))
    flash.broken = flash.data.find(b"x" * 300) // Flash.SIZE
    with Mounted(flash, store) as mounted:
        flash.broken = None
        assert "is made anew" in mounted.lines[0]
        assert read("/app.json") == b'{"b": 2}'
        assert read("/network.json").startswith(b'{"a": "x')


def test_settings_that_the_filesystem_lost_without_noticing_come_back():
    flash, store = Flash(), Store()
    with Mounted(flash, store):
        write("/network.json", b'{"a": 1}')
        write("/app.json", b'{"b": 2}')
        write("/other.json", b"{}")
        copies.Copies(store).update()
        os.remove("/network.json")
    with Mounted(flash, store) as mounted:
        assert mounted.lines == ["/network.json is put back"]
        assert read("/network.json") == b'{"a": 1}'
        assert sorted(os.listdir("/")) == ["app.json", "network.json", "other.json"]


def test_settings_that_are_damaged_without_an_error_are_put_back_and_never_copied():
    for damage in (b"", bytes(40), b"\xff" * 40, b'{"a": "\xe9\x28\xa1"}'):
        flash, store = Flash(), Store()
        with Mounted(flash, store):
            write("/app.json", b'{"b": 2}')
            kept = copies.Copies(store)
            kept.update()
            write("/app.json", damage)
            kept.update()
            assert store.values == {"app.json": b'{"b": 2}'}
        with Mounted(flash, store) as mounted:
            assert mounted.lines == ["/app.json is put back"]
            assert read("/app.json") == b'{"b": 2}'


def test_what_a_person_typed_wrong_or_is_large_stays():
    large = b'{"x": "' + copies.COPY_MAX * b"x" + b'"}'
    for text in (b'{"b": 2,', large):
        flash, store = Flash(), Store()
        with Mounted(flash, store):
            write("/app.json", b'{"b": 2}')
            copies.Copies(store).update()
            write("/app.json", text)
        with Mounted(flash, store) as mounted:
            assert mounted.lines == []
            assert read("/app.json") == text


def test_settings_whose_saving_was_cut_off_are_not_replaced_by_a_copy():
    flash, store = Flash(), Store()
    with Mounted(flash, store):
        write("/app.json", b'{"oldest": 0}')
        copies.Copies(store).update()
        write("/app.json", b'{"old": 1}')
        os.rename("/app.json", "/app.json.bak")
        copies.Copies(store).update()
        assert store.values == {"app.json": b'{"oldest": 0}'}
    with Mounted(flash, store) as mounted:
        assert mounted.lines == []
        assert os.listdir("/") == ["app.json.bak"]
        assert storage.load("/app.json", None) == {"old": 1}


def test_a_full_filesystem_does_not_keep_the_chip_from_starting():
    flash, store = Flash(), Store()
    with Mounted(flash, store):
        store.write("secrets.json", b"x" * 2000)
        with open("/log", "wb") as file:
            try:
                while True:
                    file.write(b"y" * Flash.SIZE)
                    file.flush()
            except OSError:
                pass
    with Mounted(flash, store) as mounted:
        assert len(mounted.lines) == 1
        assert "/secrets.json can't be put back" in mounted.lines[0]
        assert "log" in os.listdir("/")


def test_a_factory_reset_is_one_for_the_copies_too():
    flash, store = Flash(), Store()
    with Mounted(flash, store):
        for name in copies.SETTINGS:
            write(name, b"{}")
        copies.Copies(store).update()
        store.write("starts", b"\x01")
        board.chip = Chip(store)
        try:
            config.Config().factory_reset()
        finally:
            board.chip = None
        assert store.values == {"starts": b"\x01"}
        assert os.listdir("/") == []
    with Mounted(flash, store) as mounted:
        assert mounted.lines == []
        assert os.listdir("/") == []


def test_copies_follow_the_files_and_are_written_only_when_they_change():
    flash, store = Flash(), Store()
    with Mounted(flash, store):
        kept = copies.Copies(store)
        kept.update()
        assert store.values == {}
        write("/app.json", b"1")
        kept.update()
        kept.update()
        copies.Copies(store).update()
        assert store.values == {"app.json": b"1"}
        assert store.writes == 1
        write("/app.json", b"2")
        kept.update()
        assert store.values == {"app.json": b"2"}
        os.remove("/app.json")
        kept.update()
        assert store.values == {}
        write("/app.json", b"3" * (copies.COPY_MAX + 1))
        kept.update()
        assert store.values == {}


# Safe mode


def start(chip):
    lines = []
    return boot.Boot(chip, lambda *line: lines.append(line)), lines


def test_starts_that_do_not_last_lead_to_safe_mode_and_out_of_it_again():
    chip = Chip()
    for _ in range(boot.CRASHES):
        begun, lines = start(chip)
        assert begun.safe == ""
        assert begun.overrides(board.overrides) == board.overrides
    begun, lines = start(chip)
    assert begun.safe == "3 starts in a row ended within 60 s"
    assert lines == [("error", "safe mode: " + begun.safe)]
    settings = begun.overrides({"http/port": 8080})
    assert settings["http/port"] == 8080
    assert settings["app"] == "demo"
    assert settings["interfaces"] == []
    # It has been used: the next start is an ordinary one.
    assert start(chip)[0].safe == ""


def test_the_button_leads_to_safe_mode():
    chip = Chip()
    chip.button = True
    assert start(chip)[0].safe == "the BOOT button was held"


def test_starts_by_order_do_not_count():
    chip = Chip()
    chip.ordered = True
    for _ in range(2 * boot.CRASHES):
        assert start(chip)[0].safe == ""
    assert chip.store.values == {}


def test_a_store_that_is_full_does_not_stop_the_device():
    chip = Chip()
    chip.store.full = True
    begun, lines = start(chip)
    assert begun.safe == ""
    assert "can't be counted" in lines[0][1]


def test_the_values_of_safe_mode_are_fields_of_the_configuration():
    values = config.Config(boot.SAFE)
    for path, value in boot.SAFE.items():
        assert values.get(path) == value


# Watchdog


async def rest():
    await asyncio.sleep_ms(20)


def test_the_loop_feeds_the_watchdog_and_a_start_that_lasts_counts_as_none():
    chip = Chip()
    for _ in range(boot.CRASHES):
        begun, _ = start(chip)
    feed, boot.FEED_MS = boot.FEED_MS, 1
    stable, boot.STABLE_MS = boot.STABLE_MS, 5
    try:
        assert chip.dog is None
        begun.start()
        # It waits from now on, whether the loop ever turns or not.
        assert chip.dog.fed == 0
        asyncio.run(until(lambda: chip.dog.fed > 10))
        # An event loop that the app makes feeds it too.
        asyncio.new_event_loop()
        fed = chip.dog.fed
        asyncio.run(until(lambda: chip.dog.fed > fed + 10))
        begun.release()
        asyncio.new_event_loop()
        fed = chip.dog.fed
        asyncio.run(rest())
        assert chip.dog.fed == fed
    finally:
        boot.FEED_MS, boot.STABLE_MS = feed, stable
    assert chip.store.values["starts"] == b"\x00"
    assert start(chip)[0].safe == ""


async def test_the_repl_does_not_end_by_the_watchdog():
    chip = Chip()
    begun, _ = start(chip)
    begun.start()
    await until(lambda: chip.dog)
    assert chip.timer is None
    begun.release()
    assert chip.timer is chip.dog
    assert chip.store.values["starts"] == b"\x00"
