"""What measuring needs and no product should have: routes below /bench/, only with --bench."""

import gc

from bench_assets import ASSETS  # made by ci/pack_assets.py
from httpd import Asset
from websockets import ConnectionClosed, Server

# As large as the largest message measured, with room for fragments.
MAX_SIZE = 1 << 21


async def _echo(connection):
    # Not `async for`: the suspended loop would keep the last message.
    while True:
        await connection.send(await connection.recv())


class _Sink:
    messages = 0
    size = 0

    async def serve(self, connection):
        try:
            async for message in connection:
                self.messages += 1
                self.size += len(memoryview(message))
        except ConnectionClosed:
            pass

    def count(self, request):
        return {"messages": self.messages, "bytes": self.size}


def add(server, group):
    """Add the routes to an `httpd.Server`."""
    sink = _Sink()
    server.route("/bench/ok", lambda request: "ok")
    for record in ASSETS:
        server.route("/bench/" + record[0], Asset(record))
    server.route("/bench/echo", Server(_echo, group=group, max_size=MAX_SIZE).upgrade)
    server.route("/bench/sink", Server(sink.serve, group=group, max_size=MAX_SIZE).upgrade)
    server.route("/bench/sink/count", sink.count)

    @server.get("/bench/mem")
    def mem(request):
        gc.collect()
        return {"alloc": gc.mem_alloc(), "free": gc.mem_free()}
