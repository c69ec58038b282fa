"""device.access: the hash, sessions, attempts, tokens and API tokens."""

import asyncio
import os
from binascii import hexlify

import vfs
from device.access import api_tokens, password
from device.access.access import Access
from device.access.password import set_password, verify
from device.access.tokens import cookie_name, tokens_of
from device.settings import storage
from device.settings.config import ADMIN, TOKENS
from device.settings.rights import RIGHTS
from helpers import raises, raises_later, until
from httpd import HTTPError

# The module `board` is the host's.
HOST_ONLY = True

# The working directory, a temporary one, becomes the device's filesystem.
FOLDER = os.getcwd()
vfs.umount("/")
vfs.mount(vfs.VfsPosix(FOLDER), "/")

PEER = ("127.0.0.1", 40000)
SOURCE = PEER[0]


class Clock:
    """Takes the place of the module's clock, which would have to be waited for."""

    def __init__(self):
        self.now = 1000
        password.uptime = lambda: self.now


class Request:
    def __init__(self, headers):
        self.headers = headers


async def refused(status, awaitable):
    error = await raises_later(HTTPError, awaitable)
    assert error.status == status, error
    return error


def erase_all():
    storage.erase(ADMIN)
    storage.erase(TOKENS)


def refused_at_once(status, call, *arguments):
    error = raises(HTTPError, call, *arguments)
    assert error.status == status, error


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


def test_sessions_end():
    clock = Clock()
    ended = []
    sessions = password.Sessions(ended.append)
    token = sessions.create()
    assert len(token) == 32 and token != sessions.create()
    assert sessions.find(token) == token.encode()
    for wrong in (None, "", "x", token[:-1], token + "0", "0" * 32, "\u00e4" * 32):
        assert sessions.find(wrong) is None, wrong
    clock.now += password.SESSION_SECONDS - 1
    assert sessions.find(token) and not ended
    clock.now += 1
    assert sessions.find(token) is None
    assert len(ended) == 2 and ended[0] == token.encode() and len(sessions) == 0
    token = sessions.create()
    sessions.end(token.encode())
    assert sessions.find(token) is None and ended[2:] == [token.encode()]


def test_sessions_are_limited():
    Clock()
    ended = []
    sessions = password.Sessions(ended.append)
    tokens = [sessions.create() for _ in range(password.MAX_SESSIONS + 1)]
    found = [sessions.find(token) is not None for token in tokens]
    assert found == [False] + [True] * password.MAX_SESSIONS
    assert ended == [tokens[0].encode()]


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


def test_attempts_are_limited_in_all():
    clock = Clock()
    attempts = password.Attempts()
    assert attempts.begin("owner") == 0
    attempts.succeeded("owner")
    for n in range(password.FREE_IN_ALL):
        assert attempts.begin(n) == 0, n
    assert attempts.begin("another") == password.WAIT_IN_ALL
    assert attempts.refused == 1
    # Not who has known it lately; and others one by one.
    assert attempts.begin("owner") == 0
    clock.now += password.WAIT_IN_ALL
    assert attempts.begin("another") == 0
    assert attempts.begin("a third") == password.WAIT_IN_ALL
    attempts.succeeded("another")
    clock.now += password.WAIT_IN_ALL
    assert attempts.begin("a third") == 0 == attempts.begin("a fourth")


def test_cookie_names_tell_ports_apart():
    for host, name in (
        (None, "session"),
        ("device", "session"),
        ("device:8080", "session-8080"),
        ("[::1]", "session"),
        ("[::1]:81", "session-81"),
        ("8080", "session"),
    ):
        assert cookie_name(False, host) == name, host
    assert cookie_name(True, "device:8443") == "__Host-session-8443"


def test_tokens_of():
    for headers, tokens in (
        ({}, []),
        ({"cookie": "a=b; session=abc; c=d"}, ["abc"]),
        ({"cookie": "session=abc; __Host-session=def"}, ["abc", "def"]),
        ({"cookie": "xsession=abc"}, []),
        ({"authorization": "Bearer abc"}, ["abc"]),
        ({"authorization": "bearer  abc "}, ["abc"]),
        ({"authorization": "Basic abc", "cookie": "session=abc"}, ["abc"]),
        ({"authorization": "Bearer abc", "cookie": "session-80=def"}, ["abc", "def"]),
        ({"cookie": "; ".join(["session=a"] * 20)}, ["a"] * 8),
    ):
        assert tokens_of(headers) == tokens, headers


