"""The relay's dashboard with real devices behind it: a technician's and a fleet owner's day."""

import json
import re
import urllib.request

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from browser import chromium
from browser.page import card, status
from support import free_port, wait_until

PASSWORD = "correct horse battery"


@pytest.fixture
def relay(make_relay):
    """A relay that knows no users, at ports that it has again after a restart."""
    ports = ("--device-port", free_port(), "--page-port", free_port())
    return make_relay("--history-s", "1", *ports)


def phoning(make_image, relay, name, **home):
    """An image that phones home by a name."""
    home = {"host": "127.0.0.1", "port": relay.device_port, "rights": "settings", **home}
    return make_image(
        files={
            "network.json": {"device": {"iam": name, "dev": "pump"}},
            "app.json": {"home": home, "interfaces": INTERFACES},
        }
    )


INTERFACES = [
    {"name": "fake_interface", "type": "echo"},
    {"name": "valve", "type": "gpio", "pin": 5, "direction": "out"},
]


def wait_for_history(relay, name, key):
    """Wait until there is something to be drawn; browsers complain of a chart that isn't there."""

    def there():
        with urllib.request.urlopen(f"{relay.http}/api/devices/{name}/history") as answer:
            return key in json.load(answer)["keys"]

    wait_until(there)


def row(page, name):
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def test_the_list_is_live(make_image, relay, open_page):
    page = open_page(relay)
    expect(page.get_by_text("No device has phoned home yet.")).to_be_visible()
    for name in ("pump-1", "pump-2", "tank-1"):
        image = phoning(make_image, relay, name)
    for name in ("pump-1", "pump-2", "tank-1"):
        expect(row(page, name).get_by_text("Connected")).to_be_visible()
        expect(row(page, name)).to_contain_text("pump")
    expect(page.locator("#count")).to_have_text("3 of 3 connected")
    image.kill()
    expect(row(page, "tank-1")).to_contain_text("Away for")
    expect(page.locator("#count")).to_have_text("2 of 3 connected")
    page.get_by_label("Search").fill("pump-")
    expect(page.locator("#devices tbody tr")).to_have_count(2)
    page.get_by_label("Search").fill("nothing like it")
    expect(page.get_by_text("No device matches.")).to_be_visible()
    page.get_by_label("Search").fill("")
    page.get_by_label("Show", exact=True).select_option("Not connected")
    expect(page.locator("#devices tbody tr")).to_have_count(1)
    expect(row(page, "tank-1")).to_be_visible()


def test_groups(make_image, relay, open_page):
    phoning(make_image, relay, "pump-1")
    phoning(make_image, relay, "pump-2")
    page = open_page(relay)
    page.get_by_role("link", name="pump-1", exact=True).click()
    expect(page.get_by_role("heading", name="pump-1")).to_be_focused()
    page.get_by_label("Names, by commas").fill("roof, north")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    page.get_by_label("Names, by commas").fill("x" * 41)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("a group has 1 to 40 characters")).to_be_visible()
    page.get_by_role("link", name="All devices").click()
    page.get_by_label("Group", exact=True).select_option("roof")
    expect(page.locator("#devices tbody tr")).to_have_count(1)
    expect(row(page, "pump-1")).to_be_visible()


def results(page):
    return page.get_by_role("list", name="Results").get_by_role("listitem")


def test_settings_for_many_devices_with_a_result_for_each(make_image, relay, open_page):
    first = phoning(make_image, relay, "pump-1")
    phoning(make_image, relay, "pump-2", rights="read")
    away = phoning(make_image, relay, "pump-3")
    page = open_page(relay)
    for name in ("pump-1", "pump-2", "pump-3"):
        expect(row(page, name).get_by_text("Connected")).to_be_visible()
    away.stop()
    expect(row(page, "pump-3")).to_contain_text("Away for")
    page.get_by_label("Choose all that are shown").check()
    form = page.get_by_role("form", name="To 3 devices")
    form.get_by_label("Setting", exact=True).fill("device/dev")
    form.get_by_label("Value").fill("tester")
    form.get_by_label("Devices that are away").select_option(
        "get it when they return within an hour"
    )
    form.get_by_role("button", name="Send").click()
    expect(results(page)).to_have_count(3)
    expect(results(page).filter(has_text="pump-1")).to_have_text("Donepump-1")
    expect(results(page).filter(has_text="pump-2")).to_contain_text("takes the right settings")
    expect(results(page).filter(has_text="pump-3")).to_contain_text("Waits")
    expect(form.get_by_text("Done: 1, Waits: 1, Failed: 1")).to_be_visible()
    assert first.read_json("network.json")["device"]["dev"] == "tester"
    expect(row(page, "pump-1")).to_contain_text("tester")
    page.get_by_role("link", name="pump-3", exact=True).click()
    expect(page.get_by_text("set device/dev tester, by anybody")).to_be_visible()
    # It returns, and has it.
    away.start()
    wait_until(lambda: away.read_json("network.json")["device"]["dev"] == "tester")
    page.get_by_role("link", name="All devices").click()
    expect(row(page, "pump-3")).to_contain_text("tester")
    # Who did it is written down.
    page.get_by_text("Who did what").click()
    expect(page.get_by_label("Who did what")).to_contain_text("CMD set device/dev, 3 devices")


