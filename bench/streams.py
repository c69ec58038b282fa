"""Reference for speed: what most MicroPython servers stand on, asyncio's streams.

usage: micropython streams.py HTTP_PORT WS_PORT

No protocol work beyond framing. Serves GET /bench/ok, /bench/30k and /bench/mem on HTTP_PORT and
a WebSocket echo at any path of WS_PORT.
"""

import asyncio
import gc
import os
import sys

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
LARGE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 30000\r\n\r\n"
    + (os.urandom(64) * 470)[:30000]
)


async def skip_headers(reader):
    while True:
        line = await reader.readline()
        if line == b"\r\n" or not line:
            return


async def http(reader, writer):
    try:
        while True:
            request_line = await reader.readline()
            if not request_line:
                break
            path = request_line.split(b" ")[1]
            await skip_headers(reader)
            if path == b"/bench/mem":
                gc.collect()
                body = b'{"alloc": %d, "free": %d}' % (gc.mem_alloc(), gc.mem_free())
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            elif path == b"/bench/30k":
                writer.write(LARGE)
            else:
                writer.write(OK)
            await writer.drain()
    except (OSError, EOFError):
        pass
    writer.close()
    await writer.wait_closed()


async def echo(reader, writer):
    await skip_headers(reader)
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
    await writer.drain()
    try:
        while True:
            first, second = await reader.readexactly(2)
            length = second & 127
            if length == 126:
                extended = await reader.readexactly(2)
                length = extended[0] << 8 | extended[1]
            await reader.readexactly(4)
            payload = await reader.readexactly(length)
            if length < 126:
                head = bytes([first, length])
            else:
                head = bytes([first, 126, length >> 8, length & 255])
            # Still masked: the load only counts bytes.
            writer.write(head + payload)
            await writer.drain()
    except (OSError, EOFError):
        pass
    writer.close()
    await writer.wait_closed()


async def main(http_port, ws_port):
    await asyncio.start_server(http, "127.0.0.1", http_port)
    await asyncio.start_server(echo, "127.0.0.1", ws_port)
    while True:
        await asyncio.sleep(3600)


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
