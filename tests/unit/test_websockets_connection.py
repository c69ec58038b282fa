"""Servers and clients in one event loop: concurrency, cancellation, backpressure, closing."""

import asyncio
import gc
import os

from helpers import raises_later, until
from sockets import HOST, free_port
from websockets import (
    Close,
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    broadcast,
    connect,
    serve,
)

KIB_64 = 65536


class Served:
    """A server and a client of it; `far` is the server's connection."""

    def __init__(self, handler=None, client=None, **options):
        self.handler = handler or self.hold
        self.options = options
        self.client_options = client or {}
        self.connections = []

    async def hold(self, connection):
        self.connections.append(connection)
        await connection.wait_closed()

    async def __aenter__(self):
        self.port = free_port()
        self.uri = f"ws://{HOST}:{self.port}/"
        self.server = await serve(self.handler, HOST, self.port, **self.options)
        self.near = await connect(self.uri, **self.client_options)
        if self.handler == self.hold:
            await until(lambda: self.connections)
            self.far = self.connections[0]
        return self

    async def __aexit__(self, *exception):
        await self.near.close()
        self.server.close()
        await self.server.wait_closed()


async def echo(connection):
    async for message in connection:
        await connection.send(message)


class Pieces:
    """An async iterator (MicroPython has no async generators) of `count` pieces."""

    def __init__(self, count):
        self.count = count

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.count:
            raise StopAsyncIteration
        self.count -= 1
        await asyncio.sleep_ms(10)
        return "s" * 10


async def test_messages_of_every_kind_and_size():
    async with Served(echo, max_size=None, client={"max_size": None}) as pair:
        for message in ("", b"", "größer 🙂", b"\x00\xff", "x" * 125, b"y" * 126, "z" * 70_000):
            await pair.near.send(message)
            assert await pair.near.recv() == message
        await pair.near.send("text", text=False)
        assert await pair.near.recv() == b"text"
        await pair.near.send(b"bytes", text=True)
        assert await pair.near.recv() == "bytes"
        await pair.near.send("decode")
        assert await pair.near.recv(decode=False) == b"decode"


async def test_many_senders_of_64_kib_do_not_mix():
    # The receiver takes a message at a time, so the senders wait for one another again and again.
    async with Served(max_size=None, max_queue=1, client={"write_limit": 1024}) as pair:
        messages = [bytes((number,)) * KIB_64 for number in range(8)]

        async def send(message):
            for _ in range(3):
                await pair.near.send(message)

        tasks = [asyncio.create_task(send(message)) for message in messages]
        counts = {}
        for _ in range(24):
            message = await pair.far.recv()
            assert len(message) == KIB_64 and message == messages[message[0]]
            counts[message[0]] = counts.get(message[0], 0) + 1
            await asyncio.sleep_ms(1)
        for task in tasks:
            await task
        assert counts == {number: 3 for number in range(8)}


async def test_fragments_and_other_messages_do_not_mix():
    async with Served(max_size=None) as pair:

        def pieces():
            for _ in range(20):
                yield b"f" * 3000

        tasks = [
            asyncio.create_task(pair.near.send(pieces())),
            asyncio.create_task(pair.near.send(["a", "b", "", "c"])),
            asyncio.create_task(pair.near.send("whole")),
            asyncio.create_task(pair.near.send(Pieces(5))),
            asyncio.create_task(pair.near.send(b"whole")),
        ]
        received = []
        for _ in range(5):
            received.append(await pair.far.recv())
        for task in tasks:
            await task
        expected = [b"f" * 60_000, "abc", "whole", "s" * 50, b"whole"]
        for message in expected:
            assert message in received


async def test_cancelled_recv_loses_nothing():
    async with Served() as pair:
        received = []
        for number in range(60):
            task = asyncio.create_task(pair.far.recv())
            # Cancelled before it began, while it waits, or with the message on its way.
            for _ in range(number % 5):
                await asyncio.sleep_ms(0)
            sending = asyncio.create_task(pair.near.send(str(number)))
            for _ in range(number % 7):
                await asyncio.sleep_ms(0)
            task.cancel()
            try:
                received.append(await task)
            except asyncio.CancelledError:
                pass
            await sending
        while len(received) < 60:
            received.append(await asyncio.wait_for(pair.far.recv(), 5))
        assert received == [str(number) for number in range(60)]


async def test_recv_that_times_out_loses_nothing():
    async with Served() as pair:
        await raises_later(asyncio.TimeoutError, asyncio.wait_for_ms(pair.far.recv(), 5))
        await pair.near.send("late")
        assert await pair.far.recv() == "late"


