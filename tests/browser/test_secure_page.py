"""The page over HTTPS, its WebSocket with it, and logging in with and without TLS."""

import urllib.request

import pytest
from playwright.sync_api import expect

from browser.page import FAKE, NAMED, received, row, send, start, status
from browser.test_login import PASSWORD, set_password
from certificates import Authority


@pytest.fixture
def files(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("authority"))
    authority.issue("server")
    return {**NAMED, **authority.files()}


@pytest.fixture
def secure(make_image, files):
    settings = {"http": {"names": ["device.test"]}}
    return make_image(files={**files, "app.json": settings}, args=["--https-port", "0"])


def secure_connections(image):
    with urllib.request.urlopen(image.http + "/metrics") as response:
        for line in response:
            if line.startswith(b"websock_secure_connections "):
                return int(line.split()[1])
    raise AssertionError("no such metric")


def test_page_and_its_web_socket(secure, open_page):
    sockets = []

    def listen(page):
        page.on("websocket", lambda socket: sockets.append(socket.url))

    page = open_page(secure, before=listen, secure=True)
    expect(page.get_by_role("heading", level=1)).to_have_text("bench-7")
    expect(row(page, "Identity", "Device type")).to_have_text("tester")
    start(page)
    send(page, "hello")
    expect(received(page, FAKE)).to_contain_text("HELLO")
    assert sockets == [f"wss://127.0.0.1:{secure.https_port}/ws"]
    assert secure_connections(secure) >= 1


def test_page_with_as_few_places_as_a_chip_has(make_image, files, open_page):
    files["app.json"] = {"limits": {"secure_connections": 2}}
    image = make_image(files=files, args=["--https-port", "0"])
    page = open_page(image, secure=True)
    page.reload()
    expect(status(page)).to_have_text("Connected")
    expect(page.get_by_role("heading", level=1)).to_have_text("bench-7")


def test_logging_in_with_tls_and_without(secure, open_page):
    page = open_page(secure, secure=True)
    https = f"https://device.test:{secure.https_port}"
    http = f"http://device.test:{secure.http_port}"
    page.goto(https)
    set_password(page)
    (cookie,) = page.context.cookies()
    assert cookie["secure"] and cookie["httpOnly"] and cookie["sameSite"] == "Strict"
    page.reload()
    expect(status(page)).to_have_text("Connected")
    # The same browser without TLS needs, and gets, a session of its own.
    page.goto(http)
    page.get_by_role("textbox", name="Admin password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(status(page)).to_have_text("Connected")
    assert len(page.context.cookies()) == 2
    page.goto(https)
    expect(status(page)).to_have_text("Connected")
    page.goto(https + "/login")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("textbox", name="Admin password")).to_be_visible()
    for address in (https, http):
        page.goto(address)
        expect(page.get_by_role("textbox", name="Admin password")).to_be_visible()


def test_redirect(make_image, files, open_page):
    files["app.json"] = {"https": {"redirect": True}}
    image = make_image(files=files, args=["--https-port", "0"])
    page = open_page(image, ignore_https_errors=True)
    assert page.url == image.https + "/"
