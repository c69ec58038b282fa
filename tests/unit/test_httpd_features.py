"""httpd: routes with types, hooks, mounts, generators, sessions, forms with files."""

import asyncio
import os
import time

from helpers import raises
from httpd import Application, HTTPError, Response, Server
from httpd.patterns import compile, match
from httpd.testing import TestClient


def find(path, target):
    return match(compile(path), target.split("/")[1:])


def answered(server, *arguments, **options):
    """The status and the text of an answer."""
    answer = asyncio.run(TestClient(server).request(*arguments, **options))
    return answer.status, answer.text


# Routes


def test_parameters_have_types():
    assert find("/pumps/<int:number>", "/pumps/-7") == {"number": -7}
    assert find("/pumps/<int:number>", "/pumps/007") == {"number": 7}
    for bad in ("x", "", "-", "1.5", "1_0", " 1", "1" * 19, "\u0661"):
        assert find("/pumps/<int:number>", "/pumps/" + bad) is None, bad
    assert find("/<path:rest>", "/a/b/c") == {"rest": "a/b/c"}
    assert find("/files/<path:rest>", "/files/") == {"rest": ""}
    assert find("/<re:[a-f0-9]+:code>/x", "/beef/x") == {"code": "beef"}
    assert find("/<re:a|b:letter>", "/ba") is None
    assert find("/<re:[a-f0-9]+:code>/x", "/beer/x") is None
    assert find("/<one>/<int:two>", "/1/2") == {"one": "1", "two": 2}


def test_routes_that_can_not_be():
    for path in (
        "/<float:x>",
        "/<name:path>",
        "/<>",
        "/<int:>",
        "/<a b>",
        "/<1>",
        "/<x>/<x>",
        "/a<x>",
        "/<x>.csv",
        "/<x",
        "/x>",
        "/<re:(:x>",
        "/<path:x>/y",
    ):
        raises(ValueError, Server().route, path, lambda request: "")


def test_parameters_come_by_their_names():
    server = Server()

    @server.get("/<first>/<int:second>")
    def show(request, second, first):
        return {"first": first, "second": second}

    assert answered(server, "GET", "/a/5")[1] in (
        '{"first": "a", "second": 5}',
        '{"second": 5, "first": "a"}',
    )
    assert answered(server, "GET", "/a/b")[0] == 404


def test_every_method_has_a_decorator():
    server = Application()
    for method in ("get", "post", "put", "patch", "delete"):
        getattr(server, method)("/")(lambda request: request.method)
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        assert answered(server, method, "/") == (200, method)


# Responses


def test_a_content_type_of_the_handler_is_the_only_one():
    server = Server()
    html = {"Content-Type": "text/html", "X-Other": "1"}
    server.route("/dict", lambda request: ("<p>", 200, html))
    server.route("/pairs", lambda request: ("<p>", 200, list(html.items())))
    server.route("/without", lambda request: ("<p>", html))
    for path in ("/dict", "/pairs", "/without"):
        answer = asyncio.run(TestClient(server).get(path))
        assert answer.headers["content-type"] == "text/html", path
        assert answer.headers["x-other"] == "1"
    assert Response("", 200, "text/css", html).content_type == "text/css"
    for name in ("Content-Length", "transfer-encoding"):
        raises(ValueError, Response, "", 200, None, {name: "5"})
    raises(ValueError, Response, "", 200, None, {"X-A": "a\r\nb"})


# Generators


