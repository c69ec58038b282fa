"""Makes inputs for verdicts.py, and has a second opinion on each: that of the parsers which others
trust. A `Peer`'s `opinion` is None, or says what is wrong with a verdict."""

import json
import struct
import zlib

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import h11
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Opcode
from websockets.protocol import OPEN, SERVER, Protocol
from websockets.server import ServerProtocol
from wsproto import ConnectionType, WSConnection, connection, events, extensions
from wsproto.utilities import RemoteProtocolError

MAX_SIZE = 1 << 16
ADDRESS = "192.168.4.1"

# What is put in the place of something else, wherever it stands.
SPLINTERS = [
    *(bytes([c]) for c in b"\0\x01\x7f\x80\xff\r\n\t ,:;\"'[]{}\\/-+.eE019"),
    b"\r\n",
    b"\r\n\r\n",
    b"\xc3\xa4",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    b"x" * 70,
    b"x" * 300,
]


def damage(random, data, times, splinters=()):
    """`data` with up to `times` faults; none of them is as likely as each other number."""
    data = bytearray(data)
    for _ in range(random.randrange(times + 1)):
        at = random.randrange(len(data) + 1)
        kind = random.randrange(5)
        if kind == 0:
            data[at:at] = random.choice([*SPLINTERS, *splinters])
        elif kind == 1:
            del data[at : at + random.randrange(1, 20)]
        elif kind == 2 and at < len(data):
            data[at] = random.randrange(256)
        elif kind == 3 and at < len(data):
            data[at] ^= 1 << random.randrange(8)
        elif kind == 4:
            other = random.randrange(len(data) + 1)
            data[at:at] = data[other : other + random.randrange(12)]
    return bytes(data)


