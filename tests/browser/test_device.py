"""The page shows the device and what it does, and changes it only when asked twice."""

import json
import threading

import pytest
from playwright.sync_api import expect
from websockets.sync.client import connect
from websockets.sync.server import serve

from browser.page import NAMED, ask, card, log, record_sockets, row, status, stop_time
from support import free_port


@pytest.mark.image(files=NAMED)
def test_identity_is_shown(image, open_page):
    page = open_page(image)
    expect(page.get_by_role("heading", level=1)).to_have_text("bench-7")
    expect(page).to_have_title("bench-7")
    expect(row(page, "Identity", "Device ID")).to_have_text("bench-7")
    expect(row(page, "Identity", "Device type")).to_have_text("tester")
    expect(row(page, "Identity", "Firmware")).not_to_have_text("–")
    expect(row(page, "Identity", "App")).to_have_text("demo")


@pytest.mark.image(files={"network.json": {"ap": {"essid": "<b id=bold>7</b>"}}})
def test_device_text_is_never_markup(image, open_page):
    page = open_page(image)
    expect(row(page, "Access point", "Network")).to_have_text("<b id=bold>7</b>")
    expect(page.locator("#bold")).to_have_count(0)


def test_phone_home_is_off_by_default(image, open_page):
    page = open_page(image)
    expect(row(page, "Phone home", "Address")).to_have_text("Off")
    expect(card(page, "Phone home").locator(".badge")).to_be_hidden()


BROKEN_APP = {
    "app.json": {"app": "broken"},
    "broken/__init__.py": "def app_main(args):\n    raise ValueError('no such pin: 99')\n",
}


@pytest.mark.image(files=BROKEN_APP)
def test_recovery_shows_the_traceback(image, open_page):
    page = open_page(image)
    expect(page.get_by_role("alert")).to_have_text("Recovery mode")
    expect(page.get_by_role("region", name="Traceback")).to_contain_text(
        "ValueError: no such pin: 99"
    )


@pytest.mark.image(files=BROKEN_APP)
def test_recovery_is_left_by_returning_to_the_built_in_app(image, open_page):
    page = open_page(image)
    page.get_by_role("button", name="Restart with the built-in app").click()
    expect(log(page)).to_contain_text("Device is restarting")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(status(page)).to_have_text("Connected")
    assert image.read_json("app.json")["app"] == "demo"


@pytest.mark.image(files=NAMED)
def test_reboot_asks_first_and_the_page_comes_back(image, open_page):
    page = open_page(image)
    opener = page.get_by_role("button", name="Reboot…")
    question = page.get_by_role("group", name="Restart the device?")
    opener.press("Enter")
    expect(question).to_be_visible()
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Tab")
    expect(question.get_by_role("button", name="Cancel")).not_to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    expect(opener).to_be_focused()

    image.write("network.json", {"device": {"iam": "bench-8"}})
    ask(page, "Reboot…", "Restart")
    expect(log(page)).to_contain_text("Device is restarting")
    image.wait_ready()
    expect(page.get_by_role("heading", level=1)).to_have_text("bench-8")
    expect(status(page)).to_have_text("Connected")


@pytest.mark.image(files=NAMED)
def test_factory_reset_asks_first_and_erases(image, open_page):
    page = open_page(image)
    page.get_by_role("button", name="Factory reset…").click()
    page.get_by_role("group", name="Erase every setting").get_by_role(
        "button", name="Cancel"
    ).click()
    assert image.read_json("network.json")["device"]["iam"] == "bench-7"

    ask(page, "Factory reset…", "Erase and restart")
    expect(page.get_by_role("heading", level=1)).not_to_have_text("bench-7")
    expect(status(page)).to_have_text("Connected")
    page.reload()
    expect(page.get_by_role("heading", level=1)).not_to_have_text("bench-7")


