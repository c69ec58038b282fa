"""A device whose allocations fail one by one, and the sessions that it has to survive.

A `Device` runs through one of `SESSIONS` with its n-th allocation failing. Whatever the session's
client gets is right; afterwards everything must be as before, which `check` looks at.
"""

import contextlib
import json
import os
import socket
import ssl
import threading
import time

import websockets
from websockets.sync.client import connect
from websockets.sync.server import serve

import raw
from support import Image, free_port, program, wait_until

PASSWORD = "a password of the device"
# Seconds that anything may take before it counts as lost; with the constants below all is short.
PATIENCE = 5

FILES = ("app.json", "network.json", "secrets.json", "admin.json", "tokens.json")

# How long a head may take: to who means it, on a busy computer; `slow` waits for the end of it.
HEAD_TIMEOUT_MS = 5_000

CONSTANTS = {
    "device.access.password": {"ITERATIONS": 2, "FREE_ATTEMPTS": 1_000_000},
    "device.net.home": {"RETRY_FIRST": 0.02, "RETRY_LONGEST": 0.1, "OPEN_TIMEOUT": 1},
    "device.net.wifi": {"Wifi.WATCH_MS": 20, "Wifi.JOIN_MS": 200, "Wifi.HOLD_MS": 40},
    "device.net": {"RESTART_MS": 20},
    "transport.poller": {"TICK_MS": 20},
    "httpd.connection": {"HEAD_TIMEOUT_MS": HEAD_TIMEOUT_MS, "LINGER_TIMEOUT_MS": 100},
    "websockets.connection": {"LINGER_TIMEOUT_MS": 100},
}


class Relay:
    """What the device phones: keeps the connection that came last, and what came by it."""

    def __init__(self):
        self.connection = None
        self._keys = set()
        self.port = free_port()
        self._server = serve(self._serve, "127.0.0.1", self.port, subprotocols=["websock.v1"])
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def _serve(self, connection):
        self._keys = set()
        self.connection = connection
        with contextlib.suppress(websockets.ConnectionClosed):
            for message in connection:
                self._keys.update(json.loads(message))

    def knows(self, key):
        """Whether the device that is connected has sent `key`."""
        return self.connection is not None and key in self._keys

    def ask(self):
        """Ask for what has an answer, which can be that there is no memory for it."""
        with contextlib.suppress(websockets.ConnectionClosed):
            connection = self.connection
            connection.send('["GET", "hal", [], 1]')
            wait_until(lambda: "id" in self._keys or connection.close_code is not None, PATIENCE)

    def drop(self):
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.socket.close()


