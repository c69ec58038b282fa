"""Relays for the tests: in the tests' own process, and as a program."""

import asyncio
import contextlib
import dataclasses
import json
import re
import subprocess
import sys
import tempfile

import aiohttp
from aiohttp import web as aiohttp_web

from relay.config import Config
from relay.server import Relay
from relay.storage import open_storage
from support import DEADLINE, ROOT

READY = re.compile(
    r"ready: devices at wss?://127\.0\.0\.1:(\d+)/, pages at https?://127\.0\.0\.1:(\d+)/"
)
COMMAND = (sys.executable, "-m", "relay")

# The servers that a test's relays keep all in; none for a database in their folder.
NATS = []


@dataclasses.dataclass
class Running:
    """A relay that runs: `close()` ends it before the context does."""

    relay: Relay
    data: str

    def __getattr__(self, name):
        return getattr(self.relay, name)

    async def close(self):
        relay, self.relay = self.relay, None
        if relay is not None:
            await relay.stop()
            self.exchange = relay.exchange


@contextlib.asynccontextmanager
async def running(data=None, **settings):
    """A relay of its own; `data` is its folder, a new one by default."""
    with contextlib.ExitStack() as stack:
        folder = data or stack.enter_context(tempfile.TemporaryDirectory())
        settings = {"device_port": 0, "page_port": 0, "open_devices": True, **settings}
        settings.setdefault("nats", tuple(NATS))
        config = Config(data=str(folder), **settings)
        running = Running(Relay(config, await open_storage(config)), str(folder))
        await running.start()
        try:
            yield running
        finally:
            await running.close()


@contextlib.asynccontextmanager
async def stored(data):
    """What a relay keeps, whether it runs or not."""
    storage = await open_storage(Config(data=str(data), nats=tuple(NATS)))
    try:
        yield storage
    finally:
        await storage.close()


def device_uri(relay, name="pump-1"):
    return f"ws://127.0.0.1:{relay.device_port}/{name}"


def page_uri(relay, name="pump-1"):
    return f"ws://127.0.0.1:{relay.page_port}/{name}"


def web(relay, path="/"):
    return f"http://127.0.0.1:{relay.page_port}{path}"


async def told(connection):
    """The next message of a connection."""
    return json.loads(await connection.recv())


async def post(relay, path, body="", method="POST"):
    """The status of an answer and what it says."""
    async with aiohttp.ClientSession() as session:
        text = body if isinstance(body, str) else json.dumps(body)
        async with session.request(method, web(relay, path), data=text) as response:
            return response.status, await response.json()


async def get(relay, path):
    """The status of an answer and what it says."""
    return await post(relay, path, method="GET")


async def until(condition, timeout=DEADLINE):
    """Wait until a function gives something true, and return that."""
    async with asyncio.timeout(timeout):
        while not (found := condition()):
            await asyncio.sleep(0.01)
    return found


def command(data):
    """The command of a program on a folder, or on the test's servers of NATS."""
    return (*COMMAND, "--data", str(data), *(("--nats", ",".join(NATS)) if NATS else ()))


class Program:
    """The relay as `make relay` runs it."""

    def __init__(self, data, *arguments):
        self.data = data
        ports = ("--device-port", "0", "--page-port", "0")
        self._command = [*command(data), *ports, *map(str, arguments)]
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            self._command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        found = READY.match(self.process.stdout.readline())
        assert found, self.process.communicate()
        self.device_port, self.page_port = int(found[1]), int(found[2])
        self.http = f"http://127.0.0.1:{self.page_port}"

    def kill(self):
        """End it in the middle of whatever it does; also one that has ended."""
        self.process.kill()
        self.process.communicate()

    def order(self, *arguments, text=""):
        """One of the program's orders, on the same data."""
        return order(self.data, *arguments, text=text)


def order(data, *arguments, text=""):
    """What an order of the program prints."""
    done = subprocess.run(
        [*command(data), *arguments],
        cwd=ROOT,
        capture_output=True,
        input=text,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Hook:
    """A webhook: `calls` are what it was told."""

    def __init__(self, status=200):
        self.calls = []
        self.status = status

    async def __aenter__(self):
        app = aiohttp_web.Application()
        app.add_routes([aiohttp_web.post("/hook", self._take)])
        self._runner = aiohttp_web.AppRunner(app)
        await self._runner.setup()
        site = aiohttp_web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"
        return self

    async def __aexit__(self, *exception):
        await self._runner.cleanup()

    async def _take(self, request):
        self.calls.append(await request.json())
        status, self.status = self.status, 200
        return aiohttp_web.Response(status=status)
