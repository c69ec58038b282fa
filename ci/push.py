"""Put an app, an interface or a page on a running device, restart it and follow its log.

``push.py DEVICE APP [--no-follow]``

DEVICE is the device's address, ``http://...``. APP is a module, which goes to ``/apps``; a
package, a folder with ``__init__.py``, of which the device keeps nothing that isn't here any more;
or a folder with ``apps/``, ``lib/`` and ``www/`` as on the device. The admin password is the one
in WEBSOCK_PASSWORD, else it is asked for; WEBSOCK_TOKEN is an API token with the right admin.
"""

import argparse
import asyncio
import contextlib
import getpass
import os
import sys
from pathlib import Path
from urllib.parse import quote

import aiohttp

from common import BuildError, main, say

FOLDERS = ("apps", "lib", "www")

# Not for a device.
IGNORED = ("__pycache__",)

# Seconds for one answer; until a device that was restarted has to be back; between looks at a log.
TIMEOUT = 30
BACK_SECONDS = 60
PAUSE = 0.5


def files_of(app):
    """What of a module, package or folder goes where: {path on the device: file here}.

    Raises:
        BuildError: there is nothing to put on a device.
    """
    if app.is_file():
        return {f"apps/{app.name}": app}
    if not app.is_dir():
        raise BuildError(f"there is no {app}")
    if (app / "__init__.py").is_file():
        return {f"apps/{app.resolve().name}/{name}": file for name, file in below(app)}
    found = {name: file for name, file in below(app) if name.split("/")[0] in FOLDERS}
    if not found:
        raise BuildError(f"{app} is no package and has no folder {', '.join(FOLDERS)}")
    return found


def below(folder):
    """(path with "/", file) of everything in a folder that is for a device."""
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        if file.is_file() and not any(part.startswith(".") or part in IGNORED for part in parts):
            yield "/".join(parts), file


class Device:
    """A device's REST API; use it as an async context manager.

    Args:
        url: where it is.
    """

    def __init__(self, url):
        self.url = url.rstrip("/")
        self._password = None

    async def __aenter__(self):
        token = os.environ.get("WEBSOCK_TOKEN")
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=aiohttp.ClientTimeout(total=TIMEOUT),
            # Devices have addresses, not names.
            cookie_jar=aiohttp.CookieJar(unsafe=True),
        )
        if not token:
            self._password = os.environ.get("WEBSOCK_PASSWORD") or getpass.getpass(
                f"Admin password of {self.url}: "
            )
            await self.log_in()
        return self

    async def __aexit__(self, *exception):
        await self._session.close()

    async def log_in(self):
        """Have a session; after a restart there is none."""
        if self._password is not None:
            await self.ask("POST", "/login", data={"password": self._password})

    async def ask(self, method, path, **options):
        """What a request is answered with: JSON, or None where that has no body.

        Raises:
            BuildError: the device refuses it.
            aiohttp.ClientError, TimeoutError: it isn't reached.
        """
        options.setdefault("allow_redirects", False)
        async with self._session.request(method, self.url + quote(path), **options) as answer:
            if answer.status >= 400:
                text = (await answer.text()).strip()
                raise BuildError(f"{method} {path}: {answer.status} {text}")
            if answer.content_type == "application/json":
                return await answer.json()
            return None

    async def put(self, files):
        """Put files where they belong."""
        for name, file in files.items():
            data = file.read_bytes()
            await self.ask("PUT", f"/api/files/{name}", data=data)
            say(f"push: {name}, {len(data):,} bytes")

    async def prune(self, folder, kept):
        """Remove what is in a folder and not among `kept`, paths."""
        listing = await self.ask("GET", f"/api/files/{folder}")
        for name, size in listing["files"].items():
            path = f"{folder}/{name}"
            if size is None:
                await self.prune(path, kept)
                if any(each.startswith(path + "/") for each in kept):
                    continue
            elif path in kept:
                continue
            await self.ask("DELETE", f"/api/files/{path}")
            say(f"push: {path} removed")

    async def restart(self):
        """Restart the device and wait until it is back.

        Raises:
            BuildError: it doesn't come back.
        """
        before = (await self.ask("GET", "/health"))["uptime"]
        began = asyncio.get_running_loop().time()
        await self.ask("POST", "/api/command", json=["CMD", "reboot", []])
        while True:
            await asyncio.sleep(PAUSE)
            waited = asyncio.get_running_loop().time() - began
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, BuildError):
                await self.log_in()
                if (await self.ask("GET", "/health"))["uptime"] < before + waited / 2:
                    return
            if waited > BACK_SECONDS:
                raise BuildError(f"{self.url} has not come back from its restart")

    async def follow(self, seconds=None):
        """Print the log's lines as they come, for some seconds or for ever."""
        shown = []
        loop = asyncio.get_running_loop()
        end = None if seconds is None else loop.time() + seconds
        while end is None or loop.time() < end:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                lines = (await self.ask("GET", "/api/log"))["log"]
                for line in lines[overlap(shown, lines) :]:
                    print(line, flush=True)
                shown = lines
            await asyncio.sleep(PAUSE)


def overlap(shown, lines):
    """How many of a log's first lines are the last of those that have been shown."""
    for count in range(min(len(shown), len(lines)), 0, -1):
        if shown[-count:] == lines[:count]:
            return count
    return 0


async def push(options):
    files = files_of(options.app)
    async with Device(options.device) as device:
        await device.put(files)
        if (options.app / "__init__.py").is_file():
            await device.prune(f"apps/{options.app.resolve().name}", set(files))
        space = await device.ask("GET", "/api/files")
        say(f"push: {space['free']:,} of {space['size']:,} bytes are free; restarting")
        await device.restart()
        if options.follow:
            await device.follow(options.seconds)


def program():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("device", help="http://ADDRESS")
    parser.add_argument("app", type=Path, help="a module, a package, or a folder as on the device")
    parser.add_argument("--no-follow", dest="follow", action="store_false")
    parser.add_argument("--seconds", type=float, help="follow the log for so long")
    options = parser.parse_args()
    if not options.device.startswith(("http://", "https://")):
        raise BuildError("DEVICE is an address that begins with http://")
    try:
        asyncio.run(push(options))
    except (aiohttp.ClientError, TimeoutError) as error:
        raise BuildError(f"{options.device}: {error or 'no answer'}") from None
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main(program)
