"""Connections and listeners on real sockets of the loopback interface."""

import asyncio
import gc
import io
import os
from errno import ECONNRESET, ENOMEM
from hashlib import sha256
from select import POLLIN
from time import ticks_add, ticks_ms

import heap
import transport.secure
from heap import BLOCK_SIZE
from helpers import until
from lazy import load
from sockets import HOST, free_port
from transport import (
    AddressError,
    ConnectionLost,
    Group,
    Listener,
    open_connection,
    set_reporter,
)
from transport.connection import LOW_WATER
from transport.places import GRACE_MS, QUIET_MS


class Recorder:
    """A protocol that notes what happens; `step` bytes are consumed at a time."""

    def __init__(self, connection=None, step=BLOCK_SIZE):
        self.connection = connection
        self.step = step
        self.received = bytearray()
        self.wanted = None
        self.idle_since = None
        self.sent_calls = 0
        self.ended = False
        self.timeouts = 0
        self.lost = []

    def data_received(self, block, start, end):
        if end - start < self.step and self.step != BLOCK_SIZE:
            return start
        stop = min(end, start + self.step)
        self.take(memoryview(block)[start:stop])
        if stop < end and self.step != BLOCK_SIZE:
            return self.data_received(block, stop, end)
        return stop

    def take(self, data):
        self.received.extend(data)

    def filled(self, n):
        self.wanted = self.wanted[n:] if n < len(self.wanted) else None

    def sent(self):
        self.sent_calls += 1

    def eof_received(self):
        self.ended = True
        self.connection.close()

    def timed_out(self):
        self.timeouts += 1

    def connection_lost(self, error):
        self.lost.append(error)


class Counter(Recorder):
    """The same for more bytes than memory holds: counts and hashes them."""

    def __init__(self, connection=None):
        super().__init__(connection)
        self.count = 0
        self.hash = sha256()

    def take(self, data):
        self.count += len(data)
        self.hash.update(data)


class Pair:
    """Two ends of a connection; `client` and `server` are its transports."""

    def __init__(self, kind=Recorder, **options):
        self.kind = kind
        self.group = Group(4)
        self.protocols = []
        self.options = options

    async def __aenter__(self):
        def accept(connection):
            protocol = self.kind(connection, **self.options)
            self.protocols.append(protocol)
            return protocol

        self.port = free_port()
        self.listener = Listener(HOST, self.port, accept, self.group)
        self.near = Recorder()
        self.client = self.near.connection = open_connection(HOST, self.port, self.near)
        await until(lambda: self.protocols)
        self.far = self.protocols[0]
        self.server = self.far.connection
        return self

    async def __aexit__(self, *exception):
        self.client.abort()
        self.server.abort()
        self.listener.close()
        assert not self.group.connections


async def test_bytes_arrive_in_order():
    async with Pair() as pair:
        data = os.urandom(100)
        pair.client.write(data)
        pair.client.write("größer")
        pair.client.write(b"")
        pair.client.write(bytearray(b"!"))
        expected = data + "größer!".encode()
        await until(lambda: len(pair.far.received) >= len(expected))
        assert pair.far.received == expected
        pair.server.write(b"back")
        await until(lambda: pair.near.received == b"back")


async def test_what_is_not_consumed_is_delivered_again():
    async with Pair(step=7) as pair:
        for byte in b"0123456789abcdefghij?":
            pair.client.write(bytes((byte,)))
            await asyncio.sleep_ms(1)
        await until(lambda: len(pair.far.received) == 21)
        assert pair.far.received == b"0123456789abcdefghij?"


async def test_wanted_bytes_are_read_in_place():
    async with Pair() as pair:
        target = bytearray(50_000)
        pair.far.wanted = memoryview(target)
        data = os.urandom(50_000)
        pair.client.write(data)
        await until(lambda: pair.far.wanted is None)
        assert target == data
        assert not pair.far.received


async def test_paused_connection_delivers_nothing_and_then_everything():
    async with Pair() as pair:
        pair.server.pause_reading()
        assert not pair.server.events & POLLIN
        pair.client.write(b"x" * 1000)
        await asyncio.sleep_ms(50)
        assert not pair.far.received
        pair.server.resume_reading()
        await until(lambda: len(pair.far.received) == 1000)


async def test_a_reader_that_stops_holds_the_writer_back():
    async with Pair(Counter) as pair:
        pair.server.pause_reading()
        data = os.urandom(65536)
        count = 0
        while not pair.client.queued:
            pair.client.write(data)
            count += 1
        waiting = asyncio.create_task(pair.client.drained())
        await asyncio.sleep_ms(50)
        assert not waiting.done()
        pair.server.resume_reading()
        await waiting
        assert pair.client.queued <= LOW_WATER
        await until(lambda: pair.far.count == count * 65536)
        expected = sha256()
        for _ in range(count):
            expected.update(data)
        assert pair.far.hash.digest() == expected.digest()
        assert pair.near.sent_calls