class Device:
    """The image and its relay.

    certificates: (certificate, key) in PEM
    """

    def __init__(self, folder, certificates=None):
        self.relay = Relay()
        self._control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._control.settimeout(PATIENCE)
        self._port = free_port()
        app = {
            "app": "failing_app",
            "failing": {"port": self._port},
            "home": {"host": "127.0.0.1", "port": self.relay.port},
            "constants": CONSTANTS,
        }
        files = {
            "app.json": app,
            "network.json": {"sta": {"ssid": "site"}},
            "secrets.json": {"sta": {"site": "correct-horse"}},
            "wifi_sim.json": {"networks": [{"ssid": "site", "password": "correct-horse"}]},
            "failing_app.py": program("failing_app"),
            "constants.py": program("constants"),
        }
        args = ["--dns-port", "0"]
        if certificates:
            files["cert.pem"], files["key.pem"] = certificates
            args += ["--https-port", "0"]
        self.image = Image(
            folder / "device",
            folder / "device.log",
            build="host-failing",
            heap="1M",
            args=args,
            files=files,
        )
        self.image.start()
        self.cookie = None
        self.set_password()
        answer = self.get("/api/tokens", "POST", b'{"name": "stays", "right": "read"}')
        assert answer.status == 201, answer
        # Everything once, so that what is imported by it is there.
        for session in SESSIONS:
            self.run(session)
            self.check(session.__name__)
        self._descriptors = self.descriptors()

    def close(self):
        self.relay.close()
        self._control.close()
        if self.image.running:
            self.image.stop()

    # What is asked over the control port

    def _ask(self, text):
        self._control.sendto(text.encode(), ("127.0.0.1", self._port))
        while True:
            try:
                return json.loads(self._control.recv(2000))
            except TimeoutError:
                raise AssertionError(f"no answer to {text}\n{self.image.log()[-6000:]}") from None

    def run(self, session, n=0, count=1):
        """Go through a session while its allocations `n` to `n` + `count` - 1 fail (0: none).

        Returns:
            How many allocations there were.
        """
        head_timeout = HEAD_TIMEOUTS_MS.get(session, HEAD_TIMEOUT_MS)
        self._ask(f"arm {n} {count if n else 0} {head_timeout}")
        try:
            session(self)
        except (OSError, EOFError, AssertionError, ValueError, websockets.WebSocketException):
            # Without memory the device may refuse, or close, whatever it does.
            if not n:
                raise
        return self._ask("disarm")["allocations"]

    def check(self, what):
        """See that the device is as good as ever."""
        image = self.image
        assert image.running, f"{what}: the process ended\n{image.log()[-6000:]}"
        before = self._ask("disarm")
        try:
            answer = self.get("/api/session")
        except (OSError, EOFError) as error:
            raise AssertionError(f"{what}: {error}\n{image.log()[-6000:]}") from None
        if not json.loads(answer.body)["authenticated"]:
            # Too many others have logged in.
            answer = self.get("/login", "POST", json.dumps({"password": PASSWORD}).encode())
            self.cookie = json.loads(answer.body)["token"]

        def goes_on():
            now = self._ask("disarm")
            return all(now[beat] > before[beat] for beat in ("ticker", "wifi", "timer"))

        def at_rest():
            now = self._ask("disarm")
            return now["connections"] == 0 and now["clients"] == 0

        def connected():
            return self.relay.knows("uptime")

        for condition in (goes_on, connected, at_rest):
            try:
                wait_until(condition, PATIENCE)
            except AssertionError:
                raise AssertionError(
                    f"{what}: not {condition.__name__}: {before}, {self._ask('disarm')}\n"
                    f"{image.log()[-6000:]}"
                ) from None
        with raw.Connection(image.http_port) as client:
            assert client.get("/health").status == 200
        with connect(f"{image.ws}/", additional_headers=self.headers()) as client:
            assert "iam" in self.state(client)
        wait_until(at_rest, PATIENCE)
        stored = {name: self._stored(name) for name in FILES}
        assert stored["app.json"]["app"] == "failing_app"
        assert stored["network.json"]["sta"] == {"ssid": "site"}
        assert stored["secrets.json"]["sta"] == {"site": "correct-horse"}
        assert "hash" in stored["admin.json"]
        assert stored["tokens.json"]["tokens"][0]["name"] == "stays"

    def _stored(self, name):
        # As storage.load finds it.
        if not (self.image.data / name).exists():
            name += ".bak"
        return self.image.read_json(name)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.image.process.pid}/fd"))

    def check_descriptors(self, what):
        try:
            wait_until(lambda: self.descriptors() <= self._descriptors, PATIENCE)
        except AssertionError:
            raise AssertionError(
                f"{what}: {self.descriptors()} descriptors, not {self._descriptors}"
            ) from None

    # What the sessions use

    def set_password(self):
        body = json.dumps({"new": PASSWORD}).encode()
        with raw.Connection(self.image.http_port) as client:
            answer = client.get(
                "/password", "Content-Type: application/json", method="POST", body=body
            )
        assert answer.status == 200, answer
        self.cookie = json.loads(answer.body)["token"]

    def headers(self):
        return {"Cookie": f"session={self.cookie}"}

    def get(self, path, method="GET", body=b"", kind="application/json"):
        with raw.Connection(self.image.http_port) as client:
            client.socket.settimeout(PATIENCE)
            return client.get(
                path,
                f"Cookie: session={self.cookie}",
                f"Content-Type: {kind}",
                method=method,
                body=body,
            )

    @staticmethod
    def state(client):
        state = {}
        while "wifi/stored/ssid" not in state:
            state.update(json.loads(client.recv(PATIENCE)))
        return state

    @staticmethod
    def round_trip(client, text):
        """Send a text and wait until it is dealt with."""
        client.send(text)
        client.send(json.dumps(["GET", "hal"]))
        while "hal" not in (message := json.loads(client.recv(PATIENCE))) or len(message) > 1:
            assert message.get("error") != "out of memory", message

    def open(self, **options):
        return connect(
            f"{self.image.ws}/",
            additional_headers=self.headers(),
            open_timeout=PATIENCE,
            close_timeout=1,
            **options,
        )

    def command(self, *request):
        return self.get("/api/command", "POST", json.dumps(request).encode())