def test_what_a_handler_yields_is_sent():
    server = Server()

    @server.get("/plain")
    def plain(request):
        yield "one "
        yield "two"

    @server.get("/bytes")
    async def waits(request):
        await asyncio.sleep_ms(1)
        yield b"a"
        await asyncio.sleep_ms(1)
        yield b""
        yield bytearray(b"b")

    @server.get("/returned")
    def returned(request):
        return (str(n) for n in range(3))

    @server.get("/response")
    async def response(request):
        return Response(waits(request), 201, "text/csv", {"X-Mine": "1"})

    @server.get("/length")
    def length(request):
        return Response(plain(request), length=7)

    @server.get("/nothing")
    def nothing(request):
        return Response((x for x in ()), 200, "text/css")

    async def check():
        client = TestClient(server)
        for path, text in (("/plain", "one two"), ("/bytes", "ab"), ("/returned", "012")):
            answer = await client.get(path)
            assert (answer.status, answer.text) == (200, text), path
            assert answer.headers["transfer-encoding"] == "chunked"
        kind = (await client.get("/plain")).headers["content-type"]
        assert kind == "text/plain; charset=utf-8"
        assert (await client.get("/bytes")).headers["content-type"] == "application/octet-stream"
        answer = await client.get("/response")
        assert (answer.status, answer.text, answer.headers["x-mine"]) == (201, "ab", "1")
        answer = await client.get("/length")
        assert answer.headers["content-length"] == "7" and answer.text == "one two"
        assert "transfer-encoding" not in answer.headers
        answer = await client.get("/nothing")
        assert answer.body == b"" and answer.headers["content-type"] == "text/css"
        answer = await client.request("HEAD", "/response")
        assert (answer.status, answer.body) == (201, b"")
        answer = await client.request("HEAD", "/plain")
        assert (answer.status, answer.body) == (200, b"")
        assert server.statuses == {200: 8, 201: 2}

    asyncio.run(check())


def test_a_generator_that_fails_is_answered_or_cut_off():
    server = Server()
    ended = []

    @server.get("/first")
    def first(request):
        raise HTTPError(409, "not now")
        yield

    @server.get("/wrong")
    def wrong(request):
        try:
            yield 5
        finally:
            ended.append("wrong")

    @server.get("/later")
    def later(request):
        yield "begun"
        raise HTTPError(409)

    @server.get("/short")
    def short(request):
        return Response((piece for piece in ("a",)), length=5)

    assert answered(server, "GET", "/first") == (409, "not now\n")
    assert answered(server, "GET", "/wrong")[0] == 500 and ended == ["wrong"]
    # The head is gone: only an unfinished body can tell.
    raises(ValueError, answered, server, "GET", "/later")
    answer = asyncio.run(TestClient(server).get("/short"))
    assert answer.headers["content-length"] == "5" and answer.body == b"a"


def test_iterators_of_what_can_not_be_sent():
    server = Server()
    server.route("/", lambda request: Response(iter([5])))
    server.route("/none", lambda request: 5)
    assert answered(server, "GET", "/")[0] == 500
    assert answered(server, "GET", "/none")[0] == 500


# Hooks


def test_hooks_run_around_the_handler():
    server = Application()
    calls = []

    @server.before_request
    async def before(request):
        calls.append("before")
        request.user = "ann"
        return Response("no", 403) if request.path == "/closed" else None

    @server.after_request
    def after(request, response):
        calls.append("after")
        response.headers = tuple(response.headers) + (("X-After", "1"),)

    @server.after_request
    async def replaced(request, response):
        return ("other", 202) if request.path == "/other" else None

    @server.get("/")
    async def index(request):
        calls.append("handler")
        return request.user

    server.route("/closed", lambda request: "open")
    server.route("/other", lambda request: "this")

    async def check():
        client = TestClient(server)
        answer = await client.get("/")
        assert (answer.text, answer.headers["x-after"]) == ("ann", "1")
        assert calls == ["before", "handler", "after"]
        answer = await client.get("/closed")
        assert (answer.status, answer.text, answer.headers["x-after"]) == (403, "no", "1")
        answer = await client.get("/other")
        assert (answer.status, answer.text) == (202, "other")

    asyncio.run(check())


def test_errors_have_handlers():
    server = Application()

    class Empty(Exception):
        pass

    def fail(error):
        raise error

    server.route("/empty", lambda request: fail(Empty("tank")))
    server.route("/value", lambda request: fail(ValueError("x")))
    server.route("/busy", lambda request: fail(HTTPError(409)))
    server.errorhandler(404)(lambda request, error: ("nothing at " + request.path, 404))
    server.errorhandler(Empty)(lambda request, error: ({"empty": str(error)}, 503))

    @server.errorhandler(HTTPError)
    async def any_http(request, error):
        return "status " + str(error.status), error.status

    assert answered(server, "GET", "/x") == (404, "nothing at /x")
    assert answered(server, "GET", "/empty") == (503, '{"empty": "tank"}')
    assert answered(server, "GET", "/busy") == (409, "status 409")
    assert answered(server, "PUT", "/busy") == (405, "status 405")
    # What nobody takes is answered as ever.
    assert answered(server, "GET", "/value")[0] == 500
    raises(ValueError, server.errorhandler("404"), None)


