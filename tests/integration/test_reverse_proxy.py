"""The image behind a real nginx or Caddy, which ends TLS and gives the device another name."""

import http.client
import json
import os
import re
import signal
import socket
import ssl
from pathlib import Path

import pytest
import websockets.sync.client
from websockets.exceptions import InvalidStatus

from certificates import Authority
from support import ROOT, Program, free_port, wait_until

NGINX = Path("/usr/sbin/nginx")
CADDY = Path("/usr/bin/caddy")
NAME = "pump.example.com"
PASSWORD = "correct horse"

CONFIGURATION = """
daemon off;
pid FOLDER/nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path FOLDER;
    proxy_temp_path FOLDER;
    fastcgi_temp_path FOLDER;
    uwsgi_temp_path FOLDER;
    scgi_temp_path FOLDER;
    map $http_upgrade $connection_upgrade { default upgrade; "" close; }
    server {
        listen 127.0.0.1:PORT ssl;
        ssl_certificate FOLDER/cert.pem;
        ssl_certificate_key FOLDER/key.pem;
        LOCATION
    }
}
"""

CADDYFILE = """
{
    admin off
    auto_https disable_redirects
    default_sni NAME
}
https://NAME:PORT {
    bind 127.0.0.1
    tls FOLDER/cert.pem FOLDER/key.pem
    LOCATION
}
"""

DOCUMENT = (ROOT / "docs" / "http.md").read_text()


def documented(language):
    """What docs/http.md says of a proxy."""
    return re.search(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)[1]


class Proxy:
    """A proxy in front of an image; asked for NAME, over TLS."""

    def __init__(self, port, context):
        self.port = port
        self._context = context

    def ask(self, method, path, fields=None, source="127.0.0.1", **headers):
        client = http.client.HTTPSConnection(
            "127.0.0.1", self.port, context=self._context, source_address=(source, 0)
        )
        body = None if fields is None else json.dumps(fields)
        try:
            headers = {"Host": NAME, "Content-Type": "application/json", **headers}
            client.request(method, path, body, headers)
            answer = client.getresponse()
            return answer, answer.read()
        finally:
            client.close()

    def connect(self, place="/", **headers):
        return websockets.sync.client.connect(
            f"wss://{NAME}{place}ws",
            sock=socket.create_connection(("127.0.0.1", self.port)),
            ssl=self._context,
            server_hostname=NAME,
            additional_headers=headers,
        )


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("authority"))
    authority.issue("server")
    return authority


def run_nginx(text, folder):
    (folder / "nginx.conf").write_text(text)
    return [NGINX, "-c", folder / "nginx.conf", "-p", folder]


def run_caddy(text, folder):
    (folder / "Caddyfile").write_text(text)
    places = [f"XDG_DATA_HOME={folder}", f"XDG_CONFIG_HOME={folder}"]
    return ["/usr/bin/env", *places, CADDY, "run", "--config", folder / "Caddyfile"]


# Program, package, command, configuration.
PROXIES = {
    "nginx": (NGINX, "nginx-light", run_nginx, CONFIGURATION),
    "caddy": (CADDY, "caddy", run_caddy, CADDYFILE),
}


@pytest.fixture(params=PROXIES)
def make_proxy(request, authority, tmp_path):
    """A function that starts a proxy in front of an image."""
    program, package, command, configuration = PROXIES[request.param]
    if not program.exists():
        pytest.skip(f"{request.param} is missing: apt-get install {package}")
    started = []

    def make(image, place="/"):
        folder = tmp_path / "proxy"
        folder.mkdir()
        (folder / "cert.pem").write_bytes(authority.read("server.pem"))
        (folder / "key.pem").write_bytes(authority.read("server.key"))
        os.chmod(folder, 0o755)
        port = free_port()
        location = documented(request.param).replace("/pump/", place)
        location = location.replace("192.168.1.20", f"127.0.0.1:{image.http_port}")
        text = configuration.replace("LOCATION", location).replace("NAME", NAME)
        text = text.replace("FOLDER", str(folder)).replace("PORT", str(port))
        server = Program(command(text, folder), tmp_path / "proxy.log")
        server.spawn()
        started.append(server)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        proxy = Proxy(port, context)

        def serves():
            assert server.running, server.log()
            try:
                proxy.ask("GET", place + "health")
            except OSError:
                return False
            return True

        wait_until(serves)
        return proxy

    yield make
    for server in started:
        server.send_signal(signal.SIGTERM)  # which nginx' workers are told
        server.wait()


