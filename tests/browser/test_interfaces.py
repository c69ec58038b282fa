"""Interface cards: start, stop, send, and what every open page receives."""

import json

import pytest
from playwright.sync_api import expect
from websockets.sync.client import connect

from browser.page import FAKE, card, log, received, row, send, start, stop
from support import wait_until


def test_echo_arrives_in_every_open_page(image, open_page):
    one, other = open_page(image), open_page(image)
    start(one)
    expect(card(other, FAKE).locator(".badge")).to_have_text("Running")
    send(one, "hello, Straße ✓")
    for page in (one, other):
        expect(received(page)).to_have_count(1)
        expect(received(page)).to_contain_text("HELLO, ")
    expect(card(one, FAKE).get_by_label("Message")).to_have_value("")


def test_send_waits_for_the_interface_and_says_so(image, open_page):
    page = open_page(image)
    fake = card(page, FAKE)
    stop(page)
    expect(fake.locator(".badge")).to_have_text("Stopped")
    expect(fake.get_by_role("button", name="Send")).to_be_disabled()
    expect(fake.get_by_text("Start the interface to send.")).to_be_visible()
    fake.get_by_role("button", name="Start").click()
    expect(fake.get_by_role("button", name="Send")).to_be_enabled()
    expect(fake.get_by_text("Start the interface to send.")).to_be_hidden()
    fake.get_by_role("button", name="Stop").click()
    expect(fake.get_by_role("button", name="Send")).to_be_disabled()


def test_enter_sends(image, open_page):
    page = open_page(image)
    start(page)
    field = card(page, FAKE).get_by_label("Message")
    field.fill("by keyboard")
    field.press("Enter")
    expect(received(page)).to_contain_text("BY KEYBOARD")


def test_messages_are_text_not_markup(image, open_page):
    page = open_page(image)
    start(page)
    markup = "<img src=x onerror=alert(1)>"
    send(page, markup)
    expect(received(page)).to_contain_text(markup.upper())
    expect(received(page).locator("img")).to_have_count(0)


def test_the_newest_100_messages_are_kept(image, open_page):
    page = open_page(image)
    start(page)
    with connect(image.ws) as client:
        for number in range(130):
            client.send(json.dumps(["CMD", "send_message", [f"n{number}"]]))
            while "fake_interface/msg" not in json.loads(client.recv()):
                pass
    expect(received(page).last).to_contain_text("N129")
    expect(received(page)).to_have_count(100)
    expect(received(page).first).to_contain_text("N30")
    bottom = "log => log.scrollHeight - log.scrollTop - log.clientHeight"
    assert received(page).locator("..").first.evaluate(bottom) < 8


def test_an_error_is_shown_beside_the_control_and_in_the_log(image, open_page):
    page = open_page(image)
    start(page)
    # Within the page's own bound of characters, beyond the device's of bytes.
    send(page, "ü" * 1000)
    note = card(page, FAKE).locator("> .note")
    expect(note).to_have_text("a message must not be longer than 1024 bytes")
    expect(log(page)).to_contain_text(note.inner_text())


def interfaces(*entries):
    return {"app.json": {"interfaces": list(entries)}}


@pytest.mark.image(files=interfaces({"name": "relay", "type": "gpio", "title": "Relay", "pin": 4}))
def test_pin_is_switched(image, open_page):
    page, other = open_page(image), open_page(image)
    relay = card(page, "Relay")
    stop(page, "Relay")
    expect(relay.get_by_role("button", name="On", exact=True)).to_be_disabled()
    relay.get_by_role("button", name="Start").click()
    start(page, "Relay")
    relay.get_by_role("button", name="On", exact=True).click()
    for view in (page, other):
        expect(row(view, "Relay", "Value")).to_have_text("On")
        expect(card(view, "Relay").get_by_role("button", name="On", exact=True)).to_have_attribute(
            "aria-pressed", "true"
        )
    relay.get_by_role("button", name="Toggle").click()
    expect(row(page, "Relay", "Value")).to_have_text("Off")
    expect(card(page, FAKE)).to_have_count(0)


@pytest.mark.image(
    files=interfaces(
        {"name": "door", "type": "gpio", "title": "Door", "pin": 34, "direction": "in"}
    )
)
def test_input_pin_shows_its_level_and_takes_nothing(image, open_page):
    page = open_page(image)
    start(page, "Door")
    expect(row(page, "Door", "Value")).to_have_text("Off")
    (image.data / "gpio_sim.json").write_text('{"34": 1}')
    expect(row(page, "Door", "Value")).to_have_text("On")
    expect(card(page, "Door").get_by_role("button", name="Toggle")).to_be_hidden()


@pytest.mark.image(files=interfaces({"name": "meter", "type": "uart", "title": "Power meter"}))
def test_serial_line(image, open_page):
    page = open_page(image)
    start(page, "Power meter")
    path = wait_until(lambda: (image.data / "uart1.pty").exists() and image.data / "uart1.pty")
    with open(path.read_text().strip(), "r+b", buffering=0) as line:
        send(page, "READ?", "Power meter")
        assert line.readline() == b"READ?\n"
        line.write(b"12.5 kWh\r\n")
        expect(received(page, "Power meter")).to_contain_text("12.5 kWh")
        # Who comes later sees it too.
        expect(received(open_page(image), "Power meter")).to_contain_text(["12.5 kWh"])


@pytest.mark.image(files=interfaces({"name": "lamp", "type": "gpio", "title": "Lamp", "pin": 34}))
def test_interface_that_cannot_be_made_has_a_card(image, open_page):
    page = open_page(image)
    lamp = card(page, "lamp")
    expect(lamp.locator(".badge")).to_have_text("Error")
    expect(lamp.locator(".problem")).to_contain_text("GPIO 34 is an input only")
    expect(lamp.locator(".switch")).to_be_hidden()
    expect(lamp.get_by_role("button", name="On", exact=True)).to_have_count(0)


FAILING = """
import asyncio
from interfaces.base import Interface

class Sensor(Interface):
    title = "Sensor"
    VALUES = (("celsius", "°C", 1, -20, 30),)

    async def run(self):
        self.emit("celsius", 35.04)
        await asyncio.sleep_ms(200)
        raise OSError("no answer")
"""


@pytest.mark.image(
    files={**interfaces({"name": "room", "type": "sensor.Sensor"}), "sensor.py": FAILING}
)
def test_interface_that_fails_says_why_since_when_and_how_old_its_values_are(image, open_page):
    page = open_page(image)
    room = card(page, "Sensor")
    expect(room.locator(".problem")).to_contain_text("OSError: no answer – since")
    expect(room.locator(".problem")).to_contain_text("next try in")
    expect(row(page, "Sensor", "Celsius")).to_contain_text("35.0 °C")
    expect(row(page, "Sensor", "Celsius")).to_contain_text("out of range")
    expect(room.locator("dd.stale")).to_contain_text("old")
    stop(page, "Sensor")
    expect(room.locator(".problem")).not_to_contain_text("next try")
