"""Phone home: the image as a client of a relay that comes, goes, hangs and misbehaves."""

import asyncio
import contextlib
import hashlib
import signal
import ssl

import pytest
from websockets.asyncio.server import serve
from websockets.utils import accept_key

from certificates import Authority
from command_client import Page, Protocol
from support import DEADLINE, free_port, wait_until, with_constants


class Relay:
    """A relay on a port of its own: `async with Relay() as relay`; stop() and start() again."""

    def __init__(self):
        self.port = free_port()
        self.arrivals = 0
        self._arrived = asyncio.Queue()
        self._server = None

    async def start(self):
        self._server = await serve(self._serve, "127.0.0.1", self.port)

    async def stop(self):
        self._server.close()
        await self._server.wait_closed()

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *exception):
        await self.stop()

    async def _serve(self, connection):
        self.arrivals += 1
        await self._arrived.put(Protocol(connection))
        await connection.wait_closed()

    async def device(self):
        """The next connection of a device, with its first message received."""
        device = await asyncio.wait_for(self._arrived.get(), DEADLINE)
        await device.receive()
        return device


def settings(port, **home):
    return {
        "network.json": {"device": {"iam": "bench-7", "dev": "tester"}},
        "app.json": {"home": {"host": "127.0.0.1", "port": port, **home}},
    }


async def test_device_shows_its_token_to_the_relay_alone(make_image):
    async with Relay() as relay:
        files = settings(relay.port, tls=False)
        files["secrets.json"] = {"home/token": "s3cret-token"}
        image = make_image(files=files)
        device = await relay.device()
        assert device.connection.request.headers["Authorization"] == "Bearer s3cret-token"
        assert "s3cret" not in str(device.state)
        assert "s3cret" not in image.log()


class SecureRelay(Relay):
    """A relay with TLS, whose certificate `name` an authority has issued."""

    def __init__(self, authority, name="server"):
        super().__init__()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        files = [authority.folder / f"{name}.{kind}" for kind in ("pem", "key")]
        self._context.load_cert_chain(*files)

    async def start(self):
        self._server = await serve(self._serve, "127.0.0.1", self.port, ssl=self._context)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("authority"))
    for name in ("server", "other"):
        authority.issue(name)
    return authority


@pytest.fixture(scope="module")
def impostor(tmp_path_factory):
    """Another authority, whose server has the same name."""
    authority = Authority(tmp_path_factory.mktemp("impostor"))
    authority.issue("server")
    return authority


def pin(authority, name="server"):
    """SHA-256 of the SubjectPublicKeyInfo, by openssl."""
    authority.openssl("x509", "-in", f"{name}.pem", "-pubkey", "-noout", "-out", "spki.pem")
    authority.openssl("pkey", "-pubin", "-in", "spki.pem", "-outform", "DER", "-out", "spki.der")
    return hashlib.sha256(authority.read("spki.der")).hexdigest()


TOKEN = {"home/token": "s3cret-token"}


async def test_a_token_goes_over_tls_to_whom_the_authority_knows(make_image, authority):
    async with SecureRelay(authority) as relay:
        files = {**settings(relay.port), "secrets.json": TOKEN}
        image = make_image(files={**files, "home_ca.pem": authority.read("ca.pem")})
        device = await relay.device()
        assert device.connection.request.headers["Authorization"] == "Bearer s3cret-token"
        cipher = device.connection.transport.get_extra_info("cipher")[0]
        assert cipher.startswith("ECDHE-") and "GCM" in cipher
        async with Page(image.ws) as page:
            await page.reaches({"home/connected": True})
            assert page.state["home/url"] == f"wss://127.0.0.1:{relay.port}/bench-7"


async def test_a_token_goes_to_whom_has_the_key(make_image, authority):
    async with SecureRelay(authority) as relay:
        files = {**settings(relay.port, key=pin(authority).upper()), "secrets.json": TOKEN}
        make_image(files=files)
        device = await relay.device()
        assert device.connection.request.headers["Authorization"] == "Bearer s3cret-token"


