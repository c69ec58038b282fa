"""`httpd` on CPython 3.11 and later: `import desk`, then use it as on a device.

For applications that are tried and tested on a desk: the code of `modules/httpd` runs as it is,
and what MicroPython has beside it, its compiler's decorators, ticks and event loop, is given to it
here. `httpd.testing.TestClient` needs no socket; `Server.listen` serves on asyncio's.
"""

import asyncio
import builtins
import inspect
import json
import sys
import time
import types
from pathlib import Path

from . import deflate, generators, transport

MODULES = Path(__file__).resolve().parent.parent / "modules"


def _module(name, **names):
    module = types.ModuleType(name)
    module.__dict__.update(names)
    sys.modules[name] = module
    return module


def _same(value):
    return value


def _install():
    _module("micropython", const=_same, native=_same, viper=_same)
    # What viper's parameters are annotated with.
    builtins.ptr8 = builtins.ptr16 = builtins.ptr32 = object

    time.ticks_ms = lambda: time.monotonic_ns() // 1_000_000
    time.ticks_add = lambda ticks, delta: ticks + delta
    time.ticks_diff = lambda one, other: one - other

    asyncio.sleep_ms = lambda ms: asyncio.sleep(ms / 1000)
    asyncio.core = _module(
        "asyncio.core",
        CancelledError=asyncio.CancelledError,
        TaskQueue=transport.TaskQueue,
        create_task=asyncio.create_task,
        sleep_ms=asyncio.sleep_ms,
    )
    size = 1 << 20
    _module("heap", SIZE=size, SMALL=False, RESERVE=0, BLOCK_SIZE=transport.BLOCK_SIZE)
    sys.modules["deflate"] = deflate
    sys.modules["transport"] = sys.modules["transport.poller"] = transport
    sys.path.append(str(MODULES))

    import httpd  # noqa: F401, the package whose module is replaced

    sys.modules["httpd.generators"] = generators
    _adapt()


def _adapt():
    from httpd import response
    from httpd.response import Response
    from httpd.server import Server

    # As MicroPython writes JSON; and of a str its memoryview is the UTF-8.
    response.json = types.SimpleNamespace(
        dumps=lambda value: json.dumps(value, ensure_ascii=False)
    )
    response.memoryview = lambda data: memoryview(data.encode() if isinstance(data, str) else data)

    # Generators are no coroutines here: as handlers they become one, and asynchronous ones as
    # bodies look like iterators.
    dispatch, init = Server.dispatch, Response.__init__

    def dispatched(self, request):
        result = dispatch(self, request)
        if inspect.isasyncgen(result):
            result = generators.Pieces(result)
        if inspect.isgenerator(result) or isinstance(result, generators.Pieces):
            return generators.drive(request.connection, request, result)
        return result

    def made(self, body=b"", *arguments, **options):
        if inspect.isasyncgen(body):
            body = generators.Pieces(body)
        init(self, body, *arguments, **options)

    Server.dispatch, Response.__init__ = dispatched, made


_install()
