"""HTTPS of the image: certificates, what HTTP has, who may connect, limits, bad clients."""

import contextlib
import hashlib
import http.client
import json
import os
import re
import resource
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
import websockets.sync.client
from websockets.exceptions import ConnectionClosed, InvalidStatus

from certificates import EC, RSA, Authority
from raw import HANDSHAKE, Connection, metric
from support import DEADLINE, ROOT, free_port, program, wait_until

SERVER = Path(__file__).with_name("http_server.py").read_text()
HTTPS = ("--https-port", "0")
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """An authority that issued `server`, `other` and `third` (ECDSA) and `rsa`."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    for name in ("server", "other", "third"):
        authority.issue(name)
    authority.issue("rsa", RSA)
    return authority


@pytest.fixture
def start(make_image, authority):
    """A function that starts an image with HTTPS and the certificate `server`."""

    def start(app=None, files=None, args=HTTPS, **options):
        files = {**authority.files(), **(files or {})}
        if app is not None:
            files["app.json"] = app
        return make_image(files=files, args=args, **options)

    return start


@pytest.fixture
def secure(start):
    return start()


@pytest.fixture
def client(authority):
    """The context of a client that trusts the authority."""
    return authority.client()


@pytest.fixture
def open_secure(secure, client):
    """A function that opens an HTTPS connection to `secure`."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(Connection(secure.https_port, client))


def page(image, context, host="localhost"):
    connection = http.client.HTTPSConnection(host, image.https_port, context=context)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        assert response.status == 200
        return response.read()
    finally:
        connection.close()


def health(port, context=None):
    with Connection(port, context) as connection:
        return json.loads(connection.get("/health").body)


def web_socket(image, context, **options):
    uri = f"wss://localhost:{image.https_port}/ws"
    return websockets.sync.client.connect(uri, ssl=context, **options)


# Certificates


def test_page_with_a_certificate_that_is_verified(secure, client):
    assert secure.lines == [f"ready {secure.http}/ {secure.ws}/ {secure.https}/"]
    assert b"<title>" in page(secure, client)
    assert b"<title>" in page(secure, client, "127.0.0.1")
    with (
        socket.create_connection(("127.0.0.1", secure.https_port)) as plain,
        pytest.raises(ssl.SSLCertVerificationError, match="elsewhere"),
    ):
        client.wrap_socket(plain, server_hostname="elsewhere")
    with pytest.raises(ssl.SSLCertVerificationError):
        page(secure, ssl.create_default_context())
    assert b"<title>" in page(secure, client)


@pytest.mark.parametrize("kind", ["server", "rsa"])
@pytest.mark.parametrize("form", ["DER", "PKCS #8 in DER", "traditional", "one file"])
def test_forms_of_certificate_and_key(start, authority, client, kind, form):
    certificate, key = authority.read(f"{kind}.pem"), authority.read(f"{kind}.key")
    if form == "one file":
        certificate = key = key + certificate
    elif form == "PKCS #8 in DER":
        options = ("pkcs8", "-topk8", "-nocrypt", "-outform", "DER")
        authority.openssl(*options, "-in", f"{kind}.key", "-out", "key.der")
        key = authority.read("key.der")
    else:
        algorithm = ("rsa", "-traditional") if kind == "rsa" else ("ec",)
        encoding = "DER" if form == "DER" else "PEM"
        authority.openssl(
            *algorithm, "-in", f"{kind}.key", "-outform", encoding, "-out", "converted"
        )
        key = authority.read("converted")
        if form == "DER":
            authority.openssl("x509", "-in", f"{kind}.pem", "-outform", "DER", "-out", "cert.der")
            certificate = authority.read("cert.der")
    image = start(files={"cert.pem": certificate, "key.pem": key})
    assert b"<title>" in page(image, client)


def test_key_with_the_parameters_of_its_curve(start, authority, client):
    # What `openssl ecparam -genkey` writes: another block before the key.
    authority.openssl("ecparam", "-name", "prime256v1", "-genkey", "-out", "own.key")
    assert authority.read("own.key").startswith(b"-----BEGIN EC PARAMETERS-----")
    authority.issue("own", ("-key", "own.key"))
    image = start(files=authority.files("own"))
    assert b"<title>" in page(image, client)


