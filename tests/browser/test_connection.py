"""The connection goes and comes back by itself, and the page says how it is."""

import contextlib
import json
import re
import signal

import pytest
import websockets.sync.client
from playwright.sync_api import expect

from browser.page import FAKE, NAMED, card, received, row, start, status, stop_time
from support import DEADLINE

# Milliseconds after which a silent device is asked, and then given up.
QUIET = 10_000
ANSWER = 2_500


@pytest.fixture
def fixed_ports(image):
    """The image, with the ports of its first start kept for the next ones."""
    for option, port in (("--http-port", image.http_port), ("--ws-port", image.ws_port)):
        image.command[image.command.index(option) + 1] = str(port)
    return image


@pytest.mark.image(files=NAMED)
def test_page_reconnects_to_fresh_state(fixed_ports, open_page):
    image = fixed_ports
    page = open_page(image)
    start(page)
    field = card(page, FAKE).get_by_label("Message")
    field.fill("typed before")

    image.stop()
    expect(status(page)).to_have_text(re.compile(r"Connection lost; trying again in \d+ s"))
    expect(page.get_by_role("button", name="Try now")).to_be_visible()
    expect(card(page, FAKE).get_by_role("button", name="Send")).to_be_disabled()
    expect(card(page, FAKE).get_by_text("Not connected")).to_be_visible()
    for name in ("Scan", "Test", "Save", "Reboot…", "Factory reset…"):
        expect(page.get_by_role("button", name=name, exact=True)).to_be_disabled()
    field.press("Enter")
    expect(field).to_have_value("typed before")

    image.write("network.json", {"device": {"iam": "bench-8", "dev": "tester"}})
    image.start()
    expect(status(page)).to_have_text("Connected")
    expect(page.get_by_role("button", name="Try now")).to_be_hidden()
    expect(page.get_by_role("heading", level=1)).to_have_text("bench-8")
    expect(card(page, FAKE).locator(".badge")).to_have_text("Running")
    start(page)
    card(page, FAKE).get_by_role("button", name="Send").click()
    expect(received(page)).to_contain_text("TYPED BEFORE")


def test_try_now_does_not_wait(fixed_ports, open_page):
    page = open_page(fixed_ports, before=lambda page: page.clock.install())
    stop_time(page)
    expect(status(page)).to_have_text("Connected")
    fixed_ports.stop()
    expect(status(page)).to_contain_text("Connection lost; trying again")
    fixed_ports.start()
    page.get_by_role("button", name="Try now").click()
    expect(status(page)).to_have_text("Connected")


def test_waits_grow_to_15_s(fixed_ports, open_page):
    page = open_page(fixed_ports, before=lambda page: page.clock.install())
    stop_time(page)
    expect(status(page)).to_have_text("Connected")
    fixed_ports.stop()
    waits = []
    for attempt in range(12):
        expect(status(page)).to_contain_text("trying again in")
        waits.append(int(re.search(r"in (\d+) s", status(page).inner_text())[1]))
        most = min(2**attempt, 15)
        # Shown in whole seconds, rounded up.
        assert most / 2 <= waits[-1] <= most
        page.evaluate("document.querySelector('#connection-retry').textContent = ''")
        page.get_by_role("button", name="Try now").click()
    assert len(set(waits[-8:])) > 1, "no jitter: a fleet of pages would come back at once"


@pytest.mark.parametrize("event", ["online", "visibilitychange"])
def test_a_half_dead_connection_is_noticed(image, open_page, event):
    page = open_page(image)
    image.send_signal(signal.SIGSTOP)
    try:
        target = "document" if event == "visibilitychange" else "window"
        page.evaluate(f"{target}.dispatchEvent(new Event('{event}'))")
        expect(status(page)).to_contain_text("Connection lost")
    finally:
        image.send_signal(signal.SIGCONT)
    expect(status(page)).to_have_text("Connected")


@pytest.mark.parametrize("alive", [True, False], ids=["alive", "hung"])
def test_a_quiet_device_is_asked_for_a_sign_of_life(image, open_page, alive):
    sent = []

    def watch(page):
        page.clock.install()
        page.on("websocket", lambda socket: socket.on("framesent", lambda data: sent.append(data)))

    page = open_page(image, before=watch)
    expect(row(page, "Identity", "Device ID")).not_to_have_text("–")
    expect(card(page, FAKE)).to_be_visible()
    # The last that it sends by itself.
    while not any("set_time" in message for message in sent):
        page.evaluate("0")
    if not alive:
        image.send_signal(signal.SIGSTOP)
    try:
        sent.clear()
        page.clock.run_for(QUIET)
        assert [json.loads(message) for message in sent] == [["GET", "state", []]]
        if alive:
            start(page)
        page.clock.run_for(ANSWER)
        expect(status(page)).to_contain_text("Connected" if alive else "Connection lost")
    finally:
        image.send_signal(signal.SIGCONT)
    expect(status(page)).to_have_text("Connected")


def test_an_update_leaves_focus_and_text_alone(image, open_page):
    page = open_page(image)
    start(page)
    field = card(page, FAKE).get_by_label("Message")
    field.fill("half a sen")
    with websockets.sync.client.connect(image.ws) as client:
        client.send('["CMD", "set", ["device/dev", "changed"]]')
        expect(row(page, "Identity", "Device type")).to_have_text("changed")
    expect(field).to_be_focused()
    expect(field).to_have_value("half a sen")


def test_page_loads_while_websockets_hold_every_other_place(make_image, open_page):
    image = make_image(files={"app.json": {"limits": {"connections": 5}}})
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(websockets.sync.client.connect(image.ws)) for _ in range(3)]
        page = open_page(image)
        expect(status(page)).to_have_text("Connected")
        for client in clients:
            assert client.ping().wait(DEADLINE)


@pytest.mark.parametrize(
    "without",
    ["window.WebSocket = undefined;", "window.WebSocket = class { constructor() { throw 1; } };"],
)
def test_without_websocket_the_page_works_by_requests(image, open_page, without):
    page = open_page(image, connected=False, before=lambda page: page.add_init_script(without))
    expect(status(page)).to_have_text("Connected, without live updates")
    start(page)
    card(page, FAKE).locator(".switch").click()
    expect(card(page, FAKE).locator(".badge")).to_have_text("Stopped")
    with websockets.sync.client.connect(image.ws) as client:
        client.send('["CMD", "start_interface"]')
    expect(card(page, FAKE).locator(".badge")).to_have_text("Running")
    page.get_by_role("button", name="Scan").click()
    expect(page.get_by_role("list", name="Networks found")).to_be_visible()
