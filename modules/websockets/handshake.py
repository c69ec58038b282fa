"""The opening handshake of both sides (RFC 6455 section 4). No I/O."""

from binascii import a2b_base64, b2a_base64
from hashlib import sha1
from os import urandom

from http11 import reason, tokens

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Refused(Exception):
    """A request that isn't accepted: (status, detail, headers)."""


class NotOffered(ValueError):
    """A response that chooses what the client didn't offer."""


def accept_key(key):
    """Sec-WebSocket-Accept for a Sec-WebSocket-Key (section 4.2.2)."""
    return str(b2a_base64(sha1(key.encode() + _GUID).digest()).strip(), "utf-8")


def check_request(method, minor, fields):
    """Check a client's request (section 4.2.1).

    Args:
        method: the request's method.
        minor: its HTTP/1 minor version.
        fields: dict of header values by lower-case name.

    Returns:
        The client's key.

    Raises:
        Refused: with the response to give.
    """
    if "websocket" not in tokens(fields.get("upgrade")):
        # RFC 9110 section 15.5.22: the response names the protocol.
        raise Refused(426, "this is a WebSocket endpoint", (("Upgrade", "websocket"),))
    if method != "GET" or minor != 1:
        raise Refused(400, "WebSocket needs GET and HTTP/1.1", ())
    if "transfer-encoding" in fields or fields.get("content-length", "0") != "0":
        # RFC 9110 section 7.8 would have it read before the first frame; no client sends one.
        raise Refused(400, "a handshake has no body", ())
    if "upgrade" not in tokens(fields.get("connection")):
        raise Refused(400, "Connection doesn't say Upgrade", ())
    if fields.get("sec-websocket-version") != "13":
        # Section 4.4.
        raise Refused(426, "WebSocket version 13 is needed", (("Sec-WebSocket-Version", "13"),))
    key = fields.get("sec-websocket-key", "")
    try:
        good = len(key) == 24 and len(a2b_base64(key)) == 16
    except ValueError:
        good = False
    if not good:
        raise Refused(400, "Sec-WebSocket-Key is missing or malformed", ())
    return key


def check_origin(fields, origins):
    """Refuse a browser's page from elsewhere (section 10.2).

    Args:
        origins: None to allow all; a sequence of allowed origins, where None stands for a client
            that sends none; or a function of (origin or None, host or None) -> bool.

    Raises:
        Refused: 403.
    """
    if origins is None:
        return
    origin = fields.get("origin")
    if callable(origins):
        good = origins(origin, fields.get("host"))
    else:
        good = origin in origins
    if not good:
        raise Refused(403, "Origin not allowed", ())


def offered_subprotocols(fields):
    """What a client offers in Sec-WebSocket-Protocol, a list in its order of preference."""
    items = [item.strip() for item in fields.get("sec-websocket-protocol", "").split(",")]
    return [item for item in items if item]


def check_subprotocols(names):
    """Check what is to be offered or supported.

    Raises:
        TypeError: a text in place of a list of them.
    """
    if isinstance(names, str):
        raise TypeError("subprotocols must be a list, not a str")


def choose_subprotocol(fields, supported):
    """The first supported subprotocol that the client offers too (section 4.2.2).

    None when the server supports none.

    Raises:
        Refused: 400, there is none in common.
    """
    if not supported:
        return None
    offered = offered_subprotocols(fields)
    for name in supported:
        if name in offered:
            return name
    raise Refused(400, "a subprotocol is needed: " + ", ".join(supported), ())


def accept_response(key, subprotocol=None, extension=None):
    """The 101 response's head, bytes (section 4.2.2)."""
    head = (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: " + accept_key(key) + "\r\n"
    )
    if subprotocol:
        head += "Sec-WebSocket-Protocol: " + subprotocol + "\r\n"
    if extension:
        head += "Sec-WebSocket-Extensions: " + extension + "\r\n"
    return (head + "\r\n").encode()


def refusal(status, detail, headers=()):
    """A whole error response that closes the connection, bytes."""
    head = f"HTTP/1.1 {status} {reason(status)}\r\n"
    options = "close"
    for name, value in headers:
        head += name + ": " + value + "\r\n"
        if name == "Upgrade":
            options = "close, upgrade"
    detail += "\n"
    return (
        head
        + f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(detail.encode())}\r\n"
        f"Connection: {options}\r\n\r\n{detail}"
    ).encode()


def request(uri, origin=None, subprotocols=None, headers=(), extension=None):
    """A client's request (section 4.1).

    Args:
        uri: a `uri.URI`.
        extension: value of Sec-WebSocket-Extensions.
        headers: further (name, value) pairs.

    Returns:
        (head as bytes, the key).

    Raises:
        ValueError: a line break in a header.
    """
    key = str(b2a_base64(urandom(16)).strip(), "utf-8")
    lines = [
        ("Host", uri.authority),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Version", "13"),
    ]
    if origin:
        lines.append(("Origin", origin))
    if subprotocols:
        lines.append(("Sec-WebSocket-Protocol", ", ".join(subprotocols)))
    if extension:
        lines.append(("Sec-WebSocket-Extensions", extension))
    lines.extend(headers)
    head = "GET " + uri.target + " HTTP/1.1\r\n"
    for name, value in lines:
        line = name + ": " + value
        if "\r" in line or "\n" in line:
            raise ValueError("line break in header " + repr(name))
        head += line + "\r\n"
    return (head + "\r\n").encode(), key


def check_response(fields, key, subprotocols, compression=False):
    """Check a server's 101 (section 4.1).

    Args:
        compression: whether `deflate.offer` was sent.

    Returns:
        (the subprotocol chosen or None, the `deflate.Deflate` agreed on or None).

    Raises:
        NotOffered: its subprotocol or extension.
        ValueError: what else is wrong with it.
    """
    if "websocket" not in tokens(fields.get("upgrade")):
        raise ValueError("no Upgrade: websocket")
    if "upgrade" not in tokens(fields.get("connection")):
        raise ValueError("no Connection: Upgrade")
    if fields.get("sec-websocket-accept") != accept_key(key):
        raise ValueError("Sec-WebSocket-Accept doesn't match")
    extension = fields.get("sec-websocket-extensions")
    if extension and not compression:
        raise NotOffered("an extension that was not asked for")
    chosen = fields.get("sec-websocket-protocol")
    if chosen is not None and chosen not in (subprotocols or ()):
        raise NotOffered("a subprotocol that was not asked for")
    if not extension:
        return chosen, None
    from . import deflate

    agreed = deflate.accepted(extension)
    if agreed is None:
        raise NotOffered("an extension that was not asked for")
    return chosen, agreed