@pytest.mark.parametrize("by", ["authority", "key"])
async def test_an_impostor_gets_no_token(make_image, authority, impostor, by):
    async with SecureRelay(impostor) as relay:
        home = {"key": pin(authority)} if by == "key" else {}
        files = {**settings(relay.port, **home), "secrets.json": TOKEN}
        image = make_image(files={**files, "home_ca.pem": authority.read("ca.pem")})
        refusal = "phone home: ConnectionLost: TLS: "
        await asyncio.to_thread(wait_until, lambda: refusal in image.log())
        assert relay.arrivals == 0


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "/home_ca.pem is missing"),
        ({"home_ca.pem": b"nonsense"}, "/home_ca.pem isn't a certificate in PEM or DER"),
    ],
)
async def test_without_anybody_to_trust_there_is_no_phone_home(make_image, files, why):
    async with Relay() as relay:
        image = make_image(files={**settings(relay.port), "secrets.json": TOKEN, **files})
        await asyncio.to_thread(wait_until, lambda: f"error phone home: {why}" in image.log())
        async with Page(image.ws) as page:
            await page.round_trip()
        assert relay.arrivals == 0


async def test_device_comes_with_its_name_and_its_state(make_image):
    async with Relay() as relay:
        image = make_image(files=settings(relay.port))
        device = await relay.device()
        assert device.connection.request.path == "/bench-7"
        assert device.state["iam"] == "bench-7"
        assert {"wifi/net/mac", "hal", "fake_interface/running"} <= device.state.keys()
        async with Page(image.ws) as page:
            await page.reaches({"home/connected": True})
            assert page.state["home/url"] == f"ws://127.0.0.1:{relay.port}/bench-7"


async def test_relay_is_one_more_client(make_image):
    async with Relay() as relay:
        image = make_image(files=settings(relay.port))
        device = await relay.device()
        async with Page(image.ws) as page:
            await device.send("CMD", "start_interface")
            await device.send("CMD", "send_message", ["from the relay"])
            for client in (device, page):
                assert await client.event("fake_interface/msg") == "FROM THE RELAY"
            assert "nonsense" in await device.refused("GET", "nonsense")
            await page.round_trip()
            assert page.count("error") == 0


# Command, and the right that it takes.
COMMANDS = [
    (["GET", "wifi"], "read"),
    (["GET", "state"], "read"),
    (["CMD", "hal"], "read"),
    (["GET", "log"], "read"),
    (["CMD", "start_interface"], "control"),
    (["CMD", "send_message", ["x"]], "control"),
    (["CMD", "stop_interface"], "control"),
    (["CMD", "scan"], "settings"),
    (["CMD", "set", ["device/dev", "x"]], "settings"),
    (["CMD", "store_new_sta", ["site", "12345678"]], "settings"),
    (["CMD", "set", ["home/rights", "admin"]], "admin"),
    (["CMD", "set", ["app", "mine"]], "admin"),
    (["CMD", "set", ["http/proxy", "10.0.0.1"]], "admin"),
    (["CMD", "factory_reset"], "admin"),
]
RIGHTS = ["read", "control", "settings", "admin"]


@pytest.mark.parametrize("right", [None, *RIGHTS])
async def test_the_relay_may_do_what_its_right_says(make_image, right):
    async with Relay() as relay:
        image = make_image(files=settings(relay.port, **({"rights": right} if right else {})))
        device = await relay.device()
        has = RIGHTS.index(right or "control")
        for command, needed in COMMANDS:
            if has < RIGHTS.index(needed):
                what = " ".join(command[:2])
                refusal = await device.refused(*command)
                assert refusal == f"{what} takes the right {needed}"
            elif command[1] not in ("factory_reset", "scan"):
                await device.send(*command)
                await device.round_trip()
        # The page has them all.
        async with Page(image.ws) as page:
            await page.send("CMD", "set", ["home/rights", "read"])
            assert await page.event("info") == "home/rights is saved and used"
            assert "takes the right control" in await device.refused("CMD", "stop_interface")


