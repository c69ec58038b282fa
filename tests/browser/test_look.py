"""Size, layout, keyboard, colour schemes and accessibility rules."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from browser import chromium
from browser.page import FAKE, card, received, scan, send, start

# The page's share of flash, and what a phone fetches over a weak link.
TRANSFER_LIMIT = 20 * 1024


def test_whole_page_is_small_and_comes_from_the_device_alone(image, open_page):
    finished = []

    def watch(page):
        page.on("requestfinished", lambda request: finished.append(request))

    page = open_page(image, before=watch)
    page.wait_for_load_state("networkidle")
    assert all(request.url.startswith(image.http) for request in finished)
    names = {request.url.rsplit("/")[-1].split(".")[0] for request in finished}
    assert {"", "style", "app", "icon"} <= names
    sizes = [request.sizes() for request in finished]
    total = sum(size["responseHeadersSize"] + size["responseBodySize"] for size in sizes)
    assert 0 < total < TRANSFER_LIMIT


def test_assets_are_compressed_and_cached(image, open_page):
    responses = {}
    open_page(
        image,
        before=lambda page: page.on(
            "response", lambda r: responses.setdefault(r.url.rsplit("/")[-1], r.all_headers())
        ),
    )
    assert responses[""]["content-encoding"] == "gzip"
    for name, headers in responses.items():
        if name.startswith(("app.", "style.")):
            assert headers["content-encoding"] == "gzip"
            assert "immutable" in headers["cache-control"]


@pytest.mark.parametrize("viewport", [chromium.PHONE, chromium.DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility_rules_hold(image, open_page, viewport, scheme):
    page = open_page(image, viewport=viewport, color_scheme=scheme)
    start(page)
    send(page, "hello")
    expect(received(page)).to_have_count(1)
    scan(page)
    page.get_by_role("button", name="Factory reset…").click()
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.image(
    files={
        "app.json": {"app": "broken"},
        "broken/__init__.py": "def app_main(args):\n    raise ValueError('a long line ' * 40)\n",
        "network.json": {"device": {"iam": "a-name-as-long-as-names-can-be-01"}},
    }
)
def test_nothing_is_wider_than_a_phone(image, open_page):
    page = open_page(image, viewport=chromium.PHONE)
    page.get_by_role("button", name="Factory reset…").click()
    scan(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= chromium.PHONE["width"]


LONG = "n" * 32
NAMES = [
    {"name": LONG, "type": "echo", "title": "T" * 64},
    {"name": LONG[1:], "type": "gpio", "pin": 4, "title": "W" * 64},
    {"name": LONG[2:], "type": "adc", "pin": 34, "title": "M" * 64},
    {"name": LONG[3:], "type": "no_such_module." + LONG},
]


@pytest.mark.image(
    files={"app.json": {"interfaces": NAMES}, "gpio_sim.json": {"34": {"mv": 1000}}}
)
def test_long_names_fit_the_narrowest_phone(image, open_page):
    page = open_page(image, viewport={"width": 320, "height": 568})
    start(page, "T" * 64)
    expect(page.locator("#interfaces > details")).to_have_count(len(NAMES))
    expect(page.locator("#interfaces .badge.bad")).to_have_count(1)
    card(page, "T" * 64).locator(".edit").click()
    page.get_by_label("Kind").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    # No text is cut off either, or lies over another.
    wide = page.evaluate("""() => [...document.querySelectorAll("main *")]
        .filter((each) => each.scrollWidth > each.clientWidth + 1 && each.clientWidth > 0)
        .filter((each) => getComputedStyle(each).overflowX === "visible")
        .filter((each) => getComputedStyle(each).display !== "inline")
        .map((each) => each.outerHTML.slice(0, 100))""")
    assert wide == []


def test_what_is_touched_is_large_enough(image, open_page):
    page = open_page(image, viewport=chromium.PHONE)
    start(page)
    page.get_by_role("button", name="Add interface…").click()
    page.get_by_label("Kind").wait_for()
    small = page.evaluate("""() => [...document.querySelectorAll("button, input, select, summary")]
        .filter((each) => each.checkVisibility() && each.type !== "checkbox")
        .filter((each) => each.getBoundingClientRect().height < 43.9)
        .map((each) => each.outerHTML.slice(0, 100))""")
    assert small == []
    # Smaller letters make a phone zoom in.
    sizes = page.evaluate("""() => [...document.querySelectorAll("input, select")]
        .map((each) => parseFloat(getComputedStyle(each).fontSize))""")
    assert min(sizes) >= 16


def test_forced_colours_keep_the_dot_of_the_state(image, open_page):
    page = open_page(image, forced_colors="active")
    dot = "getComputedStyle(document.querySelector('#connection p'), '::before').backgroundColor"
    connected = page.evaluate(dot)
    image.kill()
    expect(page.locator("#connection")).to_have_class("lost")
    assert page.evaluate(dot) != connected
    assert page.evaluate("matchMedia('(forced-colors: active)').matches")


def test_both_colour_schemes(image, open_page):
    colours = {}
    for scheme in ("light", "dark"):
        page = open_page(image, color_scheme=scheme)
        colours[scheme] = page.evaluate(
            "[getComputedStyle(document.body).color, getComputedStyle(document.body).background]"
        )
    assert colours["light"][0] != colours["dark"][0]
    assert colours["light"][1] != colours["dark"][1]


def test_reduced_motion_is_respected(image, open_page):
    duration = "getComputedStyle(document.querySelector('summary'), '::before').transitionDuration"
    assert open_page(image).evaluate(duration) != "0s"
    assert open_page(image, reduced_motion="reduce").evaluate(duration) == "0s"


def test_cards_collapse_by_keyboard_and_stay_so(image, open_page):
    page = open_page(image)
    for title in ("Station", FAKE):
        summary = card(page, title).locator("> summary")
        summary.focus()
        page.keyboard.press("Enter")
        expect(card(page, title)).not_to_have_attribute("open", "")
    page.reload()
    for title in ("Station", FAKE):
        expect(card(page, title)).not_to_have_attribute("open", "")
    expect(card(page, "Identity")).to_have_attribute("open", "")
    card(page, FAKE).locator("> summary").focus()
    page.keyboard.press("Space")
    expect(card(page, FAKE).get_by_role("button", name="Stop")).to_be_visible()


def test_collapsed_card_is_stored_before_the_page_can_be_left(image, open_page):
    page = open_page(image)
    stored = page.evaluate("""async () => {
        document.querySelector("#card-station summary").click();
        await null;
        return localStorage.getItem("card-station");
    }""")
    assert stored == "closed"


def test_page_works_without_storage(image, open_page):
    forbid = """Object.defineProperty(window, "localStorage", {
        get() { throw new DOMException("denied", "SecurityError"); } })"""
    page = open_page(image, before=lambda page: page.add_init_script(forbid))
    card(page, "Station").locator("summary").click()
    expect(card(page, "Station")).not_to_have_attribute("open", "")
    start(page)


def test_every_control_is_reached_by_tab(image, open_page):
    page = open_page(image)
    start(page)
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim()"))
    assert {"Reboot…", "Factory reset…", "Scan", "Test", "Save", "Stop", "Send"} <= reached


SHIFTS = """
window.shifts = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) shifts += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


@pytest.mark.parametrize("viewport", [chromium.PHONE, chromium.DESK], ids=["phone", "desk"])
def test_nothing_moves_while_the_page_comes(image, open_page, viewport):
    page = open_page(image, before=lambda page: page.add_init_script(SHIFTS), viewport=viewport)
    expect(page.get_by_role("region", name="Set up this device")).to_be_visible()
    expect(card(page, FAKE)).to_be_visible()
    # As Lighthouse counts: what is good is below 0.1.
    assert page.evaluate("shifts") < 0.01
