"""A device as a technician has it: the first start, a power cut in the middle, and again."""

import re

import pytest
from playwright.sync_api import expect

from browser.page import card, row, start, status

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
PASSWORD = "a good password"

AIR = {"networks": [{"ssid": "workshop", "password": "correct-horse", "rssi": -48}]}
SIGNALS = {"34": {"mv": [500, 2000], "period_s": 4}, "35": {"hz": 40}}


def add(page, kind, **fields):
    page.get_by_role("button", name="Add interface…").click()
    form = page.locator("#new-interface")
    form.get_by_label("Kind").select_option(label=kind)
    for label, value in fields.items():
        field = form.get_by_label(label.replace("_", " "), exact=True)
        if field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(label=value)
        else:
            field.fill(value)
    form.get_by_role("button", name="Save").click()
    start(page, fields["Title"])


def cut_power(image):
    """End it as a power cut does, and start it again at the same ports."""
    for option, port in (("--http-port", image.http_port), ("--ws-port", image.ws_port)):
        image.command[image.command.index(option) + 1] = str(port)
    image.kill()
    image.start()


def log_in(page):
    page.wait_for_url("**/login")
    page.get_by_role("textbox", name="Admin password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(status(page)).to_have_text("Connected")


def expect_measuring(page):
    for title in ("Tank", "Flow"):
        start(page, title)
    shown = row(page, "Tank", "Value").inner_text()
    expect(row(page, "Tank", "Value")).to_contain_text(re.compile(r"\d mV"))
    expect(row(page, "Tank", "Value")).not_to_have_text(shown)
    expect(row(page, "Flow", "Frequency")).to_contain_text(re.compile(r"^\d\d\.\d Hz"))


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.image(files={"wifi_sim.json": AIR, "gpio_sim.json": SIGNALS})
def test_all_of_it_is_set_up_on_the_page_and_runs_by_itself(image, open_page, viewport):
    page = open_page(image, viewport=viewport)
    setup = page.get_by_role("region", name="Set up this device")
    setup.get_by_label("Name of the device").fill("pump-7")
    setup.get_by_role("button", name="Save name").click()
    expect(setup.get_by_text("Give it a name – done")).to_be_visible()
    add(page, "Analog input", Name="tank", Title="Tank", Pin="34", Period_ms="100")

    cut_power(image)

    # The page comes back by itself, and with it what was saved.
    expect(status(page)).to_have_text("Connected")
    start(page, "Tank")
    expect(row(page, "Identity", "Device ID")).to_have_text("pump-7")
    expect(setup.get_by_text("Give it a name – done")).to_be_visible()
    add(page, "Pulse counter", Name="flow", Title="Flow", Pin="35")
    add(page, "GPIO", Name="pump", Title="Pump", Pin="4", Initial="1")
    setup.get_by_role("button", name="Choose the network").click()
    page.get_by_label("Network name (SSID)").fill("workshop")
    page.get_by_label("Password", exact=True).fill("correct-horse")
    page.get_by_role("button", name="Save and connect").click()
    expect(setup.get_by_text("Connect it to the site's Wi-Fi – done")).to_be_visible()
    setup.get_by_label("New admin password").fill(PASSWORD)
    setup.get_by_role("button", name="Set password").click()
    expect(setup).to_be_hidden()
    expect(status(page)).to_have_text("Connected")

    cut_power(image)

    log_in(page)
    expect_measuring(page)
    expect(row(page, "Identity", "Device ID")).to_have_text("pump-7")
    expect(row(page, "Stored settings", "Stored network")).to_have_text("workshop")
    pump = card(page, "Pump").get_by_role("button", name="On", exact=True)
    expect(pump).to_have_attribute("aria-pressed", "true")
    wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert not wide
