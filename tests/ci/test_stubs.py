"""The type stubs in typings/ say what the code is, and mypy finds the right faults with them."""

import ast
import re
import sysconfig
import textwrap
from pathlib import Path

import pytest
from programs import run
from stub_compare import Tree, compare, members, parameters

from common import ROOT

CODE = Tree(ROOT / "modules", ".py")
STUBS = Tree(ROOT / "typings", ".pyi")
MYPY = Path(sysconfig.get_path("scripts")) / "mypy"

# Every public name of these has a stub.
WHOLE = {
    "httpd",
    "interfaces",
    "interfaces.base",
    "interfaces.errors",
    "websockets",
    "websockets.asyncio",
    "websockets.asyncio.client",
    "websockets.asyncio.server",
    "websockets.exceptions",
    "websockets.http11",
    "websockets.datastructures",
}

# The protocol of a transport, see the docstring of modules/transport.
_TRANSPORT = {
    "connection_lost",
    "data_received",
    "eof_received",
    "filled",
    "held",
    "idle_since",
    "make_way",
    "probe",
    "quiet_since",
    "sent",
    "timed_out",
    "wanted",
}

# Members that only other layers of the project use.
PLUMBING = {
    "httpd.request.Request": {"connection", "task"},
    "httpd.server.Server": {"count", "router"},
    "httpd.stream.EventStream": {"__init__"},
    "httpd.stream.Stream": {"__init__"},
    "transport.Connection": {
        "__init__",
        "deadline",
        "failed",
        "idle",
        "protocol",
        "quiet",
        "ready",
        "reserve",
        "set_protocol",
        "sock",
        "start",
        "tail",
        "tick",
        "write",
    },
    "transport.Group": {"full", "is_free", "serving", "waiting"},
    "transport.Listener": {"failed", "ready", "resume", "ssl", "start", "tick"},
    "websockets.client.ClientConnection": set(),
    "websockets.connection.Connection": {"closed_error", "options", "protocol", "transport"}
    | _TRANSPORT,
    "websockets.listen.Server": {
        "begin",
        "check_closed",
        "closing",
        "count",
        "handler",
        "handlers",
        "keep_headers",
        "options",
        "origins",
        "process_request",
        "select_subprotocol",
        "subprotocols",
    },
    "websockets.accepting.ServerConnection": {"connection_lost"},
}


@pytest.mark.parametrize("module", list(STUBS.modules()))
def test_stub_is_as_the_code(module):
    found = compare(CODE, STUBS, module, PLUMBING, partly=module not in WHOLE)
    assert found == []


@pytest.mark.parametrize("module", sorted(WHOLE))
def test_public_module_has_a_stub(module):
    assert STUBS.file(module)


def typed_dict(module, name):
    """The keys of a TypedDict in the stubs, with those that it inherits."""
    node = STUBS.resolve(module, name)[1][0]
    keys = {item.target.id for item in node.body if isinstance(item, ast.AnnAssign)}
    if node.bases[0].id != "TypedDict":
        keys |= typed_dict(module, node.bases[0].id)
    return keys


def init_of(module, name):
    """The parameters of a class that have defaults."""
    (init,) = members(CODE.resolve(module, name)[1][0])["__init__"]
    return {parameter for parameter, _, default in parameters(init) if default}


def test_options_are_those_of_the_code():
    options = init_of("websockets.options", "Options")
    assert typed_dict("websockets.connection", "_Options") == options
    assert typed_dict("websockets.listen", "_ServerOptions") == options | init_of(
        "websockets.listen", "Server"
    )


