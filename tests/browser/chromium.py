"""Debian's Chromium, driven by Playwright."""

import shutil
from contextlib import contextmanager

from playwright.sync_api import sync_playwright

# No sandbox: the tests may run as root. The rest keeps the browser from looking for the network.
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A name as on a network: Chromium trusts addresses of the loopback interface without TLS. And
    # what a client of the device's access point finds there.
    "--host-resolver-rules=MAP device.test 127.0.0.1, MAP captive.test 127.0.0.1, "
    "MAP 192.168.4.1 127.0.0.1, MAP evil.test 127.0.0.1",
]

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 800}


def executable():
    """Path of the installed browser, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def chromium():
    """A running browser; it ends with the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
