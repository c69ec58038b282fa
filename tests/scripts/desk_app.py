"""One application, asked by httpd's own client: prints what it answers, on any interpreter."""

import asyncio
import json
import sys

try:
    import desk  # noqa: F401
except ImportError:
    pass  # this is MicroPython

from httpd import Application, HTTPError, Response
from httpd.templates import Template
from httpd.testing import TestClient

app = Application()
page = Template("{% for n in xs %}<li>{{ n }}{% endfor %}")
part = Application()


@app.get("/text")
def text(request):
    return "text \u2713"


@app.get("/json/<int:n>")
async def number(request, n):
    await asyncio.sleep(0)
    return {"n": n}, 201, {"X-Mine": "1"}


@app.get("/generator")
def generator(request):
    yield "a"
    yield b"b"


@app.get("/awaits")
async def awaits(request):
    yield "a"
    await asyncio.sleep(0)
    yield "\u2713"


@app.get("/body")
def body(request):
    async def pieces():
        yield b"1"
        await asyncio.sleep(0)
        yield b"2"

    return Response(pieces(), content_type="text/csv")


@app.get("/large")
def large(request):
    return bytes(1_000_000)


@app.post("/echo")
async def echo(request):
    return bytes(await request.read())


@app.post("/form")
async def form(request):
    return await request.form()


@app.get("/page")
def list_page(request):
    return Response(page(xs=range(400)), content_type="text/html")


@app.get("/wrong")
def wrong(request):
    raise HTTPError(409, "not now")


@app.get("/missing")
def missing(request):
    raise KeyError("x")


@app.errorhandler(KeyError)
def no_key(request, error):
    return "no key", 418


@app.before_request
def before(request):
    request.seen = True


@app.after_request
def after(request, response):
    response.headers = tuple(response.headers) + (("X-Seen", str(request.seen)),)


@part.get("/there")
async def there(request):
    stream = await request.stream(200, "text/plain")
    await stream.send("1")
    await stream.send("2")


app.mount(part, "/part")

REQUESTS = (
    ("GET", "/text", b"", None),
    ("HEAD", "/text", b"", None),
    ("GET", "/json/7", b"", None),
    ("GET", "/json/x", b"", None),
    ("GET", "/generator", b"", None),
    ("GET", "/awaits", b"", None),
    ("GET", "/body", b"", None),
    ("POST", "/echo", b"\x00\xff" * 3000, None),
    ("POST", "/form", b"a=1&b=%C3%A4", {"Content-Type": "application/x-www-form-urlencoded"}),
    ("GET", "/page", b"", None),
    ("GET", "/wrong", b"", None),
    ("GET", "/missing", b"", None),
    ("GET", "/part/there", b"", None),
    ("GET", "/nothing", b"", None),
    ("OPTIONS", "/text", b"", None),
    ("POST", "/text", b"", None),
    ("GET", "/text?%zz", b"", None),
)


async def main():
    client = TestClient(app)
    for method, target, content, headers in REQUESTS:
        answer = await client.request(method, target, content, headers)
        shown = sorted(answer.headers.items())
        print(json.dumps([method, target, answer.status, shown, str(answer.body)]))


async def serve(port):
    app.listen("127.0.0.1", port)
    print("serving")
    while True:
        await asyncio.sleep(1)


asyncio.run(serve(int(sys.argv[1])) if len(sys.argv) > 1 else main())