class Frames:
    """Frames of a client, beside wsproto and websockets."""

    name = "frames"
    texts = ("", "x", "Grüße", "😀" * 30, "y" * 130, "z" * 3000)

    def make(self, random):
        compressed = random.randrange(2)
        out = b""
        for _ in range(random.randrange(1, 5)):
            out += self._message(random, compressed)
        size = random.choice((1, 2, 3, 7, 100, 256))
        return bytes([compressed, size - 1]) + damage(random, out, random.choice((0, 0, 1, 3)))

    def _message(self, random, compressed):
        kind = random.randrange(8)
        if kind == 0:
            payload = struct.pack(">H", random.choice((1000, 1001, 1005, 1012, 3000, 999, 65535)))
            return self._frame(random, 0x88, random.choice((b"", payload + b"bye", payload)))
        if kind in (1, 2):
            return self._frame(random, 0x88 + kind, bytes(random.randrange(126)))
        payload = random.choice(self.texts).encode()
        first = random.choice((1, 2))
        if compressed and random.randrange(2):
            deflater = zlib.compressobj(wbits=-15)
            payload = deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH)
            payload = payload[:-4]
            first |= 0x40
        if random.randrange(3) or not payload:
            return self._frame(random, 0x80 | first, payload)
        cut = random.randrange(len(payload))
        between = self._frame(random, 0x89, b"ping") if random.randrange(2) else b""
        return (
            self._frame(random, first, payload[:cut])
            + between
            + self._frame(random, 0x80, payload[cut:])
        )

    @staticmethod
    def _frame(random, first, payload):
        n = len(payload)
        length = bytes([0x80 | n]) if n < 126 else b"\xfe" + struct.pack(">H", n)
        key = random.choice((b"\0\0\0\0", random.randbytes(4)))
        masked = bytes(c ^ key[i % 4] for i, c in enumerate(payload))
        return bytes([first]) + length + key + masked

    def opinion(self, data, verdict):
        ours = verdict.split()
        # Each of them is more generous somewhere, or wrong: with one, this must agree.
        others = self._wsproto(data), self._websockets(data)
        if any(self._agree(data, ours, *theirs) for theirs in others):
            return None
        if ours[-1:] == ["F1002"]:
            # By the header of a frame whose payload is missing: they look once that is there.
            data += bytes(MAX_SIZE)
            whole = self._wsproto(data)[0], self._websockets(data)[0]
            if any(theirs[: len(ours)] == ours for theirs in whole):
                return None
        return f"others: {others}"

    @staticmethod
    def _agree(data, ours, theirs, knows_text):
        last = ours[-1] if ours else ""
        theirs_last = theirs[-1] if theirs else ""
        if last == "F1009" or (last == "F1007" and not knows_text):
            # They have no limit; websockets leaves the text to who asks for it.
            return ours[:-1] == theirs[: len(ours) - 1]
        # A compressed message that is almost one. They take a DEFLATE stream that breaks off and
        # one with something behind it; MicroPython's inflater takes others, see Deflated.
        if data[0] & 1 and last == "F1002" and ours[:-1] == theirs[: len(ours) - 1]:
            return True
        if data[0] & 1 and theirs_last in ("F1002", "F1007"):
            return ours[: len(theirs) - 1] == theirs[:-1]
        if theirs_last == "F1002" and ours == theirs[:-1]:
            return True  # by the first byte of a header whose second is missing
        return ours == theirs

    @staticmethod
    def _wsproto(data):
        used = []
        if data[0] & 1:
            extension = extensions.PerMessageDeflate()
            extension.finalize("permessage-deflate; client_no_context_takeover")
            used.append(extension)
        peer = connection.Connection(ConnectionType.SERVER, used)
        found = []
        pieces = []
        try:
            peer.receive_data(data[2:])
            for event in peer.events():
                if isinstance(event, events.Message):
                    pieces.append(event.data)
                    if event.message_finished:
                        is_text = isinstance(event, events.TextMessage)
                        whole = "".join(pieces).encode() if is_text else b"".join(pieces)
                        if len(whole) > MAX_SIZE:
                            return found, True
                        found.append(("T" if is_text else "B") + whole.hex())
                        pieces = []
                elif isinstance(event, events.Pong):
                    found.append("P" + event.payload.hex())
                elif isinstance(event, events.CloseConnection):
                    # A fault of the client's is told like this too, but changes no state.
                    failed = peer.state is connection.ConnectionState.OPEN
                    found.append(f"{'F' if failed else 'C'}{event.code:d}")
                    break
        except RemoteProtocolError as error:
            found.append(f"F{error.event_hint.code:d}")
        return found, True

    @staticmethod
    def _websockets(data):
        peer = Protocol(SERVER, state=OPEN, max_size=None)
        if data[0] & 1:
            peer.extensions = [PerMessageDeflate(True, True, 15, 15)]
        peer.receive_data(data[2:])
        found = []
        pieces, is_text = [], False
        for frame in peer.events_received():
            if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                if frame.opcode is not Opcode.CONT:
                    pieces, is_text = [], frame.opcode is Opcode.TEXT
                pieces.append(bytes(frame.data))
                if frame.fin:
                    found.append(("T" if is_text else "B") + b"".join(pieces).hex())
            elif frame.opcode is Opcode.PONG:
                found.append("P" + bytes(frame.data).hex())
        if peer.close_rcvd is not None:
            found.append(f"C{peer.close_rcvd.code:d}")
        elif peer.close_sent is not None:
            found.append(f"F{peer.close_sent.code:d}")
        return found, False


