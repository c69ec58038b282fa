"""Header fields as users of Python's `websockets` know them."""

from websockets import Headers, Response


def test_headers_are_a_view_of_a_dict():
    fields = {"x-a": "1"}
    headers = Headers(fields)
    assert headers["X-A"] == "1" and "x-A" in headers and len(headers) == 1
    headers["X-B"] = "2"
    assert fields == {"x-a": "1", "x-b": "2"}
    del headers["x-B"]
    assert dict(headers.items()) == fields == {"x-a": "1"}
    assert headers.get("X-C") is None and headers.get_all("X-C") == []


def test_headers_from_pairs_and_from_others():
    headers = Headers([("X-A", "1"), ("X-B", "2"), ("x-a", "3")])
    assert headers["X-A"] == "1, 3" and headers.get_all("x-b") == ["2"]
    copy = Headers(headers)
    copy["X-C"] = "4"
    assert list(copy.keys()) != list(headers.keys()) and "X-C" not in headers
    assert len(Headers()) == 0


def test_responses_have_headers_to_be_filled():
    response = Response(401)
    response.headers["WWW-Authenticate"] = "Basic"
    assert list(response.headers.items()) == [("www-authenticate", "Basic")]
    assert len(Response(401).headers) == 0