async def test_access():
    Clock()
    storage.erase(ADMIN)
    revoked = []
    access = Access(revoked.append)
    assert access.password is None and access.right(Request({}), PEER) == "admin"
    await refused(400, set_password(access, "short"))
    await refused(400, set_password(access, "x" * 65))
    await set_password(access, "correct horse")
    assert (
        access.password is not None
        and access.right(Request({}), PEER) is None
        and revoked == [None]
    )
    await refused(401, verify(access, "wrong horse", SOURCE))
    await refused(401, verify(access, "", SOURCE))
    assert access.password.attempts.refused == 2
    await verify(access, "correct horse", SOURCE)
    token = access.password.log_in()
    headers = {"cookie": "session=" + token}
    assert access.right(Request(headers), PEER) == "admin"
    assert access.password.session_of(headers) == token.encode()
    for strangers in ({}, {"cookie": "session=" + "0" * 32}):
        access.password.log_out(strangers)
        assert access.right(Request(headers), PEER) == "admin" and revoked == [None]
    access.password.log_out(headers)
    assert access.right(Request(headers), PEER) is None and revoked == [None, token.encode()]
    # After a restart the password is the same, and nothing in the file is the password itself.
    again = Access(lambda session: None)
    await verify(again, "correct horse", SOURCE)
    with open(ADMIN) as file:
        assert "correct" not in file.read()
    storage.erase(ADMIN)


def bearer(text):
    return Request({"authorization": "Bearer " + text})


async def test_api_tokens():
    Clock()
    erase_all()
    revoked = []
    access = Access(revoked.append)
    await set_password(access, "correct horse")
    read = access.password.tokens.create("Prometheus", "read")
    control = access.password.tokens.create("panel", "control")
    assert read.startswith("websock_") and read != control
    for text, right in (
        (read, "read"),
        (control, "control"),
        (read[:-1], None),
        ("websock_", None),
    ):
        assert access.right(bearer(text), PEER) == right, text
    # A session is worth more than a token beside it.
    session = access.password.log_in()
    both = Request({"authorization": "Bearer " + read, "cookie": "session=" + session})
    assert access.right(both, PEER) == "admin"
    assert access.password.holder(both.headers) == session.encode()
    digest = access.password.holder(bearer(read).headers)
    assert access.password.holder({}) is None
    # And once it has ended, while a body comes, the token's right is what counts.
    both.peer, both.method, both.path = PEER, "PUT", "/api/www/page.htm"
    assert access.still(both) == "admin"
    access.password.log_out(both.headers)
    refused_at_once(403, access.still, both)
    both.method = "GET"
    assert access.still(both) == "read"
    both.headers = {}
    refused_at_once(401, access.still, both)
    # They stay with another password and after a restart; the file doesn't let anybody in.
    await set_password(access, "another horse")
    again = Access(revoked.append)
    assert again.right(bearer(read), PEER) == "read"
    with open(TOKENS) as file:
        stored = file.read()
    assert read not in stored and read[8:] not in stored
    revoked.clear()
    again.password.tokens.revoke("Prometheus")
    assert revoked == [digest] and again.right(bearer(read), PEER) is None
    assert Access(revoked.append).right(bearer(read), PEER) is None
    assert Access(revoked.append).right(bearer(control), PEER) == "control"
    refused_at_once(404, again.password.tokens.revoke, "Prometheus")
    erase_all()


async def test_api_tokens_that_cannot_be():
    erase_all()
    tokens = api_tokens.ApiTokens(lambda holder: None)
    for name in ("", " ", "x" * 33, "a/b", "a\nb", "a\x7f", 1, None):
        refused_at_once(400, tokens.create, name, "read")
    for right in ("root", "", None, 1):
        refused_at_once(400, tokens.create, "a", right)
    for n in range(api_tokens.MAX_TOKENS):
        tokens.create(f"{n}", "read")
    refused_at_once(409, tokens.create, "0", "read")
    refused_at_once(409, tokens.create, "new", "read")
    assert len(list(tokens)) == api_tokens.MAX_TOKENS
    erase_all()


async def test_damaged_api_tokens_let_nobody_in():
    erase_all()
    access = Access(lambda holder: None)
    await set_password(access, "correct horse")
    old = access.password.tokens.create("old", "admin")
    access.password.tokens.create("new", "admin")  # so that there is a backup
    with open(TOKENS) as file:
        good = file.read()
    for damaged in (
        "",
        "x",
        "[]",
        "{}",
        '{"tokens": 1}',
        '{"tokens": [1]}',
        '{"tokens": [{"name": "old", "right": "admin", "sha256": ""}]}',
        good.replace('"admin"', '"root"'),
        good.replace('"old"', "1"),
        good.replace('"sha256"', '"sha255"'),
    ):
        with open(TOKENS, "w") as file:
            file.write(damaged)
        assert Access(lambda holder: None).right(bearer(old), PEER) is None, damaged
    erase_all()


