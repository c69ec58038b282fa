"""Run the device from the sources, and again whenever one of them is saved.

``dev.py [--sources FOLDER] --data DIR ...``    after `make host`; what follows goes to the image

The interpreter is the host image's, but modules come from `modules/` and the page from
`frozen_www/` as they are: nothing is frozen, so nothing is built. A change of a module restarts
the device, and every change has the pages that are open load themselves again. What the image
imports before the device has a filesystem, which is the board, stays the frozen one.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from common import BUILD, ROOT, BuildError, main, say

INTERPRETER = BUILD / "host" / "micropython"

# Where the device finds the sources, below its filesystem's root.
MODULES = ".dev"
PAGE = "www"

# A module's source and what it is compiled to lie in the heap, not in flash.
HEAP = 2 << 20

# Seconds between two looks at the sources; for a device to end in order.
PAUSE = 0.2
END_SECONDS = 5

BOOT = f'import sys; sys.path[:] = ["/{MODULES}", ".frozen"]; import websock'

# Added to each page: it loads the page again when the number of changes is another one than when
# the page was written, which its own address tells.
RELOAD = """
const known = Number(new URL(import.meta.url).search.slice(1));
setInterval(async () => {
  try {
    const { changes } = await (await fetch("/static/dev.json", { cache: "no-store" })).json();
    if (changes !== known) location.reload();
  } catch {
    // The device restarts.
  }
}, 300);
"""
TAG = '<script type="module" src="static/dev.js?{}"></script>\n</body>'


class Page:
    """The page in the device's filesystem, made from its sources.

    Args:
        sources: the page's folder.
        folder: where it is served from.
    """

    def __init__(self, sources, folder):
        self._sources = sources
        self._folder = folder
        self._changes = 0
        self._mine = set()

    def write(self):
        """Bring all files up to date, and have the pages that are open come again."""
        self._changes += 1
        files = {"static/dev.js": RELOAD.encode()}
        for path in self._sources.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                if path.suffix == ".htm":
                    data = data.replace(b"</body>", TAG.format(self._changes).encode())
                files[path.relative_to(self._sources).as_posix()] = data
        for name in self._mine - set(files):
            (self._folder / name).unlink(missing_ok=True)
        self._mine = set(files)
        for name, data in files.items():
            self._put(name, data)
        self._put("static/dev.json", json.dumps({"changes": self._changes}).encode())

    def _put(self, name, data):
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_bytes(data)
        part.replace(path)


def stamps(*folders):
    """When each file was saved: (time, size) by path."""
    found = {}
    for folder in folders:
        for path in folder.rglob("*"):
            try:
                status = path.stat()
            except OSError:
                continue  # removed meanwhile
            if path.suffix in (".py", ".htm", ".js", ".css", ".svg"):
                found[path] = status.st_mtime_ns, status.st_size
    return found


class Device:
    """The device's process.

    Args:
        arguments: what the image is started with.
    """

    def __init__(self, arguments):
        interpreter = [INTERPRETER, "-X", f"heapsize={HEAP}", "-c", BOOT]
        self._command = [*map(str, interpreter), *arguments]
        self._process = None

    def start(self):
        self._process = subprocess.Popen(self._command)

    def stop(self):
        """End it, in order if it can."""
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ended(self):
        """Its exit code, None while it runs."""
        return self._process.poll()


def link(folder, modules):
    """Have the device see the modules' folder as /.dev."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / MODULES
    if place.is_symlink():
        place.unlink()
    if place.exists():
        raise BuildError(f"{place} is in the way")
    place.symlink_to(modules, target_is_directory=True)


def develop(sources, data, arguments):
    """Run until interrupted."""
    modules, www = sources / "modules", sources / "frozen_www"
    link(data, modules)
    page = Page(www, data / PAGE)
    page.write()
    seen = stamps(modules, www)
    device = Device(arguments)
    device.start()
    said = False
    try:
        while True:
            time.sleep(PAUSE)
            if device.ended() is not None and not said:
                said = True
                say("dev: the device has ended; it is started again when a module is saved")
            now = stamps(modules, www)
            changed = [path for path in {*seen, *now} if seen.get(path) != now.get(path)]
            if not changed:
                continue
            seen = now
            names = ", ".join(sorted(path.relative_to(sources).as_posix() for path in changed))
            if any(modules in path.parents for path in changed):
                say(f"dev: {names} changed: restarting")
                device.stop()
                device.start()
                said = False
            else:
                say(f"dev: {names} changed")
            page.write()
    finally:
        device.stop()


def program():
    arguments = sys.argv[1:]
    sources = ROOT
    if arguments[:1] == ["--sources"]:
        sources = Path(arguments[1]).resolve()
        del arguments[:2]
    if "--data" not in arguments[:-1]:
        raise BuildError("dev.py wants --data DIR, as the image")
    if not INTERPRETER.exists():
        raise BuildError('run "make host" first')
    # As Ctrl-C: the device is not left behind.
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    data = Path(arguments[arguments.index("--data") + 1])
    develop(sources, data.resolve(), arguments)


if __name__ == "__main__":
    main(program)
