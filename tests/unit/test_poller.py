"""The poller in asyncio's place: streams work as before, endpoints beside them."""

import asyncio
import socket
from asyncio import core
from select import POLLIN, POLLOUT
from time import sleep_ms

from helpers import raises, until
from sockets import free_port
from transport import poller
from transport.poller import Poller


class Endpoint:
    def __init__(self, sock):
        self.sock = sock
        self.events = []
        self.errors = []
        self.ticks = 0
        self.raises = None

    def ready(self, events):
        self.events.append(events)
        if self.raises:
            raise self.raises
        if events & POLLIN:
            self.sock.read(100)

    def failed(self, error):
        self.errors.append(error)
        self.close()

    def tick(self, now):
        self.ticks += 1

    def close(self):
        poller.current().discard(self.sock)
        self.sock.close()
        self.sock = None


async def connected():
    """(server's stream reader/writer, a client's plain socket, close): a connection made by
    asyncio's own streams."""
    arrived = asyncio.Event()
    streams = []

    async def accept(reader, writer):
        streams.append((reader, writer))
        arrived.set()

    port = free_port()
    server = await asyncio.start_server(accept, "127.0.0.1", port)
    sock = socket.socket()
    sock.connect(socket.getaddrinfo("127.0.0.1", port)[0][-1])
    sock.setblocking(False)
    await arrived.wait()
    return streams[0][0], streams[0][1], sock, server


def test_names_that_asyncio_keeps_private_are_there():
    # The poller, `suspend` and `wake` lean on these; see transport/poller.py.
    assert issubclass(Poller, core.IOQueue)
    assert type(core._io_queue) is Poller
    assert type(core._io_queue.map) is dict
    assert hasattr(core._io_queue.poller, "ipoll")
    assert hasattr(core, "cur_task")
    for name in ("push", "pop", "peek", "remove"):
        assert hasattr(core._task_queue, name)
    for name in ("queue_read", "queue_write", "remove", "wait_io_event", "_dequeue"):
        assert hasattr(core.IOQueue, name)
    assert POLLIN == 1  # transport/connection.py has it as a constant
    old = core._io_queue
    asyncio.new_event_loop()
    assert type(core._io_queue) is Poller and core._io_queue is not old


async def test_streams_work_as_before():
    reader, writer, sock, server = await connected()
    other = asyncio.StreamReader(sock)
    big = bytes(range(256)) * 2000

    async def send():
        writer.write(big)
        await writer.drain()

    task = asyncio.create_task(send())
    assert await other.readexactly(len(big)) == big
    await task
    other.write(b"line\n")
    await other.drain()
    assert await reader.readline() == b"line\n"
    sock.close()
    assert await reader.read(1) == b""
    writer.close()
    server.close()
    await server.wait_closed()


async def test_waiting_for_a_stream_can_be_cancelled():
    reader, writer, sock, server = await connected()
    task = asyncio.create_task(reader.read(1))
    await asyncio.sleep_ms(20)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass
    else:
        raise AssertionError("not cancelled")
    sock.write(b"x")
    assert await reader.read(1) == b"x"
    sock.close()
    writer.close()
    server.close()
    await server.wait_closed()


async def test_endpoint_beside_streams():
    reader, writer, sock, server = await connected()
    endpoint = Endpoint(sock)
    poller.current().add(endpoint, POLLIN)
    writer.write(b"hello")
    await writer.drain()
    await until(lambda: endpoint.events)
    assert endpoint.events[0] & POLLIN
    assert len(endpoint.events) == 1
    poller.current().modify(sock, POLLIN | POLLOUT)
    await until(lambda: len(endpoint.events) > 1)
    assert endpoint.events[-1] & POLLOUT
    poller.current().modify(sock, POLLIN)
    sock.write(b"back")
    assert await reader.readexactly(4) == b"back"
    endpoint.close()
    writer.close()
    server.close()
    await server.wait_closed()


class Refusing:
    """A poll object, and a map, without memory for one more."""

    registered = 0

    def register(self, sock, events):
        raise MemoryError

    def __setitem__(self, key, value):
        raise MemoryError


class Registering(Refusing):
    def register(self, sock, events):
        self.registered += 1


def test_what_poll_reports_is_in_the_map_whatever_memory_is_missing():
    made = Poller()
    made.poller = Refusing()
    raises(MemoryError, made.add, Endpoint(object()), POLLIN)
    assert made.map == {}
    made.poller, made.map = Registering(), Refusing()
    raises(MemoryError, made.add, Endpoint(object()), POLLIN)
    assert made.poller.registered == 0


async def test_what_one_socket_made_runnable_runs_before_the_next_is_read():
    order = []

    async def answer():
        order.append("answer")

    class Busy(Endpoint):
        def ready(self, events):
            super().ready(events)
            order.append("read")
            # So long that a task which sleeps is due by then, and stays before the new one.
            sleep_ms(20)
            asyncio.create_task(answer())

    async def sleep():
        await asyncio.sleep_ms(10)

    _, one, first, server = await connected()
    _, other, second, other_server = await connected()
    endpoints = [Busy(first), Busy(second)]
    sleeper = asyncio.create_task(sleep())
    await asyncio.sleep_ms(0)
    for endpoint in endpoints:
        poller.current().add(endpoint, POLLIN)
    for writer in (one, other):
        writer.write(b"x")
        await writer.drain()
    await until(lambda: len(order) == 4)
    assert order == ["read", "answer"] * 2, order
    await sleeper
    for endpoint in endpoints:
        endpoint.close()
    for writer in (one, other):
        writer.close()
    for listener in (server, other_server):
        listener.close()
        await listener.wait_closed()