def test_a_command_that_waits_is_taken_back(make_image, relay, open_page):
    image = phoning(make_image, relay, "pump-1")
    page = open_page(relay)
    expect(row(page, "pump-1").get_by_text("Connected")).to_be_visible()
    image.kill()
    expect(row(page, "pump-1")).to_contain_text("Away for")
    page.get_by_label("Choose pump-1").check()
    form = page.get_by_role("form", name="To pump-1")
    form.get_by_label("What").select_option("Restart")
    form.get_by_label("Devices that are away").select_option(
        "get it when they return within a day"
    )
    form.get_by_role("button", name="Send").click()
    expect(results(page)).to_contain_text(["Waits"])
    page.get_by_role("link", name="pump-1", exact=True).click()
    page.get_by_role("button", name="Take back").click()
    expect(page.get_by_text("reboot")).to_be_hidden()
    expect(page.locator("#waiting")).to_be_empty()
    # Forgotten, after a question.
    page.get_by_role("button", name="Forget this device").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Forget this device")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Forget", exact=True).click()
    expect(page.get_by_text("No device has phoned home yet.")).to_be_visible()


def test_the_devices_own_page_works_by_the_relay(make_image, relay, open_page):
    image = phoning(make_image, relay, "pump-1")
    page = open_page(relay)
    page.get_by_role("link", name="pump-1", exact=True).click()
    page.get_by_role("link", name="Open its page").click()
    expect(status(page)).to_have_text("Connected")
    expect(page.get_by_role("heading", name="pump-1")).to_be_visible()
    box = card(page, "Fake Interface Example")
    box.get_by_label("Message").fill("hello")
    box.get_by_role("button", name="Send").click()
    expect(box.locator(".lines")).to_contain_text("HELLO")
    valve = card(page, "GPIO")
    valve.get_by_role("button", name="On", exact=True).click()
    expect(valve.get_by_role("button", name="On", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    wait_for_history(relay, "pump-1", "valve/value")
    valve.get_by_text("Charts").click()
    expect(valve.locator("figure canvas")).to_be_visible()
    image.stop()
    expect(status(page)).to_contain_text("Device is busy")
    image.start()
    expect(status(page)).to_have_text("Connected")


def test_charts_and_csv(make_image, relay, open_page):
    phoning(make_image, relay, "pump-1")
    page = open_page(relay)
    expect(row(page, "pump-1").get_by_text("Connected")).to_be_visible()
    wait_for_history(relay, "pump-1", "valve/value")
    page.get_by_role("link", name="pump-1", exact=True).click()
    chart = page.locator("figure").filter(has_text="valve, value")
    expect(chart.locator("canvas")).to_be_visible()
    with page.expect_download() as download:
        chart.get_by_role("link", name="valve, value as CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0] == "time,seconds,valve/value"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ,\d+\.\d{3},0", lines[1])
    page.get_by_label("Time", exact=True).select_option("The last hour")
    expect(chart.locator("canvas")).to_be_visible()


def test_alerts(make_image, relay, open_page):
    image = phoning(make_image, relay, "pump-1")
    page = open_page(relay)
    expect(row(page, "pump-1").get_by_text("Connected")).to_be_visible()
    page.get_by_text("Alerts", exact=True).click()
    page.get_by_label("Name", exact=True).fill("lost")
    page.get_by_role("textbox", name="Devices").fill("pump-*")
    page.get_by_label("Seconds").fill("1")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("lost: pump-* offline for 1 s")).to_be_visible()
    page.get_by_label("When").select_option("a value is above")
    page.get_by_label("Name", exact=True).fill("open")
    page.get_by_role("textbox", name="Value").fill("valve/value")
    page.get_by_label("Bound").fill("0.5")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("open: pump-* valve/value above 0.5")).to_be_visible()
    page.get_by_label("Bound").fill("")
    page.get_by_role("button", name="Add").click()
    assert page.get_by_label("Bound").evaluate("each => !each.validity.valid")
    image.kill()
    expect(page.get_by_role("heading", name="An alert")).to_be_visible()
    expect(page.locator("#firing")).to_contain_text("pump-1: lost, since")
    image.start()
    expect(page.locator("#firing")).to_be_hidden()
    page.get_by_role("button", name="Remove lost").click()
    expect(page.locator("#rules li")).to_have_count(1)


