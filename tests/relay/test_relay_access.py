"""Who may what at the relay: devices' tokens, users, tokens of pages, proxies, limits, TLS."""

import asyncio
import contextlib
import json
import ssl
import time

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from certificates import Authority
from relay import access, passwords
from relay.grants import Grant
from relays import device_uri, order, page_uri, running, stored, until, web

PASSWORD = "correct horse battery"


def device_token(folder, name="pump-1"):
    lines = order(folder, "device-token", name).splitlines()
    return json.loads(lines[-1].removeprefix("secrets.json: "))["home/token"]


def bearer(token):
    return {"additional_headers": {"Authorization": f"Bearer {token}"}}


async def refused(uri, **options):
    """The status and the text with which a WebSocket is refused."""
    with pytest.raises(InvalidStatus) as error:
        await connect(uri, **options)
    response = error.value.response
    return response.status_code, response.body.decode()


async def test_a_device_needs_its_token(tmp_path):
    token, other = device_token(tmp_path), device_token(tmp_path, "pump-2")
    async with running(tmp_path, open_devices=False) as relay:
        async with connect(device_uri(relay), **bearer(token)):
            await until(lambda: relay.exchange.devices["pump-1"].link)
        for name, options, text in (
            ("pump-1", {}, "pump-1 needs its token"),
            ("pump-1", bearer(other), "not the token of pump-1"),
            ("pump-1", bearer("x" * 1000), "not the token of pump-1"),
            ("pump-1", bearer("revoked"), "not the token of pump-1"),
        ):
            assert (await refused(device_uri(relay, name), **options))[0] == 401
            assert text in (await refused(device_uri(relay, name), **options))[1]
        # What is kept says no token.
        for file in tmp_path.glob("relay.sqlite3*"):
            assert token.encode() not in file.read_bytes()


async def test_nobody_takes_over_from_a_device_without_its_token(tmp_path):
    token = device_token(tmp_path)
    async with running(tmp_path) as relay, connect(device_uri(relay), **bearer(token)) as pump:
        assert (await refused(device_uri(relay)))[0] == 401
        # One that is not known here is let in, as this relay is open.
        async with connect(device_uri(relay, "pump-9")):
            pass
        await pump.ping()


async def test_an_unknown_device_at_a_relay_that_is_not_open(tmp_path):
    async with running(tmp_path, open_devices=False, device_host="0.0.0.0") as relay:
        status, text = await refused(device_uri(relay))
        assert status == 401 and "there is no device pump-1 here" in text
    # On loopback it is for one's own computer, unless a proxy says who it comes from.
    async with running(tmp_path, open_devices=False) as relay:
        async with connect(device_uri(relay)):
            pass
        proxied = {"additional_headers": {"X-Forwarded-For": "203.0.113.5"}}
        assert (await refused(device_uri(relay), **proxied))[0] == 401


async def test_tokens_of_a_device_are_rotated_and_revoked(tmp_path):
    first = device_token(tmp_path)
    async with running(tmp_path) as relay, connect(device_uri(relay), **bearer(first)) as pump:
        second = await asyncio.to_thread(device_token, tmp_path)
        # The old one holds until the device has the new one.
        async with connect(device_uri(relay), **bearer(first)):
            pass

        async def second_holds():
            with contextlib.suppress(InvalidStatus):
                async with connect(device_uri(relay), **bearer(second)):
                    return True

        while not await second_holds():
            await asyncio.sleep(0.1)
        assert (await refused(device_uri(relay), **bearer(first)))[0] == 401
        async with connect(device_uri(relay), **bearer(second)) as pump:
            await asyncio.to_thread(order, tmp_path, "device-revoke", "pump-1")
            with pytest.raises(ConnectionClosed):
                await pump.recv()
            assert pump.close_code == 1008
        for token in (first, second):
            assert (await refused(device_uri(relay), **bearer(token)))[0] == 401
        # A revoked device is known, and not one that anybody can be.
        assert (await refused(device_uri(relay)))[0] == 401


@contextlib.asynccontextmanager
async def browser():
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


async def logged_in(session, relay, name="ann", password=PASSWORD):
    form = {"name": name, "password": password}
    async with session.post(web(relay, "/login"), data=form) as response:
        return response.status, await response.json()


async def status_of(session, relay, path, method="GET", **options):
    async with session.request(method, web(relay, path), **options) as response:
        return response.status


