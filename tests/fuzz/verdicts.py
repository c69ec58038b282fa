"""Says what this project's parsers make of inputs; runs on MicroPython.

usage: micropython verdicts.py PARSER < INPUTS

Each line of the input is one in hexadecimal digits; each line of the output is the verdict on it,
in the terms of peers.py. A verdict that begins with "! " is a defect that needs no second opinion.
"""

import json
import sys
from binascii import hexlify, unhexlify

from device.net import dns
from device.settings.config import FIELDS, Config, check
from http11 import BadMessage, parse_request
from httpd.body import framing
from strict_json import loads
from websockets import handshake
from websockets.deflate import Deflate, TooBig
from websockets.frames import BINARY, CLOSE, PONG, TEXT
from websockets.protocol import FAULT, Protocol

MAX_SIZE = 1 << 16
ADDRESS = b"\xc0\xa8\x04\x01"


def digits(data):
    return str(hexlify(data), "utf-8")


# WebSocket frames


def frames(data):
    """`data`: whether deflate was negotiated, the size of the pieces, then the client's bytes."""
    compressed, size, data = data[0] & 1, data[1] + 1, data[2:]
    whole = converse(data, len(data) or 1, compressed)
    pieces = converse(data, size, compressed)
    if whole != pieces:
        return f"! cut: {pieces}, whole: {whole}"
    return whole


def converse(data, size, compressed):
    protocol = Protocol(False, MAX_SIZE, Deflate(15, 15) if compressed else None)
    events = []
    kept = b""
    for i in range(0, len(data), size):
        piece = data[i : i + size]
        while piece:
            wanted = protocol.wanted
            if wanted is not None:
                n = min(len(wanted), len(piece))
                wanted[:n] = piece[:n]
                piece = piece[n:]
                protocol.filled(n)
                note(protocol, events)
                continue
            buf = bytearray(kept + piece)
            start = 0
            while start < len(buf):
                start = protocol.receive(buf, start, len(buf))
                if protocol.event is None:
                    break
                note(protocol, events)
            kept = bytes(buf[start:])
            piece = b""
    return " ".join(events)


def note(protocol, events):
    event = protocol.event
    if event is None or (events and events[-1][0] in "CF"):
        return
    if event == FAULT:
        protocol.fail()
        events.append(f"F{protocol.fault.code}")
    elif event == CLOSE:
        rcvd = protocol.close_rcvd
        events.append(f"C{rcvd.code if rcvd else 1005}")
    elif event == TEXT:
        events.append("T" + digits(protocol.data.encode()))
    elif event == BINARY:
        events.append("B" + digits(protocol.data))
    elif event == PONG:
        events.append("P" + digits(protocol.data))


# What a compressed message is expanded to


def deflate(data):
    """`data`: a message's payload."""
    try:
        out, size = Deflate(15, 15).expand(bytearray(data), MAX_SIZE)
    except TooBig:
        return "large"
    except ValueError:
        return "malformed"
    return "=" + digits(memoryview(out)[:size])


# The opening handshake


def opening(data):
    """`data`: a client's request."""
    try:
        head = parse_request(data, 0, len(data))
        if head is None:
            return "unfinished"
        if "host" not in head.fields:
            return "400"
        handshake.check_request(head.method, head.minor, head.fields)
    except BadMessage as error:
        return str(error.status)
    except handshake.Refused as refusal:
        return str(refusal.args[0])
    return "101"


# HTTP requests


def http(data):
    """`data`: requests, one after the other."""
    data = bytearray(data)
    found = []
    start = 0
    end = len(data)
    try:
        while start < end:
            head = parse_request(data, start, end)
            if head is None:
                break
            if head.minor == 1 and "host" not in head.fields:
                raise BadMessage(400, "no Host header")
            start = head.end
            body = framing(head.fields, head.minor)
            content = b""
            while body is not None and not body.done:
                first, last, stop = body.receive(data, start, end)
                content += bytes(data[first:last])
                if stop == start and not body.done:
                    found.append("unfinished")
                    return " ".join(found)
                start = stop
            found.append(f"{head.method}:{digits(head.target.encode())}:{digits(content)}")
    except BadMessage as error:
        found.append(f"F{error.status}")
    return " ".join(found)


# JSON


def text(data):
    """`data`: a text."""
    try:
        return "=" + json.dumps(loads(str(data, "utf-8")))
    except UnicodeError:
        return "unicode"
    except ValueError as error:
        return "deep" if "levels" in str(error) else "malformed"


# Names


def names(data):
    """`data`: a query."""
    answer = dns.respond(data, ADDRESS)
    return "" if answer is None else digits(answer)


# Settings


def settings(data):
    """`data`: the three files of the settings, with a zero byte between them."""
    for name, content in zip(("/network.json", "/app.json", "/secrets.json"), data.split(b"\0")):
        with open(name, "wb") as file:
            file.write(content)
    config = Config()
    for path, kind, least, most, default, _, _ in FIELDS:
        value = config.get(path)
        if value is not None and value != default:
            try:
                check(kind, least, most, value)
            except ValueError as error:
                return f"! {path} {error}"
    return "ok"


def main(parser):
    if parser is settings:
        import os

        import vfs

        # The working directory, a temporary one, becomes the device's filesystem.
        folder = os.getcwd()
        vfs.umount("/")
        vfs.mount(vfs.VfsPosix(folder), "/")
    for line in sys.stdin:
        try:
            print(parser(unhexlify(line.strip())))
        except Exception as error:
            print(f"! {type(error).__name__}: {error}")
            sys.print_exception(error, sys.stderr)


main(globals()[sys.argv[1]])