# Each with the difference that has to be found.
DIFFERENCES = {
    "same": ("def f(a, b=1): pass", "def f(a: int, b: int = 1) -> None: ...", None),
    "no stub": ("def f(): pass\ndef g(): pass", "def f() -> None: ...", "m.g: no stub"),
    "nothing": ("", "def f() -> None: ...", "m.f: a stub of nothing"),
    "private": ("def _f(): pass", "", None),
    "kind": ("f = 1", "def f() -> None: ...", "m.f: a function in the stub, a variable"),
    "name": ("def f(a): pass", "def f(b: int) -> None: ...", "m.f: the stub has"),
    "order": ("def f(a, b): pass", "def f(b: int, a: int) -> None: ...", "m.f: the stub has"),
    "parameter": ("def f(a, b): pass", "def f(a: int) -> None: ...", "m.f: the stub has"),
    "keyword": ("def f(a): pass", "def f(*, a: int) -> None: ...", "m.f: the stub has"),
    "star": ("def f(*a): pass", "def f(a: int) -> None: ...", "m.f: the stub has"),
    "options": ("def f(**a): pass", "def f() -> None: ...", "m.f: the stub has"),
    "default": ("def f(a=1): pass", "def f(a: int) -> None: ...", "m.f: the stub has"),
    "no default": ("def f(a): pass", "def f(a: int = 1) -> None: ...", "m.f: the stub has"),
    "async": ("async def f(): pass", "def f() -> None: ...", "m.f: async on one side"),
    "not async": ("def f(): pass", "async def f() -> None: ...", "m.f: async on one side"),
    "overloads": (
        "def f(a=None): pass",
        "@overload\ndef f(a: None = None) -> int: ...\n@overload\ndef f(a: int) -> str: ...",
        None,
    ),
    "overloads without the default": (
        "def f(a=None): pass",
        "@overload\ndef f(a: None) -> int: ...\n@overload\ndef f(a: int) -> str: ...",
        "m.f: the stub has",
    ),
    "overload of another": (
        "def f(a=None): pass",
        "@overload\ndef f(b: None = None) -> int: ...\n@overload\ndef f(a: int) -> str: ...",
        "m.f: an overload has",
    ),
    "method": (
        "class A:\n    def f(self): pass",
        "class A: ...",
        "m.A.f: no stub",
    ),
    "method of nothing": (
        "class A: pass",
        "class A:\n    def f(self) -> None: ...",
        "m.A.f: a stub of nothing",
    ),
    "method's parameters": (
        "class A:\n    def f(self, a): pass",
        "class A:\n    def f(self) -> None: ...",
        "m.A.f: the stub has",
    ),
    "attribute": (
        "class A:\n    def __init__(self):\n        self.a, self._b = 1, 2",
        "class A:\n    def __init__(self) -> None: ...",
        "m.A.a: no stub",
    ),
    "attribute of the class": ("class A:\n    a = 1", "class A: ...", "m.A.a: no stub"),
    "attribute of nothing": ("class A: pass", "class A:\n    a: int", "m.A.a: a stub of nothing"),
    "property": (
        "class A:\n    @property\n    def a(self): pass",
        "class A:\n    def a(self) -> int: ...",
        "m.A.a: one of the two is a property",
    ),
    "property or attribute": (
        "class A:\n    @property\n    def a(self): pass",
        "class A:\n    a: int",
        "m.A.a: an attribute on one side",
    ),
    "base": ("class A(ValueError): pass", "class A(OSError): ...", "m.A: base"),
    "awaitable": (
        "class A:\n    def __iter__(self): pass\n    __await__ = __iter__",
        "class A:\n    def __await__(self) -> int: ...",
        None,
    ),
    "plumbing": ("class B:\n    def f(self): pass", "class B: ...", None),
    "plumbing that is gone": ("class B: pass", "class B: ...", "m.B.f: said to be plumbing"),
    "plumbing with a stub": (
        "class B:\n    def f(self): pass",
        "class B:\n    def f(self) -> None: ...",
        "m.B.f: said to be plumbing, but has a stub",
    ),
    "__all__": ('__all__ = ("f",)\ndef f(): pass\ndef g(): pass', "def f() -> None: ...", None),
}


@pytest.mark.parametrize("case", DIFFERENCES.values(), ids=list(DIFFERENCES))
def test_difference(tmp_path, case):
    code, stub, expected = case
    for folder, suffix, text in (("code", ".py", code), ("stubs", ".pyi", stub)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"m{suffix}").write_text(text)
    trees = Tree(tmp_path / "code", ".py"), Tree(tmp_path / "stubs", ".pyi")
    found = compare(*trees, "m", {"m.B": {"f"}})
    assert (found == []) if expected is None else any(line.startswith(expected) for line in found)


