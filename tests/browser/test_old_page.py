"""A page in the style of the earlier firmware, put on the device, works against port 7777."""

import re

import pytest
from playwright.sync_api import expect

PAGE = """<html>
<title>Old page</title>
<link rel="icon" href="data:,">
<p>ID <span id="iam"></span>, type <span id="dev"></span></p>
<p>AP <span id="wifi_ap_active"></span> <span id="wifi_ap_ssid"></span></p>
<p>MAC <span id="wifi_net_mac"></span></p>
<p>Running <span id="fake_interface_running"></span></p>
<ul id="fake_interface_msg"></ul>
<button>Send</button>
<script>
const port = new URLSearchParams(location.search).get("port");
const socket = new WebSocket("ws://" + location.hostname + ":" + port);
const ask = (verb, item, args) => socket.send(JSON.stringify([verb, item, args]));
socket.onopen = () => {
  ask("GET", "wifi", []);
  ask("CMD", "hal", []);
  ask("CMD", "start_interface", []);
};
socket.onmessage = (event) => {
  for (const [key, value] of Object.entries(JSON.parse(event.data))) {
    const element = document.getElementById(key.split("/").join("_"));
    if (element) element.textContent = value;
  }
};
document.querySelector("button").onclick = () => ask("CMD", "send_message", ["hi"]);
</script>
</html>
"""


MAC = re.compile("([0-9A-F]{2}:){5}[0-9A-F]{2}")


@pytest.mark.image(
    files={
        "www/page.htm": PAGE,
        "network.json": {
            "device": {"iam": "bench-7", "dev": "tester"},
            "ap": {"essid": "bench"},
        },
    }
)
def test_old_page_works(image, open_page):
    page = open_page(image, f"/?port={image.ws_port}", connected=False)
    expect(page).to_have_title("Old page")
    expect(page.locator("#iam")).to_have_text("bench-7")
    expect(page.locator("#dev")).to_have_text("tester")
    expect(page.locator("#wifi_ap_active")).to_have_text("true")
    expect(page.locator("#wifi_net_mac")).to_have_text(MAC)
    expect(page.locator("#fake_interface_running")).to_have_text("true")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#fake_interface_msg")).to_have_text("HI")