def page(device):
    """The page with what it loads, what isn't there, and what isn't allowed."""
    for path in ("/", "/login", "/static/app.js", "/static/nothing", "/nothing", "/api/state"):
        device.get(path)
    with raw.Connection(device.image.http_port) as client:
        client.socket.settimeout(PATIENCE)
        client.get("/")
        client.get("/static/app.js", "Accept-Encoding: identity")
        client.get("/health", method="HEAD")
        client.get("/health", method="OPTIONS")
        client.get("/api/log")


def login(device):
    """A wrong password, a right one, the page that it opens, and out again."""
    for password in ("wrong", PASSWORD):
        answer = device.get("/login", "POST", json.dumps({"password": password}).encode())
    token = json.loads(answer.body)["token"]
    with raw.Connection(device.image.http_port) as client:
        client.socket.settimeout(PATIENCE)
        client.get("/api/session", f"Authorization: Bearer {token}")
        client.get("/logout", f"Authorization: Bearer {token}", method="POST")


def tokens(device):
    """API tokens: one is used and revoked, one can't be, one stays."""
    fields = json.dumps({"name": "for a while", "right": "control"}).encode()
    made = device.get("/api/tokens", "POST", fields)
    device.get("/api/tokens", "POST", fields)
    device.get("/api/tokens")
    if made.status == 201:
        shown = f"Authorization: Bearer {json.loads(made.body)['token']}"
        with raw.Connection(device.image.http_port) as client:
            client.socket.settimeout(PATIENCE)
            client.get("/api/state", shown)
            client.get("/api/www/a", shown, method="PUT", body=b"x")
    device.get("/api/tokens/for%20a%20while", "DELETE")


def commands(device):
    """A WebSocket on the page's port with commands, right and wrong."""
    with device.open() as client:
        device.state(client)
        for request in (
            ["GET", "wifi"],
            ["CMD", "start_interface"],
            ["CMD", "send_message", ["hello"]],
            ["CMD", "stop_interface"],
            ["CMD", "nonsense"],
            ["GET", "log"],
        ):
            device.round_trip(client, json.dumps(request))
        device.round_trip(client, "x" * 5000)
        client.ping().wait(PATIENCE)


def sockets(device):
    """WebSockets at /ws, with and without compression, that go without a word."""
    for options in ({}, {"compression": None}):
        with connect(
            device.image.http.replace("http", "ws") + "/ws",
            additional_headers=device.headers(),
            open_timeout=PATIENCE,
            close_timeout=1,
            **options,
        ) as client:
            try:
                device.state(client)
                device.round_trip(client, json.dumps(["GET", "state"]))
            finally:
                client.socket.shutdown(socket.SHUT_RDWR)


def settings(device):
    """Settings that are stored, and some that aren't."""
    for value in (21, 20, "twenty"):
        device.command("CMD", "set", ["https/hsts", value])
    device.command("CMD", "set", ["no/such", 1])