async def test_cancelled_send_leaves_whole_messages():
    # Whatever a cancelled sender was waiting for, the peer gets whole messages in order.
    async with Served(max_size=None, max_queue=1, client={"write_limit": 1024}) as pair:
        done = []

        async def send(number):
            await pair.near.send(bytes((number,)) * KIB_64)
            done.append(number)

        tasks = [asyncio.create_task(send(number)) for number in range(40)]
        for number, task in enumerate(tasks):
            for _ in range(number % 4):
                await asyncio.sleep_ms(0)
            if number % 2:
                task.cancel()
        received = []

        async def receive():
            while True:
                message = await pair.far.recv()
                assert len(message) == KIB_64 and message == bytes((message[0],)) * KIB_64
                received.append(message[0])

        receiver = asyncio.create_task(receive())
        for task in tasks:
            try:
                await task
            except asyncio.CancelledError:
                pass
        await until(lambda: len(received) >= len(done))
        receiver.cancel()
        assert sorted(received) == sorted(set(received))
        assert set(done) == set(received)
        assert len(done) >= 20


async def test_cancelled_fragments_end_the_connection():
    # Half a message can be neither completed nor taken back.
    async with Served() as pair:
        task = asyncio.create_task(pair.near.send(Pieces(1000)))
        await asyncio.sleep_ms(20)
        task.cancel()
        await raises_later(asyncio.CancelledError, task)
        error = await raises_later(ConnectionClosedError, pair.far.recv())
        assert error.rcvd.code == 1011


async def test_two_receivers_are_one_too_many():
    async with Served() as pair:
        task = asyncio.create_task(pair.far.recv())
        await asyncio.sleep_ms(0)
        await raises_later(ConcurrencyError, pair.far.recv())
        await pair.near.send("x")
        assert await task == "x"


async def test_full_queue_holds_the_sender_back():
    async with Served(max_size=None, max_queue=2, client={"write_limit": 1024}) as pair:
        sent = 0

        async def send():
            nonlocal sent
            for number in range(200):
                await pair.near.send(bytes((number,)) * KIB_64)
                sent += 1

        task = asyncio.create_task(send())
        await until(lambda: len(pair.far._messages) == 2)
        await asyncio.sleep_ms(100)
        assert sent < 200 and len(pair.far._messages) == 2
        for number in range(200):
            message = await pair.far.recv()
            assert message[0] == number and len(message) == KIB_64
        await task


async def test_queues_without_a_limit():
    options = {"max_queue": None, "write_limit": None}
    async with Served(echo, client=options, **options) as pair:
        for number in range(30):
            await pair.near.send(str(number))
        for number in range(30):
            assert await pair.near.recv() == str(number)


async def test_ping_and_pong():
    async with Served() as pair:
        waiter = await pair.near.ping("hello")
        assert await waiter >= 0
        first = await pair.near.ping(b"1")
        second = await pair.near.ping(b"2")
        await second
        await first  # RFC 6455 section 5.5.3
        await pair.near.pong(b"unasked")
        error = await raises_later(ValueError, pair.near.ping(bytes(126)))
        assert "125" in str(error)
        await raises_later(ValueError, pair.near.pong(bytes(126)))


async def test_ping_of_a_closed_connection_fails():
    async with Served() as pair:
        waiter = await pair.near.ping()
        pair.near.transport.abort()
        await raises_later(ConnectionClosed, waiter)
        await raises_later(ConnectionClosed, pair.near.ping())


async def test_closing_from_both_sides():
    async with Served() as pair:
        await asyncio.gather(pair.near.close(1000, "me"), pair.far.close(1001, "you"))
        assert pair.near.transport is None and pair.far.transport is None
        await pair.near.close()
        assert pair.near.close_code in (1000, 1001)


async def test_messages_before_a_close_are_received():
    async with Served() as pair:
        for number in range(3):
            await pair.near.send(str(number))
        await pair.near.close()
        received = []
        async for message in pair.far:
            received.append(message)
        assert received == ["0", "1", "2"]
        error = await raises_later(ConnectionClosedOK, pair.far.recv())
        assert (error.rcvd.code, error.sent.code) == (1000, 1000)
        await raises_later(ConnectionClosedOK, pair.far.send("late"))


async def test_what_may_not_be_sent():
    async with Served() as pair:
        for message in (None, 1, {"a": 1}, object()):
            await raises_later(TypeError, pair.near.send(message))
        for code in (999, 1005, 1006, 5000):
            await raises_later(ValueError, pair.near.close(code))
        await raises_later(ValueError, pair.near.close(1000, "x" * 124))
        for data in ("é" * 63, b"x" * 126):
            await raises_later(ValueError, pair.near.ping(data))
            await raises_later(ValueError, pair.near.pong(data))
        await pair.near.send("still open")
        assert await pair.far.recv() == "still open"


async def test_str_and_bytes_in_one_message_end_it():
    async with Served() as pair:
        await raises_later(TypeError, pair.near.send(["text", b"bytes"]))
        error = await raises_later(ConnectionClosedError, pair.far.recv())
        assert error.rcvd.code == 1011


