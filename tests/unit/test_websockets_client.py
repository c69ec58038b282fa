"""websockets.connect: several addresses of a name, connecting again, what loggers are told."""

import asyncio
import socket

import websockets
from helpers import raises
from sockets import free_port
from transport import client as transport_client
from websockets import CloseCode, Opcode, connect, serve
from websockets.client import connect as client_connect
from websockets.server import serve as server_serve

HOST = "127.0.0.1"


class Names:
    """The socket module with a name that stands for several places.

    Args:
        places: (host, port) each.
    """

    SOCK_STREAM = socket.SOCK_STREAM
    socket = socket.socket

    def __init__(self, *places):
        self._places = places
        self.asked = []

    def getaddrinfo(self, host, port, *arguments):
        self.asked.append((host, port))
        found = []
        for place in self._places:
            found += socket.getaddrinfo(*place)
        return found

    def __enter__(self):
        transport_client.socket = self
        return self

    def __exit__(self, *exception):
        transport_client.socket = socket


class Log:
    """What of Python's `logging` is used."""

    def __init__(self):
        self.lines = []

    def info(self, text, *arguments):
        self.lines.append(text % arguments)

    error = info


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


def test_names_are_those_of_pythons():
    assert client_connect is connect and server_serve is serve
    assert websockets.__version__.count(".") == 2
    assert CloseCode.NORMAL_CLOSURE == 1000 and CloseCode.TRY_AGAIN_LATER == 1013
    assert (Opcode.CONT, Opcode.TEXT, Opcode.BINARY) == (0, 1, 2)
    assert (Opcode.CLOSE, Opcode.PING, Opcode.PONG) == (8, 9, 10)


def test_families_take_turns():
    class Found:
        SOCK_STREAM = 1

        @staticmethod
        def getaddrinfo(*arguments):
            return [(6, "a"), (6, "b"), (6, "c"), (4, "d"), (4, "e")]

    before, transport_client.socket = transport_client.socket, Found
    try:
        names = [name for _, name in transport_client.resolve("x", 1)]
    finally:
        transport_client.socket = before
    assert names == ["a", "d", "b", "e", "c"]


async def test_the_next_address_is_tried():
    port = free_port()
    async with serve(echo, HOST, port):
        with Names((HOST, free_port()), (HOST, free_port()), (HOST, port)) as names:
            async with connect("ws://relay.example:1/") as websocket:
                await websocket.send("hello")
                assert await websocket.recv() == "hello"
            assert names.asked == [("relay.example", 1)]


async def test_an_address_that_does_not_answer_is_given_up():
    from websockets import client

    # Listeners of which nobody accepts, until there is no more room: the next isn't told anything.
    silent = socket.socket()
    silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place = (HOST, free_port())
    silent.bind(socket.getaddrinfo(*place)[0][-1])
    silent.listen(0)
    waiting = []
    for _ in range(3):
        sock = socket.socket()
        sock.setblocking(False)
        try:
            sock.connect(socket.getaddrinfo(*place)[0][-1])
        except OSError:
            pass
        waiting.append(sock)
    port = free_port()
    before, client.ATTEMPT_MS = client.ATTEMPT_MS, 50
    try:
        async with serve(echo, HOST, port):
            with Names(place, (HOST, port)):
                async with connect("ws://relay.example/") as websocket:
                    await websocket.ping()
    finally:
        client.ATTEMPT_MS = before
        for sock in [silent] + waiting:
            sock.close()


async def test_who_answers_at_an_address_is_the_server():
    def refuse(connection, request):
        return connection.respond(403, "no")

    port, other = free_port(), free_port()
    async with serve(echo, HOST, port, process_request=refuse), serve(echo, HOST, other) as server:
        with Names((HOST, port), (HOST, other)):
            try:
                await connect("ws://relay.example/")
            except websockets.InvalidStatus as error:
                assert error.response.status_code == 403
            else:
                raise AssertionError("connected")
        assert not server.connections


async def test_all_addresses_refuse():
    with Names((HOST, free_port()), (HOST, free_port())):
        try:
            await connect("ws://relay.example/")
        except OSError:
            pass
        else:
            raise AssertionError("connected")


async def test_delays_are_those_that_are_given():
    log = Log()
    given = []

    def delays():
        for n in range(3):
            given.append(n)
            yield 0.001

    uri = f"ws://{HOST}:{free_port()}/"
    try:
        async for _ in connect(uri, reconnect_delays=delays, logger=log):
            raise AssertionError("connected")
    except OSError:
        pass
    else:
        raise AssertionError("gave up without a word")
    assert given == [0, 1, 2] and len(log.lines) == 3
    assert log.lines[0].startswith("connect failed; reconnecting in 0.0 seconds: ")


async def test_a_connection_begins_the_delays_anew():
    port = free_port()
    begun = []

    def delays():
        begun.append(1)
        while True:
            yield 0.01

    rounds = 0
    server = await serve(echo, HOST, port)
    async for websocket in connect(f"ws://{HOST}:{port}/", reconnect_delays=delays):
        await websocket.send("x")
        assert await websocket.recv() == "x"
        rounds += 1
        if rounds == 3:
            await websocket.close()
            break
        await websocket.close()
        if rounds == 2:
            server.close()
            await server.wait_closed()
            asyncio.create_task(later(port))
    assert begun == [1]


async def later(port):
    await asyncio.sleep_ms(100)
    await serve(echo, HOST, port)


async def test_what_fails_in_a_handler_is_told_to_the_logger():
    log = Log()

    async def fails(websocket):
        raise ValueError("of mine")

    port = free_port()
    async with serve(fails, HOST, port, logger=log):
        async with connect(f"ws://{HOST}:{port}/") as websocket:
            await websocket.wait_closed()
            assert websocket.close_code == CloseCode.INTERNAL_ERROR
    assert log.lines == ["connection handler failed: ValueError: of mine"]


def test_options_that_can_not_be():
    raises(ValueError, connect, "ws://h/", server_hostname="h")


def test_a_user_agent_of_ones_own_is_the_only_one():
    def agents(**options):
        names = [name.lower() for name, _ in connect("ws://h/", **options)._headers]
        return names.count("user-agent")

    assert agents() == 1
    assert agents(additional_headers={"USER-agent": "mine"}) == 1
    assert agents(user_agent_header=None) == 0