def equipment(device):
    """Interfaces that are made, changed, used, put in order and removed."""
    lamp = {"name": "lamp", "type": "gpio", "pin": 4}
    for verb, item, arguments in (
        ("CMD", "remove_interface", ["lamp"]),  # what is left of a time before
        ("GET", "kinds", []),
        ("GET", "kind", ["gpio"]),
        ("CMD", "add_interface", [lamp]),
        ("CMD", "configure_interface", ["lamp", {**lamp, "pin": 5, "initial": 1}]),
        ("CMD", "send_message", ["lamp", "0"]),
        ("CMD", "order_interfaces", [["lamp", "fake_interface"]]),
        ("CMD", "stop_interface", ["lamp"]),
        ("CMD", "add_interface", [{**lamp, "pin": 6}]),
        ("CMD", "remove_interface", ["lamp"]),
    ):
        device.command(verb, item, arguments)


def wifi(device):
    """A scan, a test of a network, and the network that is stored."""
    device.command("CMD", "scan")
    device.command("CMD", "test_new_sta", ["elsewhere", "no such network"])
    device.command("CMD", "store_new_sta", ["site", "correct-horse"])


def upload(device):
    """A file for the page, as a whole and in chunks; one too large; gone again."""
    device.get("/api/www/static/notes.txt", "PUT", b"x" * 6000, "text/plain")
    device.get("/static/notes.txt")
    with raw.Connection(device.image.http_port) as client:
        client.socket.settimeout(PATIENCE)
        client.send(
            b"PUT /api/www/static/more.txt HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Cookie: session=" + device.cookie.encode() + b"\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"
        )
        client.read_response()
    device.get("/static/more.txt")
    device.get("/api/www/static/notes.txt", "DELETE")
    device.get("/api/www/static/more.txt", "DELETE")


def figures(device):
    """What monitoring asks for."""
    device.get("/metrics")
    device.get("/health")
    device.get("/api/state")


def phone_home(device):
    """The relay closes the connection; the device comes back and is asked for its state."""
    device.relay.drop()
    wait_until(lambda: device.relay.knows("uptime"), PATIENCE)
    device.relay.ask()


def rude(device):
    """Clients that leave in the middle, and what isn't HTTP."""
    port = device.image.http_port
    for start in (
        b"GET / HTT",
        b"POST /api/command HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 90\r\n\r\n[",
        b"\x16\x03\x01\x02\x00\x01\x00",
        raw.HANDSHAKE.replace(b"\r\n\r\n", b"\r\nCookie: session=%s\r\n\r\n")
        % device.cookie.encode()
        + raw.frame(raw.TEXT, b"unfinished" * 100)[:500],
    ):
        client = raw.Connection(port)
        client.send(start)
        client.socket.settimeout(0.05)
        with contextlib.suppress(TimeoutError, ConnectionError):
            client.socket.recv(1)
        client.reset()


def slow(device):
    """Heads that never end, on both ports, until the device ends them."""
    for port in (device.image.http_port, device.image.ws_port):
        with raw.Connection(port) as client:
            client.socket.settimeout(PATIENCE)
            client.send(b"GET / HTTP/1.1\r\nX: ")
            if port == device.image.http_port:
                client.read_to_end()


def secure(device):
    """A page over TLS."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with raw.Connection(device.image.https_port, context) as client:
        client.socket.settimeout(PATIENCE)
        client.get("/health")


def names(device):
    """Questions to the captive portal's name server."""
    query = b"\0\1\1\0\0\1\0\0\0\0\0\0\7example\3org\0\0\1\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(query, ("127.0.0.1", device.image.dns_port))
        client.sendto(b"nonsense", ("127.0.0.1", device.image.dns_port))
    time.sleep(0.02)


SESSIONS = (
    page,
    login,
    tokens,
    commands,
    sockets,
    settings,
    equipment,
    wifi,
    upload,
    figures,
    phone_home,
    rude,
    slow,
    secure,
    names,
)

HEAD_TIMEOUTS_MS = {slow: 200}