async def test_configured_path_and_the_older_form_of_the_file(make_image):
    async with Relay() as relay:
        home = {"ip": "127.0.0.1", "port": relay.port, "path": "/site/4"}
        make_image(files={"app.json": {"app": "demo", "demo": {"home": home}}})
        device = await relay.device()
        assert device.connection.request.path == "/site/4"


async def test_off_by_default(image):
    async with Page(image.ws) as page:
        assert page.state["home/url"] == ""
        assert page.state["home/connected"] is False


async def test_refused_at_first(make_image):
    relay = Relay()
    image = make_image(files=settings(relay.port))
    async with Page(image.ws) as page:
        assert page.state["home/connected"] is False
        async with relay:
            assert (await relay.device()).state["iam"] == "bench-7"
            await page.reaches({"home/connected": True})


async def test_relay_that_is_killed(make_image):
    async with Relay() as relay:
        image = make_image(files=settings(relay.port))
        device = await relay.device()
        async with Page(image.ws) as page:
            await page.reaches({"home/connected": True})
            # An RST, as from a machine that was switched off and on.
            device.connection.transport.abort()
            await page.reaches({"home/connected": False})
            device = await relay.device()
            assert device.state["iam"] == "bench-7"
            await page.reaches({"home/connected": True})


async def test_relay_that_is_restarted(make_image):
    async with Relay() as relay:
        image = make_image(files=settings(relay.port))
        await relay.device()
        async with Page(image.ws) as page:
            await page.reaches({"home/connected": True})
            await relay.stop()
            await page.reaches({"home/connected": False})
            await relay.start()
            await relay.device()
            await page.reaches({"home/connected": True})


class Hanging:
    """A relay that accepts connections, answers the handshake if `answers`, and then hangs."""

    def __init__(self, answers):
        self.answers = answers
        self.connections = asyncio.Queue()
        self._writers = []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exception):
        for writer in self._writers:
            writer.close()
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        self._writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            if self.answers:
                names = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
                accept = accept_key(names[b"Sec-WebSocket-Key"].decode())
                writer.write(
                    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    b"Connection: Upgrade\r\n"
                    b"Sec-WebSocket-Accept: " + accept.encode() + b"\r\n\r\n"
                )
            await self.connections.put(head)


async def test_relay_that_sends_no_pong(make_image):
    async with Hanging(answers=True) as relay:
        home = {"ping_interval": 0.3, "ping_timeout": 0.3}
        image = make_image(files=settings(relay.port, **home))
        await relay.connections.get()
        async with Page(image.ws) as page:
            await page.reaches({"home/connected": True})
            await page.reaches({"home/connected": False})
            await relay.connections.get()
            await page.reaches({"home/connected": True})


async def test_relay_that_never_answers_the_handshake(make_image):
    async with Hanging(answers=False) as relay:
        files = settings(relay.port)
        waits = {"device.net.home": {"OPEN_TIMEOUT": 1, "RETRY_FIRST": 1}}
        files.update(with_constants(files["app.json"], waits))
        image = make_image(files=files)
        await relay.connections.get()
        async with Page(image.ws) as page:
            await page.round_trip()
            assert page.state["home/connected"] is False
            await relay.connections.get()
            await page.round_trip()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00" * 5000,
        b"",
    ],
)
async def test_something_else_than_a_relay(make_image, answer):
    attempts = asyncio.Queue()

    async def handle(reader, writer):
        await attempts.put(None)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        image = make_image(files=settings(server.sockets[0].getsockname()[1]))
        for _ in range(2):
            await attempts.get()
        async with Page(image.ws) as page:
            await page.round_trip()
            assert page.state["home/connected"] is False


