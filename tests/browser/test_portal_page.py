"""The captive portal in a browser: from a phone's probe to the page that works."""

import pytest
from playwright.sync_api import expect

from browser import chromium
from browser.page import FAKE, received, send, start, status


@pytest.mark.image(files={"wifi_sim.json": {"clients": ["127.0.0.1"]}})
def test_probe_opens_the_page(image, browser):
    context = browser.new_context(viewport=chromium.PHONE)
    page = context.new_page()
    page.goto(f"http://captive.test:{image.http_port}/hotspot-detect.html")
    assert page.url == f"http://192.168.4.1:{image.http_port}/"
    expect(status(page)).to_have_text("Connected")
    start(page)
    send(page, "hello")
    expect(received(page, FAKE)).to_contain_text("HELLO")
    context.close()