def make_user(folder, name="ann", *arguments):
    order(folder, "user", name, *arguments, text=PASSWORD + "\n")


async def test_with_users_everybody_logs_in(tmp_path):
    make_user(tmp_path)
    async with running(tmp_path) as relay, browser() as session:
        for path in ("/d/pump-1/", "/d/pump-1/api/state", "/d/pump-1/api/command"):
            method = "POST" if path.endswith("command") else "GET"
            assert await status_of(session, relay, path, method, data="[]") == 401
        assert (await refused(page_uri(relay)))[0] == 401
        assert (await refused(page_uri(relay, "d/pump-1/ws")))[0] == 401
        # Who asks for a page is led to the form and back.
        accept = {"Accept": "text/html"}
        async with session.get(
            web(relay, "/d/pump-1/"), headers=accept, allow_redirects=False
        ) as response:
            assert response.status == 302
            assert response.headers["Location"] == "/login?next=d/pump-1/"
        assert await status_of(session, relay, "/login") == 200
        assert await status_of(session, relay, "/health") == 200

        assert (await logged_in(session, relay))[0] == 200
        assert await status_of(session, relay, "/d/pump-1/") == 200
        (cookie,) = session.cookie_jar
        assert cookie["httponly"] and cookie["samesite"] == "Strict"
        headers = {"Cookie": f"relay_session={cookie.value}"}
        async with connect(page_uri(relay), additional_headers=headers) as page:
            await page.ping()
            # A new password ends it, at once.
            await asyncio.to_thread(make_user, tmp_path)
            with pytest.raises(ConnectionClosed):
                await page.recv()
            assert page.close_code == 1008 and page.close_reason == "log in again"
        assert await status_of(session, relay, "/d/pump-1/") == 401


async def test_cookies_that_are_none(tmp_path):
    make_user(tmp_path)
    async with running(tmp_path) as relay, browser() as session:
        assert (await logged_in(session, relay))[0] == 200
        (cookie,) = session.cookie_jar
        good = cookie.value
        session.cookie_jar.clear()
        for value in ("", "x", good[:-1], good + "x", "." + good, "a.b.c", "\N{SNOWMAN}".encode()):
            text = value if isinstance(value, str) else value.decode("latin-1")
            headers = {"Cookie": f"relay_session={text}"}
            assert await status_of(session, relay, "/d/pump-1/", headers=headers) == 401, value
        headers = {"Cookie": f"a=b; relay_session={good}"}
        assert await status_of(session, relay, "/d/pump-1/", headers=headers) == 200


async def test_a_session_survives_a_restart_and_ends_with_its_user(tmp_path):
    make_user(tmp_path)
    async with browser() as session:
        async with running(tmp_path) as relay:
            assert (await logged_in(session, relay))[0] == 200
        async with running(tmp_path) as relay:
            assert await status_of(session, relay, "/d/pump-1/") == 200
            make_user(tmp_path, "bob")
            await asyncio.to_thread(order, tmp_path, "user-remove", "ann")
            async with asyncio.timeout(30):
                while await status_of(session, relay, "/d/pump-1/") == 200:
                    await asyncio.sleep(0.1)
            assert await status_of(session, relay, "/logout", "POST") == 200
            assert not list(session.cookie_jar)


async def test_guesses_are_limited(tmp_path, monkeypatch):
    make_user(tmp_path)
    async with running(tmp_path) as relay, browser() as session:
        for name in ("ann", "nobody", "ann", "\0", "x" * 1000):
            status, answer = await logged_in(session, relay, name, "wrong password")
            assert (status, answer) == (401, {"error": "the name or the password is wrong"})
        status, answer = await logged_in(session, relay)
        assert status == 429 and "try again" in answer["error"]
        monkeypatch.setattr(access, "ATTEMPTS_SECONDS", 0)
        assert (await logged_in(session, relay))[0] == 200
        for form in ({}, {"name": "ann"}, {"password": PASSWORD}):
            assert await status_of(session, relay, "/login", "POST", data=form) == 400