async def test_relay_reboots_the_device(make_image):
    async with Relay() as relay:
        image = make_image(files=settings(relay.port))
        device = await relay.device()
        await device.send("CMD", "reboot")
        assert await device.closed() == 1012
        await asyncio.to_thread(image.wait_ready)
        device = await relay.device()
        assert device.state["iam"] == "bench-7"


async def test_the_relay_is_told_when_the_device_ends(make_image):
    async with Relay() as relay:
        image = make_image(files=settings(relay.port))
        device = await relay.device()
        image.ended_by_test = True
        image.send_signal(signal.SIGTERM)
        assert await device.closed() == 1001


async def test_name_that_cannot_be_resolved(make_image):
    image = make_image(files={"app.json": {"home": {"host": "relay.invalid"}}})
    async with Page(image.ws) as page:
        await page.round_trip()
        assert page.state["home/connected"] is False


async def test_relays_by_preference(make_image):
    second, first = Relay(), Relay()
    async with second:
        hosts = f"127.0.0.1:{first.port}, 127.0.0.1"
        files = settings(second.port, host=hosts)
        files.update(with_constants(files["app.json"], {"device.net.home": {"RETRY_FIRST": 1}}))
        image = make_image(files=files)
        await second.device()
        async with Page(image.ws) as page:
            await page.reaches({"home/connected": True})
            assert page.state["home/url"] == f"ws://127.0.0.1:{second.port}/bench-7"
            # When it has to come again it begins with the first.
            async with first:
                await second.stop()
                await first.device()
                url = f"ws://127.0.0.1:{first.port}/bench-7"
                await page.reaches({"home/connected": True, "home/url": url})


async def test_why_there_is_no_connection_and_when_it_is_tried_again(make_image):
    relay = Relay()
    image = make_image(files=settings(relay.port))
    async with Page(image.ws) as page:
        await page.reaches({"home/reason": "[Errno 111] ECONNREFUSED"})
        assert page.state["home/retry_at"] > 0
        async with relay:
            # Somebody is in a hurry.
            await page.send("CMD", "phone_home")
            await relay.device()
            await page.reaches({"home/connected": True, "home/reason": None})
            assert page.state["home/retry_at"] is None
            await relay.stop()
            await page.reaches({"home/connected": False})
            assert page.state["home/reason"] == "closed by the relay (1001)"
        # Without a relay there is none to phone.
        await page.send("CMD", "set", [{"home/host": ""}])
        await page.reaches({"home/url": "", "home/retry_at": None, "home/reason": None})
        assert "there is no relay" in await page.refused("CMD", "phone_home")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "the relay refuses the token (401)"),
        (403, "the relay refuses the token (403)"),
        (503, "the relay refuses the connection (503)"),
    ],
)
async def test_a_relay_that_refuses_says_so_on_the_page(make_image, status, reason):
    def refuse(connection, request):
        return connection.respond(status, "no\n")

    async with serve(lambda connection: None, "127.0.0.1", 0, process_request=refuse) as server:
        image = make_image(files=settings(server.sockets[0].getsockname()[1]))
        async with Page(image.ws) as page:
            await page.reaches({"home/reason": reason, "home/connected": False})


async def test_another_relay_is_phoned_at_once(make_image):
    async with Relay() as relay, Relay() as other:
        image = make_image(files=settings(relay.port))
        device = await relay.device()
        async with Page(image.ws) as page:
            await page.send("CMD", "set", [{"home/port": other.port, "home/path": "/new"}])
            assert await page.event("saved") == "config"
            moved = await other.device()
            url = f"ws://127.0.0.1:{other.port}/new"
            await page.reaches({"home/connected": True, "home/url": url})
            assert page.state.get("restart_needed") is None
            # It asks for another itself, as who has the right may.
            await moved.send("CMD", "set", ["home/rights", "admin"])
            assert "takes the right" in await moved.event("error")
        await device.connection.wait_closed()
