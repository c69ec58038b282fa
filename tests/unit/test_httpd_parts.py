"""httpd: router, request, response, ranges and negotiation, each without a connection."""

import os
import sys

import assets
from helpers import raises
from http11 import BadMessage, reason, unquote
from httpd import HTTPError, Response, asset, redirect
from httpd.assets import accepts_gzip, matches
from httpd.errors import from_exception
from httpd.ranges import content_range, part_of
from httpd.request import Request, parse_form
from httpd.response import from_error, make
from httpd.router import Router

# Where a module that a test makes is found: the working directory, a temporary one.
sys.path.append(os.getcwd())


def request(target="/", method="GET", **headers):
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    fields.setdefault("host", "device")
    return Request(method, target, 1, fields, 0)


# Router


def test_exact_routes_win_over_patterns_and_earlier_ones_over_later():
    router = Router()
    router.add("/a/<x>", 1, ("GET",))
    router.add(b"/a/b", 2, ("GET",))
    router.add("/<path:rest>", 3, ("GET",))
    assert router.find("/a/b") == ({"GET": 2}, None)
    assert router.find("/a/c") == ({"GET": 1}, {"x": "c"})
    assert router.find("/a/c/d") == ({"GET": 3}, {"rest": "a/c/d"})
    assert router.find("/a/") == ({"GET": 3}, {"rest": "a/"})


def test_unknown_path():
    router = Router()
    router.add("/a/<x>/c", 1, ("GET",))
    for path in ("/", "/a", "/a/b", "/a//c", "/a/b/c/", "/a/b/d"):
        assert router.find(path) == (None, None), path


def test_methods_share_a_path():
    router = Router()
    router.add("/<x>", 1, ("GET",))
    router.add("/<x>", 2, ("PUT", "POST"))
    assert router.find("/a")[0] == {"GET": 1, "PUT": 2, "POST": 2}
    raises(ValueError, router.add, "/<x>", 3, ("PUT",))
    raises(ValueError, router.add, "no/slash", 3, ("PUT",))


def test_tables_import_their_handlers_when_asked():
    with open("table_handlers.py", "w") as file:
        file.write(
            "def show(context, request, name=None):\n    return context, request, name\n"
            "def change(context, request):\n    return 'changed'\n"
        )
    router = Router()
    router.add_table(
        (
            ("/<name>", (("GET", "table_handlers", "show"),)),
            ("/a", (("GET", "table_handlers", "show"), ("PUT", "table_handlers", "change"))),
            ("/b/<path:rest>", (("GET", "missing_module", "show"),)),
        ),
        "context",
    )
    handlers, parameters = router.find("/a")
    assert "table_handlers" not in sys.modules
    # An exact path wins over a pattern here too.
    assert parameters is None and list(handlers) == ["GET", "PUT"]
    assert "GET" in handlers and "POST" not in handlers and handlers.get("POST") is None
    assert handlers["GET"](1) == ("context", 1, None)
    assert handlers.get("PUT")(1) == "changed"
    handlers, parameters = router.find("/c")
    assert parameters == {"name": "c"}
    assert handlers["GET"](1, **parameters) == ("context", 1, "c")
    raises(ImportError, router.find("/b/c/d")[0].get, "GET")
    assert router.find("/c/d") == (None, None)


def test_single_routes_win_over_tables():
    router = Router()
    router.add_table((("/a", (("GET", "table_handlers", "show"),)),), None)
    router.add("/<x>", 1, ("GET",))
    assert router.find("/a") == ({"GET": 1}, {"x": "a"})


# Request


def test_target_forms():
    assert request("/a%20b?c=d").path == "/a%20b"
    assert request("*", "OPTIONS").path == "*"
    absolute = request("http://Other:80/a?b", host="device")
    assert (absolute.path, absolute.target, absolute.headers["host"]) == ("/a", "/a?b", "Other:80")
    assert request("HTTPS://x").path == request("http://x?q").path == "/"
    assert request("http://x?q=1").query == {"q": "1"}
    for target in ("a", "*", "device:80", "ftp://x/", "http://", "http://u@x/", "?"):
        assert raises(BadMessage, request, target).status == 400, target


def test_query_and_forms():
    assert request("/?a=1&b=x%20y+z&a=2&c&=d").query == {"a": "2", "b": "x y z", "c": "", "": "d"}
    assert raises(HTTPError, lambda: request("/?a=%zz").query).status == 400
    assert raises(HTTPError, lambda: request("/?a=%ff").query).status == 400
    assert parse_form("") == {}


