"""asyncio.wait_for of the image, which loses nothing when the time is over (ports_patch)."""

import asyncio

from websockets.asyncio.server import serve

from support import program

SCRIPT = program("wait_for")


def test_result_and_end_of_time_in_the_same_moment(micropython):
    script = micropython(SCRIPT)
    assert script.wait() == 0, script.log()
    assert script.lines[-1] == "done"
    came = dict(line.split(" -> ") for line in script.lines[:-1])
    assert came["item"] == came["item step timeout"] == "item"
    assert came["timeout"] == "timeout"
    assert came["cancel"] == came["timeout step cancel"] == came["timeout cancel"] == "cancelled"


CLIENT = program("recv_in_time")


async def test_no_message_is_lost_by_a_timeout(micropython):
    async def handler(websocket):
        for number in range(1000):
            await websocket.send(str(number))
            await asyncio.sleep(0.001)

    async with serve(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        script = micropython(CLIENT, f"ws://127.0.0.1:{port}/")
        assert await asyncio.to_thread(script.wait) == 0, script.log()
    assert script.lines == ["1000 True"]
