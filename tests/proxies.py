"""Real reverse proxies: nginx and Caddy, which end TLS and give what is behind another name."""

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
from pathlib import Path

import websockets.sync.client

from support import Program, free_port, wait_until

NGINX = Path("/usr/sbin/nginx")
CADDY = Path("/usr/bin/caddy")

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


class Proxy:
    """A proxy that runs; asked for `name`, over TLS."""

    def __init__(self, name, port, context):
        self.name = name
        self.port = port
        self._context = context

    def ask(self, method, path, fields=None, source="127.0.0.1", **headers):
        client = http.client.HTTPSConnection(
            "127.0.0.1", self.port, context=self._context, source_address=(source, 0)
        )
        body = fields if isinstance(fields, str | None) else json.dumps(fields)
        try:
            headers = {"Host": self.name, "Content-Type": "application/json", **headers}
            client.request(method, path, body, headers)
            answer = client.getresponse()
            return answer, answer.read()
        finally:
            client.close()

    def connect(self, place="/ws", **headers):
        return websockets.sync.client.connect(
            f"wss://{self.name}{place}",
            sock=socket.create_connection(("127.0.0.1", self.port)),
            ssl=self._context,
            server_hostname=self.name,
            additional_headers=headers,
        )


@contextlib.contextmanager
def running(kind, name, location, folder, authority, health):
    """A proxy that runs within the context.

    Args:
        kind: one of PROXIES.
        name: of the site.
        location: what its configuration says of what is behind.
        folder: an empty one for its files.
        authority: has issued "server".
        health: a path to ask for, until there is an answer.
    """
    _, _, command, configuration = PROXIES[kind]
    (folder / "cert.pem").write_bytes(authority.read("server.pem"))
    (folder / "key.pem").write_bytes(authority.read("server.key"))
    os.chmod(folder, 0o755)
    port = free_port()
    text = configuration.replace("LOCATION", location).replace("NAME", name)
    text = text.replace("FOLDER", str(folder)).replace("PORT", str(port))
    server = Program(command(text, folder), folder / "proxy.log")
    server.spawn()
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    proxy = Proxy(name, port, context)

    def serves():
        assert server.running, server.log()
        try:
            proxy.ask("GET", health)
        except OSError:
            return False
        return True

    try:
        wait_until(serves)
        yield proxy
    finally:
        server.send_signal(signal.SIGTERM)  # which nginx' workers are told
        server.wait()
