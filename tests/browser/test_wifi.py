"""Wi-Fi: what is shown, and the way from a scan to a stored network."""

import re

import pytest
from playwright.sync_api import expect

from browser.page import ask, card, log, row, scan, status

AIR = [
    {"ssid": "workshop", "password": "correct-horse", "rssi": -48, "channel": 6},
    {"ssid": "guest", "rssi": -61},
    {"ssid": "workshop", "password": "correct-horse", "rssi": -70, "channel": 11},
    {"ssid": "<img src=x onerror=alert(1)>", "rssi": -80},
    {"ssid": "", "rssi": -90, "hidden": True},
]


def air(networks):
    """The simulator's file; joining takes no longer than it must."""
    return {"delay_ms": 50, "networks": networks}


def enter(page, ssid, password=""):
    page.get_by_label("Network name (SSID)").fill(ssid)
    page.get_by_label("Password", exact=True).fill(password)


def run_test(page):
    page.get_by_role("button", name="Test", exact=True).click()


def test_interfaces_are_shown(image, open_page):
    page = open_page(image)
    expect(card(page, "Access point").locator(".badge")).to_have_text("On")
    expect(row(page, "Access point", "Network")).not_to_have_text("–")
    expect(card(page, "Station").locator(".badge")).to_have_text("Not connected")
    expect(row(page, "Station", "MAC")).to_have_text(re.compile("([0-9A-F]{2}:){5}[0-9A-F]{2}"))
    expect(row(page, "Stored settings", "Stored network")).to_have_text("None")


@pytest.mark.image(files={"wifi_sim.json": air(AIR)})
def test_scan_lists_each_network_once_by_strength(image, open_page):
    page = open_page(image)
    networks = scan(page).get_by_role("button")
    expect(networks).to_have_text(
        [
            re.compile("workshop.*Secured, −48 dBm"),
            re.compile("guest.*Open, −61 dBm"),
            re.compile("<img src=x onerror=alert\\(1\\)>.*Open, −80 dBm"),
        ]
    )
    networks.first.click()
    expect(page.get_by_label("Network name (SSID)")).to_have_value("workshop")
    expect(page.get_by_label("Password", exact=True)).to_be_focused()
    expect(networks.first).to_have_attribute("aria-pressed", "true")


@pytest.mark.image(files={"wifi_sim.json": air([])})
def test_scan_that_finds_nothing_says_so(image, open_page):
    page = open_page(image)
    page.get_by_role("button", name="Scan").click()
    expect(card(page, "Stored settings").get_by_text("No networks found.")).to_be_visible()
    expect(page.get_by_role("button", name="Scan")).to_be_enabled()


@pytest.mark.image(files={"wifi_sim.json": air(AIR)})
def test_test_tells_success_and_the_reason_of_a_failure(image, open_page):
    page = open_page(image)
    result = page.locator("#test")
    expect(result).to_be_hidden()
    expect(page.get_by_role("button", name="Test", exact=True)).to_have_accessible_description(
        re.compile("may leave the network.*returns to the stored one")
    )

    enter(page, "workshop", "wrong-horse")
    run_test(page)
    expect(result).to_have_text(re.compile("Fail\\s+wrong password"))
    enter(page, "nowhere", "wrong-horse")
    run_test(page)
    expect(result).to_have_text(re.compile("Fail\\s+network not found"))
    enter(page, "workshop", "correct-horse")
    run_test(page)
    expect(result).to_have_text(re.compile("Success\\s*$"))
    expect(row(page, "Stored settings", "Stored network")).to_have_text("None")


def save(page, ssid, password):
    enter(page, ssid, password)
    page.get_by_role("button", name="Save", exact=True).click()


def expect_on_network(page, ssid):
    expect(card(page, "Station").locator(".badge")).to_have_text("Connected")
    expect(row(page, "Station", "Network")).to_have_text(ssid)
    expect(row(page, "Station", "IP address")).to_have_text(re.compile(r"\d+(\.\d+){3}"))


@pytest.mark.image(files={"wifi_sim.json": air(AIR)})
def test_first_network_is_chosen_saved_and_joined(image, open_page):
    page = open_page(image)
    scan(page).get_by_role("button", name="workshop").click()
    page.get_by_label("Password", exact=True).fill("correct-horse")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved; used from now on.")).to_be_visible()
    expect(row(page, "Stored settings", "Stored network")).to_have_text("workshop")
    expect_on_network(page, "workshop")


@pytest.mark.image(
    files={
        "wifi_sim.json": air(AIR),
        "network.json": {"sta": {"ssid": "workshop", "pass": "correct-horse"}},
    }
)
def test_saved_network_is_used_after_the_reboot(image, open_page):
    page = open_page(image)
    expect_on_network(page, "workshop")
    save(page, "guest", "")
    expect(page.get_by_text("Saved; used after the next reboot.")).to_be_visible()
    expect(row(page, "Stored settings", "Stored network")).to_have_text("guest")
    expect_on_network(page, "workshop")

    ask(page, "Reboot…", "Restart")
    expect(log(page)).to_contain_text("Device is restarting")
    expect(status(page)).to_have_text("Connected")
    expect_on_network(page, "guest")


