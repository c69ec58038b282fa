"""A TCP connection on which tests speak HTTP and WebSocket byte by byte, right or wrong."""

import dataclasses
import socket
import struct

from support import DEADLINE

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
# RFC 6455, 1.3: the answer to that key.
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@dataclasses.dataclass
class Response:
    """An HTTP response; header names are in lower case."""

    version: str
    status: int
    headers: dict
    body: bytes


class Connection:
    """A connection to a port of 127.0.0.1; with an SSLContext, one with TLS to localhost."""

    def __init__(self, port, context=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def reset(self):
        """Close so that the other side gets an RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def read_exactly(self, length):
        data = self.file.read(length)
        if len(data) != length:
            raise EOFError(f"the connection ended after {data!r}")
        return data

    def read_to_end(self):
        """What comes until the other side closes; an RST counts as that."""
        data = b""
        try:
            while piece := self.file.read1():
                data += piece
        except ConnectionError:
            pass
        return data

    # HTTP

    def get(self, path, *headers, method="GET", body=b"", host="127.0.0.1"):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode() + body)
        return self.read_response(method)

    def read_line(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError(f"the connection ended after {line!r}")
        return line[:-2].decode()

    def read_response(self, method="GET"):
        version, status, _ = self.read_line().split(" ", 2)
        headers = {}
        while line := self.read_line():
            name, value = line.split(":", 1)
            name, value = name.lower(), value.strip()
            if name == "connection" and name in headers:
                value = headers[name] + ", " + value
            else:
                assert name not in headers, f"header {name} twice"
            headers[name] = value
        status = int(status)
        body = b""
        if method != "HEAD" and status not in (101, 204, 304):
            body = self.read_body(headers)
        return Response(version, status, headers, body)

    def read_body(self, headers):
        if headers.get("transfer-encoding") == "chunked":
            assert "content-length" not in headers
            body = b""
            while length := int(self.read_line(), 16):
                body += self.read_exactly(length)
                assert self.read_line() == ""
            assert self.read_line() == ""
            return body
        return self.read_exactly(int(headers["content-length"]))

    # WebSocket

    def upgrade(self, path="/ws", *headers):
        """The opening handshake; returns the response."""
        request = HANDSHAKE.replace(b"/ws", path.encode(), 1)
        extra = "".join(header + "\r\n" for header in headers).encode()
        self.send(request[:-2] + extra + b"\r\n")
        return self.read_response()

    def send_frame(self, opcode, payload=b"", fin=True, mask=True, reserved=0):
        self.send(frame(opcode, payload, fin, mask, reserved))

    def read_frame(self):
        """(fin, opcode, payload) of the next frame, which must not be masked."""
        first, second = self.read_exactly(2)
        assert not second & 0x80, "a server's frame is masked"
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self.read_exactly(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self.read_exactly(8))
        return bool(first & 0x80), first & 0x0F, self.read_exactly(length)

    def read_close(self):
        """The code of the close frame, skipping what comes before it; None without a code."""
        while True:
            _, opcode, payload = self.read_frame()
            if opcode == CLOSE:
                return struct.unpack(">H", payload[:2])[0] if payload else None


def frame(opcode, payload=b"", fin=True, mask=True, reserved=0):
    """The bytes of a frame (RFC 6455, 5.2); `reserved` holds the three RSV bits."""
    head = bytes([fin << 7 | reserved << 4 | opcode])
    if len(payload) < 126:
        head += bytes([mask << 7 | len(payload)])
    elif len(payload) < 65536:
        head += struct.pack(">BH", mask << 7 | 126, len(payload))
    else:
        head += struct.pack(">BQ", mask << 7 | 127, len(payload))
    if not mask:
        return head + payload
    key = b"\x37\xfa\x21\x3d"
    return head + key + bytes(byte ^ key[i & 3] for i, byte in enumerate(payload))


def close_frame(code, reason=""):
    return frame(CLOSE, struct.pack(">H", code) + reason.encode())


def metric(image, name):
    """One number of the device's /metrics."""
    with Connection(image.http_port) as connection:
        text = connection.get("/metrics").body.decode()
    (line,) = [line for line in text.splitlines() if line.startswith(f"websock_{name} ")]
    return int(line.split()[1])
