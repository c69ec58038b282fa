"""The opening handshake of both sides, as pure functions."""

import re

from websockets import handshake
from websockets.uri import URI

# RFC 6455 section 1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def request_fields(**changes):
    fields = {
        "host": "device",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-key": KEY,
        "sec-websocket-version": "13",
    }
    return change(fields, changes)


def response_fields(**changes):
    fields = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-accept": ACCEPT}
    return change(fields, changes)


def change(fields, changes):
    for name, value in changes.items():
        name = name.replace("_", "-")
        if value is None:
            del fields[name]
        else:
            fields[name] = value
    return fields


def refused(call, *arguments):
    try:
        call(*arguments)
    except handshake.Refused as refusal:
        return refusal.args
    raise AssertionError("accepted")


def test_accept_key():
    assert handshake.accept_key(KEY) == ACCEPT


def test_request_of_a_browser_is_accepted():
    assert handshake.check_request("GET", 1, request_fields()) == KEY
    fields = request_fields(connection="keep-alive, Upgrade", upgrade="h2c, WebSocket")
    assert handshake.check_request("GET", 1, fields) == KEY


def test_rules_for_requests():
    for status, method, minor, changes in (
        (426, "GET", 1, {"upgrade": None}),
        (426, "GET", 1, {"upgrade": "h2c"}),
        (400, "POST", 1, {}),
        (400, "GET", 0, {}),
        (400, "GET", 1, {"content_length": "3"}),
        (400, "GET", 1, {"transfer_encoding": "chunked"}),
        (400, "GET", 1, {"connection": None}),
        (400, "GET", 1, {"connection": "keep-alive"}),
        (426, "GET", 1, {"sec_websocket_version": "8"}),
        (426, "GET", 1, {"sec_websocket_version": None}),
        (400, "GET", 1, {"sec_websocket_key": None}),
        (400, "GET", 1, {"sec_websocket_key": ""}),
        (400, "GET", 1, {"sec_websocket_key": "c2hvcnQ="}),
        (400, "GET", 1, {"sec_websocket_key": "!" * 24}),
        (400, "GET", 1, {"sec_websocket_key": KEY + "AAAA"}),
    ):
        fields = request_fields(**changes)
        assert refused(handshake.check_request, method, minor, fields)[0] == status, changes


def test_wrong_version_is_told_the_right_one():
    # Section 4.4.
    _, _, headers = refused(
        handshake.check_request, "GET", 1, request_fields(sec_websocket_version="14")
    )
    assert ("Sec-WebSocket-Version", "13") in headers


def test_origins():
    own = "http://device"
    for origins, origin, good in (
        (None, None, True),
        (None, "http://evil.example", True),
        ([own], own, True),
        ([own], "http://evil.example", False),
        ([own], "http://device.evil.example", False),
        ([own], None, False),
        ([own, None], None, True),
        (lambda origin, host: origin == "http://" + host, own, True),
        (lambda origin, host: origin == "http://" + host, "null", False),
    ):
        fields = request_fields() if origin is None else request_fields(origin=origin)
        if good:
            handshake.check_origin(fields, origins)
        else:
            assert refused(handshake.check_origin, fields, origins)[0] == 403


def test_subprotocol_is_the_servers_first_that_the_client_knows():
    fields = request_fields(sec_websocket_protocol="chat, superchat")
    assert handshake.choose_subprotocol(fields, ["superchat", "chat"]) == "superchat"
    for supported in (None, []):
        assert handshake.choose_subprotocol(fields, supported) is None
    assert refused(handshake.choose_subprotocol, fields, ["other"])[0] == 400
    assert refused(handshake.choose_subprotocol, request_fields(), ["chat"])[0] == 400


def test_accepting_response():
    head = handshake.accept_response(KEY)
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert head.endswith(b"\r\n\r\n")
    assert b"\r\nSec-WebSocket-Accept: " + ACCEPT.encode() + b"\r\n" in head
    assert b"Protocol:" not in head
    assert b"\r\nSec-WebSocket-Protocol: chat\r\n" in handshake.accept_response(KEY, "chat")


def test_refusing_response_is_complete():
    response = handshake.refusal(426, "größer", (("Upgrade", "websocket"),)).decode()
    head, body = response.split("\r\n\r\n", 1)
    assert head.startswith("HTTP/1.1 426 ")
    assert "\r\nUpgrade: websocket\r\n" in head
    assert "\r\nConnection: close, upgrade" in head
    assert f"\r\nContent-Length: {len(body.encode())}\r\n" in head
    assert body == "größer\n"


def test_request():
    uri = URI("ws://host:81/path?x")
    head, key = handshake.request(uri, "http://here", ["a", "b"], [("X-Token", "t")])
    text = head.decode()
    assert text.startswith("GET /path?x HTTP/1.1\r\nHost: host:81\r\n")
    assert text.endswith("\r\n\r\n")
    for line in (
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: " + key,
        "Origin: http://here",
        "Sec-WebSocket-Protocol: a, b",
        "X-Token: t",
    ):
        assert "\r\n" + line + "\r\n" in text, line
    assert len(key) == 24 and key != handshake.request(uri)[1]


def test_request_without_options_has_no_empty_fields():
    text = handshake.request(URI("ws://host/"))[0].decode()
    assert not re.search("Origin|Protocol|Extensions", text)


def test_header_with_a_line_break_is_refused():
    for value in ("a\r\nX: y", "a\nb"):
        try:
            handshake.request(URI("ws://host/"), headers=[("X", value)])
        except ValueError:
            pass
        else:
            raise AssertionError(repr(value))


def test_empty_body_is_none():
    fields = request_fields(content_length="0")
    assert handshake.check_request("GET", 1, fields) == KEY


def test_subprotocols_are_a_list():
    for names in (None, (), ["chat"], ("a", "b")):
        handshake.check_subprotocols(names)
    try:
        handshake.check_subprotocols("chat")
    except TypeError:
        pass
    else:
        raise AssertionError


def test_what_was_not_offered():
    for changes, asked in (
        ({"sec_websocket_extensions": "permessage-deflate"}, False),
        ({"sec_websocket_extensions": "mystery"}, True),
        ({"sec_websocket_protocol": "chat"}, False),
    ):
        try:
            handshake.check_response(response_fields(**changes), KEY, None, asked)
        except handshake.NotOffered:
            pass
        else:
            raise AssertionError(changes)


def test_rules_for_responses():
    assert handshake.check_response(response_fields(), KEY, None) == (None, None)
    fields = response_fields(upgrade="WebSocket", connection="upgrade")
    assert handshake.check_response(fields, KEY, None) == (None, None)
    fields = response_fields(sec_websocket_protocol="chat")
    assert handshake.check_response(fields, KEY, ["chat"]) == ("chat", None)
    for changes, asked in (
        ({"upgrade": None}, None),
        ({"upgrade": "h2c"}, None),
        ({"connection": None}, None),
        ({"connection": "close"}, None),
        ({"sec_websocket_accept": None}, None),
        ({"sec_websocket_accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOp="}, None),
        ({"sec_websocket_extensions": "permessage-deflate"}, None),
        ({"sec_websocket_protocol": "chat"}, None),
        ({"sec_websocket_protocol": "other"}, ["chat"]),
    ):
        try:
            handshake.check_response(response_fields(**changes), KEY, asked)
        except ValueError:
            pass
        else:
            raise AssertionError(changes)