async def test_what_a_user_may(tmp_path):
    make_user(tmp_path, "ann", "--devices", "pump-*", "--verbs", "GET,CMD stop_interface")
    async with running(tmp_path) as relay, browser() as session:
        await logged_in(session, relay)
        (cookie,) = session.cookie_jar
        headers = {"additional_headers": {"Cookie": f"relay_session={cookie.value}"}}
        assert await status_of(session, relay, "/d/tank-1/api/state") == 403
        status, text = await refused(page_uri(relay, "tank-1"), **headers)
        assert status == 403 and "ann may not look at tank-1" in text
        async with connect(device_uri(relay)) as pump, connect(page_uri(relay), **headers) as page:
            for message in ('["CMD", "reboot", [], 1]', '["CMD", "send_message", ["x"], 1]'):
                await page.send(message)
                answer = json.loads(await page.recv())
                assert answer["id"] == 1 and answer["error"].startswith("ann may not CMD ")
            await page.send('["CMD", "stop_interface"]')
            assert json.loads(await pump.recv()) == ["CMD", "stop_interface", []]
            # Of one whose messages are looked at, all are.
            await page.send("anything")
            assert "not JSON" in json.loads(await page.recv())["error"]
            body = '["CMD", "reboot"]'
            path = "/d/pump-1/api/command"
            assert await status_of(session, relay, path, "POST", data=body) == 403


async def test_tokens_of_pages(tmp_path):
    make_user(tmp_path)
    token = order(tmp_path, "page-token", "chart", "--devices", "pump-1", "--verbs", "GET")
    async with stored(tmp_path) as store:
        old = passwords.new_token()
        digest = passwords.token_digest(old)
        await store.add_page_token(Grant("old"), digest, time.time() - 1)
    async with running(tmp_path) as relay:
        async with connect(page_uri(relay), **bearer(token)) as page:
            async with connect(page_uri(relay) + f"?token={token}") as other:
                await other.ping()
            assert (await refused(page_uri(relay, "pump-2"), **bearer(token)))[0] == 403
            for bad in (old, "", "x", token + "x"):
                assert (await refused(page_uri(relay), **bearer(bad)))[0] == 401
            await page.send('["CMD", "reboot"]')
            assert json.loads(await page.recv()) == {"error": "chart may not CMD reboot"}
            assert "chart: GET of pump-1" in order(tmp_path, "page-tokens")
            await asyncio.to_thread(order, tmp_path, "page-token-remove", "chart")
            with pytest.raises(ConnectionClosed):
                await page.recv()
            assert page.close_code == 1008
        assert (await refused(page_uri(relay), **bearer(token)))[0] == 401


async def test_a_token_that_expires_ends_what_it_has_opened(tmp_path):
    make_user(tmp_path)
    token = passwords.new_token()
    async with stored(tmp_path) as storage:
        digest = passwords.token_digest(token)
        await storage.add_page_token(Grant("short"), digest, time.time() + 2)
    async with running(tmp_path) as relay:
        async with connect(page_uri(relay), **bearer(token)) as page:
            with pytest.raises(ConnectionClosed):
                await page.recv()
            assert page.close_code == 1008 and page.close_reason == "the token has expired"
        assert (await refused(page_uri(relay), **bearer(token)))[0] == 401


async def test_behind_a_proxy_one_who_guesses_locks_nobody_else_out(tmp_path):
    make_user(tmp_path)
    async with running(tmp_path, proxies=("127.0.0.1",)) as relay, browser() as session:
        for address, statuses in (("203.0.113.1", [401] * 5 + [429]), ("203.0.113.2", [401])):
            # What the guesser says of itself stands before what the proxy says.
            headers = {"X-Forwarded-For": f"203.0.113.9, {address}"}
            form = {"name": "ann", "password": "wrong password"}
            for status in statuses:
                found = await status_of(
                    session, relay, "/login", "POST", data=form, headers=headers
                )
                assert found == status


async def test_a_proxy_may_say_who_it_is_if_it_is_asked_to(tmp_path):
    make_user(tmp_path, "ann", "--devices", "pump-1")
    header = {"X-Remote-User": "ann"}
    async with running(tmp_path) as relay, browser() as session:
        assert await status_of(session, relay, "/d/pump-1/", headers=header) == 401
    settings = {"user_header": "X-Remote-User", "proxies": ("127.0.0.1",)}
    async with running(tmp_path, **settings) as relay, browser() as session:
        assert await status_of(session, relay, "/d/pump-1/", headers=header) == 200
        assert await status_of(session, relay, "/d/pump-2/", headers=header) == 403
        for name in ({}, {"X-Remote-User": "bob"}):
            assert await status_of(session, relay, "/d/pump-1/", headers=name) == 401
    settings["proxies"] = ("203.0.113.1",)
    async with running(tmp_path, **settings) as relay, browser() as session:
        assert await status_of(session, relay, "/d/pump-1/", headers=header) == 401