def test_a_relay_that_is_killed_and_started_again(make_image, relay, open_page):
    for name in ("pump-1", "pump-2", "pump-3"):
        phoning(make_image, relay, name)
    page = open_page(relay)
    expect(page.locator("#count")).to_have_text("3 of 3 connected")
    relay.kill()
    expect(status(page)).to_have_text("Connection lost; trying again")
    relay.start()
    expect(status(page)).to_have_text("Connected")
    expect(page.locator("#count")).to_have_text("3 of 3 connected")


def test_users_log_in(make_image, relay, open_page):
    phoning(make_image, relay, "pump-1")
    relay.order("user", "ann", "--admin", text=PASSWORD + "\n")
    relay.order("user", "bob", "--verbs", "GET", "--devices", "tank-*", text=PASSWORD + "\n")

    def in_use():
        return page.goto(f"{relay.http}/").url.endswith("/login?next=")

    page = open_page(relay, connected=False)
    wait_until(in_use)
    page.get_by_label("Name").fill("ann")
    page.get_by_label("Password").fill("wrong password")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("the name or the password is wrong")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(row(page, "pump-1")).to_be_visible()
    # Back to what was asked for.
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.goto(f"{relay.http}/d/pump-1/")
    page.get_by_label("Name").fill("ann")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(status(page)).to_have_text("Connected")
    assert page.url == f"{relay.http}/d/pump-1/"

    other = open_page(relay, "/login", connected=False)
    other.get_by_label("Name").fill("bob")
    other.get_by_label("Password").fill(PASSWORD)
    other.keyboard.press("Enter")
    expect(status(other)).to_have_text("Connected")
    expect(other.locator("#count")).to_have_text("0 of 0 connected")
    expect(other.get_by_role("heading", name="Relay", level=2)).to_be_hidden()


VIEWPORTS = pytest.mark.parametrize("viewport", [chromium.DESK, chromium.PHONE])


@VIEWPORTS
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_look(make_image, relay, open_page, viewport, scheme):
    long_name = "a-device-with-the-longest-name-x"
    assert len(long_name) == 32
    phoning(make_image, relay, long_name)
    page = open_page(relay, viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    expect(row(page, long_name).get_by_text("Connected")).to_be_visible()
    page.get_by_label(f"Choose {long_name}").check()
    page.get_by_text("Alerts", exact=True).click()
    page.get_by_text("Who did what").click()
    check_look(page)
    page.get_by_role("link", name=long_name, exact=True).click()
    page.get_by_text("All it has told").click()
    expect(page.locator("#device-state")).to_contain_text("iam")
    check_look(page)
    relay.order("user", "ann", text=PASSWORD + "\n")
    page.goto(f"{relay.http}/login")
    check_look(page)


def check_look(page):
    found = Axe().run(page)
    assert found.response["violations"] == [], json.dumps(found.response["violations"], indent=1)
    too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(too_wide) == 0
    # WCAG 2.2's target size at least, but for links in a text.
    for control in page.locator("button:visible, input:visible, select:visible").all():
        box = control.bounding_box()
        assert box["height"] >= 24 - 2, control.evaluate("each => each.outerHTML")


def test_every_control_is_reached_by_tab(make_image, relay, open_page):
    phoning(make_image, relay, "pump-1")
    page = open_page(relay)
    expect(row(page, "pump-1").get_by_text("Connected")).to_be_visible()
    page.get_by_label("Choose pump-1").check()
    wanted = page.locator("button:visible, input:visible, select:visible, a:visible").count()
    page.locator("body").evaluate("each => { each.tabIndex = -1; each.focus(); }")
    seen = set()
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.outerHTML"))
    reached = "button, input, select, a"
    missing = [
        each.evaluate("each => each.outerHTML")
        for each in page.locator(reached).all()
        if each.is_visible() and each.evaluate("each => each.outerHTML") not in seen
    ]
    assert missing == []