class Deflated:
    """Payloads of compressed messages, beside zlib."""

    name = "deflate"

    def make(self, random):
        text = b"".join(
            random.choice((b"a", b"bc" * 20, random.randbytes(5), bytes(300)))
            for _ in range(random.randrange(12))
        )
        strategy = random.choice((zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY))
        deflater = zlib.compressobj(random.choice((0, 1, 9)), zlib.DEFLATED, -15, 8, strategy)
        data = deflater.compress(text)
        if random.randrange(3):
            data = (data + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
        else:
            data += deflater.flush() + b"\0"
        if random.randrange(20) == 0:
            data = random.randbytes(random.randrange(3))
        return damage(random, data, random.choice((0, 1, 2)))

    def opinion(self, data, verdict):
        try:
            expanded = self.expanded(data)
        except zlib.error:
            # MicroPython's inflater takes what zlib refuses: codes that can't all be, and zeros
            # for what lies before the message.
            return None
        if verdict == "large":
            return None if expanded is None or len(expanded) > MAX_SIZE else "fits"
        if verdict == "malformed":
            return None if expanded is None else f"zlib: {expanded.hex()}"
        return None if expanded is not None and verdict == "=" + expanded.hex() else "not zlib's"

    @staticmethod
    def expanded(data):
        """The message (RFC 7692 section 7.2.2), None when the payload isn't one.

        Raises:
            zlib.error: likewise.
        """
        inflater = zlib.decompressobj(-15)
        out = inflater.decompress(data + b"\0\0\xff\xff")
        if inflater.eof:
            # It ended by itself: with nothing behind it but what section 7.2.3.4 puts there, or
            # in what was appended.
            unused = inflater.unused_data
            return out if len(unused) in (0, 4, 5) else None
        out += inflater.decompress(b"\x01\0\0\xff\xff")
        return out if inflater.eof and not inflater.unused_data else None


class Opening:
    """Opening handshakes, beside websockets and wsproto."""

    name = "opening"

    fields = (
        (b"Host: x", b"Host: 127.0.0.1:80", b"host:x"),
        (b"Upgrade: websocket", b"upgrade: WebSocket", b"Upgrade: x"),
        (b"Connection: Upgrade", b"Connection: keep-alive, upgrade", b"Connection: close"),
        (
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ",
            b"sec-websocket-key:\tAAAAAAAAAAAAAAAAAAAAAA== ",
        ),
        (b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 8"),
        (b"Origin: http://x", b"Sec-WebSocket-Protocol: a, b", b"X: y", b"Accept: */*"),
    )

    def make(self, random):
        fields = [random.choice((choices[0], *choices)) for choices in self.fields]
        if random.randrange(4) == 0:
            del fields[random.randrange(len(fields))]
        random.shuffle(fields)
        first = random.choice((b"GET /ws HTTP/1.1", b"GET / HTTP/1.1", b"POST / HTTP/1.1"))
        head = b"\r\n".join([first, *fields, b"", b""])
        return damage(random, head, random.choice((0, 0, 1, 2)))

    def opinion(self, data, verdict):
        ours = verdict == "101"
        theirs = [self._websockets(data), self._wsproto(data)]
        if not data.isascii():
            return None  # which is for who reads the field, and neither of the others looks
        if b"," in data.lower().partition(b"upgrade:")[2].partition(b"\r\n")[0]:
            return None  # one of several protocols (RFC 9110 section 7.8), which only this takes
        # Others are more generous here and there, but each in another way.
        if ours and not any(theirs):
            return "refused by both others"
        if not ours and all(theirs):
            return "accepted by both others"
        return None

    @staticmethod
    def _websockets(data):
        peer = ServerProtocol()
        peer.receive_data(data)
        for request in peer.events_received():
            return peer.accept(request).status_code == 101
        return False

    @staticmethod
    def _wsproto(data):
        peer = WSConnection(ConnectionType.SERVER)
        try:
            peer.receive_data(data)
            return any(isinstance(event, events.Request) for event in peer.events())
        except (RemoteProtocolError, h11.RemoteProtocolError, UnicodeError):
            return False


class Requests:
    """HTTP requests, beside h11: the same requests and bodies, or nothing is smuggled."""

    name = "http"

    splinters = (
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Host: y\r\n",
        b" folded\r\n",
        b"HTTP/1.0",
        b"ffffffff\r\n",
        b"0\r\n\r\n",
    )

    def make(self, random):
        data = b"".join(self._request(random) for _ in range(random.randrange(1, 4)))
        return damage(random, data, random.choice((0, 1, 3)), self.splinters)

    @staticmethod
    def _request(random):
        method = random.choice((b"GET", b"POST", b"PUT", b"HEAD"))
        lines = [method + b" " + random.choice((b"/", b"/a?b=c%20d", b"/%41")) + b" HTTP/1.1"]
        lines += random.sample((b"Host: x", b"Accept: */*", b"Cookie: a=b", b"X-Empty:"), 4)
        body = b""
        kind = random.randrange(3) if method in (b"POST", b"PUT") else 0
        if kind == 1:
            body = b"y" * random.choice((0, 1, 200))
            lines.append(b"Content-Length: %d" % len(body))
        elif kind == 2:
            lines.append(b"transfer-encoding: Chunked")
            for _ in range(random.randrange(3)):
                piece = b"z" * random.randrange(1, 40)
                extension = random.choice((b"", b";a=b"))
                body += b"%x%s\r\n%s\r\n" % (len(piece), extension, piece)
            body += b"0\r\n" + random.choice((b"", b"Trailer: x\r\n")) + b"\r\n"
        return b"\r\n".join([*lines, b"", b""]) + body

    def opinion(self, data, verdict):
        ours = verdict.split()
        theirs = self._h11(data)
        if ours == theirs:
            return None
        common = 0
        while common < min(len(ours), len(theirs)) and ours[common] == theirs[common]:
            common += 1
        # From where they differ on, one of the two must have refused or wait.
        rest = [*ours[common : common + 1], *theirs[common : common + 1]]
        if len(rest) < 2 or any(part[0] == "F" or part == "unfinished" for part in rest):
            return None
        return f"h11: {theirs}"

    @staticmethod
    def _h11(data):
        peer = h11.Connection(h11.SERVER)
        peer.receive_data(data)
        found = []
        request, content = None, b""
        try:
            while True:
                event = peer.next_event()
                if isinstance(event, h11.Request):
                    request, content = event, b""
                elif isinstance(event, h11.Data):
                    content += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    target = request.target.hex()
                    found.append(f"{request.method.decode()}:{target}:{content.hex()}")
                    peer.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                    peer.send(h11.EndOfMessage())
                    if peer.our_state is not h11.DONE or peer.their_state is not h11.DONE:
                        return [*found, "F"]
                    peer.start_next_cycle()
                elif event is h11.NEED_DATA:
                    if peer.their_state is h11.SEND_BODY:
                        found.append("unfinished")
                    return found
                else:
                    return [*found, "F"]
        except h11.RemoteProtocolError as error:
            return [*found, f"F{error.error_status_hint}"]


class JSON:
    """JSON texts, beside Python's json."""

    name = "text"
    depth = 8

    def make(self, random):
        data = json.dumps(self._value(random, 0), ensure_ascii=random.randrange(2) == 0).encode()
        if random.randrange(10) == 0:
            data = b"[" * random.randrange(20) + data + b"]" * random.randrange(20)
        return damage(random, data, random.choice((0, 1, 2)), (b"\\u", b"\\ud83d\\ude00", b"1e9"))

    def _value(self, random, depth):
        kind = random.randrange(9 if depth < 5 else 7)
        if kind == 7:
            return [self._value(random, depth + 1) for _ in range(random.randrange(4))]
        if kind == 8:
            return {
                self._text(random): self._value(random, depth + 1)
                for _ in range(random.randrange(4))
            }
        return (
            None,
            True,
            random.randrange(-(1 << 70), 1 << 70),
            random.randrange(100),
            random.random() * 10 ** random.randrange(-5, 20),
            self._text(random),
            "",
        )[kind]

    @staticmethod
    def _text(random):
        return "".join(
            random.choice(("a", "ä", "😀", '"', "\\", "\n", "/", "\x7f", "\u2028"))
            for _ in range(random.randrange(6))
        )

    def opinion(self, data, verdict):
        try:
            text = data.decode()
            value = json.loads(text, parse_constant=self._refuse)
            # Half of a pair of escapes is no Unicode; Python takes it.
            json.dumps(value, ensure_ascii=False).encode()
        except (UnicodeError, ValueError):
            return None if verdict in ("malformed", "unicode", "deep") else "malformed"
        except RecursionError:
            return None
        if verdict == "deep":
            return None if self._depth(value) > self.depth else "not so deep"
        if not verdict.startswith("="):
            return "well formed"
        ours = json.loads(verdict[1:].replace("inf", "Infinity"))  # too large a number
        return None if self._same(ours, value) else f"it is {value!r}"

    @staticmethod
    def _refuse(name):
        raise ValueError(name)

    def _depth(self, value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            return 1 + max(map(self._depth, value), default=0)
        return 0

    def _same(self, ours, theirs):
        if isinstance(theirs, list):
            return len(ours) == len(theirs) and all(map(self._same, ours, theirs))
        if isinstance(theirs, dict):
            return ours.keys() == theirs.keys() and all(
                self._same(ours[key], theirs[key]) for key in ours
            )
        if isinstance(theirs, float):
            # MicroPython's numbers and their texts have fewer digits.
            return ours == theirs or abs(ours - theirs) <= 1e-5 * abs(theirs)
        return type(ours) is type(theirs) and ours == theirs


class Names:
    """DNS queries, beside dnspython."""

    name = "names"

    def make(self, random):
        name = random.choice(("captive.apple.com.", "x.", ".", "a" * 63 + ".b.", "a.b.c.d.e."))
        kind = random.choice((1, 28, 255, 16))
        query = dns.message.make_query(name, kind, random.choice((1, 255)))
        query.id = random.randrange(1 << 16)
        if random.randrange(4) == 0:
            query.use_edns(0)
        return damage(random, query.to_wire(), random.choice((0, 1, 2)))

    def opinion(self, data, verdict):
        try:
            query = dns.message.from_wire(data, ignore_trailing=True)
        except dns.exception.DNSException:
            query = None
        if not verdict:
            is_response = len(data) > 2 and data[2] & 0x80
            return None if len(data) < 12 or is_response else "no answer"
        wire = bytes.fromhex(verdict)
        if len(wire) > 512:
            return "too long for a datagram"
        try:
            answer = dns.message.from_wire(wire)
        except dns.exception.DNSException as error:
            return f"not DNS: {error}"
        if wire[:2] != data[:2] or not answer.flags & dns.flags.QR:
            return "no response to this"
        if query is None or query.opcode() != 0 or len(query.question) != 1:
            return None
        question = query.question[0]
        if answer.rcode() != dns.rcode.NOERROR:
            return f"{answer.rcode()} to {question}"
        if answer.question != query.question:
            return "another question"
        wanted = question.rdtype in (dns.rdatatype.A, dns.rdatatype.ANY)
        wanted = wanted and question.rdclass in (dns.rdataclass.IN, dns.rdataclass.ANY)
        found = [str(item) for rrset in answer.answer for item in rrset]
        return None if found == ([ADDRESS] if wanted else []) else f"answers {found}"


class Settings:
    """Files of settings. There is nobody to ask but the device itself."""

    name = "settings"
    files = (
        {"sta": {"ssid": "site"}, "device": {"iam": "bench-7"}, "ap": {"channel": 6}},
        {
            "app": "demo",
            "http": {"port": 80, "names": ["a.example"], "proxy": "192.168.1.2"},
            "home": {"host": "relay", "port": 443, "tls": True, "rights": "read", "key": "ab"},
            "interfaces": [{"type": "echo", "name": "e"}, {"type": "gpio", "name": "g", "pin": 2}],
            "limits": {"connections": 8},
            "wifi": {"country": "DE"},
        },
        {"ap": {"password": "12345678"}, "sta": {"site": "x" * 8}},
    )

    def make(self, random):
        files = [self._changed(random, json.loads(json.dumps(file))) for file in self.files]
        parts = [json.dumps(file).encode() for file in files]
        return b"\0".join(damage(random, part, random.choice((0, 0, 1))) for part in parts)

    def _changed(self, random, value):
        if random.randrange(12) == 0:
            return random.choice((None, True, -1, 0, 65536, 1 << 70, 1.5, "", "x" * 99, [], {}))
        if isinstance(value, dict):
            return {key: self._changed(random, item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._changed(random, item) for item in value]
        return value

    def opinion(self, data, verdict):
        return None if verdict == "ok" else "not settings"


PEERS = {
    peer.name: peer
    for peer in (Frames(), Deflated(), Opening(), Requests(), JSON(), Names(), Settings())
}
