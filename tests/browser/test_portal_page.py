"""The captive portal in a browser: from a phone's probe to the page that works."""

import json
import urllib.request

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


REBOUND = """async () => {
    const headers = {"Content-Type": "application/json"};
    const body = JSON.stringify({new: "the attacker's"});
    const answer = await fetch("/password", {method: "POST", headers, body});
    const open = (url) => new Promise((resolve) => {
        const socket = new WebSocket(url);
        socket.onopen = () => resolve(true);
        socket.onerror = () => resolve(false);
    });
    const port = PORT;
    return [
        answer.status,
        await open(`ws://${location.host}/ws`),
        await open(`ws://${location.hostname}:${port}/`),
    ];
}"""


def test_a_page_whose_name_leads_here_gets_nowhere(image, browser):
    context = browser.new_context()
    page = context.new_page()
    # What is refused here stands for the page that its name has led to before.
    page.goto(f"http://evil.test:{image.http_port}/")
    assert page.evaluate("location.hostname") == "evil.test"
    found = page.evaluate(REBOUND.replace("PORT", str(image.ws_port)))
    assert found == [421, False, False]
    context.close()
    with urllib.request.urlopen(f"{image.http}/api/session") as response:
        assert json.load(response)["password"] is False
