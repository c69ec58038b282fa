"""http11: heads as they may and may not look (RFC 9112), whole and in pieces."""

from http11 import (
    MAX_FIELDS,
    MAX_HEAD,
    MAX_REQUEST_LINE,
    BadMessage,
    parse_request,
    parse_response,
    tokens,
)

HOST = b"Host: device\r\n"


def request(line=b"GET / HTTP/1.1", fields=HOST):
    data = bytearray(line + b"\r\n" + fields + b"\r\n")
    return parse_request(data, 0, len(data))


def refused(line=b"GET / HTTP/1.1", fields=HOST):
    """The status that a head is refused with."""
    try:
        head = request(line, fields)
    except BadMessage as error:
        assert error.reason
        return error.status
    raise AssertionError(f"accepted: {line} {head and head.fields}")


def test_a_request_is_taken_apart():
    data = bytearray(b"XXGET /a?b=c HTTP/1.1\r\nHost: device\r\nX-Empty:\r\n\r\nrest")
    head = parse_request(data, 2, len(data))
    assert (head.method, head.target, head.minor) == ("GET", "/a?b=c", 1)
    assert not hasattr(head, "status")
    assert head.fields == {"host": "device", "x-empty": ""}
    assert bytes(data[head.end :]) == b"rest"


def test_names_are_lowered_and_values_keep_their_case():
    assert request(fields=b"HoSt:  De Vice \t\r\n").fields == {"host": "De Vice"}


def test_a_head_without_fields_is_whole():
    assert request(b"GET / HTTP/1.0", b"").fields == {}


def test_versions():
    assert request(b"GET / HTTP/1.0").minor == 0
    for version in (b"HTTP/2.0", b"HTTP/1.2", b"HTTP/0.9", b"HTTP/11"):
        assert refused(b"GET / " + version) == 505, version
    for version in (b"http/1.1", b"HTTP 1.1", b"HTTP/1.1 ", b"HTTPS/1.1", b""):
        assert refused(b"GET / " + version) == 400, version


def test_methods_are_tokens():
    assert request(b"M-SEARCH / HTTP/1.1").method == "M-SEARCH"
    for method in (b"", b"GE\x00T", b"G(T", b"G\xc3\xa4T", b"G:T"):
        assert refused(method + b" / HTTP/1.1") == 400, method


def test_request_lines_that_are_refused():
    for line in (
        b"GET",
        b"GET /",
        b"GET  / HTTP/1.1",
        b"GET  HTTP/1.1",
        b"GET /a b HTTP/1.1",
        b" GET / HTTP/1.1",
        b"GET /\tHTTP/1.1",
        b"GET /\x7f HTTP/1.1",
        b"GET /\r HTTP/1.1",
        b"GET /\n HTTP/1.1",
    ):
        assert refused(line) == 400, line


def test_fields_that_are_refused():
    for field in (
        b"no colon\r\n",
        b": no name\r\n",
        b"space : x\r\n",  # RFC 9112 section 5.1
        b"tab\t: x\r\n",
        b" leading: x\r\n",
        b"Folded: a\r\n b\r\n",  # section 5.2
        b"Folded: a\r\n\tb\r\n",
        b"Nul: a\x00b\r\n",
        b"Bare: a\rb\r\n",  # section 2.2
        b"Bare: a\nSmuggled: b\r\n",
        b"Bare: a\n\r\n",
        b"Del: \x7f\r\n",
        b"n\xc3\xa4me: x\r\n",
        b"na(me: x\r\n",
    ):
        assert refused(fields=HOST + field) == 400, field
        assert refused(fields=field + HOST) == 400, field


def test_values_may_have_other_octets():
    assert request(fields=b"X: \xc3\xa4\r\n").fields["x"] == "\u00e4"
    assert request(fields=b"X: a\xff\r\n").fields["x"] == "a\u00ff"
    assert request(fields=b"X: a\tb\r\n").fields["x"] == "a\tb"


def test_repeated_fields_are_joined_unless_that_is_ambiguous():
    fields = request(fields=b"Accept: a\r\naccept: b\r\nCookie: c=1\r\nCookie: d=2\r\n").fields
    assert fields == {"accept": "a, b", "cookie": "c=1; d=2"}
    for name in (b"Host", b"Content-Length", b"Transfer-Encoding", b"Sec-WebSocket-Key"):
        assert refused(fields=name + b": 1\r\n" + name + b": 1\r\n") == 400, name


def test_number_of_fields_is_limited():
    fields = b"".join([b"x%d: y\r\n" % n for n in range(MAX_FIELDS)])
    assert len(request(fields=fields).fields) == MAX_FIELDS
    assert refused(fields=fields + b"one: more\r\n") == 431


def test_request_line_is_limited():
    most = MAX_REQUEST_LINE - len("GET / HTTP/1.1\r\n")
    assert request(b"GET /" + b"a" * most + b" HTTP/1.1").method == "GET"
    assert refused(b"GET /" + b"a" * (most + 1) + b" HTTP/1.1") == 414


def test_head_is_limited():
    rest = MAX_HEAD - len("GET / HTTP/1.1\r\nX: \r\n\r\n")
    assert request(fields=b"X: " + b"a" * rest + b"\r\n").fields["x"]
    assert refused(fields=b"X: " + b"a" * (rest + 1) + b"\r\n") == 431


def outcome_in_pieces(data):
    """What a head that arrives byte by byte comes to: its fields, a status, or None."""
    for end in range(len(data) + 1):
        piece = bytearray(data[:end])
        try:
            head = parse_request(piece, 0, end)
        except BadMessage as error:
            return error.status
        if head is not None:
            return head.fields
    return None


def test_pieces_come_to_the_same_as_the_whole():
    assert outcome_in_pieces(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n") == {"host": "device"}
    assert outcome_in_pieces(b"GET / HTTP/1.1\r\n" + HOST) is None
    assert outcome_in_pieces(b"GET /" + b"a" * MAX_REQUEST_LINE) == 414
    line = b"GET /" + b"a" * (MAX_REQUEST_LINE - 14) + b" HTTP/1.1\r\n"
    assert outcome_in_pieces(line + b"\r\n") == 414
    assert outcome_in_pieces(b"GET / HTTP/1.1\r\nX: " + b"a" * MAX_HEAD) == 431


def response(data):
    data = bytearray(data)
    return parse_response(data, 0, len(data))


def test_a_response_is_taken_apart():
    head = response(b"HTTP/1.1 404 Not Found\r\nServer: x\r\n\r\nbody")
    assert (head.status, head.minor, head.fields) == (404, 1, {"server": "x"})
    assert not hasattr(head, "method")
    assert response(b"HTTP/1.0 200 \r\n\r\n").status == 200
    assert response(b"HTTP/1.1 200 OK\r\nServer: x\r\n") is None


def test_responses_that_are_refused():
    for line in (b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/2 200 OK", b"nonsense", b"a b c"):
        try:
            response(line + b"\r\n\r\n")
        except BadMessage as error:
            assert error.status == 400
        else:
            raise AssertionError(line)
    try:
        response(b"HTTP/1.1 200 OK\r\nX: " + b"a" * MAX_HEAD)
    except BadMessage as error:
        assert error.status == 431


def test_tokens():
    assert tokens(None) == tokens("") == tokens(" , ") == []
    assert tokens("Keep-Alive,  UPGRADE ,") == ["keep-alive", "upgrade"]
