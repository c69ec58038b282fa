"""Access control of the image: password, sessions, origins, what stays open."""

import contextlib
import http.client
import json
import urllib.parse

import pytest
import websockets.sync.client
from websockets.exceptions import ConnectionClosed, InvalidStatus

from raw import Connection

PASSWORD = "correct horse"
JSON = "Content-Type: application/json"


def post(image, path, fields, *headers, form=False):
    body = urllib.parse.urlencode(fields) if form else json.dumps(fields)
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    with Connection(image.http_port) as connection:
        return connection.get(
            path, f"Content-Type: {kind}", *headers, method="POST", body=body.encode()
        )


def get(image, path, *headers):
    with Connection(image.http_port) as connection:
        return connection.get(path, *headers)


def set_password(image, new=PASSWORD, current=None, *headers):
    fields = {"new": new} if current is None else {"new": new, "current": current}
    return post(image, "/password", fields, *headers)


def log_in(image, password=PASSWORD):
    response = post(image, "/login", {"password": password})
    assert response.status == 200, response
    return json.loads(response.body)["token"]


def session(image, *headers):
    return json.loads(get(image, "/api/session", *headers).body)


@pytest.fixture
def locked(image):
    assert set_password(image).status == 200
    return image


PROTECTED = ["/", "/api/state", "/api/log", "/metrics", "/ws", "/nothing", "/api/www/a"]


def test_everything_is_open_without_a_password(image):
    assert session(image) == {"password": False, "authenticated": True, "right": "admin"}
    assert get(image, "/").status == 200
    assert get(image, "/api/state").status == 200
    assert post(image, "/login", {"password": "x"}).status == 409


def test_nothing_is_served_without_a_session(locked):
    assert session(locked) == {"password": True, "authenticated": False, "right": None}
    for path in PROTECTED:
        response = get(locked, path)
        if path == "/":
            assert (response.status, response.headers["location"]) == (303, "login")
        else:
            assert response.status == 401, path
            assert response.headers["www-authenticate"] == "Bearer"
    assert post(locked, "/api/command", ["GET", "wifi"]).status == 401
    for url in (locked.ws + "/", locked.http.replace("http", "ws") + "/ws"):
        with pytest.raises(InvalidStatus) as refused:
            websockets.sync.client.connect(url)
        assert refused.value.response.status_code == 401
        assert refused.value.response.reason_phrase == "Unauthorized"


def test_what_stays_open_tells_little(locked):
    assert json.loads(get(locked, "/health").body) == {"status": "ok"}
    page = get(locked, "/login")
    assert page.status == 200 and b"Admin password" in page.body
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_session_by_cookie_and_by_bearer(locked):
    token = log_in(locked)
    for header in (f"Cookie: a=b; session={token}", f"Authorization: Bearer {token}"):
        assert session(locked, header)["right"] == "admin"
        assert get(locked, "/", header).status == 200
        assert json.loads(get(locked, "/health", header).body)["version"]
        name, value = header.split(": ")
        for url in (locked.ws + "/", locked.http.replace("http", "ws") + "/ws"):
            with websockets.sync.client.connect(url, additional_headers={name: value}) as page:
                assert "iam" in json.loads(page.recv())
    for header in (f"Cookie: session={token[:-1]}", "Cookie: session=", "Authorization: Bearer"):
        assert get(locked, "/api/state", header).status == 401


def test_browser_logs_in_with_a_form(locked):
    response = post(locked, "/login", {"password": PASSWORD}, form=True)
    assert (response.status, response.headers["location"]) == (303, "./")
    cookie = response.headers["set-cookie"]
    assert "; HttpOnly" in cookie and "; SameSite=Strict" in cookie
    assert get(locked, "/", "Cookie: " + cookie.split(";")[0]).status == 200


def test_sessions_are_each_ones_own(locked):
    first, second = log_in(locked), log_in(locked)
    assert first != second
    response = post(locked, "/logout", {}, f"Cookie: session={first}")
    assert response.status == 303 and "Max-Age=0" in response.headers["set-cookie"]
    assert not session(locked, f"Cookie: session={first}")["authenticated"]
    assert session(locked, f"Cookie: session={second}")["authenticated"]