@pytest.mark.image(files={"wifi_sim.json": {"delay_ms": 10}})
def test_log_goes_on_after_a_lost_connection_without_repeating_itself(image, open_page):
    def prepare(page):
        record_sockets(page)
        page.clock.install()

    page = open_page(image, before=prepare)
    looks = log(page).locator("> div").filter(has_text="Looking for networks")
    page.get_by_role("button", name="Scan").click()
    expect(looks).to_have_count(1)
    expect(log(page).locator("> div").filter(has_text="access point: ")).to_have_count(1)

    stop_time(page)
    page.evaluate("sockets.at(-1).onclose({ code: 1006 })")
    with connect(image.ws) as client:
        client.send('["CMD", "scan"]')
        while "wifi/scan" not in json.loads(client.recv()):
            pass
    page.get_by_role("button", name="Try now").click()
    expect(looks).to_have_count(2)
    expect(log(page).locator("> div").filter(has_text="access point: ")).to_have_count(1)


def test_phone_home_shows_the_relay(make_image, open_page):
    with serve(lambda relay: relay.wait_closed(), "127.0.0.1", 0) as relay:
        threading.Thread(target=relay.serve_forever).start()
        home = {"host": "127.0.0.1", "port": relay.socket.getsockname()[1]}
        page = open_page(make_image(files={"app.json": {"home": home}}))
        expect(card(page, "Phone home").locator(".badge")).to_have_text("Connected")
        expect(row(page, "Phone home", "Address")).to_contain_text(f"127.0.0.1:{home['port']}")


def test_phone_home_says_what_is_wrong_and_tries_when_asked(make_image, open_page):
    home = {"host": "127.0.0.1", "port": free_port()}
    page = open_page(make_image(files={"app.json": {"home": home}}))
    box = card(page, "Phone home")
    expect(box.locator(".badge")).to_have_text("Not connected")
    expect(row(page, "Phone home", "Problem")).to_contain_text("nothing answers at that port")
    expect(row(page, "Phone home", "Problem")).to_contain_text("trying again in")
    with serve(lambda relay: relay.wait_closed(), "127.0.0.1", home["port"]) as relay:
        threading.Thread(target=relay.serve_forever).start()
        box.get_by_role("button", name="Try now").click()
        expect(box.locator(".badge")).to_have_text("Connected")
        expect(row(page, "Phone home", "Problem")).to_be_hidden()
        expect(box.get_by_role("button", name="Try now")).to_be_hidden()


def test_an_error_stands_beside_what_it_is_about(image, open_page):
    page = open_page(image, before=record_sockets)
    page.get_by_role("button", name="Add interface…").click()
    # Somebody's command fails first: its answer is not that of the form.
    page.evaluate("""() => sockets.at(-1).send('["CMD", "start_interface", ["none"], "other"]')""")
    page.get_by_label("Kind").wait_for()
    expect(page.get_by_label("Kind").locator("option")).not_to_have_count(0)
    expect(log(page)).to_contain_text("unknown interface 'none'")


def test_log_keeps_the_newest_200_lines(image, open_page):
    page = open_page(image, before=record_sockets)
    unknown = [json.dumps(["GET", f"nothing-{number}", []]) for number in range(250)]
    for message in unknown:
        page.evaluate("message => sockets.at(-1).send(message)", message)
    expect(log(page).locator("> div").last).to_contain_text("nothing-249")
    expect(log(page).locator("> div")).to_have_count(200)


def test_the_log_is_filtered_and_saved(image, open_page, tmp_path):
    page = open_page(image)
    lines = log(page).locator("> div:visible")
    expect(lines.filter(has_text="client joined")).to_have_count(1)
    page.get_by_label("Only messages with").fill("access point")
    expect(lines).to_have_count(1)
    page.get_by_label("Only messages with").fill("")
    page.get_by_label("Which messages").select_option("Errors")
    expect(lines).to_have_count(0)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    download.value.save_as(tmp_path / "log.txt")
    assert "\tinfo\taccess point: " in (tmp_path / "log.txt").read_text()


def test_diagnostics_are_asked_for_when_they_are_looked_at(image, open_page):
    page = open_page(image)
    expect(page.locator("#diagnostics > div")).to_have_count(0)
    page.locator("#card-diagnostics > summary").click()
    expect(row(page, "Diagnostics", "Reset cause")).to_have_text("power on")
    expect(row(page, "Diagnostics", "Heap free")).to_contain_text("KiB")
    expect(row(page, "Diagnostics", "Flash free")).to_contain_text("KiB")
    expect(row(page, "Diagnostics", "Clients")).to_have_text("1")