def test_an_error_handler_of_500_takes_defects():
    server = Application()

    @server.get("/")
    def index(request):
        raise KeyError("x")

    server.errorhandler(500)(lambda request, error: ("sorry: " + type(error).__name__, 500))
    assert answered(server, "GET", "/") == (500, "sorry: KeyError")


def test_servers_are_mounted():
    api, server = Application(), Application()
    seen = []
    api.before_request(lambda request: seen.append(request.path))
    api.route("/", lambda request: "api")
    api.get("/pumps/<int:number>")(lambda request, number: "pump " + str(number))
    api.post("/pumps")(lambda request: ("made", 201))
    api.errorhandler(ValueError)(lambda request, error: ("value", 400))

    @api.get("/fails")
    async def fails(request):
        raise ValueError

    server.mount(api, "/api/v1")
    server.route("/", lambda request: "root")
    assert answered(server, "GET", "/") == (200, "root") and seen == []
    assert answered(server, "GET", "/api/v1") == (200, "api")
    assert answered(server, "GET", "/api/v1/pumps/5") == (200, "pump 5")
    assert answered(server, "POST", "/api/v1/pumps") == (201, "made")
    assert answered(server, "GET", "/api/v1/fails") == (400, "value")
    assert seen == ["/api/v1", "/api/v1/pumps/5", "/api/v1/pumps", "/api/v1/fails"]
    assert answered(server, "GET", "/pumps/5")[0] == 404
    raises(ValueError, server.mount, api, "/api/v1")
    for prefix in ("", "/", "api", "/api/", "/<x>"):
        raises(ValueError, server.mount, api, prefix)


def test_answers_are_logged():
    server = Application()
    lines = []
    server.access_log = lambda request, status: lines.append((request and request.path, status))
    server.route("/", lambda request: "")
    answered(server, "GET", "/")
    answered(server, "GET", "/x")
    answered(server, "GET", "bad")
    assert lines == [("/", 200), ("/x", 404), (None, 400)]


# Other sites


def test_pages_of_other_sites():
    from httpd.cors import CORS

    server = Application()
    server.route("/", lambda request: "ok")
    CORS(server, ("https://a.example",), credentials=True, expose=("ETag",))

    async def check():
        client = TestClient(server)
        answer = await client.get("/", {"Origin": "https://a.example"})
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["access-control-expose-headers"] == "ETag"
        assert answer.headers["vary"] == "Origin"
        for headers in ({}, {"Origin": "https://b.example"}):
            answer = await client.get("/", headers)
            assert "access-control-allow-origin" not in answer.headers
            assert answer.headers["vary"] == "Origin" and answer.text == "ok"
        ask = {"Access-Control-Request-Method": "PUT", "Origin": "https://a.example"}
        answer = await client.request("OPTIONS", "/", headers=ask)
        assert answer.status == 204
        assert answer.headers["access-control-allow-methods"] == "PUT, PATCH, DELETE"
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        ask["Origin"] = "https://b.example"
        answer = await client.request("OPTIONS", "/", headers=ask)
        assert "access-control-allow-methods" not in answer.headers

    asyncio.run(check())
    anybody = Application()
    anybody.route("/", lambda request: "ok")
    CORS(anybody, "*")
    answer = asyncio.run(TestClient(anybody).get("/", {"Origin": "https://c.example"}))
    assert answer.headers["access-control-allow-origin"] == "*" and "vary" not in answer.headers
    raises(ValueError, CORS, Application(), "*", credentials=True)


# Who asks


def test_basic_authentication():
    from httpd.auth import BasicAuth

    server = Server()
    users = {"ann": "correct:horse"}
    auth = BasicAuth(lambda name, password: users.get(name) == password and name, "pump house")
    server.get("/<name>")(auth(lambda request, name: request.user + " at " + name))

    def ask(value):
        answer = asyncio.run(TestClient(server).get("/x", {"Authorization": value}))
        return answer.status, answer.text

    answer = asyncio.run(TestClient(server).get("/x"))
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="pump house", charset="UTF-8"'
    assert ask("Basic YW5uOmNvcnJlY3Q6aG9yc2U=") == (200, "ann at x")
    assert ask("bAsIc   YW5uOmNvcnJlY3Q6aG9yc2U=") == (200, "ann at x")
    for bad in ("Basic", "Basic !", "Basic YW5u", "Basic YW5uOng=", "Bearer x", "Basic /////w=="):
        assert ask(bad)[0] == 401, bad
    raises(ValueError, BasicAuth, None, 'a"b')