async def test_closing_waits_for_what_is_queued():
    async with Pair(Counter) as pair:
        pair.server.pause_reading()
        data = bytes(65536)
        count = 0
        while not pair.client.queued:
            pair.client.write(data)
            count += 1
        pair.client.close()
        assert not pair.near.lost
        pair.server.resume_reading()
        await until(lambda: pair.far.lost)
        assert pair.near.lost == [None]
        assert pair.far.count == count * 65536


async def test_aborting_fails_the_writer_that_waits():
    async with Pair() as pair:
        pair.server.pause_reading()
        while not pair.client.queued:
            pair.client.write(bytes(65536))
        waiting = asyncio.create_task(pair.client.drained())
        await asyncio.sleep_ms(10)
        pair.client.abort()
        try:
            await waiting
        except ConnectionLost:
            pass
        else:
            raise AssertionError("drained")
        assert pair.near.lost == [None]
        pair.client.abort()
        pair.client.close()
        pair.client.write(b"nobody listens")
        assert pair.near.lost == [None]


async def test_writer_that_never_waits_notices_a_reset():
    async with Pair() as pair:
        pair.server.write(b"x")
        await asyncio.sleep_ms(20)
        pair.client.abort()  # with that byte unread: a reset
        try:
            while True:
                pair.server.write(bytes(1000))
                await pair.server.drained()
        except ConnectionLost:
            pass
        await until(lambda: pair.far.lost)
        assert isinstance(pair.far.lost[0], OSError)


async def test_end_of_file_is_told_once():
    async with Pair() as pair:
        pair.client.close()
        await until(lambda: pair.far.lost)
        assert pair.far.ended and pair.far.lost == [None]


async def test_deadline():
    async with Pair() as pair:
        pair.server.set_timeout(1)
        await until(lambda: pair.far.timeouts)
        assert pair.far.timeouts == 1 and pair.server.deadline is None
        pair.server.set_timeout(1)
        pair.server.set_timeout(None)
        await asyncio.sleep_ms(1100)
        assert pair.far.timeouts == 1


async def test_refused_connection_is_reported_to_the_protocol():
    async with Pair() as pair:
        pair.listener.close()
        protocol = Recorder()
        protocol.connection = open_connection(HOST, pair.port, protocol)
        await until(lambda: protocol.lost)
        assert isinstance(protocol.lost[0], OSError)


async def test_group_limits_and_evicts_the_idle():
    async with Pair() as pair:
        clients = []
        for _ in range(3):
            clients.append(open_connection(HOST, pair.port, Recorder()))
        await until(lambda: len(pair.group.connections) == 4)
        assert pair.group.accepted == 4
        # Not the oldest is closed, but the one that has been idle longest.
        for i, ago in enumerate((1000, 5000, 2000, 0)):
            pair.protocols[i].idle_since = ticks_add(ticks_ms(), -ago)
        clients.append(open_connection(HOST, pair.port, Recorder()))
        await until(lambda: len(pair.protocols) == 5)
        assert pair.protocols[1].lost == [None] and pair.group.evicted == 1
        # One is only within its grace: it makes room once that is over, and the newcomer waits.
        for protocol in pair.protocols:
            protocol.idle_since = None
        pair.protocols[3].idle_since = ticks_ms()
        clients.append(open_connection(HOST, pair.port, Recorder()))
        await until(lambda: pair.group.waiting)
        assert pair.protocols[3].lost == [] and len(pair.protocols) == 5
        await until(lambda: len(pair.protocols) == 6)
        assert pair.protocols[3].lost == [None] and pair.group.evicted == 2
        # With none that is idle it waits in vain, and who comes after it doesn't have to.
        for number in (1, 2):
            clients.append(open_connection(HOST, pair.port, Recorder()))
            while pair.group.refused < number:
                await asyncio.sleep_ms(1)
            assert pair.group.connections[-1].over and not pair.group.waiting
        # Until one of the places becomes free.
        pair.protocols[0].connection.abort()
        assert not pair.group.full
        for client in clients:
            if client.protocol is not None:
                client.protocol.connection = client
            client.abort()
        for protocol in pair.protocols:
            protocol.connection.abort()