async def test_a_task_that_ended_is_forgotten_while_nothing_runs():
    _, writer, sock, server = await connected()
    endpoint = Endpoint(sock)
    current = []
    endpoint.ready = lambda events: current.append(core.cur_task) or endpoint.sock.read()
    poller.current().add(endpoint, POLLIN)
    writer.write(b"hello")
    await until(lambda: current)
    assert current[0] is None
    endpoint.close()
    writer.close()
    server.close()
    await server.wait_closed()


async def test_endpoints_tick_until_they_are_gone():
    _, writer, sock, server = await connected()
    endpoint = Endpoint(sock)
    poller.current().add(endpoint, POLLIN)
    await until(lambda: endpoint.ticks >= 2)
    endpoint.close()
    writer.close()
    server.close()
    await server.wait_closed()
    await until(lambda: poller.current()._ticker is None)


async def test_error_of_an_endpoint_is_its_own():
    _, writer, sock, server = await connected()
    endpoint = Endpoint(sock)
    endpoint.raises = ValueError("defect")
    poller.current().add(endpoint, POLLIN)
    writer.write(b"x")
    await writer.drain()
    await until(lambda: endpoint.errors)
    assert endpoint.errors == [endpoint.raises]
    writer.close()
    server.close()
    await server.wait_closed()


async def test_an_endpoint_that_can_not_be_ended_harms_nobody_else():
    _, writer, sock, server = await connected()
    endpoint = Endpoint(sock)
    ends = []

    def failed(error):
        ends.append(error)
        raise MemoryError

    endpoint.failed = failed
    endpoint.raises = MemoryError()
    reported = []
    poller.set_reporter(lambda message, error: reported.append(message))
    poller.current().add(endpoint, POLLIN)
    writer.write(b"x")
    await writer.drain()
    await until(lambda: ends)

    def tick(now):
        raise OSError("in tick")

    endpoint.raises = None
    endpoint.tick = tick
    count = len(ends)
    await until(lambda: len(ends) > count + 1)  # the ticker goes on
    endpoint.close()
    poller.set_reporter(None)
    assert reported and set(reported) == {"an endpoint could not be ended in order"}
    writer.close()
    server.close()
    await server.wait_closed()


class Scarce:
    """In the place of poll: there is no memory for its answer, `failures` times."""

    def __init__(self, poll, failures):
        self.poll = poll
        self.failures = failures

    def ipoll(self, timeout):
        if self.failures:
            self.failures -= 1
            raise MemoryError
        return self.poll.ipoll(timeout)

    def __getattr__(self, name):
        return getattr(self.poll, name)


async def test_a_poll_without_memory_is_made_again():
    _, writer, sock, server = await connected()
    endpoint = Endpoint(sock)
    made = poller.current()
    made.add(endpoint, POLLIN)
    made.poller = scarce = Scarce(made.poller, 3)
    writer.write(b"x")
    await until(lambda: endpoint.events)
    assert scarce.failures == 0
    made.poller = scarce.poll
    endpoint.close()
    writer.close()
    server.close()
    await server.wait_closed()


async def test_deferred_calls_run_once_and_in_order():
    calls = []
    poller.current().defer(calls.append, 1)
    poller.current().defer(calls.append, 2)
    assert calls == []
    await asyncio.sleep_ms(0)
    await asyncio.sleep_ms(20)
    assert calls == [1, 2]


async def test_busy_tasks_do_not_starve_sockets():
    _, writer, sock, server = await connected()
    endpoint = Endpoint(sock)
    poller.current().add(endpoint, POLLIN)
    steps = 0
    running = True

    async def busy():
        nonlocal steps
        while running:
            steps += 1
            await asyncio.sleep_ms(0)

    tasks = [asyncio.create_task(busy()) for _ in range(3)]
    writer.write(b"x")
    await writer.drain()
    await until(lambda: endpoint.events)
    running = False
    for task in tasks:
        await task
    assert steps
    endpoint.close()
    writer.close()
    server.close()
    await server.wait_closed()


async def test_suspend_and_wake():
    queue = core.TaskQueue()
    woken = []

    async def sleeper(number):
        await poller.suspend(queue)
        woken.append(number)

    tasks = [asyncio.create_task(sleeper(number)) for number in range(3)]
    await asyncio.sleep_ms(10)
    assert woken == []
    poller.wake(queue)
    for task in tasks:
        await task
    assert sorted(woken) == [0, 1, 2]
    assert queue.peek() is None


async def test_suspended_task_can_be_cancelled():
    queue = core.TaskQueue()

    async def sleeper():
        await poller.suspend(queue)

    task = asyncio.create_task(sleeper())
    await asyncio.sleep_ms(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass
    else:
        raise AssertionError("not cancelled")
    assert queue.peek() is None


def test_reporter_can_be_replaced():
    told = []
    poller.set_reporter(lambda message, error: told.append((message, error)))
    try:
        poller.report("lost", ValueError)
    finally:
        poller.set_reporter(None)
    assert told == [("lost", ValueError)]
