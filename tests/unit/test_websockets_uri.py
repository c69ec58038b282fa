"""WebSocket URIs."""

from websockets import InvalidURI
from websockets.uri import URI


def test_parts():
    for text, parts in (
        ("ws://example.com", (False, "example.com", 80, "example.com", "/")),
        ("WS://example.com/", (False, "example.com", 80, "example.com", "/")),
        ("wss://example.com/a/b?c=d", (True, "example.com", 443, "example.com", "/a/b?c=d")),
        ("ws://10.0.0.7:8080/x", (False, "10.0.0.7", 8080, "10.0.0.7:8080", "/x")),
        ("ws://example.com?q", (False, "example.com", 80, "example.com", "/?q")),
        ("ws://[::1]/x", (False, "::1", 80, "[::1]", "/x")),
        ("ws://[fe80::1]:81", (False, "fe80::1", 81, "[fe80::1]:81", "/")),
    ):
        uri = URI(text)
        assert (uri.secure, uri.host, uri.port, uri.authority, uri.target) == parts, text


def test_what_is_no_websocket_uri():
    for text in (
        "",
        "example.com",
        "http://example.com",
        "ws://",
        "ws:///path",
        "ws://:80/",
        "ws://host:0/",
        "ws://host:65536/",
        "ws://host:port/",
        "ws://[::1/",
        "ws://[::1]x/",
        "ws://user@host/",
        "ws://@host/",
        "ws://a%3ab:secret@host/",
        "ws://user:%zz@host/",
        "ws://host/#fragment",
        "ws://host/a b",
        "ws://host/\r\nX: y",
        "ws://höst/",
    ):
        try:
            URI(text)
        except InvalidURI:
            pass
        else:
            raise AssertionError(text)


def test_user_and_password():
    for text, authorization in (
        ("ws://host/@", None),
        ("ws://user:secret@host:81/x", "Basic dXNlcjpzZWNyZXQ="),
        ("ws://user:@host", "Basic dXNlcjo="),
        ("ws://us%65r:s%3Aec%40ret@host/", "Basic dXNlcjpzOmVjQHJldA=="),
    ):
        uri = URI(text)
        assert (uri.host, uri.authorization) == ("host", authorization), text
        assert "@" not in uri.authority


def test_redirects():
    for base, location, target in (
        ("ws://a/b/c?d", "/x", "ws://a/x"),
        ("ws://a/b/c?d", "x", "ws://a/b/x"),
        ("ws://a/b/c?d/e", "x?y", "ws://a/b/x?y"),
        ("ws://a", "x", "ws://a/x"),
        ("wss://a/b", "//c/d", "wss://c/d"),
        ("wss://a/b", "wss://c:1/d", "wss://c:1/d"),
        ("ws://a/b", "http://c/d", "ws://c/d"),
        ("ws://a/b", "https://c/d", "wss://c/d"),
    ):
        joined, expected = URI(base).join(location), URI(target)
        assert joined.same_origin(expected) and joined.target == expected.target, location
    try:
        URI("ws://a/").join("ftp://b/")
    except InvalidURI:
        pass
    else:
        raise AssertionError("ftp")


def test_same_origin():
    uri = URI("ws://a/b")
    assert uri.same_origin(URI("ws://a:80/c"))
    for other in ("wss://a/b", "ws://b/b", "ws://a:81/b"):
        assert not uri.same_origin(URI(other))
