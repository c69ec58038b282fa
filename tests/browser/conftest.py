"""Fixtures that open the image's page in Chromium."""

import pytest
from playwright.sync_api import expect

from browser import chromium
from browser.page import status
from support import DEADLINE

expect.set_options(timeout=DEADLINE * 1000)


def pytest_collection_modifyitems(items):
    """Without a browser all other tests run, and the summary says which didn't."""
    if chromium.executable() is None:
        missing = pytest.mark.skip(reason="Chromium is missing: apt-get install chromium")
        for item in items:
            if "browser" in getattr(item, "fixturenames", ()):
                item.add_marker(missing)


# Not for the whole session: while Playwright's synchronous interface is open, no other test of
# the same process can run an asyncio event loop.
@pytest.fixture(scope="module")
def browser():
    with chromium.chromium() as browser:
        yield browser


# What browsers log of a device that is away, of a wrong password and of a name that is taken.
EXPECTED = (
    "WebSocket connection to",
    "Failed to load resource: net::ERR_CONNECTION_",
    "Failed to load resource: the server responded with a status of 400",
    "Failed to load resource: the server responded with a status of 401",
    "Failed to load resource: the server responded with a status of 409",
)


class Complaints(list):
    """What the browser reported about a page: console warnings and errors (refused content
    among them) and exceptions. Lost connections are part of some tests."""

    def console(self, message):
        if message.type in ("error", "warning") and not message.text.startswith(EXPECTED):
            self.append(message.text)

    def exception(self, error):
        self.append(str(error))


@pytest.fixture
def open_page(browser):
    """A function that opens a page of an image in a browser profile of its own, with the options
    of Playwright's new_context, and waits until it is connected. No page may cause complaints.
    With `secure` it comes by HTTPS, whatever the certificate."""
    contexts = []
    complaints = Complaints()

    def open_page(image, path="/", connected=True, before=None, secure=False, **options):
        options = {"viewport": chromium.DESK, "ignore_https_errors": secure, **options}
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(DEADLINE * 1000)
        page = context.new_page()
        page.on("console", complaints.console)
        page.on("pageerror", complaints.exception)
        if before:
            before(page)
        page.goto((image.https if secure else image.http) + path)
        if connected:
            expect(status(page)).to_have_text("Connected")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
