"""Interfaces and settings that are made and changed on the page."""

import json
import re

import pytest
from playwright.sync_api import expect
from websockets.sync.client import connect

from browser.page import FAKE, card, received, record_sockets, row, send, start, status
from support import wait_until

SIGNALS = {"34": {"mv": [500, 2000], "period_s": 4}, "13": 1}
TANK = {
    "name": "tank",
    "type": "adc",
    "title": "Tank",
    "pin": 34,
    "unit": "V",
    "scale": 0.001,
    "decimals": 2,
    "minimum": 0,
    "maximum": 2.5,
    "period_ms": 100,
}
PUMP = {"name": "pump", "type": "gpio", "title": "Pump", "pin": 4}


def device(*entries):
    return {"app.json": {"interfaces": list(entries)}, "gpio_sim.json": SIGNALS}


def stored(image):
    return image.read_json("app.json")["interfaces"]


def headings(page):
    return page.locator("#interfaces h3").all_inner_texts()


def test_an_interface_is_added_used_configured_and_removed(image, open_page):
    page, other = open_page(image), open_page(image)
    page.get_by_role("button", name="Add interface…").click()
    form = page.locator("#new-interface")
    form.get_by_label("Kind").select_option(label="GPIO")
    form.get_by_label("Name", exact=True).fill("pump")
    form.get_by_label("Title").fill("Pump")
    # What the browser sees is wrong is said beside its field.
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_label("Pin")).to_be_focused()
    expect(form.get_by_label("Pin")).to_have_attribute("aria-invalid", "true")
    # And so is what only the device knows.
    form.get_by_label("Pin").fill("6")
    form.get_by_role("button", name="Save").click()
    error = form.locator(".option").filter(has=page.get_by_label("Pin")).locator(".error")
    expect(error).to_have_text("GPIO 6 belongs to the flash chip")
    form.get_by_label("Pin").fill("4")
    form.get_by_role("button", name="Save").click()
    for view in (page, other):
        start(view, "Pump")
        expect(card(view, "Pump").locator("summary small").first).to_have_text("pump, GPIO 4")
    expect(page.get_by_role("button", name="Add interface…")).to_be_focused()
    assert stored(image)[1:] == [PUMP]

    card(page, "Pump").get_by_role("button", name="Settings…").click()
    form = card(page, "Pump").locator(".editor")
    expect(form.get_by_label("Pin")).to_have_value("4")
    form.get_by_label("Title").fill("Valve")
    form.get_by_label("Initial").select_option(label="1")
    form.get_by_label("Start with the device").uncheck()
    form.get_by_role("button", name="Save").click()
    expect(card(other, "Valve").locator(".badge")).to_have_text("Stopped")
    changed = {**PUMP, "title": "Valve", "initial": 1, "start": False}
    assert stored(image)[1:] == [changed]

    card(page, "Valve").get_by_role("button", name="Settings…").click()
    form = card(page, "Valve").locator(".editor")
    form.get_by_role("button", name="Remove…").click()
    expect(form.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Enter")
    expect(form.get_by_role("button", name="Remove…")).to_be_focused()
    form.get_by_role("button", name="Remove…").click()
    form.get_by_role("button", name="Remove", exact=True).click()
    expect(card(other, "Valve")).to_have_count(0)
    assert [entry["name"] for entry in stored(image)] == ["fake_interface"]


@pytest.mark.image(files=device(PUMP, TANK, {"name": "door", "type": "echo", "title": "Door"}))
def test_the_order_is_changed_and_kept(image, open_page):
    page = open_page(image)
    expect(page.locator("#interfaces h3")).to_have_text(["Pump", "Tank", "Door"])
    card(page, "Door").get_by_role("button", name="Settings…").click()
    move = card(page, "Door").get_by_role("button", name="Move up")
    move.click()
    expect(page.locator("#interfaces h3")).to_have_text(["Pump", "Door", "Tank"])
    move.click()
    expect(page.locator("#interfaces h3")).to_have_text(["Door", "Pump", "Tank"])
    assert [entry["name"] for entry in stored(image)] == ["door", "pump", "tank"]
    page.reload()
    expect(page.locator("#interfaces h3")).to_have_text(["Door", "Pump", "Tank"])


@pytest.mark.image(files=device(PUMP))
def test_an_editor_is_left_by_keyboard(image, open_page):
    page = open_page(image)
    opener = card(page, "Pump").get_by_role("button", name="Settings…")
    opener.press("Enter")
    form = card(page, "Pump").locator(".editor")
    expect(form.get_by_label("Kind")).to_be_focused()
    page.keyboard.press("Tab")
    expect(form.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type("x")
    expect(form.get_by_label("Name", exact=True)).to_have_value(re.compile("x"))
    # Of a question only the question is left.
    remove = form.get_by_role("button", name="Remove…")
    remove.press("Enter")
    question = form.locator(".confirm")
    expect(question).to_be_visible()
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    expect(remove).to_be_focused()
    page.keyboard.press("Escape")
    expect(form).to_be_hidden()
    expect(opener).to_be_focused()


@pytest.mark.image(files=device(TANK, {"name": "echo", "type": "echo"}))
def test_values_have_units_and_charts(image, open_page):
    page = open_page(image)
    loaded = []
    page.on("request", lambda request: loaded.append(request.url))
    value = row(page, "Tank", "Value")
    expect(value).to_contain_text(re.compile(r"^\d\.\d\d V"))
    expect(value.get_by_role("meter")).to_have_attribute("max", "2.5")
    expect(card(page, FAKE).locator(".charts")).to_be_hidden()
    assert not any("uplot" in url for url in loaded)
    card(page, "Tank").locator(".charts > summary").click()
    chart = card(page, "Tank").get_by_role("img", name="Chart of Value, V")
    expect(chart.locator("canvas")).to_be_visible()
    assert any("uplot" in url for url in loaded)
    with page.expect_download() as download:
        card(page, "Tank").get_by_role("link", name="Value as CSV").click()
    assert download.value.suggested_filename == "tank-value.csv"
    lines = download.value.path().read_text().splitlines()
    assert lines[0] == "time,seconds,value"
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ,\d+,\d\.\d+", lines[-1])


def test_a_message_that_is_no_json_changes_nothing(image, open_page):
    page = open_page(image, before=record_sockets)
    start(page)
    for text in ("", "nan", '{"iam": NaN}', "[1]", "5", "null", '{"iam": "cut'):
        page.evaluate("data => sockets.at(-1).onmessage({ data })", text)
    send(page, "still here")
    expect(received(page)).to_contain_text("STILL HERE")
    expect(status(page)).to_have_text("Connected")


# Settings


def group(page, title):
    settings = page.locator("#card-settings")
    if not settings.evaluate("card => card.open"):
        settings.locator("> summary").click()
    found = settings.locator(".group").filter(has=page.get_by_role("heading", name=title))
    found.locator("summary").click()
    return found


@pytest.mark.image(files={"network.json": {"device": {"iam": "bench-7"}}})
def test_settings_are_changed_in_groups(image, open_page):
    page, other = open_page(image), open_page(image)
    form = group(page, "Identity")
    expect(form.get_by_label("Device name")).to_have_value("bench-7")
    form.get_by_role("button", name="Save").click()
    expect(form.locator("> form > .note")).to_have_text("Nothing has changed.")
    form.get_by_label("Device name").fill("pump 7")
    form.get_by_label("Device type").fill("a pump")
    form.get_by_role("button", name="Save").click()
    error = form.locator(".option").filter(has=page.get_by_label("Device name")).locator(".error")
    expect(error).to_have_text("must have only letters, digits, -, _ and .")
    assert "dev" not in image.read_json("network.json")["device"]
    form.get_by_label("Device name").fill("pump-7")
    form.get_by_role("button", name="Save").click()
    expect(form.locator("> form > .note")).to_have_text("Saved.")
    assert image.read_json("network.json")["device"] == {"iam": "pump-7", "dev": "a pump"}
    # One is used at once, the other after a restart.
    expect(row(other, "Identity", "Device type")).to_have_text("a pump")
    for view in (page, other):
        expect(view.get_by_text("Restart to use the new settings")).to_be_visible()
    page.get_by_role("button", name="Restart now").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("pump-7")
    expect(page.get_by_text("Restart to use the new settings")).to_be_hidden()


def token_of(image):
    try:
        return image.read_json("secrets.json").get("home/token")
    except FileNotFoundError:
        return None  # it is being replaced


@pytest.mark.image(
    files={"app.json": {"home": {"host": "127.0.0.1", "port": 9, "token": "secret-token"}}}
)
def test_secrets_are_written_only(image, open_page):
    page = open_page(image)
    form = group(page, "Phone home")
    token = form.get_by_label("Token")
    expect(token).to_have_value("")
    expect(token).to_have_attribute("placeholder", "Stored; empty keeps it")
    assert "secret-token" not in page.content()
    form.get_by_label("Port").fill("10")
    form.get_by_role("button", name="Save").click()
    expect(row(page, "Phone home", "Address")).to_contain_text(":10/")
    assert image.read_json("app.json")["home"]["token"] == "secret-token"
    form.get_by_label("Token").fill("another-token")
    form.get_by_role("button", name="Save").click()
    wait_until(lambda: token_of(image) == "another-token")
    form.get_by_label("Remove it").check()
    form.get_by_role("button", name="Save").click()
    wait_until(lambda: token_of(image) == "")


def test_a_device_that_does_not_answer_a_command_is_noticed(image, open_page):
    sent = []

    def watch(page):
        page.clock.install()
        page.on("websocket", lambda socket: socket.on("framesent", lambda data: sent.append(data)))

    page = open_page(image, before=watch)
    start(page)
    with connect(image.ws):
        image.send_signal(19)
        try:
            card(page, FAKE).get_by_role("button", name="Stop").click()
            page.clock.run_for(2_500)
            assert json.loads(sent[-1]) == ["GET", "state", []]
            page.clock.run_for(2_500)
            expect(status(page)).to_contain_text("Connection lost")
        finally:
            image.send_signal(18)
    expect(status(page)).to_have_text("Connected")


@pytest.mark.image(files={"network.json": {"sta": {"ssid": "workshop", "pass": "correct-horse"}}})
def test_settings_are_saved_to_a_file_and_restored(image, open_page, tmp_path):
    page = open_page(image)
    page.locator("#card-backup > summary").click()
    with page.expect_download() as plain:
        page.get_by_role("link", name="Download the settings").click()
    assert json.loads(plain.value.path().read_text())["settings"] == {"sta/ssid": "workshop"}
    note = page.locator("#backup-form .note")
    page.get_by_role("button", name="Download with passwords").click()
    expect(note).to_contain_text("a passphrase has 8 to 64 bytes")
    page.get_by_label("Passphrase, at least").fill("a long passphrase")
    with page.expect_download() as sealed:
        page.get_by_role("button", name="Download with passwords").click()
    assert "correct-horse" not in sealed.value.path().read_text()

    with connect(image.ws) as client:
        client.send('["CMD", "set", [{"sta/ssid": "guest", "device/dev": "x"}]]')
        expect(row(page, "Identity", "Device type")).to_have_text("x")
    file = tmp_path / "settings.json"
    sealed.value.save_as(file)
    page.get_by_label("File to restore").set_input_files(file)
    page.get_by_label("Passphrase, at least").fill("another passphrase")
    page.get_by_role("button", name="Restore", exact=True).click()
    expect(note).to_contain_text("the passphrase is another")
    page.get_by_label("Passphrase, at least").fill("a long passphrase")
    page.get_by_role("button", name="Restore", exact=True).click()
    expect(note).to_contain_text("are restored")
    expect(row(page, "Identity", "Device type")).to_have_text("UNIX")
    expect(row(page, "Stored settings", "Stored network")).to_have_text("workshop")


def test_an_access_point_that_is_off_for_good_is_asked_for_twice(image, open_page):
    page = open_page(image)
    page.locator("#card-settings > summary").click()
    group = page.locator(".group").filter(has=page.get_by_role("heading", name="Access point"))
    group.locator("summary").click()
    group.get_by_label("Mode").select_option(label="never")
    save = group.get_by_role("button", name="Save")
    save.click()
    question = group.get_by_role("group", name="Turn the access point off for good?")
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    expect(save).to_be_focused()
    assert not (image.data / "network.json").exists()
    page.keyboard.press("Enter")
    question.get_by_role("button", name="Turn it off").click()
    expect(group.get_by_text("Saved.")).to_be_visible()
    assert image.read_json("network.json")["ap"]["mode"] == "never"


@pytest.mark.image(
    files={
        "app.json": {"interfaces": [{"name": "meter", "type": "slow.Slow", "title": "Meter"}]},
        "slow.py": """
from errno import ETIMEDOUT

from interfaces.base import Interface


class Slow(Interface):
    async def run(self):
        raise OSError(ETIMEDOUT)
""",
    }
)
def test_errors_of_the_system_are_in_words(image, open_page):
    page = open_page(image)
    expect(card(page, "Meter").locator(".problem")).to_contain_text("no answer in time")
    expect(page.get_by_role("log", name="Log", exact=True)).to_contain_text("no answer in time")
    assert "Errno" not in page.locator("body").inner_text()