def test_unquote():
    assert unquote("a+b") == "a+b"
    assert unquote("%c3%A4%2B", True) == "\u00e4+"
    for text in ("%", "%4", "%4g", "%+1", "%ff", "a%"):
        raises(ValueError, unquote, text)


def test_cookies():
    cookies = request(cookie="a=1; b = 2 ;c;d=e=f; a=3").cookies
    assert cookies == {"a": "1", "b": "2", "d": "e=f"}
    assert request().cookies == {}


# Response


def test_what_handlers_return():
    for result, body, status, kind in (
        ("x", "x", 200, "text/plain; charset=utf-8"),
        (b"x", b"x", 200, "application/octet-stream"),
        ({"a": 1}, '{"a": 1}', 200, "application/json"),
        ([1], "[1]", 200, "application/json"),
        (None, b"", 204, "application/octet-stream"),
        (("x", 418), "x", 418, "text/plain; charset=utf-8"),
    ):
        response = make(result)
        assert (response.body, response.status, response.content_type) == (body, status, kind)
    assert make(("x", 201, (("Location", "/y"),))).headers == (("Location", "/y"),)
    raises(TypeError, make, 5)


def test_heads():
    assert Response("\u00e4").head() == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\n"
    )
    assert (
        Response(b"", 204).head("close") == b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
    )
    pieces = Response(iter([b"x"]), content_type="a/b")
    assert b"Transfer-Encoding: chunked\r\n" in pieces.head(None, True)
    assert b"Content-Length" not in pieces.head(None, True) + pieces.head("close", False)
    assert b"Content-Length: 1\r\n" in Response(iter([b"x"]), length=1).head()


def test_no_line_break_gets_into_a_head():
    for text in ("a\r\nSet-Cookie: b=c", "a\nb", "a\rb", "a\0b"):
        raises(ValueError, redirect, text)
        raises(ValueError, Response, "", 200, text)
        raises(ValueError, Response, "", 200, None, ((text, "x"),))


def test_cookies_are_set_safely():
    response = Response("")
    response.set_cookie("session", "a=b", 60)
    response.set_cookie("s", "", 0, "/x", True)
    assert response.headers == (
        ("Set-Cookie", "session=a=b; Path=/; HttpOnly; SameSite=Strict; Max-Age=60"),
        ("Set-Cookie", "s=; Path=/x; HttpOnly; SameSite=Strict; Max-Age=0; Secure"),
    )
    for name, value in (("a=", "b"), ("a", "b;c"), ("a", "b c"), ("a\r\n", ""), ("a", "\u00e4")):
        raises(ValueError, response.set_cookie, name, value)


def test_errors_tell_no_more_than_they_should():
    assert from_error(HTTPError(404)).body == "Not Found\n"
    assert from_error(HTTPError(400, "why")).body == "why\n"
    error, defect = from_exception(ValueError("secret"))
    assert (error.status, error.detail, defect) == (500, "", True)
    error, defect = from_exception(MemoryError())
    assert (error.status, defect) == (503, True)
    assert from_exception(BadMessage(431, "why"))[0].status == 431
    assert reason(418) == "Bad Request" and reason(299) == "OK" and reason(700) == "Unknown"


# Ranges