async def test_an_api_token_that_cannot_be_saved_is_not_made():
    erase_all()
    access = Access(lambda holder: None)
    await set_password(access, "correct horse")
    kept = access.password.tokens.create("kept", "read")
    save = storage.save

    def full(path, value):
        raise OSError(28)

    storage.save = full
    try:
        for attempt in (
            lambda: access.password.tokens.create("new", "read"),
            lambda: access.password.tokens.revoke("kept"),
        ):
            try:
                attempt()
                raise AssertionError("saved")
            except OSError as error:
                assert error.errno == 28
    finally:
        storage.save = save
    assert [token.name for token in access.password.tokens] == ["kept"]
    assert access.right(bearer(kept), PEER) == "read"
    erase_all()


def test_what_a_right_is_enough_for():
    for method, path, takes in (
        ("GET", "/", 0),
        ("GET", "/metrics", 0),
        ("HEAD", "/api/state", 0),
        ("POST", "/api/command", 0),
        ("POST", "/api/commands", 3),
        ("GET", "/api/tokens", 3),
        ("POST", "/api/tokens", 3),
        ("DELETE", "/api/tokens/a", 3),
        ("PUT", "/api/www/a", 3),
        ("DELETE", "/api/www/a/b", 3),
        ("POST", "/password", 3),
        ("POST", "/nothing", 3),
    ):
        request = Request({})
        request.method = method
        request.path = path
        for right in RIGHTS:
            try:
                api_tokens.check_right(request, right)
                enough = True
            except HTTPError as error:
                assert error.status == 403
                enough = False
            assert enough == (RIGHTS.index(right) >= takes), (method, path, right)


async def test_one_first_password_wins():
    storage.erase(ADMIN)
    access = Access(lambda session: None)
    results = await asyncio.gather(
        *[set_password(access, f"password {n}") for n in range(4)], return_exceptions=True
    )
    assert results.count(None) == 1
    assert all([result is None or result.status == 409 for result in results])
    await verify(access, f"password {results.index(None)}", SOURCE)
    storage.erase(ADMIN)


async def test_a_session_ends_by_time_without_being_asked_for():
    clock = Clock()
    storage.erase(ADMIN)
    revoked = []
    access = Access(revoked.append)
    await set_password(access, "correct horse")
    kept, password.EXPIRY_STEP = password.EXPIRY_STEP, 0
    try:
        token = access.password.log_in()
        await asyncio.sleep_ms(5)
        assert revoked == [None]
        clock.now += password.SESSION_SECONDS
        await until(lambda: len(revoked) == 2)
        assert revoked[1] == token.encode()
    finally:
        password.EXPIRY_STEP = kept
    storage.erase(ADMIN)


async def test_attempts_that_run_at_once_count_before_they_fail():
    Clock()
    storage.erase(ADMIN)
    access = Access(lambda session: None)
    await set_password(access, "correct horse")
    statuses = []

    async def attempt():
        try:
            await verify(access, "wrong horse", SOURCE)
        except HTTPError as error:
            statuses.append(error.status)

    await asyncio.gather(*[attempt() for _ in range(password.FREE_ATTEMPTS + 3)])
    assert sorted(statuses) == [401] * password.FREE_ATTEMPTS + [429] * 3
    storage.erase(ADMIN)


async def test_a_password_that_cannot_be_used_locks():
    Clock()
    storage.erase(ADMIN)
    for _ in range(2):  # so that there is a backup, with the password before
        await set_password(Access(lambda session: None), "correct horse")
    for text in (
        "{}",
        '{"salt": 1, "iterations": 1, "hash": ""}',
        '{"salt": "", "iterations": 1, "hash": ""}',
        '{"salt": "", "hash": ""}',
        "x",
        "",
    ):
        with open(ADMIN, "w") as file:
            file.write(text)
        access = Access(lambda session: None)
        assert access.password is not None and access.right(Request({}), PEER) is None, text
        await refused(403, verify(access, "correct horse", SOURCE))
        # Who has the device in hand opens it.
        access = Access(lambda session: None, True)
        assert access.password is None, text
    await set_password(access, "another horse")
    await verify(Access(lambda session: None), "another horse", SOURCE)
    # Cut off between two renames, there is the old one.
    os.rename(ADMIN, ADMIN + storage.BACKUP)
    await verify(Access(lambda session: None), "another horse", SOURCE)
    storage.erase(ADMIN)
