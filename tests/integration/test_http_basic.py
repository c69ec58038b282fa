"""HTTP/1.1 of the image over real sockets: the page, methods, connections, limits, errors."""

import gzip
import json
import re
from pathlib import Path

import pytest
from websockets.sync.client import connect

from raw import Connection
from support import wait_until


@pytest.fixture
def connection(image):
    with Connection(image.http_port) as connection:
        yield connection


# The page


def test_page_is_gzipped_html(connection):
    response = connection.get("/", "Accept-Encoding: gzip")
    assert response.status == 200
    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["vary"].lower() == "accept-encoding"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "content-security-policy" in response.headers
    assert gzip.decompress(response.body).lower().startswith(b"<!doctype html>")


def test_page_without_gzip_is_the_same_page(connection):
    zipped = connection.get("/", "Accept-Encoding: gzip")
    for headers in ([], ["Accept-Encoding: identity"], ["Accept-Encoding: gzip;q=0, br"]):
        plain = connection.get("/", *headers)
        assert plain.status == 200
        assert "content-encoding" not in plain.headers
        assert plain.body == gzip.decompress(zipped.body)


def test_etag_is_strong_and_answers_304(connection):
    response = connection.get("/", "Accept-Encoding: gzip")
    etag = response.headers["etag"]
    assert re.fullmatch(r'"[0-9a-f]{10}"', etag)
    for condition in (etag, "*", f'"other", {etag}', f"W/{etag}"):
        again = connection.get("/", "Accept-Encoding: gzip", f"If-None-Match: {condition}")
        assert (again.status, again.body) == (304, b"")
        assert again.headers["etag"] == etag
        assert again.headers["cache-control"] == "no-cache"
    changed = connection.get("/", "Accept-Encoding: gzip", 'If-None-Match: "0123456789"')
    assert changed.status == 200


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_second_visit_costs_little(connection, encoding):
    page = gzip.decompress(connection.get("/", "Accept-Encoding: gzip").body).decode()
    for path in ["/", *re.findall(r"""\b(?:src|href)=["']?(static/[^"' >]+)""", page)]:
        path = "/" + path.lstrip("/")
        accept = f"Accept-Encoding: {encoding}"
        etag = connection.get(path, accept).headers["etag"]
        connection.send(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{accept}\r\n"
            f"If-None-Match: {etag}\r\n\r\n".encode()
        )
        assert connection.read_line() == "HTTP/1.1 304 Not Modified"
        size = len("HTTP/1.1 304 Not Modified\r\n\r\n")
        while line := connection.read_line():
            size += len(line) + 2
        assert size < 200


def test_what_the_page_refers_to_is_immutable(connection):
    page = gzip.decompress(connection.get("/", "Accept-Encoding: gzip").body).decode()
    names = re.findall(r"""\b(?:src|href)=["']?/?(static/[^"' >]+)""", page)
    assert len(names) >= 2
    for name in names:
        assert re.search(r"\.[0-9a-f]{8}\.", name)
        response = connection.get("/" + name, "Accept-Encoding: gzip")
        assert response.status == 200
        assert "immutable" in response.headers["cache-control"]


def test_file_in_data_overrides_the_page(make_image):
    image = make_image(files={"www/page.htm": "<!doctype html><title>mine</title>"})
    with Connection(image.http_port) as connection:
        response = connection.get("/")
        assert response.status == 200
        assert response.body == b"<!doctype html><title>mine</title>"
        assert response.headers["content-type"].startswith("text/html")
        image.write("www/page.htm", "changed")
        assert connection.get("/").body == b"changed"
        (image.data / "www/page.htm").unlink()
        frozen = connection.get("/", "Accept-Encoding: gzip")
        assert gzip.decompress(frozen.body).lower().startswith(b"<!doctype html>")


@pytest.mark.parametrize(
    "path",
    [
        "/network.json",
        "/../network.json",
        "/static/../network.json",
        "/static/../../network.json",
        "/static/%2e%2e/network.json",
        "/static/..%2fnetwork.json",
        "/static//network.json",
        "/www/page.htm",
    ],
)
def test_files_outside_www_cannot_be_reached(make_image, path):
    files = {"network.json": {"sta": {"ssid": "workshop", "pass": "secret-of-the-site"}}}
    image = make_image(files={**files, "www/page.htm": "mine"})
    with Connection(image.http_port) as connection:
        response = connection.get(path)
        assert response.status in (400, 404)
        assert b"secret" not in response.body


# Methods and statuses


def test_head_has_the_headers_of_get_and_no_body(connection):
    full = connection.get("/", "Accept-Encoding: gzip")
    head = connection.get("/", "Accept-Encoding: gzip", method="HEAD")
    assert (head.status, head.body, head.headers) == (200, b"", full.headers)
    assert connection.get("/").status == 200


def test_unknown_path_is_404_and_the_connection_lives_on(connection):
    assert connection.get("/nothing/here").status == 404
    assert connection.get("/").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_wrong_method_is_405_with_allow(connection, method):
    response = connection.get("/", "Content-Length: 0", method=method)
    assert response.status == 405
    allowed = {name.strip() for name in response.headers["allow"].split(",")}
    assert {"GET", "HEAD"} <= allowed and method not in allowed


