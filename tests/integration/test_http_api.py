"""The image's own routes: metrics, log, files of the page, security headers."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import websockets.exceptions
import websockets.sync.client
from prometheus_client.parser import text_string_to_metric_families

from raw import Connection
from support import program, wait_until


@pytest.fixture
def connection(image):
    with Connection(image.http_port) as connection:
        yield connection


def families(connection):
    response = connection.get("/metrics")
    assert response.status == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    parsed = text_string_to_metric_families(response.body.decode())
    return {family.name: family for family in parsed}


def value(connection, name, **labels):
    """The value of the one sample with these labels, None when there is none."""
    family = families(connection)[name]
    found = [sample.value for sample in family.samples if sample.labels == labels]
    assert len(found) <= 1
    return found[0] if found else None


def test_every_metric_has_help_and_type(connection):
    connection.get("/")
    found = families(connection)
    assert len(found) >= 14
    for family in found.values():
        assert family.documentation and family.type in ("counter", "gauge"), family
        assert family.samples, family
        for sample in family.samples:
            assert sample.name == family.name + ("_total" if family.type == "counter" else "")
            assert sample.value >= 0


def test_responses_are_counted_by_status(connection):
    before = value(connection, "websock_http_responses", code="404") or 0
    for _ in range(3):
        connection.get("/nothing")
    assert value(connection, "websock_http_responses", code="404") == before + 3
    assert value(connection, "websock_http_responses", code="200") >= 1


def test_closes_are_counted_by_code(image, connection):
    def count(code):
        return value(connection, "websock_websocket_closes", code=str(code)) or 0

    with websockets.sync.client.connect(image.ws + "/") as page:
        page.recv()
    wait_until(lambda: count(1000) == 1)
    with websockets.sync.client.connect(image.ws + "/") as page:
        page.send("x" * 40_000)
        with pytest.raises(websockets.exceptions.ConnectionClosedError):
            while True:
                page.recv()
    wait_until(lambda: count(1009) == 1)
    with Connection(image.ws_port) as page:
        page.upgrade("/")
        page.reset()
    wait_until(lambda: count(1006) == 1)
    assert count(1000) == count(1009) == 1


def test_clients_and_messages_are_counted(image, connection):
    assert value(connection, "websock_clients") == 0
    with websockets.sync.client.connect(image.ws + "/") as page:
        page.send('["GET", "wifi"]')
        page.recv()
        page.recv()
        assert value(connection, "websock_clients") == 1
        assert value(connection, "websock_messages_received") == 1
        assert value(connection, "websock_connections") == 2
        assert value(connection, "websock_connections_accepted") == 2
    wait_until(lambda: value(connection, "websock_clients") == 0)


def test_heap_and_uptime(connection):
    assert value(connection, "websock_heap_allocated_bytes") > 10_000
    assert value(connection, "websock_heap_free_bytes") > 10_000
    start = value(connection, "websock_uptime_seconds")
    wait_until(lambda: value(connection, "websock_uptime_seconds") > start)


def test_resets_are_counted(image):
    with Connection(image.http_port) as connection:
        assert value(connection, "websock_resets") == 0
        connection.get("/api/command", method="POST", body=b'["CMD", "reboot"]')
    image.wait_ready()
    with Connection(image.http_port) as connection:
        assert value(connection, "websock_resets") == 1


@pytest.mark.image(files={"app.json": {"limits": {"connections": 2}}})
def test_refused_and_evicted_connections_are_counted(image):
    with Connection(image.http_port) as first, Connection(image.http_port) as second:
        first.get("/health")
        second.get("/health")
        with Connection(image.http_port) as third:
            assert value(third, "websock_connections_evicted") >= 1


def test_system_heap_where_there_is_one(make_image, image, connection):
    assert "system_heap" not in json.loads(connection.get("/health").body)
    assert not [name for name in families(connection) if "system" in name]
    chip = make_image(files={"app.json": {"app": "mine"}, "mine.py": program("app_with_a_heap")})
    with Connection(chip.http_port) as connection:
        answer = json.loads(connection.get("/health").body)
        assert answer["system_heap"] == {"free": 68228, "largest": 40000, "minimum": 7300}
        for name, bytes_ in (("free", 68228), ("largest", 40000), ("minimum", 7300)):
            assert value(connection, f"websock_system_heap_{name}_bytes") == bytes_


def test_log(image, connection):
    response = connection.get("/api/log")
    assert response.headers["cache-control"] == "no-store"
    lines = json.loads(response.body)["log"]
    assert any("access point" in line for line in lines)


# Files of the page


def test_page_is_replaced_and_restored_over_http(image, connection):
    frozen = connection.get("/").body
    mine = b"<!doctype html><title>mine</title>"
    assert connection.get("/api/www/page.htm", method="PUT", body=mine).status == 201
    assert connection.get("/").body == mine
    assert connection.get("/api/www/static/a/b.js", method="PUT", body=b"1").status == 201
    assert connection.get("/static/a/b.js").body == b"1"
    assert connection.get("/api/www/page.htm", method="DELETE").status == 204
    assert connection.get("/").body == frozen
    assert connection.get("/api/www/page.htm", method="DELETE").status == 404


@pytest.mark.parametrize(
    "name", ["../app.json", "a/../../app.json", ".hidden", "a//b", "%2e%2e/x"]
)
def test_no_file_outside_the_page_is_written(image, connection, name):
    for method in ("PUT", "DELETE"):
        response = connection.get("/api/www/" + name, method=method, body=b"{}")
        assert response.status == 404
    assert not (image.data / "app.json").exists()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a.py", "a name does not end in .py"),
        ("deep/main.PY", "a name does not end in .py"),
        ("a.mpy", "a name does not end in .mpy"),
        ("a.txt.part", "a name does not end in .part"),
        ("a%00.htm", "a name has no control characters"),
        ("new/a%0a.htm", "a name has no control characters"),
        ("x" * 65, "a name has at most 64 bytes"),
        ("new/" + "%C3%A4" * 33, "a name has at most 64 bytes"),
        ("folder", "there is a folder of this name"),
        ("file/below", "there is a file of a folder's name"),
    ],
)
def test_names_that_no_file_can_have(image, connection, name, why):
    for there in ("folder/a", "file"):
        assert connection.get("/api/www/" + there, method="PUT", body=b"1").status == 201
    response = connection.get("/api/www/" + name, method="PUT", body=b"print()")
    assert (response.status, response.body.decode()) == (400, why + "\n")
    found = sorted(str(path.relative_to(image.data)) for path in image.data.glob("www/**/*"))
    assert found == ["www/file", "www/folder", "www/folder/a"]


def test_an_upload_that_fails_leaves_no_folders(image):
    for head, status in (
        ("Content-Length: 200000", 413),
        ("Transfer-Encoding: chunked", 400),
    ):
        with Connection(image.http_port) as connection:
            request = (
                f"PUT /api/www/a/b/c HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\nnonsense\r\n"
            )
            connection.send(request.encode())
            assert connection.read_response().status == status
        assert not (image.data / "www").exists()


def test_uploads_at_once_do_not_mix(image):
    def upload(number):
        body = bytes([65 + number]) * 50_000
        with Connection(image.http_port) as connection:
            return connection.get(f"/api/www/f{number % 4}", method="PUT", body=body).status

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(upload, range(16)))
    assert set(statuses) <= {200, 201, 409}
    for path in (image.data / "www").iterdir():
        assert len(path.read_bytes()) == 50_000 and len(set(path.read_bytes())) == 1


def test_what_is_uploaded_is_no_app(image):
    body = json.dumps(["CMD", "set", ["app", "www"]]).encode()
    with Connection(image.http_port) as connection:
        answer = connection.get("/api/command", method="POST", body=body)
    assert json.loads(answer.body) == {"error": "set: app must have only letters, digits and _"}


def test_file_over_the_limit_is_413(image):
    with Connection(image.http_port) as connection:
        connection.send(
            b"PUT /api/www/big HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n"
        )
        assert connection.read_response().status == 413
    assert not (image.data / "www/big").exists()


# Headers


def test_page_has_its_headers_in_every_form(connection):
    for headers in (["Accept-Encoding: gzip"], [], ["Range: bytes=0-9"]):
        response = connection.get("/", *headers)
        assert "default-src 'none'" in response.headers["content-security-policy"], headers
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["x-content-type-options"] == "nosniff"


def test_part_of_the_page(connection):
    whole = connection.get("/").body
    part = connection.get("/", "Range: bytes=2000-2999")
    assert (part.status, part.body) == (206, whole[2000:3000])
    assert part.headers["content-range"] == f"bytes 2000-2999/{len(whole)}"


def test_second_visit_costs_little(connection):
    first = connection.get("/", "Accept-Encoding: gzip")
    etag = first.headers["etag"]
    fields = f"Host: x\r\nAccept-Encoding: gzip\r\nIf-None-Match: {etag}\r\n"
    connection.send(f"GET / HTTP/1.1\r\n{fields}\r\n".encode())
    assert len(connection.socket.recv(1000)) < 200


def test_jquery_is_there_for_pages_of_users(connection):
    response = connection.get("/static/jquery.js")
    if response.status == 404:
        pytest.skip("built without packages from PyPI")
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert b"jQuery v3." in response.body[:50]
    assert b"jquery" not in connection.get("/").body