def test_password_that_cannot_be_is_refused(image, open_page):
    page = open_page(image)
    save(page, "workshop", "short")
    note = page.locator("#wifi-form").get_by_role("status").filter(has_text="password")
    expect(note).to_contain_text("8 to 63")
    expect(row(page, "Stored settings", "Stored network")).to_have_text("None")


def test_network_name_is_required(image, open_page):
    page = open_page(image)
    page.get_by_role("button", name="Save", exact=True).click()
    field = page.get_by_label("Network name (SSID)")
    expect(field).to_be_focused()
    assert not field.evaluate("field => field.validity.valid")


def test_password_is_hidden_until_shown(image, open_page):
    page = open_page(image)
    field = page.get_by_label("Password", exact=True)
    show = page.get_by_role("button", name="Show")
    expect(field).to_have_attribute("type", "password")
    show.click()
    expect(field).to_have_attribute("type", "text")
    expect(show).to_have_attribute("aria-pressed", "true")
    show.click()
    expect(field).to_have_attribute("type", "password")


@pytest.mark.image(
    files={
        "wifi_sim.json": {**air([AIR[0], AIR[1]]), "by_station": True},
        "network.json": {"sta": {"ssid": "workshop", "pass": "correct-horse"}},
    }
)
def test_page_that_is_cut_off_by_a_test_says_so_and_finds_the_result(image, open_page):
    page = open_page(image)
    expect(card(page, "Station").locator(".badge")).to_have_text("Connected")
    enter(page, "guest")
    run_test(page)
    expect(log(page)).to_contain_text("Device is testing another network")
    expect(status(page)).to_have_text("Connected")
    expect(row(page, "Station", "Network")).to_have_text("guest")


@pytest.mark.image(
    files={
        "wifi_sim.json": air(AIR[:2]),
        "network.json": {"sta": {"ssid": "guest", "pass": ""}},
    }
)
def test_save_and_connect_keeps_what_works(image, open_page):
    page = open_page(image)
    expect_on_network(page, "guest")
    expect(row(page, "Station", "Signal")).to_have_text(re.compile("−6. dBm"))
    enter(page, "workshop", "wrong-horse")
    page.get_by_role("button", name="Save and connect").click()
    expect(page.locator("#test")).to_have_text(re.compile("Fail\\s+wrong password"))
    expect_on_network(page, "guest")
    enter(page, "workshop", "correct-horse")
    page.get_by_role("button", name="Save and connect").click()
    expect(page.locator("#test")).to_have_text(re.compile("Success"))
    expect_on_network(page, "workshop")
    address = card(page, "Station").get_by_role("link")
    expect(address).to_have_attribute("href", re.compile(r"^http://[\d.]+/$"))
    # Both are stored, and change places.
    stored = page.get_by_role("list", name="Stored networks").get_by_role("listitem")
    expect(stored).to_contain_text(["workshop", "guest"])
    page.get_by_role("button", name="Up guest").click()
    expect(stored).to_contain_text(["guest", "workshop"])
    page.get_by_role("button", name="Forget guest").click()
    expect(stored).to_have_count(1)  # a list of texts may be a part of it
    expect(stored).to_contain_text("workshop")
    assert image.read_json("network.json")["sta"]["ssid"] == "workshop"


@pytest.mark.image(
    files={
        "wifi_sim.json": air(AIR[:2]),
        "network.json": {"sta": {"ssid": "workshop", "pass": "wrong-horse"}},
    }
)
def test_why_a_stored_network_fails_is_on_its_card(image, open_page):
    page = open_page(image)
    problem = card(page, "Stored settings").locator(".problem")
    expect(problem).to_have_text("Not connected: wrong password")
    enter(page, "workshop", "correct-horse")
    page.get_by_role("button", name="Save", exact=True).click()
    expect_on_network(page, "workshop")
    expect(problem).to_be_hidden()


@pytest.mark.image(files={"wifi_sim.json": air(AIR[:2])})
def test_first_start_is_one_card(image, open_page):
    page = open_page(image)
    setup = page.get_by_role("region", name="Set up this device")
    expect(page.get_by_text("it will answer nobody until one is set")).to_be_visible()
    setup.get_by_label("Name of the device").fill("pump 7")
    setup.get_by_role("button", name="Save name").click()
    expect(setup.get_by_text("must have only letters")).to_be_visible()
    setup.get_by_label("Name of the device").fill("pump-7")
    setup.get_by_role("button", name="Save name").click()
    expect(setup.get_by_text("Give it a name – done")).to_be_visible()
    setup.get_by_role("button", name="Choose the network").click()
    expect(page.get_by_label("Network name (SSID)")).to_be_focused()
    enter(page, "workshop", "correct-horse")
    page.get_by_role("button", name="Save and connect").click()
    expect(setup.get_by_text("Connect it to the site's Wi-Fi – done")).to_be_visible()
    setup.get_by_label("New admin password").fill("a good password")
    setup.get_by_role("button", name="Set password").click()
    expect(setup).to_be_hidden()
    expect(page.get_by_text("it will answer nobody until one is set")).to_be_hidden()
    expect(status(page)).to_have_text("Connected")
    assert image.read_json("network.json")["device"]["iam"] == "pump-7"