@pytest.mark.parametrize(
    ("stub", "expected"),
    [
        ("from .m import f as f\n", []),
        ("", ["p.f: no stub"]),
        ("from .m import f as f\nfrom .m import g as g\n", ["p.g: a stub of nothing"]),
        ("from .m import h as f\n", ["p.f: no stub"]),
    ],
)
def test_loader_table(tmp_path, stub, expected):
    code, stubs = tmp_path / "code" / "p", tmp_path / "stubs" / "p"
    code.mkdir(parents=True)
    stubs.mkdir(parents=True)
    (code / "__init__.py").write_text(
        'import lazy\n__getattr__ = lazy.loader(globals(), (("m", ("f",)),))\n'
    )
    (code / "m.py").write_text("def f(): pass\ndef g(): pass\n")
    (stubs / "__init__.pyi").write_text(stub)
    (stubs / "m.pyi").write_text("def f() -> None: ...\ndef g() -> None: ...\n")
    trees = Tree(code.parent, ".py"), Tree(stubs.parent, ".pyi")
    assert compare(*trees, "p", {}) == expected


def test_stub_of_no_module(tmp_path):
    (tmp_path / "m.pyi").write_text("")
    found = compare(Tree(tmp_path, ".py"), Tree(tmp_path, ".pyi"), "m", {})
    assert found == ["m: a stub of nothing"]


# mypy