def test_logging_out_closes_websockets(locked):
    token = log_in(locked)
    headers = {"Cookie": f"session={token}"}
    with websockets.sync.client.connect(locked.ws + "/", additional_headers=headers) as page:
        page.recv()
        post(locked, "/logout", {}, f"Cookie: session={token}")
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                page.recv()
        assert closed.value.rcvd.code == 1008


def test_a_stranger_logs_nobody_out(locked):
    headers = {"Cookie": f"session={log_in(locked)}"}
    with websockets.sync.client.connect(locked.ws + "/", additional_headers=headers) as page:
        for fields in ((), ("Cookie: session=" + "0" * 32,), ("Authorization: Bearer x",)):
            assert post(locked, "/logout", {}, *fields).status == 303
        page.send('["GET", "hal"]')
        while "hal" not in json.loads(page.recv()):
            pass


def test_password_survives_a_restart_and_sessions_do_not(locked):
    token = log_in(locked)
    locked.restart()
    assert not session(locked, f"Cookie: session={token}")["authenticated"]
    log_in(locked)
    assert PASSWORD not in (locked.data / "admin.json").read_text()


def test_password_change(locked):
    token = log_in(locked)
    bearer = f"Authorization: Bearer {token}"
    assert set_password(locked, "another one").status == 401
    assert set_password(locked, "another one", PASSWORD).status == 401
    assert set_password(locked, "another one", None, bearer).status == 400
    assert set_password(locked, "another one", "wrong", bearer).status == 401
    assert set_password(locked, "short", PASSWORD, bearer).status == 400
    response = set_password(locked, "another one", PASSWORD, bearer)
    assert response.status == 200
    new = json.loads(response.body)["token"]
    assert not session(locked, bearer)["authenticated"]
    assert session(locked, f"Authorization: Bearer {new}")["authenticated"]
    assert post(locked, "/login", {"password": PASSWORD}).status == 401
    log_in(locked, "another one")