async def test_where_nobody_logs_in_no_page_of_another_site_gets_anywhere():
    async with running(hosts=("relay.example",)) as relay, browser() as session:
        port = relay.page_port
        for host, status in (
            (f"127.0.0.1:{port}", 200),
            (f"[::1]:{port}", 200),
            (f"localhost:{port}", 200),
            ("relay.example", 200),
            (f"evil.example:{port}", 421),
            ("127.0.0.1.evil.example", 421),
            ("[", 421),
            ("", 421),
        ):
            headers = {"Host": host}
            assert await status_of(session, relay, "/d/pump-1/", headers=headers) == status, host
        evil = {"Origin": "http://evil.example"}
        path = "/d/pump-1/api/command"
        assert await status_of(session, relay, path, "POST", headers=evil, data="[]") == 403
        assert await status_of(session, relay, path, "POST", data="[]") == 400


async def test_places_are_limited(tmp_path):
    make_user(tmp_path)
    token = order(tmp_path, "page-token", "one")
    other = order(tmp_path, "page-token", "other")
    async with running(tmp_path, max_pages=3, max_pages_of_one=2, max_devices=1) as relay:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(2):
                await stack.enter_async_context(connect(page_uri(relay), **bearer(token)))
            status, text = await refused(page_uri(relay), **bearer(token))
            assert status == 429 and "one has 2 pages already" in text
            await stack.enter_async_context(connect(page_uri(relay), **bearer(other)))
            status, text = await refused(page_uri(relay), **bearer(other))
            assert status == 429 and "there are 3 pages already" in text
            await stack.enter_async_context(connect(device_uri(relay)))
            full = await stack.enter_async_context(connect(device_uri(relay, "pump-2")))
            with pytest.raises(ConnectionClosed):
                await full.recv()
            assert full.close_code == 1013

        async def again():
            with contextlib.suppress(InvalidStatus):
                async with connect(page_uri(relay), **bearer(token)):
                    return True

        async with asyncio.timeout(30):
            while not await again():
                await asyncio.sleep(0.05)


async def test_tls_at_both_ports(tmp_path):
    authority = Authority(tmp_path)
    authority.issue("server")
    files = {"cert": str(tmp_path / "server.pem"), "key": str(tmp_path / "server.key")}
    trust = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    async with running(**files) as relay:
        for uri in (device_uri(relay), page_uri(relay)):
            async with connect(uri.replace("ws:", "wss:"), ssl=trust) as connection:
                await connection.ping()
            with pytest.raises((OSError, InvalidHandshake)):
                await connect(uri)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["device-token", "a b"], "letters, digits"),
        (["device-revoke", "pump-1"], "no token of pump-1"),
        (["user", "a b"], "a user's name has"),
        (["user", "ann"], "10 to 200 characters"),
        (["user", "ann", "--verbs", "PUT"], "'PUT' is no request"),
        (["user", "ann", "--devices", "a,,b"], "no pattern"),
        (["user-remove", "ann"], "no user ann"),
        (["page-token", "x", "--expires", "soon"], "soon is no time"),
        (["page-token-remove", "x"], "no token x"),
    ],
)
def test_orders_that_can_not_be(tmp_path, arguments, text):
    with pytest.raises(AssertionError) as error:
        order(tmp_path, *arguments, text="short\n")
    message = str(error.value)
    assert "relay: " in message and text in message and "Traceback" not in message


def test_orders_list_what_there_is(tmp_path):
    assert order(tmp_path, "users") == order(tmp_path, "devices") == ""
    make_user(tmp_path, "ann", "--admin")
    order(tmp_path, "device-token", "site/pump-1", "--host", "relay.example")
    order(tmp_path, "page-token", "x", "--expires", "2h")
    with pytest.raises(AssertionError, match="there is a token x already"):
        order(tmp_path, "page-token", "x")
    assert order(tmp_path, "users") == "ann: GET,CMD of *, admin"
    assert order(tmp_path, "devices") == "site/pump-1"
    assert "x: GET,CMD of * until " in order(tmp_path, "page-tokens")
    audit = order(tmp_path, "audit")
    assert "operator  made a user  ann" in audit and "made a page token  x" in audit
