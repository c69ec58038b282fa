"""Files that survive a power cut: a LittleFS in RAM whose power goes at every single write."""

import asyncio
import json
import os

import vfs
from device.access import api_tokens, password
from device.access.access import Access
from device.access.password import set_password, verify
from device.settings import storage
from httpd import HTTPError
from httpd.files import receive_file

HOST_ONLY = True  # PyPI's interpreter has no LittleFS

BLOCK = 512
BLOCKS = 64

OLD = {"sta": {"ssid": "old"}}
NEW = {"sta": {"ssid": "new"}, "device": {"iam": "x" * 300}}


class PowerCut(Exception):
    pass


class Flash:
    """A block device (docs/reference/filesystem) that fails after `writes` more writes."""

    def __init__(self, data=None):
        self.data = bytearray(BLOCK * BLOCKS) if data is None else bytearray(data)
        self.writes = None

    def readblocks(self, block, buf, offset=0):
        start = block * BLOCK + offset
        buf[:] = self.data[start : start + len(buf)]

    def writeblocks(self, block, buf, offset=None):
        self._spend()
        if offset is None:
            offset = 0
        start = block * BLOCK + offset
        self.data[start : start + len(buf)] = buf

    def ioctl(self, op, arg):
        if op == 4:
            return BLOCKS
        if op == 5:
            return BLOCK
        if op == 6:
            self._spend()
            return 0

    def _spend(self):
        if self.writes is not None:
            if self.writes == 0:
                raise OSError(5)  # EIO: nothing is written from here on
            self.writes -= 1


def at(flash, function):
    """Run `function` with the flash's filesystem mounted at /flash."""
    vfs.mount(vfs.VfsLfs2(flash), "/flash")
    try:
        return function()
    finally:
        vfs.umount("/flash")


def formatted(*saves):
    flash = Flash()
    vfs.VfsLfs2.mkfs(flash)

    def save_all():
        for value in saves:
            storage.save("/flash/network.json", value)

    at(flash, save_all)
    return flash


def load(flash):
    problems = []
    value = at(Flash(flash.data), lambda: storage.load("/flash/network.json", problems.append))
    return value, problems


def test_what_was_saved_is_loaded():
    assert load(formatted(OLD, NEW)) == (NEW, [])


def test_nothing_there_is_empty_and_no_problem():
    assert load(formatted()) == ({}, [])


def cut_everywhere(before, after):
    """Save `after` over `before` with the power going at every write; returns the outcomes."""
    start = bytes(formatted(*before).data)
    outcomes = []
    for writes in range(1000):
        flash = Flash(start)
        flash.writes = writes
        complete = True
        try:
            at(flash, lambda: storage.save("/flash/network.json", after))
        except OSError:
            complete = False
        value, _ = load(flash)
        outcomes.append(value)
        if complete:
            assert value == after
            return outcomes
    raise AssertionError("never complete")


def test_power_cut_at_any_write_leaves_the_old_or_the_new():
    outcomes = cut_everywhere([{}, OLD], NEW)
    assert outcomes[0] == OLD and outcomes[-1] == NEW
    assert len(outcomes) > 5
    for value in outcomes:
        assert value == OLD or value == NEW, value


def test_power_cut_during_the_first_save_leaves_nothing_or_the_new():
    for value in cut_everywhere([], NEW):
        assert value == {} or value == NEW, value


def fill(name):
    """Write a file until there is no room."""
    with open(name, "wb") as file:
        try:
            while True:
                file.write(bytes(BLOCK))
                file.flush()
        except OSError:
            pass


def test_full_flash_is_an_error_and_the_old_content_stays():
    flash = formatted(OLD)

    def fill_and_save():
        fill("/flash/filler")
        try:
            storage.save("/flash/network.json", {"x": "y" * 2000})
        except OSError as error:
            return error.errno

    assert at(flash, fill_and_save) == 28  # ENOSPC
    assert load(flash) == (OLD, [])