def test_ranges():
    for value, part in (
        ("bytes=0-0", (0, 1)),
        ("bytes=0-", (0, 10)),
        ("bytes=3-5", (3, 3)),
        ("bytes=3-99", (3, 7)),
        ("bytes=-3", (7, 3)),
        ("bytes=-99", (0, 10)),
        ("Bytes= 2-3 ", (2, 2)),
    ):
        assert part_of(request(range=value), 10) == part, value
    for value in ("", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-3", "bytes=0-1,3-4"):
        assert part_of(request(range=value), 10) is None, value
    for value in ("lines=0-1", "bytes=+1-2", "bytes=1-2-3", "bytes=0-99999999999"):
        assert part_of(request(range=value), 10) is None, value
    for value in ("bytes=10-", "bytes=10-20", "bytes=-0"):
        error = raises(HTTPError, part_of, request(range=value), 10)
        assert (error.status, error.headers) == (416, (("Content-Range", "bytes */10"),)), value
    assert raises(HTTPError, part_of, request(range="bytes=0-"), 0).status == 416
    assert content_range((3, 3), 10) == ("Content-Range", "bytes 3-5/10")


def test_ranges_hold_for_get_and_while_if_range_matches():
    assert part_of(request(method="HEAD", range="bytes=0-1"), 10) is None
    for condition, part in (('"a"', (0, 2)), ('"b"', None), ('W/"a"', None)):
        assert part_of(request(range="bytes=0-1", if_range=condition), 10, '"a"') == part
    date = "Tue, 15 Nov 1994 12:45:26 GMT"
    assert part_of(request(range="bytes=0-1", if_range=date), 10, '"a"') is None


# Assets


def test_negotiation():
    for value in (
        "gzip",
        "deflate, gzip;q=1.0, *;q=0.5",
        "GZIP",
        "x-gzip",
        "*",
        "br, *;q=0.1",
        "gzip;q=0.5, identity;q=0.5",
        "identity;q=0, gzip;q=0.001",
    ):
        assert accepts_gzip(value), value
    for value in (
        None,
        "",
        "identity",
        "gzip;q=0",
        "gzip; q=0.000, *",
        "br",
        "*;q=0",
        "gzip;q=0.5, identity;q=1",
        "identity, gzip;q=0.9",
        "gzip;q=abc",
        "gzip;q=",
        "gzip;x=1",
    ):
        assert not accepts_gzip(value), value


def test_conditions():
    for value in ('"a"', 'W/"a"', '"b", "a"', '"b",W/"a" ', "*", " * "):
        assert matches(value, '"a"'), value
    for value in (None, "", '"b"', "a", '"a', '"aa"'):
        assert not matches(value, '"a"'), value


def content(response):
    return b"".join([bytes(piece) for piece in response.body])


def test_asset_goes_out_as_packed():
    page = asset("page.htm")
    _, _, _, _, _, head_304, head_size, response = assets.ASSETS[0]
    accepting = request(accept_encoding="gzip")
    assert page(accepting) is page

    def sent(request, option=None):
        written = []
        status = page.send(request, written.append, option)
        return status, written

    # The very object that is in flash.
    status, (whole,) = sent(accepting)
    assert status == 200 and whole is response
    assert sent(request(method="HEAD")) == (200, [response[:head_size]])
    assert sent(request(if_none_match=page.etag)) == (304, [head_304])
    assert sent(request(method="HEAD", if_none_match=page.etag)) == (304, [head_304])


def test_asset_with_a_connection_option():
    page = asset("page.htm")
    _, _, _, _, _, head_304, head_size, response = assets.ASSETS[0]
    option = b"Connection: close\r\n\r\n"
    for conditions, status, expected in (
        ({}, 200, [response[: head_size - 2] + option, response[head_size:]]),
        ({"method": "HEAD"}, 200, [response[: head_size - 2] + option]),
        ({"if_none_match": page.etag}, 304, [head_304[:-2] + option]),
    ):
        written = []
        assert page.send(request(**conditions), written.append, "close") == status
        assert written == expected, conditions


def test_asset_is_inflated_for_who_takes_no_gzip():
    response = asset("page.htm")(request())
    headers = dict(response.headers)
    assert (response.status, response.length) == (200, len(assets.PAGE))
    assert content(response) == assets.PAGE
    assert headers["ETag"] == '"0123456789-i"'
    assert headers["Content-Security-Policy"] and headers["Vary"] == "Accept-Encoding"
    assert "Content-Encoding" not in headers and "Content-Length" not in headers
    response = asset("page.htm")(request(if_none_match='"0123456789-i"'))
    assert response.status == 304
    assert [name for name, _ in response.headers] == ["ETag", "Cache-Control", "Vary"]
    assert asset("page.htm")(request(if_none_match='"0123456789"')).status == 200


def test_a_part_of_an_asset():
    size = len(assets.PAGE)
    for value, first, last in (("bytes=5-9", 5, 10), ("bytes=1500-2700", 1500, 2701)):
        response = asset("page.htm")(request(range=value))
        assert response.status == 206 and content(response) == assets.PAGE[first:last]
        assert dict(response.headers)["Content-Range"] == f"bytes {first}-{last - 1}/{size}"
    png = asset("static/dot.png")
    assert bytes(png(request(range="bytes=-2")).body) == b"bc"
    assert png(request(range="bytes=x")) is png and png(request()) is png
    assert raises(HTTPError, png, request(range="bytes=100-")).status == 416


def test_precondition():
    page = asset("page.htm")
    assert page(request(accept_encoding="gzip", if_match='"x", ' + page.etag)) is page
    assert page(request(if_match="*")).status == 200
    for value in ('"x"', "W/" + page.etag, page.etag):
        assert raises(HTTPError, page, request(if_match=value)).status == 412
    assert raises(KeyError, asset, "nothing.htm")
