"""Real NATS servers with JetStream for the tests: one, or a cluster of three."""

import asyncio
import contextlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import nats
from nats.errors import Error as NatsError

from support import DEADLINE, free_port

PROGRAM = shutil.which("nats-server") or "/usr/sbin/nats-server"

CONFIG = """
listen: 127.0.0.1:{port}
server_name: {name}
jetstream {{ store_dir: "{folder}", max_mem: 256M, max_file: 8G }}
{cluster}
"""
CLUSTER = """
cluster {{ name: relays, listen: 127.0.0.1:{port}, routes: [{routes}] }}
"""


class NatsServer:
    """A server that keeps its files from one start to the next."""

    def __init__(self, folder, name="one", cluster=""):
        self._folder = Path(folder)
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._file = self._folder / f"{name}.conf"
        self._log = self._folder / f"{name}.log"
        store = self._folder / name
        self._file.write_text(
            CONFIG.format(port=self.port, name=name, folder=store, cluster=cluster)
        )
        self.process = None

    def start(self):
        with self._log.open("ab") as log:
            self.process = subprocess.Popen([PROGRAM, "-c", self._file], stdout=log, stderr=log)
        return self

    def kill(self):
        """End it in the middle of whatever it does; also one that has ended."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def log(self):
        return self._log.read_text()


async def ready(urls):
    """Wait until the servers keep what they are given, as many as there are."""
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                client = await nats.connect(urls, connect_timeout=1, error_cb=nothing)
            except (NatsError, OSError):
                await asyncio.sleep(0.05)
                continue
            try:
                js = client.jetstream(timeout=1)
                bucket = await js.create_key_value(bucket="probe", replicas=len(urls))
                await bucket.put("probe", b"1")
                await js.delete_key_value("probe")
                return
            except (NatsError, TimeoutError):
                await asyncio.sleep(0.05)
            finally:
                await client.close()


async def nothing(error):
    pass


async def clear(url):
    """Delete all that a server keeps."""
    client = await nats.connect(url)
    js = client.jetstream()
    for about in await js.streams_info():
        await js.delete_stream(about.config.name)
    await client.close()


@contextlib.contextmanager
def one_server():
    with tempfile.TemporaryDirectory() as folder:
        server = NatsServer(folder).start()
        try:
            asyncio.run(ready([server.url]))
            yield server
        finally:
            server.kill()


@contextlib.contextmanager
def three_servers():
    """A cluster of three, where each has a copy of all."""
    with tempfile.TemporaryDirectory() as folder:
        ports = [free_port() for _ in range(3)]
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
        servers = [
            NatsServer(folder, f"n{n}", CLUSTER.format(port=port, routes=routes))
            for n, port in enumerate(ports)
        ]
        try:
            for server in servers:
                server.start()
            asyncio.run(ready([server.url for server in servers]))
            yield servers
        finally:
            for server in servers:
                server.kill()
