"""Takes README's picture, docs/page.png: the page of the running image on a desk and on a phone.

``picture.py [FILE]`` needs build/host/websock and Chromium.
"""

import base64
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from browser import chromium, page
from support import ROOT, Image

OUTPUT = ROOT / "docs/page.png"

DESK = {"width": 1160, "height": 820}
PHONE = {"width": 360, "height": 760}

FILES = {
    "network.json": {
        "device": {"iam": "greenhouse-3", "dev": "websock"},
        "ap": {"essid": "greenhouse-3"},
        "sta": {"ssid": "workshop", "pass": "correct-horse"},
    },
    "app.json": {
        "interfaces": [
            {
                "name": "tank",
                "type": "adc",
                "title": "Tank",
                "pin": 34,
                "unit": "m",
                "scale": 0.001,
                "decimals": 2,
                "minimum": 0,
                "maximum": 3,
                "period_ms": 200,
                "report_change": 0.01,
            },
            {"name": "pump", "type": "gpio", "title": "Pump", "pin": 4},
            {"name": "flow", "type": "counter", "title": "Flow", "pin": 35, "unit": "l"},
            {"name": "fan", "type": "pwm", "title": "Fan", "pin": 14, "initial": 40},
            {"name": "fake_interface", "type": "echo"},
        ]
    },
    "gpio_sim.json": {"34": {"mv": [900, 2400], "period_s": 9}, "35": {"hz": 12}},
}

FRAME = """<!doctype html><style>
body {{ margin: 0; padding: 28px; display: flex; gap: 28px; align-items: center;
  width: max-content; background: #dfe5e8; }}
img {{ border-radius: 14px; box-shadow: 0 2px 14px #0004; }}
</style><img src="data:image/png;base64,{desk}"><img src="data:image/png;base64,{phone}">"""


def use(view):
    """What somebody does in the first minutes."""
    page.start(view, "Tank")
    chart = page.card(view, "Tank").locator("details").first
    chart.locator("summary").click()
    chart.locator("canvas").wait_for()
    page.start(view, "Pump")
    page.card(view, "Pump").get_by_role("button", name="On", exact=True).click()
    page.start(view)
    for text in ("hello", "is anybody there?"):
        page.send(view, text)
        page.received(view).filter(has_text=text.upper()).wait_for()


def open_view(browser, url, viewport, scheme, state=None):
    view = browser.new_page(viewport=viewport, color_scheme=scheme, storage_state=state)
    view.goto(url)
    page.status(view).get_by_text("Connected", exact=True).wait_for()
    page.card(view, "Station").get_by_text("Connected", exact=True).wait_for()
    return view


def shoot(view):
    view.mouse.move(0, 0)
    view.evaluate("document.activeElement.blur()")
    return base64.b64encode(view.screenshot()).decode()


def take(browser, url, output):
    desk = open_view(browser, url, DESK, "light")
    desk.get_by_label("New admin password").fill("correct horse")
    desk.get_by_role("button", name="Set password").click()
    desk.locator("#setup").wait_for(state="hidden")
    phone = open_view(browser, url, PHONE, "dark", desk.context.storage_state())
    use(desk)
    page.start(phone, "Tank")
    # So that the chart has something to show.
    desk.wait_for_timeout(15_000)
    desk.evaluate("scrollTo(0, 0)")
    frame = browser.new_page()
    frame.set_content(FRAME.format(desk=shoot(desk), phone=shoot(phone)))
    output.parent.mkdir(exist_ok=True)
    frame.locator("body").screenshot(path=output)


def main():
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    with tempfile.TemporaryDirectory() as folder:
        image = Image(Path(folder, "data"), Path(folder, "log"), files=FILES)
        try:
            with chromium.chromium() as browser:
                take(browser, image.start().http, output)
        finally:
            if image.running:
                image.stop()
    print(output)


if __name__ == "__main__":
    main()
