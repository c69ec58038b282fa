"""The page's parts, found as its users find them."""

FAKE = "Fake Interface Example"

# Files of a device with a name of its own.
NAMED = {"network.json": {"device": {"iam": "bench-7", "dev": "tester"}}}


# Keeps the page's WebSockets in `sockets`, which is the only way to them: its scripts are modules.
RECORD = """
window.sockets = [];
window.WebSocket = class extends WebSocket {
  constructor(...all) { super(...all); sockets.push(this); }
};
"""


def record_sockets(page):
    page.add_init_script(RECORD)


def stop_time(page):
    """No timer of the page runs out from now on."""
    page.clock.pause_at(page.evaluate("Date.now() + 60_000"))


def status(page):
    """The line that says how the connection is."""
    return page.locator("#connection").get_by_role("status")


def card(page, title):
    """The card with this heading, not the charts or a group of settings in it."""
    cards = page.locator("details[id]")
    return cards.filter(has=page.get_by_role("heading", name=title, exact=True))


def row(page, title, label):
    """The value beside `label` in the card `title`."""
    rows = card(page, title).locator("dl > div")
    return rows.filter(has=page.get_by_text(label, exact=True)).locator("dd")


def log(page):
    return page.get_by_role("log", name="Log", exact=True)


def start(page, title=FAKE):
    """Wait until the interface runs, which it does by itself."""
    card(page, title).locator(".switch").filter(has_text="Stop").wait_for()


def stop(page, title=FAKE):
    """Stop the interface and wait until it has ended."""
    start(page, title)
    button = card(page, title).locator(".switch")
    button.click()
    button.filter(has_text="Start").wait_for()


def send(page, text, title=FAKE):
    card(page, title).get_by_label("Message").fill(text)
    card(page, title).get_by_role("button", name="Send").click()


def received(page, title=FAKE):
    """The messages that came from the interface."""
    return page.get_by_role("log", name=f"Received: {title}").locator("> div")


def scan(page):
    """Look for networks; return the list of them."""
    page.get_by_role("button", name="Scan").click()
    networks = page.get_by_role("list", name="Networks found")
    networks.wait_for()
    return networks


def ask(page, opener, confirmation):
    """An action that asks first."""
    page.get_by_role("button", name=opener).click()
    page.get_by_role("button", name=confirmation, exact=True).click()