def test_attempts_are_limited(locked):
    statuses = [post(locked, "/login", {"password": "guess"}).status for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    response = post(locked, "/login", {"password": PASSWORD})
    assert response.status == 429 and 0 < int(response.headers["retry-after"]) <= 10


def test_factory_reset_removes_the_password(locked):
    bearer = f"Authorization: Bearer {log_in(locked)}"
    post(locked, "/api/command", ["CMD", "factory_reset"], bearer)
    locked.wait_ready()
    assert session(locked) == {"password": False, "authenticated": True, "right": "admin"}


@pytest.mark.parametrize("body", [b"[1]", b"{}", b'{"password": 1}', b"{"])
def test_malformed_logins(locked, body):
    with Connection(locked.http_port) as connection:
        assert connection.get("/login", JSON, method="POST", body=body).status == 400


def test_a_proxys_authorization_hides_no_cookie(locked):
    cookie = f"Cookie: session={log_in(locked)}"
    assert get(locked, "/api/state", cookie, "Authorization: Basic dXNlcjpwYXNz").status == 200


def test_cookies_are_told_apart_by_port(locked):
    with Connection(locked.http_port) as connection:
        body = urllib.parse.urlencode({"password": PASSWORD}).encode()
        kind = "Content-Type: application/x-www-form-urlencoded"
        host = f"127.0.0.1:{locked.http_port}"
        answer = connection.get("/login", kind, method="POST", body=body, host=host)
    cookie = answer.headers["set-cookie"].partition(";")[0]
    assert cookie.startswith(f"session-{locked.http_port}=")
    # Beside that of another device at the same address, on either port.
    cookies = f"Cookie: session={'0' * 32}; {cookie}; session-1={'1' * 32}"
    assert get(locked, "/api/state", cookies).status == 200
    with Connection(locked.ws_port) as connection:
        assert connection.upgrade("/", cookies).status == 101


def test_a_session_that_ends_closes_its_own_websockets(locked):
    tokens = [log_in(locked) for _ in range(9)]  # one too many: the first one ended
    assert [get(locked, "/api/state", bearer(token)).status for token in tokens[:2]] == [401, 200]
    sockets = [
        websockets.sync.client.connect(
            locked.ws, additional_headers={"Authorization": f"Bearer {token}"}
        )
        for token in tokens[1:4]
    ]
    with contextlib.ExitStack() as stack:
        for socket in sockets:
            stack.enter_context(socket)
        post(locked, "/logout", {}, bearer(tokens[2]))
        log_in(locked)
        log_in(locked)  # ends the session of the first
        for socket in sockets[:2]:
            with pytest.raises(ConnectionClosed):
                while True:
                    socket.recv()
            assert socket.close_code == 1008
        sockets[2].send('["GET", "wifi", []]')
        while "wifi/net/ip" not in sockets[2].recv():
            pass


def bearer(token):
    return f"Authorization: Bearer {token}"


def test_refused_logins_are_told(locked):
    for _ in range(6):
        post(locked, "/login", {"password": "guess"})
    assert locked.log().count("error wrong admin password from 127.0.0.1") == 5
    token = log_in_from(locked, "127.0.0.2")
    assert b"\nwebsock_logins_refused_total 6\n" in get(locked, "/metrics", bearer(token)).body


def log_in_from(image, address):
    connection = http.client.HTTPConnection(
        "127.0.0.1", image.http_port, source_address=(address, 0)
    )
    with contextlib.closing(connection):
        body = json.dumps({"password": PASSWORD})
        connection.request("POST", "/login", body, {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())["token"]


@pytest.mark.image(files={"admin.json": b'{"salt": "", "iterations": 4000, "hash": "'})
def test_a_damaged_password_locks(image):
    assert session(image) == {"password": True, "authenticated": False, "right": None}
    answer = post(image, "/login", {"password": PASSWORD})
    assert (answer.status, answer.body) == (
        403,
        b"the password is damaged: start the device with BOOT held\n",
    )
    assert post(image, "/password", {"new": PASSWORD, "current": PASSWORD}).status == 401
    assert get(image, "/").status == 303
    assert "admin.json can't be used: the device is locked" in image.log()


def test_first_passwords_at_once_have_one_winner(image):
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(Connection(image.http_port)) for _ in range(4)]
        for n, connection in enumerate(connections):
            body = json.dumps({"new": f"password {n}"}).encode()
            head = f"POST /password HTTP/1.1\r\nHost: 127.0.0.1\r\n{JSON}\r\n"
            connection.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:-1])
        # They have come in, and no password is set yet.
        assert session(image)["password"] is False
        for connection in connections:
            connection.send(b"}")
        statuses = [connection.read_response().status for connection in connections]
    # 400: it has come when another was set, and lacks the current one.
    assert statuses.count(200) == 1 and all(status in (200, 400, 409) for status in statuses)
    log_in(image, f"password {statuses.index(200)}")


def test_log_lines_are_printable(image):
    with websockets.sync.client.connect(image.ws + "/%1b") as client:
        client.recv()
        client.send(json.dumps(["CMD", "test_new_sta", ["\x1b[2J\x9b31m\x7f\u202e", "12345678"]]))
        while "not found" not in (text := client.recv()) and "error" not in text:
            pass
    lines = json.loads(get(image, "/api/log").body)["log"]
    assert any("Testing network \\x1b[2J\\x9b31m\\x7f" in line for line in lines)
    assert not any(c < " " or "\x7f" <= c <= "\x9f" for line in lines for c in line)
    assert "\x1b" not in image.log()


# API tokens


def make_token(image, session, name, right):
    bearer = f"Authorization: Bearer {session}"
    answer = post(image, "/api/tokens", {"name": name, "right": right}, bearer)
    assert answer.status == 201, answer
    assert answer.headers["cache-control"] == "no-store"
    return f"Authorization: Bearer {json.loads(answer.body)['token']}"


