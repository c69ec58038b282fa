"""Who gets one of the device's few places, and who makes way."""

import contextlib
import re

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from raw import Connection
from support import with_constants

PLACES = {"limits": {"connections": 4}}


def evicted(image):
    with Connection(image.http_port) as connection:
        text = connection.get("/metrics").body.decode()
    return int(re.search(r"^websock_connections_evicted_total (\d+)$", text, re.MULTILINE)[1])


async def open_all(stack, image):
    """Fill the places that WebSockets can have."""
    return [await stack.enter_async_context(connect(image.ws)) for _ in range(3)]


@pytest.mark.image(files={"app.json": PLACES})
async def test_a_place_is_kept_for_requests(image):
    async with contextlib.AsyncExitStack() as stack:
        held = await open_all(stack, image)
        for path in ("/", "/health"):
            for _ in range(3):
                with Connection(image.http_port) as connection:
                    assert connection.get(path).status == 200
        for uri in (image.ws, f"ws://127.0.0.1:{image.http_port}/ws"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(uri)
            response = refused.value.response
            assert (response.status_code, response.reason_phrase) == (503, "Service Unavailable")
        for connection in held:
            await (await connection.ping())


async def test_the_quietest_websocket_makes_way(make_image):
    image = make_image(
        files=with_constants(PLACES, {"transport.listener": {"LASTING_QUIET_MS": 300}})
    )
    async with contextlib.AsyncExitStack() as stack:
        held = await open_all(stack, image)
        # The first has said something since, the second has not.
        await held[0].send('["GET", "state", []]')
        while "version" not in await held[0].recv():
            pass
        with pytest.raises(ConnectionClosed):
            newcomer = None
            while newcomer is None:
                with contextlib.suppress(InvalidStatus):
                    newcomer = await stack.enter_async_context(connect(image.ws))
            while True:
                await held[1].recv()
        assert held[1].close_code == 1013
        assert held[1].close_reason == "another connection needs the place"
        for connection in (held[0], held[2], newcomer):
            await (await connection.ping())
        assert evicted(image) >= 1
