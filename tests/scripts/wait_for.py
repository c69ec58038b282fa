"""The results and cancellations of asyncio.wait_for, in the order of its tests."""

import asyncio


class Box:
    def __init__(self):
        self.full = asyncio.Event()
        self.content = []

    def put(self, item):
        self.content.append(item)
        self.full.set()

    async def take(self):
        while not self.content:
            await self.full.wait()
            self.full.clear()
        return self.content.pop(0)


async def until(timeout):
    await timeout.wait()  # in place of sleep(seconds)


async def result(task):
    try:
        return await task
    except asyncio.TimeoutError:
        return "timeout"
    except asyncio.CancelledError:
        return "cancelled"


# What came and what is left, whatever happens in one and the same step of the event loop.
async def at_once(*events):
    box, timeout = Box(), asyncio.Event()
    task = asyncio.create_task(asyncio.wait_for(box.take(), timeout, until))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for event in events:
        if event == "item":
            box.put("item")
        elif event == "timeout":
            timeout.set()
        elif event == "cancel":
            task.cancel()
        else:
            await asyncio.sleep(0)
    return await result(task), box.content


async def fail():
    await asyncio.sleep(0)
    raise ValueError("mine")


async def nap():
    await asyncio.sleep(10)


async def stubborn():
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError:
        return "late"


class Awaitable:
    def __iter__(self):
        yield from asyncio.sleep(0)
        return "awaited"

    __await__ = __iter__


async def main():
    empty = []
    for events in (
        ("item", "timeout"),
        ("timeout", "item"),
        ("timeout", "step", "item"),
        ("item", "step", "timeout"),
        ("item", "cancel"),
        ("cancel", "item"),
        ("timeout", "cancel"),
        ("timeout", "step", "cancel"),
        ("item", "timeout", "cancel"),
        ("item", "timeout", "step", "cancel"),
        ("timeout",),
        ("cancel",),
        ("item",),
    ):
        came, left = await at_once(*events)
        if "item" in events:
            assert (came == "item") != (left == ["item"]), (events, came, left)
        else:
            assert came != "item" and left == empty, (events, came, left)
        if came == "timeout":
            assert "timeout" in events, events
        if came == "cancelled":
            assert "cancel" in events, events
        print(*events, "->", came)

    wait_for = asyncio.wait_for
    try:
        await wait_for(fail(), 10)
    except ValueError as error:
        assert str(error) == "mine"
    else:
        raise AssertionError
    assert await wait_for(Awaitable(), 10) == "awaited"
    assert await wait_for(Awaitable(), None) == "awaited"
    assert await wait_for(asyncio.create_task(box_with("x").take()), 10) == "x"
    assert await asyncio.wait_for_ms(stubborn(), 1) == "late"
    slow = asyncio.create_task(nap())
    assert await result(wait_for(slow, 0)) == "timeout"
    assert slow.done()
    slow = asyncio.create_task(nap())
    slow.cancel()
    assert await result(wait_for(slow, 10)) == "cancelled"
    # one in the other, the outer one ending first and last
    assert await result(wait_for(wait_for(nap(), 10), 0.01)) == "timeout"
    assert await result(wait_for(wait_for(nap(), 0.01), 10)) == "timeout"
    await asyncio.sleep(0.05)  # for a timer that were still running to do harm
    print("done")


def box_with(item):
    box = Box()
    box.put(item)
    return box


asyncio.run(main())