def write(flash, name, text):
    def call():
        with open("/flash/" + name, "w") as file:
            file.write(text)

    at(flash, call)


def test_malformed_file_is_reported_and_the_previous_one_used():
    for text in ("", "{", "[1]", '{"a": 1} x', '{"a": "' + "x" * 9000 + '"}'):
        flash = formatted(OLD, NEW)
        write(flash, "network.json", text)
        value, problems = load(flash)
        assert value == OLD
        assert len(problems) == 1 and "/flash/network.json can't be used" in problems[0], problems


def test_malformed_file_without_a_previous_one_is_empty():
    flash = formatted()
    write(flash, "network.json", "nonsense")
    value, problems = load(flash)
    assert value == {} and len(problems) == 1


def test_erase_removes_the_file_and_its_backup():
    flash = formatted(OLD, NEW)
    at(flash, lambda: storage.erase("/flash/network.json"))
    assert load(flash) == ({}, [])
    at(flash, lambda: storage.erase("/flash/network.json"))
    assert at(flash, lambda: os.listdir("/flash")) == []


def test_saved_text_is_json():
    flash = formatted(NEW)

    def read():
        with open("/flash/network.json") as file:
            return json.load(file)

    assert at(flash, read) == NEW


def test_a_byte_order_mark_is_skipped():
    flash = formatted()
    problems = []

    def both():
        with open("/flash/network.json", "wb") as file:
            file.write(b"\xef\xbb\xbf" + json.dumps(OLD).encode())
        return storage.load("/flash/network.json", problems.append)

    assert at(flash, both) == OLD and problems == []


def test_what_cannot_be_used_is_kept_when_it_is_replaced():
    flash = formatted(OLD, NEW)

    def replace():
        with open("/flash/network.json", "w") as file:
            file.write('{"sta": {"ssid": "typed", }')
        # The one before stays where it is looked for.
        assert storage.load("/flash/network.json", str) == OLD
        storage.save("/flash/network.json", NEW)
        with open("/flash/network.json.bad") as file:
            assert "typed" in file.read()
        assert storage.load("/flash/network.json", str) == NEW
        os.remove("/flash/network.json")
        assert storage.load("/flash/network.json", str) == OLD
        # It is kept once; and no secret stays behind.
        storage.save("/flash/network.json", NEW)
        storage.save("/flash/network.json", OLD)
        assert storage.load("/flash/network.json.bak", str) == NEW
        storage.erase("/flash/network.json")
        assert os.listdir("/flash") == []

    at(flash, replace)


def test_undo_takes_a_save_back():
    def undo(value):
        storage.undo("/flash/network.json")
        assert storage.load("/flash/network.json", str) == value

    at(formatted(OLD, NEW), lambda: undo(OLD))
    at(formatted(NEW), lambda: undo({}))


# What else is kept: the functions look for it in "/", which is the flash meanwhile.


def device_at(flash, function):
    """Run `function` with the flash's filesystem in the place of the device's."""
    vfs.umount("/")
    try:
        vfs.mount(vfs.VfsLfs2(flash), "/")
        try:
            return function()
        finally:
            vfs.umount("/")
    finally:
        vfs.mount(vfs.VfsPosix(), "/")


def outcomes(prepare, change, look):
    """What `look` finds after `change` was cut off at any write, last of all when it wasn't."""
    start = Flash()
    vfs.VfsLfs2.mkfs(start)
    device_at(start, prepare)
    found = []
    for writes in range(1000):
        flash = Flash(start.data)
        flash.writes = writes
        complete = True
        try:
            device_at(flash, change)
        except OSError:
            complete = False
        found.append(device_at(Flash(flash.data), look))
        if complete:
            assert len(found) > 5
            return found
    raise AssertionError("never complete")


def access():
    return Access(lambda holder: None)