def test_options_names_the_methods(connection):
    response = connection.get("/", method="OPTIONS")
    assert response.status == 204
    assert {"GET", "HEAD", "OPTIONS"} <= set(response.headers["allow"].split(", "))


def test_unknown_method_is_refused(connection):
    assert connection.get("/", method="BREW").status in (405, 501)


def test_health_is_json_with_the_versions(connection, micropython):
    response = connection.get("/health")
    assert response.status == 200
    assert response.headers["content-type"].startswith("application/json")
    health = json.loads(response.body)
    assert health["status"] == "ok"
    assert health["version"]
    script = micropython("import sys\nprint(sys.version)")
    script.wait()
    assert f"MicroPython v{health['micropython']} " in script.lines[0] + " "


# Connections


def test_connection_is_kept_for_many_requests(connection):
    for _ in range(20):
        assert connection.get("/health").status == 200


def test_connection_close_is_honoured(connection):
    response = connection.get("/health", "Connection: close")
    assert response.headers["connection"] == "close"
    assert connection.read_to_end() == b""


def test_http_1_0_closes_after_the_response(connection):
    connection.send(b"GET /health HTTP/1.0\r\n\r\n")
    assert connection.read_response().status == 200
    assert connection.read_to_end() == b""


def test_pipelined_requests_are_answered_in_order(connection):
    paths = ["/health", "/nothing", "/health", "/", "/nothing"]
    connection.send(
        b"".join(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode() for path in paths)
    )
    statuses = [connection.read_response().status for _ in paths]
    assert statuses == [200, 404, 200, 200, 404]


def test_request_in_single_bytes(connection):
    for byte in b"GET /health?a=b HTTP/1.1\r\nHost: localhost\r\nUser-Agent: slow\r\n\r\n":
        connection.send(bytes([byte]))
    assert connection.read_response().status == 200


def test_client_that_leaves_in_the_middle_harms_nobody(image):
    for part in (
        b"",
        b"GET",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ):
        connection = Connection(image.http_port)
        connection.send(part)
        connection.reset()
    with Connection(image.http_port) as connection:
        assert connection.get("/").status == 200


ONE = {"app.json": {"limits": {"connections": 1}}}


@pytest.mark.image(files=ONE)
def test_connection_beyond_the_limit_gets_503(image):
    # It answers pings: only a client that is gone makes way.
    with connect(image.ws) as websocket:
        for _ in range(2):
            with Connection(image.http_port) as connection:
                assert connection.get("/health").status == 503
                assert connection.read_to_end() == b""
            with Connection(image.ws_port) as connection:
                assert connection.upgrade().status == 503
        websocket.send('["GET", "wifi", []]')
        while "wifi/net/ip" not in websocket.recv():
            pass

    def served_again():
        with Connection(image.http_port) as connection:
            return connection.get("/health").status == 200

    wait_until(served_again)


@pytest.mark.image(files={"app.json": {"limits": {"connections": 6}}})
def test_idle_connections_make_way_for_new_ones(image):
    connections = []
    try:
        for _ in range(8):
            connections.append(Connection(image.http_port))
            assert connections[-1].get("/health").status == 200
        # The ones idle for longest were closed.
        assert [connection.read_to_end() for connection in connections[:2]] == [b"", b""]
        assert connections[2].get("/health").status == 200
    finally:
        for connection in connections:
            connection.close()


def test_descriptors_of_ended_connections_are_closed(image):
    def descriptors():
        return len(list(Path(f"/proc/{image.process.pid}/fd").iterdir()))

    with Connection(image.http_port) as connection:
        connection.get("/health")
        before = descriptors()
    for number in range(100):
        connection = Connection(image.http_port)
        if number % 2:
            connection.get("/health")
        if number % 3:
            connection.reset()
        else:
            connection.close()
    wait_until(lambda: descriptors() <= before)


# Limits and malformed requests


def test_long_request_line_is_414(connection):
    connection.send(b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert connection.read_response().status == 414
    assert connection.read_to_end() == b""


def test_request_line_without_an_end_is_414(connection):
    connection.send(b"GET /" + b"a" * 9000)
    assert connection.read_response().status == 414


def test_large_header_is_431(connection):
    connection.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 9000 + b"\r\n\r\n")
    assert connection.read_response().status == 431
    assert connection.read_to_end() == b""


def test_many_headers_are_431(connection):
    fields = b"".join(b"x%d: y\r\n" % number for number in range(300))
    connection.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + fields + b"\r\n")
    assert connection.read_response().status == 431


@pytest.mark.parametrize(
    "request_head",
    [
        b"nonsense\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nspace : y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nFolded: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nA: b\x00c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_malformed_request_is_400(image, request_head):
    with Connection(image.http_port) as connection:
        connection.send(request_head)
        assert connection.read_response().status == 400
    with Connection(image.http_port) as connection:
        assert connection.get("/").status == 200


def test_http_2_is_refused(connection):
    connection.send(b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n")
    assert connection.read_response().status == 505


def test_error_tells_nothing_of_the_inside(connection):
    body = connection.get("/nothing").body
    assert b"Traceback" not in body and b".py" not in body