async def test_handler_that_fails_is_1011_and_one_that_ends_1000():
    async def fail(connection):
        raise ValueError("not for the client")

    async def end(connection):
        pass

    for handler, code in ((fail, 1011), (end, 1000)):
        async with Served(handler) as pair:
            error = await raises_later(ConnectionClosed, pair.near.recv())
            assert error.rcvd.code == code and not error.rcvd.reason


async def test_closed_connection_says_who_began():
    async with Served() as pair:
        await pair.near.close(1001, "bye")
        error = await raises_later(ConnectionClosedOK, pair.near.recv())
        assert error.rcvd_then_sent is False
        assert str(error) == "sent 1001 (going away) bye; then received 1001 (going away) bye"
        error = await raises_later(ConnectionClosedOK, pair.far.recv())
        assert error.rcvd_then_sent is True and error.rcvd == error.sent == Close(1001, "bye")
        assert str(error) == "received 1001 (going away) bye; then sent 1001 (going away) bye"
    async with Served() as pair:
        pair.near.transport.abort()
        error = await raises_later(ConnectionClosedError, pair.near.recv())
        assert error.rcvd_then_sent is None
        assert str(error) == "no close frame received or sent"


async def test_handler_that_is_cancelled_is_1011():
    async def sleep():
        await asyncio.sleep(10)

    async def wait_for_cancelled(connection):
        task = asyncio.create_task(sleep())
        await asyncio.sleep(0)
        task.cancel()
        await task

    async with Served(wait_for_cancelled) as pair:
        error = await raises_later(ConnectionClosedError, pair.near.recv())
        assert error.rcvd.code == 1011


async def test_server_waits_for_its_handlers():
    ended = []

    async def slow(connection):
        await connection.wait_closed()
        await asyncio.sleep_ms(50)
        ended.append(True)

    async with Served(slow) as pair:
        pair.server.close()
        await pair.server.wait_closed()
        assert ended


async def test_server_at_every_address():
    for host in (None, ""):
        port = free_port()
        async with serve(echo, host, port), connect(f"ws://{HOST}:{port}") as client:
            await client.send("here")
            assert await client.recv() == "here"


async def test_server_closes_its_connections_with_1001():
    async with Served() as pair:
        pair.server.close()
        error = await raises_later(ConnectionClosedOK, pair.near.recv())
        assert error.rcvd.code == 1001
        await pair.server.wait_closed()
        await raises_later(OSError, connect(pair.uri)._connect())


async def test_broadcast_encodes_once_and_drops_the_slow():
    async with Served(max_queue=1, write_limit=4096) as pair:
        others = []
        for _ in range(3):
            others.append(await connect(pair.uri))
        await until(lambda: len(pair.connections) == 4)
        pair.near.transport.pause_reading()
        slow = pair.connections[0]
        while slow.transport.queued <= 4096:
            broadcast([slow], bytes(KIB_64))
        broadcast(pair.connections, "news")
        assert slow.dropped == 1 and slow.protocol.close_sent.code == 1013
        for other in others:
            assert await other.recv() == "news"
            await other.close()
        broadcast(pair.connections, "nobody")
        for message in (None, 1, ["a"]):
            try:
                broadcast(pair.connections, message)
            except TypeError:
                pass
            else:
                raise AssertionError("no TypeError")
        slow.transport.abort()


async def test_compressed_messages_both_ways():
    for client, server in (("deflate", "deflate"), (None, "deflate"), ("deflate", None)):
        options = {"compression": client, "max_size": None}
        async with Served(echo, compression=server, max_size=None, client=options) as pair:
            agreed = client is not None and server is not None
            assert (pair.near.protocol.deflate is not None) is agreed
            for message in ("", "abc " * 10_000, b"\x00" * 70_000, os.urandom(500), "größer" * 9):
                await pair.near.send(message)
                assert await pair.near.recv() == message


async def test_bomb_is_1009():
    options = {"compression": "deflate"}
    async with Served(max_size=10_000, compression="deflate", client=options) as pair:
        await pair.near.send("x" * 10_000)
        assert len(await pair.far.recv()) == 10_000
        await pair.near.send(bytes(200_000))
        error = await raises_later(ConnectionClosedError, pair.far.recv())
        assert error.sent.code == 1009


async def test_memory_is_back_after_many_connections():
    async def once():
        async with Served(echo) as pair:
            await pair.near.send("x" * 1000)
            await pair.near.recv()

    for _ in range(3):
        await once()
    gc.collect()
    before = gc.mem_alloc()
    for _ in range(20):
        await once()
    gc.collect()
    assert gc.mem_alloc() - before < 4000, gc.mem_alloc() - before