def test_chain(start, authority, client):
    authority.issue("intermediate", EC, extensions="authority")
    authority.issue("leaf", EC, by="intermediate")
    chain = authority.read("leaf.pem") + authority.read("intermediate.pem")
    image = start(files={"cert.pem": chain, "key.pem": authority.read("leaf.key")})
    assert b"<title>" in page(image, client)


def test_names_of_the_files(start, authority, client):
    app = {"https": {"cert": "/tls/mine.crt", "key": "/tls/mine.key"}}
    files = {
        "tls/mine.crt": authority.read("rsa.pem"),
        "tls/mine.key": authority.read("rsa.key"),
    }
    assert b"<title>" in page(start(app, files), client)


def damaged(data):
    """PEM with ten lines' worth of its middle taken out."""
    lines = data.splitlines(keepends=True)
    return b"".join(lines[:2] + lines[3:])


def nested():
    """PKCS #8 within PKCS #8 and so on."""
    key = b""
    for _ in range(1000):
        key = b"\x02\x01\x00\x30\x00\x04\x82" + len(key).to_bytes(2, "big") + key
        key = b"\x30\x82" + len(key).to_bytes(2, "big") + key
    return key


UNUSABLE = {
    "no certificate": (lambda a: {"cert.pem": None}, "/cert.pem is missing"),
    "no key": (lambda a: {"key.pem": None}, "/key.pem is missing"),
    "empty certificate": (lambda a: {"cert.pem": ""}, "/cert.pem isn't a certificate"),
    "empty key": (lambda a: {"key.pem": ""}, "/key.pem isn't an RSA or ECDSA key"),
    "text": (lambda a: {"cert.pem": "secret"}, "/cert.pem isn't a certificate"),
    "text as key": (lambda a: {"key.pem": "secret"}, "/key.pem isn't an RSA or ECDSA key"),
    "damaged certificate": (
        lambda a: {"cert.pem": damaged(a.read("server.pem"))},
        "/cert.pem isn't a certificate",
    ),
    "damaged key": (
        lambda a: {"key.pem": damaged(a.read("server.key"))},
        "/key.pem isn't an RSA or ECDSA key",
    ),
    "cut certificate": (
        lambda a: {"cert.pem": a.read("server.pem")[:200]},
        "/cert.pem isn't a certificate",
    ),
    "cut key": (
        lambda a: {"key.pem": a.read("rsa.key")[:200]},
        "/key.pem isn't an RSA or ECDSA key",
    ),
    "nested key": (lambda a: {"key.pem": nested()}, "/key.pem isn't an RSA or ECDSA key"),
    "exchanged": (
        lambda a: {"cert.pem": a.read("server.key"), "key.pem": a.read("server.pem")},
        "/key.pem isn't an RSA or ECDSA key",
    ),
    "key of another": (
        lambda a: {"key.pem": a.read("other.key")},
        "/key.pem isn't the key of /cert.pem",
    ),
    "RSA key of another": (
        lambda a: {"key.pem": a.read("rsa.key")},
        "/key.pem isn't the key of /cert.pem",
    ),
    "authority first": (
        lambda a: {"cert.pem": a.read("ca.pem") + a.read("server.pem")},
        "/key.pem isn't the key of /cert.pem",
    ),
    "too large": (lambda a: {"cert.pem": "x" * 20_000}, "/cert.pem has over 16384 bytes"),
    "folder": (lambda a: {"cert.pem": None, "cert.pem/x": ""}, "/cert.pem can't be read"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_unusable_file_is_named_and_http_goes_on(start, authority, case):
    files, reason = UNUSABLE[case]
    wanted = {**authority.files(), **files(authority)}
    image = start(start=False)
    for name in ("cert.pem", "key.pem"):
        (image.data / name).unlink()
    for name, content in wanted.items():
        if content is not None:
            image.write(name, content)
    image.start()
    check_off(image, reason)


def check_off(image, reason):
    """There is no HTTPS, one line says why, and the device is fine otherwise."""
    assert image.lines == [f"ready {image.http}/ {image.ws}/"]
    with Connection(image.http_port) as connection:
        lines = json.loads(connection.get("/api/log").body)["log"]
    (line,) = [line for line in lines if "HTTPS" in line]
    assert f" error HTTPS is off: {reason}" in line
    assert "Traceback" not in image.log()


@pytest.mark.parametrize("options", [(), ("-traditional",)])
def test_encrypted_key_is_told_as_that(start, authority, options):
    authority.openssl(
        *("pkey", "-in", "server.key", "-aes128", "-passout", "pass:secret"),
        *(*options, "-out", "encrypted.key"),
    )
    image = start(files={"key.pem": authority.read("encrypted.key")})
    check_off(image, "/key.pem is encrypted")


def test_key_of_an_algorithm_that_is_not_there(start, authority):
    authority.issue("ed25519", ("-newkey", "ed25519"))
    check_off(start(files=authority.files("ed25519")), "/key.pem isn't an RSA or ECDSA key")


NO_MEMORY = program("tls_without_memory")


def test_no_memory_for_the_certificate(micropython):
    script = micropython(NO_MEMORY)
    assert script.wait() == 0, script.log()
    reasons = ["", "[Errno 12] ENOMEM"]
    expected = [f"error HTTPS is off: no memory for TLS ({reason})" for reason in reasons]
    assert script.lines == expected


DAMAGE = program("damaged_certificates")


def test_damaged_keys_raise_what_is_expected(micropython, authority):
    paths = []
    for kind in ("server", "rsa"):
        paths.append(authority.folder / f"{kind}.der")
        options = ("pkcs8", "-topk8", "-nocrypt", "-outform", "DER")
        authority.openssl(*options, "-in", f"{kind}.key", "-out", paths[-1].name)
    script = micropython(DAMAGE, *paths)
    assert (script.wait(), script.lines) == (0, ["done"]), script.log()


# Configuration


def test_no_https_by_default(start):
    image = start(args=())
    assert image.lines == [f"ready {image.http}/ {image.ws}/"]
    assert "HTTPS" not in image.log()


def test_port_of_app_json(start, client):
    port = free_port()
    image = start({"https": {"port": port}}, args=())
    assert image.https_port == port
    assert b"<title>" in page(image, client)


def test_port_that_is_taken_is_told_and_http_goes_on(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        image = start({"https": {"port": port}}, args=())
        check_off(image, f"can't listen at 127.0.0.1 port {port}")


def refused(data, *args):
    command = [ROOT / "build/host/websock", "--data", data, *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr.splitlines()[-1]


def test_port_argument_that_cannot_be_used(start, tmp_path):
    for value in ("x", "65536", "-1", ""):
        assert "--https-port" in refused(tmp_path, f"--https-port={value}")
    assert "--https-port" in refused(tmp_path, "--https-port")
    port = str(free_port())
    for other in ("--http-port", "--ws-port"):
        assert port in refused(tmp_path, other, port, "--https-port", port)
    image = start(start=False)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        free = ("--http-port", "0", "--ws-port", "0")
        assert port in refused(image.data, *free, "--https-port", port)


def test_port_stays_over_a_restart(secure, client):
    port = secure.https_port
    with web_socket(secure, client) as page:
        page.recv()
        page.send('["CMD", "reboot", []]')
        with pytest.raises(ConnectionClosed):
            while True:
                page.recv()
    secure.wait_ready()
    assert secure.https_port == port
    assert health(port, client)["status"] == "ok"


# What HTTP has


def test_everything_is_there(open_secure, secure, client):
    connection = open_secure()
    html = connection.get("/").body.decode()
    script = re.search(r'src="?(static/app[^" >]+)', html)[1]
    assert connection.get("/" + script).status == 200
    assert "wifi/ap/ssid" in json.loads(connection.get("/api/state").body)
    answer = connection.get("/api/command", method="POST", body=b'["GET", "wifi", []]')
    assert "wifi/net/ip" in json.loads(answer.body)
    assert json.loads(connection.get("/health").body)["status"] == "ok"
    assert metric(secure, "secure_connections") == 1
    with web_socket(secure, client) as page:
        assert "iam" in json.loads(page.recv())
        page.send('["GET", "wifi", []]')
        assert "wifi/net/ip" in json.loads(page.recv())


def test_upload(open_secure):
    connection = open_secure()
    mine = os.urandom(131_072)
    assert connection.get("/api/www/static/mine.bin", method="PUT", body=mine).status == 201
    assert connection.get("/static/mine.bin").body == mine
    assert connection.get("/api/www/big", method="PUT", body=mine + b"x").status == 413


def post_json(connection, path, fields, *headers):
    return connection.get(
        path,
        "Content-Type: application/json",
        *headers,
        method="POST",
        body=json.dumps(fields).encode(),
    )


def cookie_of(response):
    """(name=value, attributes) of the cookie that is set."""
    pair, *attributes = response.headers["set-cookie"].split("; ")
    return pair, attributes


def test_session_cookie_is_secure(open_secure, secure):
    connection = open_secure()
    assert post_json(connection, "/password", {"new": PASSWORD}).status == 200
    assert connection.get("/api/state").status == 401
    pair, attributes = cookie_of(post_json(connection, "/login", {"password": PASSWORD}))
    # RFC 6265bis section 4.1.3.2.
    assert pair.startswith("__Host-")
    assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
    assert connection.get("/api/state", f"Cookie: {pair}").status == 200
    with Connection(secure.http_port) as plain:
        answer = post_json(plain, "/login", {"password": PASSWORD})
        other, attributes = cookie_of(answer)
        assert other.startswith("session=") and "Secure" not in attributes
        assert plain.get("/api/state", f"Cookie: {other}").status == 200
    # A browser sends both over TLS; logging out ends both sessions.
    both = f"Cookie: {other}; {pair}"
    assert connection.get("/api/state", both).status == 200
    gone, attributes = cookie_of(connection.get("/logout", both, method="POST"))
    assert gone == "__Host-session=" and "Max-Age=0" in attributes
    for cookie in (pair, other):
        assert connection.get("/api/state", f"Cookie: {cookie}").status == 401


def test_web_socket_with_a_session(secure, client, open_secure):
    connection = open_secure()
    pair, _ = cookie_of(post_json(connection, "/password", {"new": PASSWORD}))
    with pytest.raises(InvalidStatus, match="401"):
        web_socket(secure, client)
    with web_socket(secure, client, additional_headers={"Cookie": pair}) as page:
        page.recv()


ORIGINS = [
    ("https://localhost:{}", "localhost:{}", True),
    ("https://localhost", "localhost", True),
    ("https://localhost:443", "localhost", True),
    ("https://localhost", "localhost:443", True),
    ("https://LOCALHOST", "localhost", True),
    (None, "localhost:{}", True),
    ("http://localhost:{}", "localhost:{}", False),
    ("http://localhost", "localhost", False),
    ("https://localhost", "localhost:{}", False),
    ("https://localhost:80", "localhost", False),
    ("https://evil", "localhost", False),
    ("null", "localhost", False),
]


@pytest.mark.parametrize(("origin", "host", "good"), ORIGINS)
def test_origins(open_secure, secure, origin, host, good):
    lines = ["Host: " + host.format(secure.https_port)]
    if origin:
        lines.append("Origin: " + origin.format(secure.https_port))
    connection = open_secure()
    head = "\r\n".join(["POST /api/command HTTP/1.1", *lines, "Content-Length: 19", "", ""])
    connection.send(head.encode() + b'["GET", "wifi", []]')
    assert connection.read_response().status == (200 if good else 403)
    head = HANDSHAKE.decode().replace("Host: 127.0.0.1", "\r\n".join(lines))
    connection = open_secure()
    connection.send(head.encode())
    assert connection.read_response().status == (101 if good else 403)


# Redirect


@pytest.fixture
def redirecting(start):
    return start({"https": {"redirect": True}})


def location(port, *request):
    with Connection(port) as connection:
        response = connection.get(*request)
        return response.status, response.headers.get("location")


def test_no_redirect_unless_it_is_wanted(secure):
    assert location(secure.http_port, "/")[0] == 200


def test_redirect(redirecting, client):
    to = f"https://127.0.0.1:{redirecting.https_port}"
    http = redirecting.http_port
    assert location(http, "/") == (307, to + "/")
    assert location(http, "/a%20b?c=d") == (307, to + "/a%20b?c=d")
    assert location(http, "http://127.0.0.1/api/log?a=b") == (307, to + "/api/log?a=b")
    assert location(http, "http://127.0.0.1") == (307, to + "/")
    assert location(http, "/%0d%0aSet-Cookie:%20a=b") == (307, to + "/%0d%0aSet-Cookie:%20a=b")
    with Connection(http) as connection:
        assert connection.get("/api/command", method="POST", body=b"[]").status == 307
        connection.send(b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n")
        address = f"https://[::1]:{redirecting.https_port}/"
        assert connection.read_response().headers["location"] == address
        connection.send(b"GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n")
        assert connection.read_response().headers["location"] == address
        # Without Host there is nowhere to go.
        connection.send(b"GET / HTTP/1.0\r\n\r\n")
        assert connection.read_response().status == 200
    assert location(http, "/health")[0] == 200
    assert b"<title>" in page(redirecting, client)


def test_no_redirect_without_https(start):
    image = start({"https": {"redirect": True}}, {"key.pem": ""})
    assert location(image.http_port, "/")[0] == 200


@pytest.mark.parametrize("name", ["server", "rsa"])
def test_only_forward_secrecy_and_authenticated_encryption(start, authority, name):
    image = start(files=authority.files(name))

    def handshake(ciphers):
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{image.https_port}", "-tls1_2"]
        done = subprocess.run(
            [*command, "-cipher", f"{ciphers}:@SECLEVEL=0"],
            input=b"",
            capture_output=True,
            timeout=DEADLINE,
        )
        found = re.search(rb"Cipher is (\S+)", done.stdout)
        return found[1].decode() if found else None

    kind = "RSA" if name == "rsa" else "ECDSA"
    for size in (128, 256):
        cipher = f"ECDHE-{kind}-AES{size}-GCM-SHA{256 if size == 128 else 384}"
        assert handshake(cipher) == cipher
    everything_else = "ALL:!aNULL:!ECDHE+AESGCM:!eNULL"
    assert handshake(everything_else) in (None, "(NONE)")


def test_browsers_insist_on_https_where_that_is_set(start, client):
    image = start({"https": {"hsts": 86_400}})
    with Connection(image.https_port, client) as connection:
        fields = connection.get("/api/session").headers
    assert fields["strict-transport-security"] == "max-age=86400"
    with Connection(image.http_port) as connection:
        assert "strict-transport-security" not in connection.get("/api/session").headers


# Limits


def test_idle_connection_makes_room(start, client):
    image = start({"limits": {"secure_connections": 2}})
    with Connection(image.https_port, client) as first:
        first.get("/health")
        with Connection(image.https_port, client) as second:
            second.get("/health")
            with Connection(image.https_port, client) as third:
                assert third.get("/health").status == 200
                assert first.read_to_end() == b""
                assert second.get("/health").status == 200
    assert metric(image, "connections_evicted_total") == 1


def test_client_over_the_limit_waits_for_a_place(start, client):
    image = start({"limits": {"secure_connections": 2}})
    with web_socket(image, client) as first, web_socket(image, client):
        waiting = socket.create_connection(("127.0.0.1", image.https_port))
        # The other ports are none of its business.
        assert metric(image, "secure_connections") == 2
        first.close()
        with client.wrap_socket(waiting, server_hostname="localhost") as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    assert metric(image, "connections_refused_total") == 0


def test_client_over_the_limit_is_dropped_after_a_while(start, client):
    image = start({"limits": {"secure_connections": 1}})
    with web_socket(image, client) as first:
        first.recv()
        for _ in range(2):
            with pytest.raises(OSError):
                health(image.https_port, client)
        assert metric(image, "connections_refused_total") == 2
        first.send('["GET", "wifi", []]')
        assert "wifi/net/ip" in json.loads(first.recv())
    assert wait_until(lambda: health(image.https_port, client))["status"] == "ok"


@pytest.fixture
def scarce(secure, client):
    """`secure` with memory for a few connections with TLS, and its first client."""
    with web_socket(secure, client) as first:
        first.recv()
        process = secure.process.pid
        with open(f"/proc/{process}/statm") as file:
            size = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.prlimit(process, resource.RLIMIT_AS, (size + 150_000, resource.RLIM_INFINITY))
        yield first
        first.send('["GET", "wifi", []]')
        assert "wifi/net/ip" in json.loads(first.recv())
        resource.prlimit(process, resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
        assert health(secure.https_port, client)["status"] == "ok"


def test_client_without_memory_for_tls_is_refused(scarce, secure, client):
    with contextlib.ExitStack() as stack:
        # The limit is 16.
        for _ in range(14):
            with contextlib.suppress(OSError, EOFError):
                stack.enter_context(web_socket(secure, client))
        refused = metric(secure, "connections_refused_total")
        assert refused
        assert secure.log().count("error connection refused: OSError: [Errno 12]") == refused


def test_idle_connection_gives_its_memory(scarce, secure, client):
    with contextlib.ExitStack() as stack:
        served = 0
        for _ in range(14):
            with contextlib.suppress(OSError, EOFError):
                connection = stack.enter_context(Connection(secure.https_port, client))
                served += connection.get("/health").status == 200
    assert served and metric(secure, "connections_evicted_total")


def test_handshakes_that_never_end_make_room(start, client):
    image = start({"limits": {"secure_connections": 2}})
    silent = [socket.create_connection(("127.0.0.1", image.https_port)) for _ in range(2)]
    wait_until(lambda: metric(image, "secure_connections") == 2)
    assert health(image.https_port, client)["status"] == "ok"
    for connection in silent:
        connection.close()


# Records: a block of transport is 4 KiB, a record of TLS up to 16.


@pytest.fixture
def make_server(micropython, authority, tmp_path):
    """A function that starts http_server.py with settings and gives the port of its HTTPS."""

    def make(**settings):
        folder = tmp_path / "files"
        folder.mkdir()
        settings = {"tls": authority.folder, **settings}
        script = micropython(SERVER, folder, *[f"{k}={v}" for k, v in settings.items()])
        return int(script.wait_line(r"port (\d+)")[1]), script

    return make


@pytest.fixture
def port(make_server):
    return make_server()[0]


@pytest.fixture
def connection(port, client):
    with Connection(port, client) as connection:
        yield connection


def post(path, body):
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def test_many_requests_in_one_record(connection):
    requests = b"GET /ok HTTP/1.1\r\nHost: x\r\n\r\n" * 500
    assert 8192 < len(requests) < 16384
    connection.send(requests)
    for _ in range(500):
        assert connection.read_response().body == b"ok"


def test_requests_and_a_body_in_one_record(connection):
    body = bytes(range(256)) * 20
    pieces = [
        post("/echo", body),
        post("/count", body),
        b"GET /soon HTTP/1.1\r\nHost: x\r\n\r\n",
    ]
    connection.send(b"".join(pieces))
    assert connection.read_response().body == body
    assert connection.read_response().body == b"5120"
    assert connection.read_response().body == b"soon"


def test_bodies_larger_than_a_record(connection):
    body = os.urandom(90_000)
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked = head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    for request in (post("/echo", body), chunked):
        connection.send(request)
        assert connection.read_response().body == body


def test_head_in_many_records(connection):
    for byte in b"GET /ok HTTP/1.1\r\nHost: x\r\n\r\n":
        connection.send(bytes([byte]))
    assert connection.read_response().body == b"ok"


def test_files_and_ranges(connection):
    body = os.urandom(40_000)
    assert connection.get("/file/a", method="PUT", body=body).status == 201
    assert connection.get("/file/a").body == body
    response = connection.get("/file/a", "Range: bytes=10000-29999")
    assert (response.status, response.body) == (206, body[10_000:30_000])


def test_events(connection):
    connection.send(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
    while line := connection.read_line():
        assert "gzip" not in line
    text = b""
    while not text.endswith(b":\n\n\r\n"):
        text += connection.file.read1()
    assert b'event: state\nid: 7\nretry: 500\ndata: {"a": 1}\n\n' in text
    assert b"data: two\ndata: lines\n\n" in text


NUMBERS = hashlib.sha256(b"".join(b"%07d\n" % i for i in range(131_072))).digest()


def test_slow_reader(port, client):
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.connect(("127.0.0.1", port))
    with client.wrap_socket(plain, server_hostname="localhost") as slow:
        slow.sendall(b"GET /numbers HTTP/1.1\r\nHost: x\r\n\r\n")
        # While it reads nothing, others are served.
        with Connection(port, client) as other:
            for _ in range(20):
                assert other.get("/soon").body == b"soon"
        data = slow.recv(100)
        while b"\r\n\r\n" not in data:
            data += slow.recv(100)
        _, _, data = data.partition(b"\r\n\r\n")
        body = hashlib.sha256(data)
        left = 8 * 131_072 - len(data)
        while left:
            data = slow.recv(min(left, 701))
            assert data
            body.update(data)
            left -= len(data)
        assert body.digest() == NUMBERS
        slow.sendall(b"GET /ok HTTP/1.1\r\nHost: x\r\n\r\n")
        assert slow.recv(1000).endswith(b"ok")


def test_client_that_leaves_a_stream(port, client):
    with Connection(port, client) as connection:
        connection.send(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.read_exactly(50_000)
        connection.reset()
    wait_until(lambda: status(port, client)["ended"] == ["flood"])


# Clients that do not do as they should


def status(port, context):
    with Connection(port, context) as connection:
        return json.loads(connection.get("/status").body)


def client_hello():
    """The first bytes of a handshake."""
    outgoing = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(
        ssl.MemoryBIO(), outgoing, server_hostname="localhost"
    )
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


BAD = {
    "plain HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "zeros": bytes(1000),
    "noise": bytes(range(256)) * 4,
    "no version of TLS": b"\x16\x09\x01\x02\x00" + bytes(512),
    "a record too large": b"\x16\x03\x03\xff\xff" + bytes(70_000),
    "an alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "data": b"\x17\x03\x03\x00\x20" + bytes(32),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_handshake_is_cut_off(port, client, case):
    with Connection(port) as connection:
        connection.send(BAD[case])
        # An alert at most: nothing in plain text.
        assert not connection.read_to_end().startswith(b"HTTP")
    assert status(port, client)["connections"] == 1


@pytest.mark.parametrize("sent", ["nothing", "a part", "hello", "a message without end"])
def test_handshake_that_stops_is_cut_off(make_server, client, sent):
    port, _ = make_server(HEAD_TIMEOUT_MS=300)
    hello = client_hello()
    endless = b"\x16\x03\x01\x02\x00\x01\xff\xff\xff" + bytes(508)
    sent = {"nothing": b"", "a part": hello[:50], "hello": hello}.get(sent, endless)
    with Connection(port) as connection:
        connection.send(sent)
        connection.read_to_end()
    assert status(port, client)["connections"] == 1


def test_head_that_stops_after_the_handshake(make_server, client):
    port, _ = make_server(HEAD_TIMEOUT_MS=300)
    with Connection(port, client) as connection:
        connection.send(b"GET / HT")
        assert connection.read_response().status == 408


def test_nothing_is_left_of_bad_clients(make_server, client):
    port, script = make_server()
    hello = client_hello()

    def misbehave():
        with Connection(port) as connection:
            connection.send(hello)
            connection.reset()
        with Connection(port) as connection:
            connection.send(hello[:100])
            connection.reset()
        with Connection(port) as connection:
            connection.send(BAD["noise"])
        with contextlib.suppress(ssl.SSLCertVerificationError):
            Connection(port, ssl.create_default_context())
        with Connection(port, client) as connection:
            connection.get("/ok")
            connection.reset()
        wait_until(lambda: status(port, client)["connections"] == 1)

    def resources():
        process = f"/proc/{script.process.pid}"
        with Connection(port, client) as connection:

            def alone():
                status = json.loads(connection.get("/status").body)
                return status if status["connections"] == 1 else None

            heap = wait_until(alone)["alloc"]
            with open(f"{process}/statm") as file:
                resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            return len(os.listdir(f"{process}/fd")), heap, resident

    for _ in range(5):
        misbehave()
    descriptors, heap, resident = resources()
    for _ in range(40):
        misbehave()
    after = resources()
    assert after[0] == descriptors
    # One connection has some 400 bytes of heap, and over 20 KiB of TLS's.
    assert after[1] - heap < 4000
    assert after[2] - resident < 1_000_000
    assert "Traceback" not in script.log()


def test_beside_many_plain_connections(secure, client, open_secure):
    with contextlib.ExitStack() as stack:
        connections = [open_secure()]
        for _ in range(40):
            connections.append(stack.enter_context(Connection(secure.http_port)))
        for connection in (*connections, *reversed(connections)):
            assert connection.get("/health").status == 200
        connections[0].close()
        wait_until(lambda: health(secure.http_port)["connections"] == 41)
        assert health(secure.https_port, client)["status"] == "ok"


def test_many_at_once(start, client):
    # More than have a place.
    image = start({"limits": {"secure_connections": 3}})
    with contextlib.ExitStack() as stack:
        bad = [stack.enter_context(Connection(image.https_port)) for _ in range(5)]
        for connection in bad[:3]:
            connection.send(BAD["plain HTTP"])
        for _ in range(5):
            with web_socket(image, client) as page:
                assert "iam" in json.loads(page.recv())
    assert health(image.http_port)["status"] == "ok"
