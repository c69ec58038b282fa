"""What a program with one of the libraries takes of the heap, from source and compiled.

usage: libraries.py    after `make packages`

Installs the packages into PyPI's MicroPython by mip from a web server here, as on a board, runs
the servers of docs/libraries.md with a client each, and prints the table.
"""

import functools
import http.server
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).parents[1]
INTERPRETER = [sys.executable, "-m", "micropython_unix"]

BEGIN = "import gc\ngc.collect()\nbefore = gc.mem_alloc()\n"
MEASURE = """
import gc

def taken():
    gc.collect()
    print("taken", gc.mem_alloc() - before)
"""


REPORT = """
async def report():
    await asyncio.sleep(1)
    taken()
"""


def programs():
    """The programs of docs/libraries.md: HTTP server, WebSocket server, client."""
    text = (ROOT / "docs" / "libraries.md").read_text()
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """It doesn't say what it was asked for."""

    def log_message(self, *arguments):
        pass


def serve(folder):
    """A web server of a folder; its port."""
    handler = functools.partial(Quiet, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def install(port, variant, package, target):
    """Have mip install a package into a folder."""
    script = (
        f"import mip\nmip.install({package!r}, index='http://127.0.0.1:{port}/{variant}', "
        f"target={str(target)!r}, mpy={variant != 'py'})"
    )
    done = subprocess.run([*INTERPRETER, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(program, path, port):
    """The process of a program, whose port is another."""
    program = program.replace("relay.example", "127.0.0.1").replace("8080", str(port))
    environment = {**os.environ, "MICROPYPATH": f"{path}:.frozen"}
    return subprocess.Popen(
        [*INTERPRETER, "-c", program], env=environment, stdout=subprocess.PIPE, text=True
    )


def taken_by_server(program, path, ask):
    """Bytes that a server takes with a client that has asked."""
    port = free_port()
    program = program.replace("asyncio.get_event_loop().run_forever()", "asyncio.run(report())")
    program = program.replace("await server.serve_forever()", "await report()")
    program = BEGIN + MEASURE + program.replace("import asyncio\n", "import asyncio\n" + REPORT, 1)
    process = run(program, path, port)
    while True:
        try:
            client = socket.create_connection(("127.0.0.1", port))
            break
        except OSError:
            assert process.poll() is None
    client.sendall(ask)
    assert client.recv(1000).startswith(b"HTTP/1.1 ")
    out, _ = process.communicate()
    client.close()
    return int(re.search(r"taken (\d+)", out)[1])


HTTP = b"GET /hello/you HTTP/1.1\r\nHost: h\r\n\r\n"
WEBSOCKET = (
    b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def main():
    http_server, websocket_server = programs()[:2]
    port = serve(ROOT / "dist" / "mip")
    print("| program | source | compiled |\n| --- | --- | --- |")
    for what, package in (("HTTP", "httpd"), ("WebSocket", "websockets")):
        figures = []
        for variant in ("py", "x64"):
            with tempfile.TemporaryDirectory() as target:
                install(port, variant, package, target)
                program = http_server if package == "httpd" else websocket_server
                ask = HTTP if package == "httpd" else WEBSOCKET
                figures.append(taken_by_server(program, target, ask))
        print(f"| {what} server | " + " | ".join(f"{each:,}" for each in figures) + " |")


if __name__ == "__main__":
    main()