def password_is():
    """Which of the two passwords lets in, None when none is set."""
    access_again = access()
    if access_again.password is None:
        return None
    for text in ("old horse", "new horse"):
        try:
            asyncio.run(verify(access_again, text, "127.0.0.1"))
            return text
        except HTTPError:
            pass
    return "neither"


def test_a_password_that_is_changed_while_the_power_goes():
    kept, password.ITERATIONS = password.ITERATIONS, 2
    try:
        found = outcomes(
            lambda: asyncio.run(set_password(access(), "old horse")),
            lambda: asyncio.run(set_password(access(), "new horse")),
            password_is,
        )
        assert found[0] == "old horse" and found[-1] == "new horse"
        assert set(found) == {"old horse", "new horse"}
        first = outcomes(
            lambda: None, lambda: asyncio.run(set_password(access(), "new horse")), password_is
        )
        # Open or locked with what was given, and never with what nobody knows.
        assert first[-1] == "new horse" and set(first) == {None, "new horse"}
    finally:
        password.ITERATIONS = kept


def tokens():
    return api_tokens.ApiTokens(lambda digest: None)


def test_tokens_that_are_made_or_revoked_while_the_power_goes():
    def names():
        return [token.name for token in tokens()]

    def prepare():
        tokens().create("first", "read")
        tokens().create("second", "admin")

    made = outcomes(prepare, lambda: tokens().create("third", "read"), names)
    assert made[0] == ["first", "second"] and made[-1] == ["first", "second", "third"]
    assert all([one in (made[0], made[-1]) for one in made]), made
    revoked = outcomes(prepare, lambda: tokens().revoke("second"), names)
    assert revoked[-1] == ["first"]
    assert all([one in (revoked[0], ["first"]) for one in revoked]), revoked


class Upload:
    """A request whose body is `data`."""

    def __init__(self, data):
        self.length = len(data)
        self._data = data

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self._data:
            raise StopAsyncIteration
        piece, self._data = self._data[:200], self._data[200:]
        return piece


def page_is():
    with open("/www/page.htm", "rb") as file:
        return file.read()


OLD_PAGE = b"old" * 300
NEW_PAGE = b"new page" * 200


def upload(data):
    return asyncio.run(receive_file(Upload(data), "/www/page.htm", 4000))


def prepare_page():
    os.mkdir("/www")
    upload(OLD_PAGE)


def test_an_upload_while_the_power_goes():
    found = outcomes(prepare_page, lambda: upload(NEW_PAGE), page_is)
    assert found[0] == OLD_PAGE and found[-1] == NEW_PAGE
    assert set(found) == {OLD_PAGE, NEW_PAGE}


def test_a_full_flash_changes_neither_password_nor_tokens_nor_page():
    flash = Flash()
    vfs.VfsLfs2.mkfs(flash)

    def change_all():
        prepare_page()
        asyncio.run(set_password(access(), "old horse"))
        tokens().create("first", "read")
        fill("/filler")
        for change in (
            lambda: [tokens().create("n" * 20 + str(n), "read") for n in range(9)],
            lambda: upload(bytes(4000)),
        ):
            try:
                change()
                raise AssertionError("there was room")
            except OSError as error:
                assert error.errno == 28, error  # ENOSPC
        return password_is(), next(token.name for token in tokens()), page_is() == OLD_PAGE

    assert device_at(flash, change_all) == ("old horse", "first", True)


def test_a_flipped_bit_is_survived():
    """LittleFS has no checksum of what is in a file: what is still JSON is taken for it."""
    good = formatted(OLD, NEW)
    unusable = 0
    for bit in range(0, len(good.data) * 8, 131):
        flash = Flash(good.data)
        flash.data[bit // 8] ^= 1 << bit % 8
        try:
            value, problems = load(flash)
        except OSError:
            unusable += 1  # the filesystem is: see copies.mount
            continue
        assert isinstance(value, dict)
        # Nothing is lost without a word: old, new, or new with that bit in it.
        assert value in (OLD, NEW) or set(value) - {"sta"} or problems, (bit, value, problems)
    assert unusable < 20
