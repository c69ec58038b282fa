"""make dev: what is saved is served at once, and pages come again by themselves."""

import json
import shutil
import sys
from urllib.request import urlopen

import pytest
from playwright.sync_api import expect

from support import ROOT, Program, free_port, wait_until


@pytest.fixture
def dev(tmp_path):
    """ci/dev.py on a copy of the sources: `sources`, `http_port`, a Program otherwise."""
    sources = tmp_path / "sources"
    for folder in ("modules", "frozen_www"):
        shutil.copytree(ROOT / folder, sources / folder)
    port = free_port()
    options = ["--data", tmp_path / "data", "--http-port", port, "--ws-port", "0"]
    program = Program(
        [sys.executable, ROOT / "ci/dev.py", "--sources", sources, *options], tmp_path / "log"
    )
    program.sources, program.http_port, program.data = sources, port, tmp_path / "data"
    program.spawn()
    try:
        program.wait_line("ready .*")
        yield program
    finally:
        program.process.terminate()
        program.wait()


def change(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def health(dev):
    """What /health says, None while the device is away."""
    try:
        with urlopen(f"http://127.0.0.1:{dev.http_port}/health", timeout=5) as answer:
            return json.load(answer)
    except OSError:
        return None


def test_a_module_that_is_saved_is_what_runs(dev):
    module = dev.sources / "modules/device/routes/api.py"
    change(module, '"status": status,\n', '"status": "changed",\n')
    wait_until(lambda: (health(dev) or {}).get("status") == "changed")
    restarting = "dev: modules/device/routes/api.py changed: restarting"
    wait_until(lambda: restarting in dev.lines)
    # One that can't be compiled is told of, and the next is waited for.
    change(module, '"status": "changed",\n', '"status": (\n')
    change(dev.sources / "modules/device/device.py", "class Device:", "class Device(:")
    wait_until(lambda: "SyntaxError" in dev.log())
    wait_until(lambda: any("the device has ended" in each for each in dev.lines))
    change(module, '"status": (\n', '"status": "mended",\n')
    change(dev.sources / "modules/device/device.py", "class Device(:", "class Device:")
    wait_until(lambda: (health(dev) or {}).get("status") == "mended")


def test_a_page_that_is_open_comes_again(dev, browser):
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{dev.http_port}/")
    heading = page.locator("h1").first
    expect(heading).to_be_visible()
    html = dev.sources / "frozen_www/page.htm"
    change(html, "</body>", '<p id="mine">mine</p>\n</body>')
    expect(page.locator("#mine")).to_have_text("mine")
    # After a restart too.
    page.evaluate("window.before = true")
    change(dev.sources / "modules/device/routes/api.py", '"status": status,\n', '"status": 1,\n')
    page.wait_for_function("!window.before")
    expect(page.locator("#mine")).to_have_text("mine")
    page.close()


def test_the_filesystem_is_the_device_s(dev):
    # Only the sources are not its own.
    assert (dev.data / ".dev").is_symlink()
    assert (dev.data / "www/page.htm").exists() and not (dev.sources / "app.json").exists()