class Lasting(Recorder):
    """A protocol whose connections last."""

    def __init__(self, connection, ago):
        super().__init__(connection)
        self.quiet_since = ticks_add(ticks_ms(), -ago)
        self.farewell = None
        self.asked = 0

    def probe(self):
        self.asked += 1

    def make_way(self):
        if self.farewell is not None:
            raise self.farewell
        self.connection.write(b"bye")


async def test_the_quietest_makes_way():
    async with Pair() as pair:
        clients = [pair.client]
        for _ in range(3):
            clients.append(open_connection(HOST, pair.port, Recorder()))
            clients[-1].protocol.connection = clients[-1]
        await until(lambda: len(pair.group.connections) == 4)
        lasting = []
        for connection, ago in zip(
            pair.group.connections, (20_000, 90_000, 70_000, QUIET_MS - 5000)
        ):
            lasting.append(Lasting(connection, ago))
            connection.set_protocol(lasting[-1])
        pair.group.kept = 1
        # Four of four last: the quietest goes, and has its word; then the next one.
        heard = clients[1].protocol
        assert pair.group.may_last()
        await until(lambda: heard.lost)
        assert lasting[1].lost == [None] and heard.received == b"bye"
        assert len(pair.group.connections) == 3 and pair.group.evicted == 1
        lasting[2].farewell = MemoryError()
        assert pair.group.may_last()
        assert lasting[2].lost == [None] and pair.group.evicted == 2
        # With two, one more may last without that.
        assert pair.group.may_last() and pair.group.evicted == 2
        # Of an address with more than its share, the quietest goes at once.
        pair.group.limit = 2
        assert pair.group.may_last("another")
        assert lasting[0].lost == [None] and pair.group.evicted == 3
        # An idle one makes room; who said something just now stays.
        for number in (5, 6):
            clients.append(open_connection(HOST, pair.port, Recorder()))
            clients[-1].protocol.connection = clients[-1]
            while len(pair.protocols) < number:
                await asyncio.sleep_ms(1)
            pair.protocols[-1].idle_since = ticks_add(ticks_ms(), -GRACE_MS)
        assert pair.protocols[4].lost == [None] and pair.group.evicted == 4
        # It is asked for a sign of life, in case nobody is there any more.
        pair.group.limit = 1
        assert not pair.group.may_last()
        assert lasting[3].asked == 1 and lasting[3].lost == []
        for connection in clients + list(pair.group.connections):
            connection.abort()


class BrokenTLS(io.IOBase):
    """A TLS socket that has no memory for its handshake."""

    def ioctl(self, request, argument):
        return argument if request == 3 else 0  # MP_STREAM_POLL

    def readinto(self, buffer):
        raise OSError(ENOMEM)

    def close(self):
        pass


class Context:
    """In place of a tls.SSLContext: `outcome` is raised, or what it makes; None for no TLS."""

    def __init__(self, outcome):
        self.outcome = outcome

    def wrap_socket(self, sock, **options):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome or sock


async def refuse_two(outcome):
    # Two clients of a listener whose context gives `outcome`: what is reported, what is counted.
    reports = []
    protocols = []
    set_reporter(lambda message, error: reports.append(message))

    def accept(connection):
        protocols.append(Recorder(connection))
        return protocols[-1]

    group = Group(4)
    port = free_port()
    listener = Listener(HOST, port, accept, group, ssl=Context(outcome))
    for _ in range(2):
        client = Recorder()
        client.connection = open_connection(HOST, port, client)
        client.connection.write(b"hello")
        await until(lambda client=client: client.lost)
    listener.close()
    set_reporter(None)
    assert not group.connections
    assert [len(protocol.lost) for protocol in protocols] == [1] * group.accepted
    return reports, group.accepted, group.refused


async def test_no_memory_for_tls():
    # Each is told once, and the listener goes on.
    assert await refuse_two(MemoryError()) == (["connection refused"] * 2, 0, 2)
    reports, accepted, refused = await refuse_two(OSError(ENOMEM))
    assert reports == [f"connection refused: OSError: {OSError(ENOMEM)}"] * 2
    assert (accepted, refused) == (0, 2)
    assert await refuse_two(BrokenTLS()) == (["no memory for TLS"] * 2, 2, 0)


class Reset:
    """A socket whose peer has reset it before anybody looked: lwIP refuses its options."""

    closed = 0

    def setblocking(self, on):
        pass

    def setsockopt(self, *option):
        raise OSError(ECONNRESET)

    def close(self):
        self.closed += 1