@pytest.mark.parametrize("make_proxy", ["nginx"], indirect=True)
@pytest.mark.parametrize("settings", [{}, {"proxy": "127.0.0.1"}, {"names": [NAME]}])
def test_the_device_has_to_know_of_it(make_image, make_proxy, settings):
    proxy = make_proxy(make_image(files={"app.json": {"http": settings}}))
    trusted = "proxy" in settings
    # Without http/proxy it goes by nginx's own Host, which is an address.
    assert proxy.ask("GET", "/")[0].status == (421 if trusted else 200)
    answer, _ = proxy.ask("POST", "/password", {"new": PASSWORD}, Origin=f"https://{NAME}")
    assert answer.status == (421 if trusted else 403)


@pytest.mark.image(files={"app.json": {"http": {"proxy": "127.0.0.1", "names": [NAME]}}})
def test_page_login_and_websocket_through_a_proxy(image, make_proxy):
    proxy = make_proxy(image)
    answer, body = proxy.ask("GET", "/")
    assert answer.status == 200 and b"<title>Device</title>" in body
    origin = f"https://{NAME}"
    assert proxy.ask("POST", "/password", {"new": PASSWORD}, Origin=origin)[0].status == 200
    answer, body = proxy.ask("POST", "/login", {"password": PASSWORD}, Origin=origin)
    assert answer.status == 200
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    # Another site's page is refused behind the proxy, too.
    foreign = proxy.ask("POST", "/api/command", ["CMD", "reboot"], Origin="https://evil.example")
    assert foreign[0].status == 403
    with proxy.connect(Cookie=cookie, Origin=origin) as client:
        assert "iam" in json.loads(client.recv())
        client.send(json.dumps(["GET", "log"]))
        while "log" not in json.loads(client.recv()):
            pass
    for headers in ({"Origin": origin}, {"Cookie": cookie, "Origin": "https://evil.example"}):
        with pytest.raises(InvalidStatus) as refused:
            proxy.connect(**headers)
        assert refused.value.response.status_code in (401, 403)
    # Its clients are told apart, whatever they say: one that guesses locks out nobody else.
    guess = {"password": "wrong horse"}
    for n in range(6):
        other = {"X-Forwarded-For": f"10.1.1.{n}"}
        last, _ = proxy.ask("POST", "/login", guess, "127.0.0.5", **other)
    assert last.status == 429
    assert proxy.ask("POST", "/login", {"password": PASSWORD})[0].status == 200
    assert "wrong admin password from 127.0.0.5" in image.log()


@pytest.mark.image(files={"app.json": {"http": {"proxy": "127.0.0.1", "names": [NAME]}}})
def test_the_device_in_a_folder_of_the_site(image, make_proxy):
    proxy = make_proxy(image, "/pump/")
    origin = f"https://{NAME}"
    answer, body = proxy.ask("GET", "/pump/")
    assert answer.status == 200
    # Everything that the page loads is beside it.
    for name in re.findall(rb'(?:href|src)="?([^" >]+)', body):
        assert not name.startswith(b"/"), name
        if name.startswith(b"static/"):
            assert proxy.ask("GET", "/pump/" + name.decode())[0].status == 200
    answer, _ = proxy.ask("POST", "/pump/password", {"new": PASSWORD}, Origin=origin)
    assert answer.status == 200
    answer, _ = proxy.ask("GET", "/pump/")
    assert answer.status == 303 and answer.headers["Location"] == "login"
    assert proxy.ask("GET", "/pump/login")[0].status == 200
    answer, _ = proxy.ask("POST", "/pump/login", {"password": PASSWORD}, Origin=origin)
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    with proxy.connect("/pump/", Cookie=cookie, Origin=origin) as client:
        assert "iam" in json.loads(client.recv())
    scripts = (ROOT / "frozen_www" / "static").glob("*.js")
    assert not [s for s in scripts if re.search(r"""fetch\(["'`]/""", s.read_text())]