def test_tokens():
    from httpd.auth import TokenAuth
    from httpd.signing import equal

    server = Application()

    async def check(token):
        await asyncio.sleep_ms(1)
        return equal(token, "secret") and "script"

    server.before_request(TokenAuth(check).require)
    server.route("/", lambda request: request.user)
    for value, status in (("Bearer secret", 200), ("Bearer secreT", 401), ("Bearer", 401)):
        answer = asyncio.run(TestClient(server).get("/", {"Authorization": value}))
        assert answer.status == status, value


def test_codes_are_those_of_the_rfc():
    from binascii import hexlify

    from httpd.signing import equal, hmac_sha256, sign, unsign

    # RFC 4231 sections 4.2, 4.3 and 4.7.
    for key, message, code in (
        (b"\x0b" * 20, b"Hi There", b"b0344c61d8db38535ca8afceaf0bf12b"),
        (b"Jefe", b"what do ya want for nothing?", b"5bdcc146bf60754e6a042426089575c7"),
        (
            b"\xaa" * 131,
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            b"60e431591ee0b67f0d8a26aacbf5b77f",
        ),
    ):
        assert hexlify(hmac_sha256(key, message))[:32] == code
    assert equal(b"a", "a") and equal("", b"") and equal(b"ab", bytearray(b"ab"))
    for one, other in (("a", "b"), ("a", "ab"), ("ab", "ac"), (b"bb", b"ab"), (b"abc", b"ab")):
        assert not equal(one, other)
    text = sign(b"key", b"data\xff")
    assert unsign(b"key", text) == b"data\xff"
    for bad in (
        text[:-1],
        text + "A",
        "x" + text,
        "",
        ".",
        "a.b",
        text.replace(".", ""),
        "\xe4.b",
    ):
        assert unsign(b"key", bad) is None, bad
    assert unsign(b"other", text) is None


def test_sessions_in_a_cookie():
    from httpd.sessions import SignedSessions

    sessions = SignedSessions(b"0123456789abcdef", max_age=60)
    server = Server()

    @server.get("/")
    def index(request):
        session = sessions.load(request)
        session["visits"] = session.get("visits", 0) + 1
        response = Response(str(session["visits"]))
        sessions.save(response, session)
        return response

    @server.post("/end")
    def end(request):
        response = Response("")
        sessions.end(response)
        return response

    async def check():
        client = TestClient(server)
        for visits in ("1", "2", "3"):
            assert (await client.get("/")).text == visits
        cookie = client.cookies["session"]
        # Changed in any place it is nobody's.
        client.cookies["session"] = ("A" if cookie[0] != "A" else "B") + cookie[1:]
        assert (await client.get("/")).text == "1"
        await client.post("/end")
        assert client.cookies == {}
        assert (await client.get("/")).text == "1"

    asyncio.run(check())
    raises(ValueError, SignedSessions, b"short")
    raises(ValueError, sessions.save, Response(""), {"x": "y" * 4000})


def test_a_session_that_is_over():
    from httpd import sessions as module

    now = int(time.time())
    clock = [now]
    before, module.time = module.time, lambda: clock[0]
    try:
        sessions = module.SignedSessions(b"0123456789abcdef", max_age=60)
        response = Response("")
        sessions.save(response, {"a": 1})
        cookie = response.headers[0][1].split(";")[0].split("=", 1)[1]

        class Request:
            cookies = {"session": cookie}

        assert sessions.load(Request) == {"a": 1}
        for after, session in ((60, {"a": 1}), (61, {}), (-1, {})):
            clock[0] = now + after
            assert sessions.load(Request) == session, after
    finally:
        module.time = before