async def test_reset_before_the_first_socket_option_is_a_line():
    reports = []
    set_reporter(lambda *report: reports.append(report))
    async with Pair() as pair:
        sock = Reset()
        listening = pair.listener.sock
        pair.listener.sock = Accepting(sock)
        try:
            pair.listener.ready(POLLIN)
        finally:
            pair.listener.sock = listening
        assert sock.closed == 1
        assert (pair.group.accepted, pair.group.refused) == (1, 1)
        assert len(pair.group.connections) == 1
    set_reporter(None)
    assert reports == [(f"connection refused: OSError: {OSError(ECONNRESET)}", None)]


async def test_a_client_is_closed_when_it_cannot_even_be_counted():
    def without_memory(secure):
        raise MemoryError

    async with Pair() as pair:
        sock = Reset()
        listening = pair.listener.sock
        pair.listener.sock = Accepting(sock)
        pair.group.is_free = without_memory
        try:
            pair.listener.ready(POLLIN)
            raise AssertionError("not told")
        except MemoryError:
            pass
        finally:
            pair.listener.sock = listening
        assert sock.closed == 1 and len(pair.group.connections) == 1


class Accepting:
    """A listening socket that gives one connection."""

    def __init__(self, sock):
        self.sock = sock

    def accept(self):
        return self.sock, (HOST, 1)


async def test_secure_client_is_idle_once_it_was_answered():
    protocols = []

    def accept(connection):
        protocols.append(Recorder(connection))
        protocols[-1].idle_since = ticks_ms()
        return protocols[-1]

    group = Group(4, 1)
    port = free_port()
    listener = Listener(HOST, port, accept, group, ssl=Context(None))
    clients = []
    for _ in range(2):
        client = Recorder()
        client.connection = open_connection(HOST, port, client)
        clients.append(client)
        await until(lambda: protocols)
    (connection,) = group.connections
    # In its handshake it is idle as long as that takes, in however many pieces: the other waits.
    await until(lambda: group.waiting)
    assert connection.idle(ticks_ms()) < GRACE_MS
    for _ in range(20):
        await asyncio.sleep_ms(5)
        connection.ready(0)
    assert connection.idle(ticks_ms()) > 20
    # It isn't while its request is answered, nor for the time that handshakes take to compute.
    protocols[0].idle_since, since = None, protocols[0].idle_since
    assert connection.idle(ticks_ms()) < 0
    protocols[0].idle_since = since
    module = transport.secure
    spent, module._spent = module._spent, ticks_add(module._spent, 1000)
    assert connection.idle(ticks_ms()) < 0
    module._spent = spent
    # Once it is answered, the protocol says whether it is.
    protocols[0].idle_since = None
    connection.write(b"x")
    assert connection.idle(ticks_ms()) < 0
    protocols[0].idle_since = ticks_add(ticks_ms(), -GRACE_MS)
    await until(lambda: len(protocols) == 2)
    assert (group.evicted, group.refused) == (1, 0)
    listener.close()
    for protocol in clients + protocols:
        protocol.connection.abort()


async def test_port_that_is_taken():
    async with Pair() as pair:
        try:
            Listener(HOST, pair.port, Recorder, Group(1))
        except AddressError as error:
            assert str(pair.port) in str(error)
        else:
            raise AssertionError("two listeners at one port")


async def test_memory_is_back_after_many_connections():
    async def once():
        async with Pair() as pair:
            pair.client.write(b"x" * 1000)
            await until(lambda: len(pair.far.received) == 1000)

    for _ in range(3):
        await once()
    gc.collect()
    before = gc.mem_alloc()
    for _ in range(30):
        await once()
    gc.collect()
    # A leak of one connection would be over 500 bytes each time.
    assert gc.mem_alloc() - before < 4000, gc.mem_alloc() - before


# Room for who comes


class Resting:
    """A connection that has rested for some ms."""

    def __init__(self, ms, rests=True):
        self.protocol = self
        self.rests = rests
        self.aborted = False
        self._ms = ms

    def idle(self, now):
        return self._ms

    def abort(self):
        self.aborted = True


def test_who_makes_room_when_memory_is_short():
    kept = heap.RESERVE
    try:
        # Enough, a quarter of it, next to nothing: what is free beside what is to be free.
        for share, expected in ((0.5, ""), (2, "old"), (8, "old new")):
            group = Group(8)
            named = {"old": Resting(200), "new": Resting(10), "busy": Resting(-1)}
            named["asks"] = Resting(10, rests=False)
            served = Resting(500)
            group.connections.extend(list(named.values()) + [served])
            gc.collect()
            heap.RESERVE = int(gc.mem_free() * share)
            load("transport.relief", "relieve")(group, served)
            assert [name for name in ("old", "new", "busy", "asks") if named[name].aborted] == (
                expected.split()
            )
            assert not served.aborted and group.evicted == len(expected.split())
    finally:
        heap.RESERVE = kept
