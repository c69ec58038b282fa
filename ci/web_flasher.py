"""Make dist/flasher, a web page that flashes the images in dist/ from Chrome, with no install.

ESP Web Tools (npm, pinned by hash in versions.toml) talks to the chip through the browser's Web
Serial. The page needs to be served by HTTPS or from this computer, and loads nothing from
elsewhere:

    python3 -m http.server --directory dist/flasher 8000
"""

import html
import json
import os
import shutil
import tarfile
from pathlib import Path

import boards
import flash
import image
import npm
import versions
from common import ROOT, BuildError, main, say

PACKAGE = "esp-web-tools"
PIN = versions.load()["esp_web_tools"]

# ESP Web Tools' names of the chips.
FAMILIES = {"esp32": "ESP32", "esp32s3": "ESP32-S3", "esp32c3": "ESP32-C3"}

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Flash a device</title>
<link rel="icon" href="data:,">
<style>
  body {{ font: 16px/1.5 sans-serif; max-width: 40em; margin: 2em auto; padding: 0 1em }}
  select, button {{ font: inherit; padding: .4em .8em }}
</style>
<script type="module" src="esp-web-tools/install-button.js"></script>
<h1>Flash a device</h1>
<p>Connect the board by USB and choose what it is. Settings on it are lost if you let it be erased.
<p><label>Board <select id="image">
{options}
</select></label>
<p><esp-web-install-button id="install" manifest="{first}">
  <button slot="activate">Connect and flash</button>
  <span slot="unsupported">This browser has no Web Serial: use Chrome or Edge on a computer.</span>
  <span slot="not-allowed">The page must be served by HTTPS or from this computer.</span>
</esp-web-install-button>
<script>
  const install = document.getElementById("install");
  document.getElementById("image").addEventListener("change", (event) => {{
    install.manifest = event.target.value;
  }});
</script>
</html>
"""


def fetch(folder=npm.FOLDER):
    """Fetch the package with npm; return the file."""
    return npm.fetch(PACKAGE, PIN, folder)


def unpack(package, target):
    """Put the package's web files and its licence into `target`."""
    target.mkdir(parents=True)
    with tarfile.open(package) as tar:
        for member in tar:
            name = member.name.removeprefix("package/")
            if member.isfile() and (name.startswith("dist/web/") or name == "LICENSE"):
                (target / Path(name).name).write_bytes(tar.extractfile(member).read())


def manifest(board, variant, file, version):
    """What ESP Web Tools reads about one image."""
    part = {"path": file.name, "offset": 0}
    return {
        "name": f"{board.product} {variant}".strip(),
        "version": version,
        "new_install_prompt_erase": True,
        # It would ask the chip for Improv, another way to set up Wi-Fi: the question contains a
        # Ctrl-C, which ends what runs there.
        "new_install_improv_wait_time": 0,
        "builds": [{"chipFamily": FAMILIES[board.mcu], "parts": [part]}],
    }


def images():
    """(board, variant, file) of every image in dist/ that is for a chip."""
    found = []
    for board, variant in boards.pairs():
        if variant in flash.NOT_FOR_CHIPS:
            continue
        try:
            found.append((board, variant, flash.newest_image(board, variant)))
        except BuildError:
            continue
    return found


def make(found, package, target):
    """Write the page for these images to the folder `target`, which is replaced as a whole."""
    work = target.with_name(target.name + ".part")
    shutil.rmtree(work, ignore_errors=True)
    unpack(package, work / PACKAGE)
    options = []
    for board, variant, file in found:
        name = image.label(board, variant)
        version = file.name.removeprefix(f"{name}-").removesuffix(".bin")
        shutil.copyfile(file, work / file.name)
        text = json.dumps(manifest(board, variant, file, version), indent=2)
        (work / f"{name}.json").write_text(text + "\n")
        purpose = html.escape(f"{board.mcu}: {boards.variant_text(board, variant)}")
        options.append(f'  <option value="{name}.json">{purpose}</option>')
    first = image.label(*found[0][:2]) + ".json"
    (work / "index.html").write_text(PAGE.format(options="\n".join(options), first=first))
    shutil.rmtree(target, ignore_errors=True)
    os.replace(work, target)


def step():
    found = images()
    if not found:
        raise BuildError("there is no image in dist/; make them with: make firmware-all")
    target = image.DIST / "flasher"
    make(found, fetch(), target)
    place = target.relative_to(ROOT) if target.is_relative_to(ROOT) else target
    say(f"flasher: {len(found)} images; python3 -m http.server --directory {place} 8000")


if __name__ == "__main__":
    main(step)