def test_sessions_in_memory():
    from httpd.sessions import MemorySessions

    sessions = MemorySessions(most=2)
    server = Server()

    @server.get("/")
    def index(request):
        session = sessions.load(request)
        if "n" in session:
            session["n"] += 1
            return str(session["n"])
        session["n"] = 1
        response = Response("1")
        sessions.save(response, session)
        return response

    @server.post("/end")
    def end(request):
        response = Response("")
        sessions.end(response, sessions.load(request))
        return response

    async def check():
        one, two, three = TestClient(server), TestClient(server), TestClient(server)
        assert (await one.get("/")).text == "1"
        assert (await two.get("/")).text == "1"
        assert (await one.get("/")).text == "2"
        # The third is one too many: that of two, who was here longest ago, ends.
        assert (await three.get("/")).text == "1"
        assert (await one.get("/")).text == "3"
        assert (await two.get("/")).text == "1"
        await one.post("/end")
        assert (await one.get("/")).text == "1"

    asyncio.run(check())


# Forms with files

FORM = (
    b'preamble\r\n--b\r\nContent-Disposition: form-data; name="a"\r\n\r\none\r\n'
    b'--b \t\r\ncontent-disposition: form-data; name="file%22"; filename="x;y.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\nline\r\n--cb\r\nmore\r\n"
    b"--b\r\nContent-Disposition: form-data; name=empty\r\n\r\n\r\n--b--\r\nepilogue"
)
FORM_TYPE = {"Content-Type": 'multipart/form-data; boundary="b"'}


def parts_of(data, size, boundary="b"):
    from httpd.multipart import Parser

    parser = Parser(boundary)
    parts = []
    for start in range(0, len(data), size):
        for found in parser.receive(data[start : start + size]):
            if isinstance(found, dict):
                parts.append([found, b""])
            else:
                assert found
                parts[-1][1] += found
    assert parser.done
    return parts


def test_parts_are_found_in_any_cut():
    whole = parts_of(FORM, len(FORM))
    assert [content for _, content in whole] == [b"one", b"line\r\n--cb\r\nmore", b""]
    assert whole[1][0]["content-type"] == "text/plain"
    for size in range(1, 40):
        assert parts_of(FORM, size) == whole, size
    assert parts_of(b"--b--", 1) == []
    assert parts_of(b"--b--\r\n", 7) == []


def test_forms_that_can_not_be():
    from http11 import BadMessage
    from httpd.multipart import PARTS_MAX, Parser

    for data in (
        b"--bx\r\n",
        b"--b\r\nno colon\r\n\r\n",
        b"--b\r\n: empty\r\n\r\n",
        b"--b\r\nname : x\r\n\r\n",
        b"--b\r\n\xff: x\r\n\r\n",
        b"--b\r\na: " + b"x" * 2000,
        b"--b" + b" " * 200,
        b"--b\r\na: b\r\n\r\nx\r\n" * (PARTS_MAX + 1),
    ):
        raises(BadMessage, Parser("b").receive, data)


def test_a_form_with_files():
    server = Server()

    @server.post("/")
    async def take(request):
        found = []
        async for part in request.parts():
            if part.filename:
                saved = await part.save("uploaded.txt", 100)
                found.append([part.name, part.filename, part.content_type, saved[0]])
            else:
                found.append([part.name, await part.text(5)])
        return found

    @server.post("/skip")
    async def skip(request):
        found = []
        async for part in request.parts():
            found.append(part.name)
        return found

    async def check():
        client = TestClient(server)
        answer = await client.post("/", FORM, FORM_TYPE)
        file = ['file"', "x;y.txt", "text/plain", 16]
        assert answer.json() == [["a", "one"], file, ["empty", ""]]
        with open("uploaded.txt", "rb") as file:
            assert file.read() == b"line\r\n--cb\r\nmore"
        os.remove("uploaded.txt")
        # What isn't read is passed over.
        assert (await client.post("/skip", FORM, FORM_TYPE)).json() == ["a", 'file"', "empty"]
        assert (await client.post("/", FORM.replace(b"one", b"longer"), FORM_TYPE)).status == 413
        assert (await client.post("/", FORM[:-20], FORM_TYPE)).status == 400
        assert (await client.post("/", b"", FORM_TYPE)).status == 400
        assert (await client.post("/", FORM, {"Content-Type": "text/plain"})).status == 415
        bad = {"Content-Type": "multipart/form-data"}
        assert (await client.post("/", FORM, bad)).status == 400
        other = FORM.replace(b"form-data; name=empty", b"attachment")
        assert (await client.post("/skip", other, FORM_TYPE)).status == 400

    asyncio.run(check())
