"""Which names the device answers to: pages of other sites can have theirs lead here."""

import pytest

from raw import Connection
from test_auth import PASSWORD, post, set_password

IAM = {"device": {"iam": "Pump-1"}}
OWN = [
    "127.0.0.1",
    "127.0.0.1:8080",
    "192.168.4.1",
    "[::1]",
    "[fe80::1]:80",
    "localhost",
    "LOCALHOST:8080",
    "pump-1",
    "Pump-1.local",
    "pump-1.local.:80",
    "kiosk.example.com",
]
OTHERS = [
    "evil.example.com",
    "pump-1.example.com",
    "1.2.3.4.example.com",
    "local",
    "pump-1.lan",
    "x",
]
FILES = {"network.json": IAM, "app.json": {"http": {"names": ["Kiosk.example.com"]}}}

pytestmark = pytest.mark.image(files=FILES)


def status(image, path, host, port=None, **options):
    with Connection(port or image.http_port) as connection:
        return connection.get(path, host=host, **options).status


def upgrade(port, host):
    with Connection(port) as connection:
        connection.send(
            f"GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Origin: http://{host}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        return connection.read_response().status


@pytest.mark.parametrize("locked", [False, True], ids=["open", "locked"])
def test_own_names_only(image, locked):
    if locked:
        set_password(image)
    for host in OWN:
        assert status(image, "/health", host) == 200, host
        assert upgrade(image.http_port, host) == (401 if locked else 101), host
        assert upgrade(image.ws_port, host) == (401 if locked else 101), host
    for host in OTHERS:
        for path in ("/", "/health", "/static/app.js", "/api/session", "/nothing"):
            assert status(image, path, host) == 421, (host, path)
        assert status(image, "/api/command", host, method="POST", body=b"[]") == 421
        assert upgrade(image.http_port, host) == 403, host
        assert upgrade(image.ws_port, host) == 403, host


def test_another_site_cannot_set_the_password(image):
    body = b'{"new": "long enough"}'
    kind = "Content-Type: application/json"
    origin = "Origin: http://evil.example.com"
    with Connection(image.http_port) as connection:
        answer = connection.get(
            "/password", kind, origin, method="POST", body=body, host="evil.example.com"
        )
    assert answer.status == 421
    assert answer.body.startswith(b"not a name of this device")
    assert set_password(image).status == 200


def test_a_client_without_host_is_no_browser(image):
    with Connection(image.http_port) as connection:
        connection.send(b"GET /health HTTP/1.0\r\n\r\n")
        assert connection.read_response().status == 200


@pytest.mark.image(
    files={"wifi_sim.json": {"clients": ["127.0.0.1"]}, "app.json": {}, "network.json": IAM}
)
def test_on_the_access_point_other_names_lead_to_the_page(image):
    for path in ("/", "/health", "/generate_204"):
        with Connection(image.http_port) as connection:
            answer = connection.get(path, host="evil.example.com")
        assert (answer.status, answer.headers["location"][:7]) == (302, "http://")
    assert status(image, "/login", "evil.example.com", method="POST", body=b"{}") == 421


PROXIED = {"http": {"names": ["kiosk.example.com"], "proxy": "127.0.0.1"}}


@pytest.mark.image(files={"app.json": PROXIED})
def test_behind_a_proxy_the_host_is_the_one_that_was_asked_for(image):
    for forwarded, expected in (("kiosk.example.com", 200), ("evil.example.com", 421)):
        with Connection(image.http_port) as connection:
            answer = connection.get("/health", f"X-Forwarded-Host: {forwarded}")
        assert answer.status == expected
    # The page's own requests are those of the proxy's name.
    fields = ("X-Forwarded-Host: kiosk.example.com", "Origin: https://kiosk.example.com")
    assert set_password(image, PASSWORD, None, *fields).status == 200


@pytest.mark.image(files={"app.json": PROXIED})
def test_behind_a_proxy_one_client_does_not_lock_the_others_out(image):
    set_password(image)

    def attempt(client, password):
        return post(
            image, "/login", {"password": password}, f"X-Forwarded-For: 1.1.1.1, {client}"
        ).status

    while attempt("10.0.0.1", "wrong") != 429:
        pass
    assert attempt("10.0.0.1", PASSWORD) == 429
    assert attempt("10.0.0.2", PASSWORD) == 200


@pytest.mark.image(files={"app.json": {"http": {"names": "kiosk.example.com"}}})
def test_names_are_a_list(image):
    assert "http/names must be a list of at most 8 names" in image.log()
    assert status(image, "/health", "kiosk.example.com") == 421