def check(tmp_path, *arguments):
    """Run mypy with the stubs; its lines of errors."""
    options = ["--strict", "--no-error-summary", f"--cache-dir={tmp_path / 'cache'}"]
    done = run(
        [MYPY, *options, *arguments],
        cwd=tmp_path,
        env={"MYPYPATH": f"{ROOT / 'typings'}:{tmp_path}", "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout.splitlines()


def test_stubs_are_well_typed(tmp_path):
    assert check(tmp_path, ROOT / "typings", ROOT / "boards/board.pyi") == []


# Programs for two interpreters, and examples, have no annotations of their own.
UNTYPED = ("--allow-untyped-defs", "--allow-untyped-calls", "--disable-error-code=var-annotated")


def test_examples_are_well_typed(tmp_path):
    write_stubs(tmp_path)
    found = []
    for example in sorted((ROOT / "examples").glob("*.py")):
        found += check(tmp_path, *UNTYPED, example)
    assert found == []


OURS = re.compile(r"^\s*(from|import) (httpd|websockets|interfaces)\b", re.MULTILINE)

# What an example takes for granted.
PRELUDE = """\
import asyncio
import tls
from typing import Any
from websockets import connect
def read_the_sensor() -> float: return 21.5
ca_certificate: bytes
"""

# Modules that have no stubs, as far as the examples use them.
ANYTHING = """\
from typing import Any
def __getattr__(name: str) -> Any: ...
"""

# MicroPython's module, as far as the examples use it.
TLS = """\
from typing import Any
PROTOCOL_TLS_CLIENT: int
class SSLContext:
    def __init__(self, protocol: int) -> None: ...
    def load_verify_locations(self, data: bytes) -> None: ...
    def wrap_socket(
        self,
        sock: Any,
        *,
        server_side: bool = ...,
        do_handshake_on_connect: bool = ...,
        server_hostname: str | None = ...,
    ) -> Any: ...
"""


def write_stubs(folder):
    (folder / "tls.pyi").write_text(TLS)
    (folder / "machine.pyi").write_text(ANYTHING)
    (folder / "device").mkdir()
    (folder / "device" / "__init__.pyi").write_text("")
    (folder / "device" / "device.pyi").write_text(ANYTHING)


def snippets():
    """[(where, code)] of the examples in README, docs/ and the modules' docstrings."""
    found = []
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = file.read_text()
        blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        blocks += [block for block in indented(text) if OURS.search(block)]
        found += [(f"{file.name}-{i}", block) for i, block in enumerate(blocks)]
    for module in sorted(WHOLE):
        docstring = ast.get_docstring(CODE.parse(module)) or ""
        blocks = [block for block in indented(docstring) if OURS.search(block)]
        if not blocks and OURS.search(docstring):
            # The rest of the docstring is the example.
            blocks = [docstring[OURS.search(docstring).start() :]]
        found += [(f"{module}-{i}", block) for i, block in enumerate(blocks)]
    return found


def indented(text):
    """The blocks of a text that are indented by four blanks."""
    pattern = r"(?:^(?: {4}.*|[ \t]*)\n)+"
    for block in re.findall(pattern, text + "\n", re.MULTILINE):
        if block.strip():
            yield textwrap.dedent(block)


def test_there_are_examples_of_each_package():
    text = "".join(code for _, code in snippets())
    assert {match[1] for match in OURS.findall(text)} == {"httpd", "websockets", "interfaces"}
    assert {"README.md", "http.md", "websockets.md", "interfaces.base"} <= {
        where.rpartition("-")[0] for where, _ in snippets()
    }


@pytest.mark.parametrize(("where", "code"), snippets(), ids=[where for where, _ in snippets()])
def test_example_is_well_typed(tmp_path, where, code):
    write_stubs(tmp_path)
    if re.search(r"^async with", code, re.MULTILINE):
        code = "async def example():\n" + textwrap.indent(code, "    ")
    (tmp_path / "example.py").write_text(PRELUDE + code)
    assert check(tmp_path, *UNTYPED, "example.py") == []


WRONG = {
    "a text for the port": ("Server().listen('0.0.0.0', '80')", "arg-type"),
    "a name that isn't there": ("Server().trace('/')", "attr-defined"),
    "a status as text": ("HTTPError('404')", "arg-type"),
    "headers as a text": ("Response('', headers='A: b')", "arg-type"),
    "a handler that returns a number": ("Server().route('/', number)", "type-var"),
    "a coroutine that isn't awaited": ("len(request.read())", "arg-type"),
    "an option that isn't there": ("connect('ws://h/', ping=3)", "call-arg"),
    "a proxy": ("connect('ws://h/', proxy='http://p')", "arg-type"),
    "an option's type": ("connect('ws://h/', max_size='1')", "typeddict-item|arg-type"),
    "an unknown compression": ("connect('ws://h/', compression='br')", "arg-type"),
    "a handler that isn't async": ("serve(plain, '', 1)", "arg-type"),
    "a server's option for a client": ("connect('ws://h/', origins=[])", "call-arg"),
    "a dict as a message": ("broadcast([], {})", "arg-type"),
    "a code as text": ("websocket.start_closing('1000')", "arg-type"),
    "a time-out as text": ("serve(echo, '', 1, ping_interval='1')", "arg-type"),
    "an emit of one argument": ("Interface('a', one)", "arg-type"),
    "a number as a message": ("interface.send(1)", "arg-type"),
}

SETTING = """\
from httpd import HTTPError, Request, Response, Server
from interfaces.base import Interface
from websockets import ServerConnection, broadcast, connect, serve
request: Request
websocket: ServerConnection
interface: Interface
def number(request: Request) -> int: return 1
def plain(websocket: ServerConnection) -> None: ...
async def echo(websocket: ServerConnection) -> None: ...
def one(key: str) -> None: ...
"""


def test_wrong_uses_are_refused(tmp_path):
    first = SETTING.count("\n") + 1
    (tmp_path / "wrong.py").write_text(SETTING + "".join(f"{use}\n" for use, _ in WRONG.values()))
    found = "\n".join(check(tmp_path, "wrong.py"))
    for i, (what, (_, code)) in enumerate(WRONG.items()):
        assert re.search(rf"^wrong\.py:{first + i}: error: .*\[({code})\]$", found, re.M), (
            what,
            found,
        )
    lines = {int(line) for line in re.findall(r"^wrong\.py:(\d+): error", found, re.M)}
    assert lines == set(range(first, first + len(WRONG)))


RIGHT = """\
from collections.abc import Iterator
from typing import assert_type
from websockets.exceptions import ConnectionClosedError
from httpd import Application, Asset, asset
@Server().get("/hello/<name>")
async def hello(request: Request, name: str) -> dict[str, str]: return {}
@Application().put("/<int:number>")
def pieces(request: Request, number: int) -> Iterator[str]: yield "a"
@Server().post("/x")
def text(request: Request) -> tuple[str, int]: return "", 200
Server().route("/", asset("page.htm"))
assert_type(Server().route("/", text)(request), tuple[str, int])
async def main() -> None:
    assert_type(await websocket.recv(), str | bytearray)
    assert_type(await websocket.recv(True), str)
    assert_type(await (await websocket.ping()), float)
    await websocket.send([b"a", "b"])
    await websocket.send(memoryview(b"a"), text=True)
    assert_type(await request.read(), bytearray)
    async for piece in request:
        assert_type(piece, memoryview)
    async with connect("ws://h/", additional_headers={"A": "b"}, max_size=None) as client:
        assert_type(client.response.status_code, int)
    async with serve(echo, port=1, subprotocols=["a"], keep_headers=False) as server:
        assert_type(server.closes, dict[int, int])
"""


def test_right_uses_pass(tmp_path):
    (tmp_path / "right.py").write_text(SETTING + RIGHT)
    assert check(tmp_path, "right.py") == []