def ask(image, header, *commands):
    """What each command is answered with, "" for no error: by REST and by both WebSockets."""
    answers = []
    for command in commands:
        answer = post(image, "/api/command", command, header)
        answers.append(json.loads(answer.body).get("error", ""))
    name, value = header.split(": ")
    for url in (image.ws + "/", image.http.replace("http", "ws") + "/ws"):
        with websockets.sync.client.connect(url, additional_headers={name: value}) as client:
            json.loads(client.recv())
            for command, answer in zip(commands, answers, strict=True):
                client.send(json.dumps(command))
                client.send(json.dumps(["GET", "log"]))
                messages = []
                while not messages or "log" not in messages[-1]:
                    messages.append(json.loads(client.recv()))
                errors = [message["error"] for message in messages if "error" in message]
                assert errors == ([answer] if answer else []), (url, command)
    return answers


# A command for each right from read on.
COMMANDS = (
    ["GET", "state"],
    ["CMD", "start_interface"],
    ["CMD", "set", ["device/dev", "x"]],
    ["CMD", "set", ["home/rights", "control"]],
)


@pytest.mark.parametrize("right", ["read", "control", "settings", "admin"])
def test_a_token_may_do_what_its_right_says(locked, right):
    header = make_token(locked, log_in(locked), "one", right)
    rights = ["read", "control", "settings", "admin"]
    enough = [rights.index(right) >= n for n in range(4)]
    assert session(locked, header)["right"] == right
    refused = [error for error in ask(locked, header, *COMMANDS) if error]
    assert [error.rpartition(" ")[2] for error in refused] == rights[sum(enough) :]
    for path in ("/", "/metrics", "/api/state", "/api/log"):
        assert get(locked, path, header).status == 200, path
    assert "version" in json.loads(get(locked, "/health", header).body)
    is_admin = right == "admin"
    assert get(locked, "/api/tokens", header).status == (200 if is_admin else 403)
    assert get(locked, "/api/%74okens", header).status == (200 if is_admin else 403)
    with Connection(locked.http_port) as connection:
        answer = connection.get("/api/www/a", header, method="PUT", body=b"x")
        assert answer.status == (201 if is_admin else 403)
        if not is_admin:
            assert answer.body == b"this takes the right admin\n"
            assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
    more = post(locked, "/api/tokens", {"name": "two", "right": "admin"}, header)
    assert more.status == (201 if is_admin else 403)
    changed = post(locked, "/password", {"new": "x" * 8, "current": "wrong horse"}, header)
    assert changed.status == (401 if is_admin else 403)


def test_a_revoked_token_is_void_at_once_and_later(image, locked):
    admin = f"Authorization: Bearer {log_in(image)}"
    kept = make_token(image, admin.rpartition(" ")[2], "kept", "read")
    gone = make_token(image, admin.rpartition(" ")[2], "to be gone", "control")
    listed = json.loads(get(image, "/api/tokens", admin).body)["tokens"]
    assert listed == [
        {"name": "kept", "right": "read"},
        {"name": "to be gone", "right": "control"},
    ]
    name, value = gone.split(": ")
    other, other_value = kept.split(": ")
    with (
        websockets.sync.client.connect(image.ws, additional_headers={name: value}) as client,
        websockets.sync.client.connect(image.ws, additional_headers={other: other_value}) as stays,
        Connection(image.http_port) as connection,
    ):
        revoked = connection.get("/api/tokens/to%20be%20gone", admin, method="DELETE")
        assert revoked.status == 204
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                client.recv()
        assert closed.value.rcvd.code == 1008
        stays.ping().wait(10)
        assert connection.get("/api/tokens/nobody", admin, method="DELETE").status == 404
    assert get(image, "/metrics", gone).status == 401
    # The password's end doesn't end the tokens.
    assert set_password(image, "another horse", PASSWORD, admin).status == 200
    assert get(image, "/metrics", kept).status == 200
    # A restart brings neither back what was revoked, nor takes what wasn't.
    image.restart()
    assert get(image, "/metrics", kept).status == 200
    assert get(image, "/metrics", gone).status == 401


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("POST", "/api/command", ["CMD", "factory_reset"]),
        ("POST", "/api/tokens", {"name": "mine", "right": "admin"}),
        ("PUT", "/api/www/pages/mine.html", "anything"),
    ],
)
def test_who_is_shut_out_while_a_request_comes(image, method, path, content):
    body = json.dumps(content).encode()
    with Connection(image.http_port) as connection:
        connection.send(
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{JSON}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body[:9]
        )
        assert get(image, "/health").status == 200  # it has arrived
        assert set_password(image).status == 200
        connection.send(body[9:])
        assert connection.read_response().status == 401
    assert not list(image.data.rglob("pages"))


