"""The states of an HTTP connection: those it goes through are those its class's table names."""

import asyncio

from helpers import until
from httpd import Server
from httpd.connection import HTTPConnection
from sockets import HOST, free_port
from transport.connection import LOW_WATER

SOURCE = __file__[: __file__.rindex("/tests/")] + "/modules/httpd/connection.py"
STATES = ("HEAD", "BODY", "BUSY", "SENDING", "STREAM", "DISCARD", "LINGER")  # by their numbers


def documented():
    """The (from, to) pairs of the table in the docstring of `HTTPConnection`."""
    pairs = set()
    with open(SOURCE) as file:
        text = file.read().split("class HTTPConnection:")[1].split('"""')[1]
    for line in text.split("\n"):
        words = line.split()
        while len(words) > 1 and words[0] in STATES:
            pairs.add((words.pop(0), line.split()[-1]))
    return pairs


class Recording(HTTPConnection):
    """Notes its states in `seen`, each once when it is reached; the last is "closed"."""

    def __init__(self, *arguments):
        self.seen = []
        super().__init__(*arguments)

    @property
    def _state(self):
        return STATES.index(self.seen[-1])

    @_state.setter
    def _state(self, number):
        if not self.seen or self.seen[-1] != STATES[number]:
            self.seen.append(STATES[number])

    def connection_lost(self, error):
        super().connection_lost(error)
        self.seen.append("closed")

    async def comes_through(self, states):
        """Wait until it has been in as many states as these, which it has to have been in."""
        try:
            await until(lambda: len(self.seen) >= len(states))
        finally:
            assert self.seen == states, (self.seen, states)


class RecordingServer(Server):
    """Serves one client; `connection` is the one to it."""

    connection = None

    def _connected(self, transport):
        self.connection = Recording(transport, self)
        return self.connection


async def later(request):
    await asyncio.sleep(0)
    return "later"


async def read(request):
    return await request.read()


async def pieces_later(request):
    return iter((b"piece",))


async def stream(request):
    await (await request.stream()).send(b"piece")


async def endless_stream(request):
    stream = await request.stream()
    while True:
        await stream.send(b"piece")
        await asyncio.sleep_ms(1)


async def full_stream(request):
    # The last piece is more than the sockets on both sides take.
    stream = await request.stream()
    while not request.connection.transport.queued:
        await stream.send(bytes(LOW_WATER // 2))


def make_server():
    server = RecordingServer()
    methods = ("GET", "POST")
    server.route("/now", lambda request: "now", methods)
    server.route("/pieces", lambda request: iter((b"piece",)), methods)
    server.route("/full", lambda request: map(bytes, [65_536] * 1024))
    server.route("/later", later, methods)
    server.route("/read", read, methods)
    server.route("/pieces_later", pieces_later, methods)
    server.route("/stream", stream, methods)
    server.route("/endless_stream", endless_stream)
    server.route("/full_stream", full_stream)
    return server


def get(path, option="keep-alive"):
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: {option}\r\n\r\n".encode()


def post(path, option="keep-alive", length=4):
    """A request with the first two bytes of its body."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: {option}\r\n"
    return f"{head}Content-Length: {length}\r\n\r\nab".encode()


REST = b"cd"  # of the body that `post` begins
PART = b"GET /"
BAD = b"nonsense\r\n\r\n"


# Steps that are not bytes to be sent.
IDLE = 0  # the client's time is over without a request
LATE = 1  # it is over once some of a request is there
LEAVE = 2


# What happens to a connection in HEAD, and the states that it has gone through by then.
VISITS = (
    # Answered at once.
    (get("/now"), LEAVE, "closed"),
    (get("/now", "close"), "closed"),
    (post("/now"), "DISCARD", REST, "HEAD", LEAVE, "closed"),
    (post("/now"), "DISCARD", LEAVE, "closed"),
    (post("/now"), "DISCARD", LATE, "closed"),
    (post("/now", "close"), "LINGER", LEAVE, "closed"),
    (post("/now", "keep-alive", 1_000_000), "LINGER", LATE, "closed"),
    # No request.
    (IDLE, "closed"),
    (LEAVE, "closed"),
    (PART, LATE, "LINGER", LEAVE, "closed"),
    (BAD, "LINGER", LEAVE, "closed"),
    # Answered in pieces.
    (get("/pieces"), "SENDING HEAD", LEAVE, "closed"),
    (get("/pieces", "close"), "SENDING closed"),
    # The first check finds that the client took something.
    (get("/full"), "SENDING", LATE, LATE, "closed"),
    (post("/pieces"), "SENDING DISCARD", REST, "HEAD", LEAVE, "closed"),
    (post("/pieces", "close"), "SENDING LINGER", LEAVE, "closed"),
    # Answered by a coroutine.
    (get("/later"), "BUSY HEAD", LEAVE, "closed"),
    (get("/later", "close"), "BUSY closed"),
    (get("/pieces_later"), "BUSY SENDING HEAD", LEAVE, "closed"),
    (post("/read"), "BODY", REST, "BUSY HEAD", LEAVE, "closed"),
    (post("/read"), "BODY", LATE, "BUSY LINGER", LEAVE, "closed"),
    (post("/read"), "BODY", LEAVE, "BUSY LINGER closed"),
    (post("/later"), "BODY DISCARD", REST, "HEAD", LEAVE, "closed"),
    (post("/later", "close"), "BODY LINGER", LEAVE, "closed"),
    (post("/pieces_later"), "BODY SENDING DISCARD", REST, "HEAD", LEAVE, "closed"),
    # By a stream.
    (get("/stream"), "BUSY STREAM HEAD", LEAVE, "closed"),
    (get("/stream", "close"), "BUSY STREAM closed"),
    (get("/full_stream"), "BUSY STREAM SENDING", LATE, "closed"),
    (get("/endless_stream"), "BUSY STREAM", LEAVE, "closed"),
    (post("/stream"), "BODY STREAM DISCARD", REST, "HEAD", LEAVE, "closed"),
    (post("/stream", "close"), "BODY STREAM LINGER", LEAVE, "closed"),
)


async def visit(server, port, steps):
    """Let a client do `steps`; return the (from, to) pairs of states."""
    server.connection = None
    expected = ["HEAD"]
    _, client = await asyncio.open_connection(HOST, port)
    await until(lambda: server.connection is not None)
    connection = server.connection
    for step in steps:
        if step == LEAVE:
            await client.wait_closed()
        elif step == IDLE:
            connection.timed_out()
        elif step == LATE:
            await until(lambda: connection._partial or connection.seen[-1] != "HEAD")
            connection.timed_out()
        elif isinstance(step, bytes):
            client.write(step)
            await client.drain()
        else:
            expected += step.split()
            await connection.comes_through(expected)
    await client.wait_closed()
    return set(zip(connection.seen, connection.seen[1:]))


async def test_the_table_names_every_change_of_state_and_no_other():
    server = make_server()
    port = free_port()
    server.listen(HOST, port)
    seen = set()
    for steps in VISITS:
        seen |= await visit(server, port, steps)
    server.close()
    table = documented()
    assert seen == table, (seen - table, table - seen)
