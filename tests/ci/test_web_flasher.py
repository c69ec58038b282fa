"""The web flasher in a real Chromium, and the emulator's command."""

import functools
import http.server
import json
import os
import shutil
import sys
import threading

import pytest
from playwright.sync_api import sync_playwright
from programs import run
from trees import write_files

import boards
import image
import qemu
import web_flasher
from common import ROOT, BuildError

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def package():
    try:
        return web_flasher.fetch()
    except BuildError as error:
        pytest.skip(str(error))


@pytest.fixture
def dist(tmp_path, monkeypatch):
    """A dist/ with a small image of everything, of one version."""
    for board, variant in boards.pairs():
        name = f"{image.label(board, variant)}-v1.2"
        write_files(tmp_path / "dist", {f"{name}.bin": name * 100, f"{name}-app.bin": "app"})
    monkeypatch.setattr(image, "DIST", tmp_path / "dist")
    return tmp_path / "dist"


@pytest.fixture
def site(dist, package):
    """The address of the flasher, served from this computer."""
    web_flasher.make(web_flasher.images(), package, dist / "flasher")
    handler = functools.partial(QuietHandler, directory=dist / "flasher")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def test_each_image_for_a_chip_has_a_manifest_that_fits_it(dist, package):
    web_flasher.make(web_flasher.images(), package, dist / "flasher")
    folder = dist / "flasher"
    for board, variant in boards.pairs():
        path = folder / f"{image.label(board, variant)}.json"
        assert path.exists() == (variant != "QEMU")
        if not path.exists():
            continue
        data = json.loads(path.read_text())
        assert data["version"] == "v1.2"
        (build,) = data["builds"]
        assert build["chipFamily"].lower().replace("-", "") == board.mcu
        (part,) = build["parts"]
        assert part["offset"] == 0
        assert (folder / part["path"]).read_bytes() == (dist / part["path"]).read_bytes()
    assert not list(folder.glob("*-app.bin"))
    assert (folder / "esp-web-tools" / "LICENSE").is_file()
    # Made again, it is replaced as a whole.
    (folder / "leftover").touch()
    web_flasher.make(web_flasher.images(), package, folder)
    assert not (folder / "leftover").exists()
    assert not (dist / "flasher.part").exists()


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")
def test_the_page_works_in_chromium_and_loads_nothing_from_elsewhere(site):
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        page = browser.new_page()
        requests, problems = [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: line.type == "error" and problems.append(line.text))
        page.goto(site)
        button = page.locator("esp-web-install-button")
        page.wait_for_function("!!customElements.get('esp-web-install-button')")
        # Web Serial is there, and the page is allowed to use it.
        page.wait_for_function(
            "document.querySelector('esp-web-install-button').hasAttribute('install-supported')"
        )
        assert page.get_by_role("button", name="Connect and flash").is_visible()
        options = page.locator("select option")
        assert options.count() == len(boards.pairs()) - 1

        page.get_by_label("Board").select_option("ESP32_C3_WEBSOCK-ETH.json")
        assert button.evaluate("button => button.manifest") == "ESP32_C3_WEBSOCK-ETH.json"
        build = page.evaluate(
            """async () => {
                const manifest = await (await fetch(
                    document.querySelector("esp-web-install-button").manifest)).json();
                const part = manifest.builds[0].parts[0];
                const body = await (await fetch(part.path)).text();
                return [manifest.builds[0].chipFamily, body.slice(0, 25)];
            }"""
        )
        assert build == ["ESP32-C3", "ESP32_C3_WEBSOCK-ETH-v1.2"]
        browser.close()
    assert problems == []
    assert [url for url in requests if not url.startswith(site)] == []


# A chip at a serial port, as the browser shows it, that keeps what is written to it.
SERIAL = """
window.written = [];
navigator.serial.requestPort = async () => {
    const port = new EventTarget();
    return Object.assign(port, {
        open: async () => {},
        close: async () => {},
        getInfo: () => ({usbVendorId: 0x10c4, usbProductId: 0xea60}),
        setSignals: async () => {},
        readable: new ReadableStream({}),
        writable: new WritableStream({write: (chunk) => { window.written.push(...chunk); }}),
    });
};
"""


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")
def test_a_chip_that_is_connected_runs_on(site):
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        page = browser.new_page()
        page.add_init_script(SERIAL)
        page.goto(site)
        page.get_by_role("button", name="Connect and flash").click()
        page.get_by_text("Install websock ESP32-C3").wait_for()
        # No Ctrl-C, which would end what runs on it.
        assert page.evaluate("window.written") == []
        browser.close()


def test_another_package_than_the_pinned_one_is_refused(tmp_path):
    package = tmp_path / f"{web_flasher.PACKAGE}-{web_flasher.PIN['version']}.tgz"
    package.write_bytes(b"something else")
    with pytest.raises(BuildError, match="not what is pinned"):
        web_flasher.fetch(tmp_path)


def test_without_images_it_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.setattr(image, "DIST", tmp_path)
    with pytest.raises(BuildError, match="make firmware-all"):
        web_flasher.step()


# QEMU


def test_the_emulator_forwards_the_ports():
    assert qemu.command("/bin/qemu", "/tmp/flash.bin", 8080, 7777) == [
        "/bin/qemu",
        "-nographic",
        "-machine",
        "esp32",
        "-drive",
        "file=/tmp/flash.bin,if=mtd,format=raw",
        "-nic",
        "user,model=open_eth,hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=tcp:127.0.0.1:7777-:7777",
        "-global",
        "driver=timer.esp32.timg,property=wdt_disable,value=true",
    ]


def test_the_emulators_flash_is_filled_up_and_kept(dist, tmp_path):
    fake = '#!/bin/sh\nprintf "%s\\n" "$@"\n'
    program = write_files(tmp_path / "bin", {qemu.PROGRAM: fake}) / qemu.PROGRAM
    program.chmod(0o755)
    flash_file = tmp_path / "qemu" / "flash.bin"
    script = f"""
import sys
sys.path.insert(0, {str(ROOT / "ci")!r})
import pathlib, image, qemu
from common import main
image.DIST = pathlib.Path({str(dist)!r})
qemu.FLASH = pathlib.Path({str(flash_file)!r})
main(qemu.step)
"""
    path = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}

    def boot():
        done = run([sys.executable, "-c", script, "8080", "7777"], env={**os.environ, **path})
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert f"file={flash_file}" in boot()
    data = flash_file.read_bytes()
    assert len(data) == 4 * 1024 * 1024
    assert data.startswith(b"ESP32_WEBSOCK-QEMU-v1.2")
    assert data.endswith(b"\xff")
    # What the device wrote stays until there is a newer image.
    flash_file.write_bytes(b"settings")
    boot()
    assert flash_file.read_bytes() == b"settings"


def test_without_the_emulator_it_says_where_it_comes_from():
    program = [sys.executable, ROOT / "ci" / "qemu.py", "1", "2"]
    done = run(program, env={**os.environ, "PATH": "/nowhere"})
    assert done.returncode == 1
    assert "idf_tools.py install qemu-xtensa" in done.stderr