def test_tokens_that_are_refused(image):
    no_password = post(image, "/api/tokens", {"name": "a", "right": "read"})
    assert (no_password.status, no_password.body) == (409, b"set a password first\n")
    set_password(image)
    admin = f"Authorization: Bearer {log_in(image)}"
    for fields in (
        {},
        [],
        {"name": "a"},
        {"name": "", "right": "read"},
        {"name": "a/b", "right": "read"},
        {"name": "a", "right": "root"},
        {"name": "a", "right": 1},
    ):
        assert post(image, "/api/tokens", fields, admin).status == 400, fields
    assert post(image, "/api/tokens", {"name": "a", "right": "read"}).status == 401
    make_token(image, admin.rpartition(" ")[2], "a", "read")
    assert post(image, "/api/tokens", {"name": "a", "right": "read"}, admin).status == 409
    # A factory reset leaves none.
    assert (image.data / "tokens.json").exists()
    post(image, "/api/command", ["CMD", "factory_reset"], admin)
    image.wait_ready()
    assert not list(image.data.glob("tokens*"))


# Requests that another site's page makes a browser send


FOREIGN = ["Origin: http://evil.example", "Origin: null", "Referer: http://evil.example/page"]


@pytest.mark.parametrize("header", [*FOREIGN, "Sec-Fetch-Site: cross-site"])
def test_other_sites_change_nothing(image, header):
    assert post(image, "/password", {"new": PASSWORD}, header).status == 403
    assert post(image, "/api/command", ["CMD", "reboot"], header).status == 403
    assert post(image, "/login", {"password": "x"}, header).status == 403
    with Connection(image.http_port) as connection:
        assert connection.get("/api/www/a", header, method="PUT", body=b"x").status == 403
    assert get(image, "/api/state", header).status == 200
    assert session(image) == {"password": False, "authenticated": True, "right": "admin"}


@pytest.mark.parametrize("header", FOREIGN[:2])
def test_other_sites_get_no_websocket(image, header):
    for port in (image.http_port, image.ws_port):
        with Connection(port) as connection:
            assert connection.upgrade("/ws", header).status == 403


def test_own_page_may(image):
    for header in (
        "Origin: http://127.0.0.1",
        "Referer: http://127.0.0.1/",
        "Sec-Fetch-Site: none",
    ):
        assert post(image, "/api/command", ["GET", "wifi"], header).status == 200


# As on a chip, where only who is on its own access point may set the first password.
OUTSIDE = """
import asyncio

import board
from device.device import Device

board.trusted = lambda peer: False


async def app_main(config):
    await Device(config).run()
"""


def test_who_comes_from_outside_is_told_how_the_device_is_set_up(make_image):
    image = make_image(files={"app.json": {"app": "outside"}, "outside.py": OUTSIDE})
    page = get(image, "/")
    assert (page.status, page.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert b"<h1>This device is not set up yet</h1>" in page.body
    assert b"192.168.4.1" in page.body and page.headers["cache-control"] == "no-store"
    # Programs get text, and nobody sets the first password from there.
    state = get(image, "/api/state")
    assert (state.status, state.headers["content-type"]) == (403, "text/plain; charset=utf-8")
    assert set_password(image, "password of a stranger").status == 403
    assert not (image.data / "admin.json").exists()
