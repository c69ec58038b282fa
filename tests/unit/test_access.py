"""device.access.access and device.access.password: the hash, sessions, attempts, tokens."""

import asyncio
import os
from binascii import hexlify

import vfs
from device.access import password
from device.access.access import Access, tokens_of
from device.settings import storage
from device.settings.config import ADMIN
from helpers import raises_later
from httpd import HTTPError

# The module `board` is the host's.
HOST_ONLY = True

# The working directory, a temporary one, becomes the device's filesystem.
FOLDER = os.getcwd()
vfs.umount("/")
vfs.mount(vfs.VfsPosix(FOLDER), "/")

PEER = ("127.0.0.1", 40000)


class Clock:
    """Takes the place of the module's clock, which would have to be waited for."""

    def __init__(self):
        self.now = 1000
        password.time = lambda: self.now


class Request:
    def __init__(self, headers):
        self.headers = headers


async def refused(status, awaitable):
    error = await raises_later(HTTPError, awaitable)
    assert error.status == status, error
    return error


async def test_derive_is_pbkdf2():
    # RFC 7914 section 11, and hashlib.pbkdf2_hmac of CPython.
    derived = await password.derive(b"passwd", b"salt", 1)
    assert hexlify(derived) == b"55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
    derived = await password.derive(b"passwd", b"salt", 4000)
    assert hexlify(derived) == b"00b27da16b64f3b7613b01c28b218ee1e9caae11e72947bc6861d5c2e9945d72"


async def test_derive_lets_others_run():
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep_ms(0)

    counter = asyncio.create_task(count())
    await password.derive(b"x" * 64, b"salt", 1000)
    counter.cancel()
    assert turns > 10


def test_equal():
    assert password.equal(b"", b"") and password.equal(b"ab", bytearray(b"ab"))
    assert not password.equal(b"ab", b"abc") and not password.equal(b"ab", b"ac")
    assert not password.equal(b"bb", b"ab")


def test_sessions_end():
    clock = Clock()
    sessions = password.Sessions()
    token = sessions.create()
    assert len(token) == 32 and token != sessions.create()
    assert sessions.valid(token)
    for wrong in (None, "", "x", token[:-1], token + "0", "0" * 32, "\u00e4" * 32):
        assert not sessions.valid(wrong), wrong
    clock.now += password.SESSION_SECONDS - 1
    assert sessions.valid(token)
    clock.now += 1
    assert not sessions.valid(token)
    token = sessions.create()
    sessions.end("unknown")
    sessions.end(token)
    assert not sessions.valid(token)


def test_sessions_are_limited():
    Clock()
    sessions = password.Sessions()
    tokens = [sessions.create() for _ in range(password.MAX_SESSIONS + 1)]
    assert [sessions.valid(token) for token in tokens] == [False] + [True] * password.MAX_SESSIONS


def test_attempts_are_limited_by_source():
    clock = Clock()
    attempts = password.Attempts()
    for _ in range(password.FREE_ATTEMPTS):
        assert attempts.begin("a") == 0
    assert attempts.begin("a") == password.FIRST_WAIT
    assert attempts.begin("b") == 0
    clock.now += password.FIRST_WAIT
    assert attempts.begin("a") == 0
    assert attempts.begin("a") == 2 * password.FIRST_WAIT
    for _ in range(20):
        clock.now += password.LONGEST_WAIT
        attempts.begin("a")
    assert attempts.begin("a") == password.LONGEST_WAIT
    attempts.succeeded("a")
    assert attempts.begin("a") == 0


def test_sources_are_limited():
    Clock()
    attempts = password.Attempts()
    for _ in range(password.FREE_ATTEMPTS):
        attempts.begin("guesser")
    for n in range(3 * password.MAX_SOURCES):
        attempts.begin(n)
    # Others don't wash out one that must wait.
    assert attempts.begin("guesser") > 0


def test_tokens_of():
    for headers, tokens in (
        ({}, []),
        ({"cookie": "a=b; session=abc; c=d"}, ["abc"]),
        ({"cookie": "session=abc; __Host-session=def"}, ["abc", "def"]),
        ({"cookie": "xsession=abc"}, []),
        ({"authorization": "Bearer abc"}, ["abc"]),
        ({"authorization": "bearer  abc "}, ["abc"]),
        ({"authorization": "Basic abc", "cookie": "session=abc"}, []),
    ):
        assert tokens_of(headers) == tokens, headers


async def test_access():
    Clock()
    storage.erase(ADMIN)
    revoked = []
    access = Access(lambda: revoked.append(1))
    assert not access.has_password and access.allows(Request({}), PEER)
    await refused(400, access.set_password("short"))
    await refused(400, access.set_password("x" * 65))
    await access.set_password("correct horse")
    assert access.has_password and not access.allows(Request({}), PEER) and revoked == [1]
    await refused(401, access.verify("wrong horse", PEER))
    await refused(401, access.verify("", PEER))
    await access.verify("correct horse", PEER)
    token = access.sessions.create()
    headers = {"cookie": "session=" + token}
    assert access.allows(Request(headers), PEER)
    for strangers in ({}, {"cookie": "session=" + "0" * 32}):
        access.log_out(strangers)
        assert access.allows(Request(headers), PEER) and revoked == [1]
    access.log_out(headers)
    assert not access.allows(Request(headers), PEER) and revoked == [1, 1]
    # After a restart the password is the same, and nothing in the file is the password itself.
    again = Access(lambda: None)
    await again.verify("correct horse", PEER)
    with open(ADMIN) as file:
        assert "correct" not in file.read()
    storage.erase(ADMIN)


async def test_attempts_that_run_at_once_count_before_they_fail():
    Clock()
    storage.erase(ADMIN)
    access = Access(lambda: None)
    await access.set_password("correct horse")
    statuses = []

    async def attempt():
        try:
            await access.verify("wrong horse", PEER)
        except HTTPError as error:
            statuses.append(error.status)

    await asyncio.gather(*[attempt() for _ in range(password.FREE_ATTEMPTS + 3)])
    assert sorted(statuses) == [401] * password.FREE_ATTEMPTS + [429] * 3
    storage.erase(ADMIN)


def test_unusable_file_is_no_password():
    for text in (
        "{}",
        '{"salt": 1, "iterations": 1, "hash": ""}',
        '{"salt": "", "hash": ""}',
        "x",
    ):
        storage.erase(ADMIN)
        with open(ADMIN, "w") as file:
            file.write(text)
        assert not Access(lambda: None).has_password, text
    storage.erase(ADMIN)
