"""Frames: opcodes, close codes, headers, masking (RFC 6455 sections 5 and 7.4)."""

from builtins import bytearray, len, memoryview  # see `transport.connection`

import micropython
from heap import BLOCK_SIZE

CONT = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

# RFC 6455 section 7.4.1; 1013 from the IANA registry.
NORMAL_CLOSURE = 1000
GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
NO_STATUS_RCVD = 1005
ABNORMAL_CLOSURE = 1006
INVALID_DATA = 1007
MESSAGE_TOO_BIG = 1009
INTERNAL_ERROR = 1011
TRY_AGAIN_LATER = 1013

# Frames with a payload up to this size are put into one buffer with their header, so that they
# leave in one segment. A larger payload isn't copied.
JOIN_LIMIT = BLOCK_SIZE


# What the codes say, in the words of Python's `websockets`.
_EXPLANATIONS = (
    (1000, "OK"),
    (1001, "going away"),
    (1002, "protocol error"),
    (1003, "unsupported data"),
    (1005, "no status received [internal]"),
    (1006, "abnormal closure [internal]"),
    (1007, "invalid frame payload data"),
    (1008, "policy violation"),
    (1009, "message too big"),
    (1010, "mandatory extension"),
    (1011, "internal error"),
    (1012, "service restart"),
    (1013, "try again later"),
    (1014, "bad gateway"),
)


class Close:
    """Code and reason of a close frame; `code` is 1005 when the frame had none."""

    def __init__(self, code, reason=""):
        self.code = code
        self.reason = reason

    def __eq__(self, other):
        return isinstance(other, Close) and (self.code, self.reason) == (other.code, other.reason)

    def __str__(self):
        explanation = "unknown"
        if self.code >= 3000:
            explanation = "registered" if self.code < 4000 else "private use"
        for code, text in _EXPLANATIONS:
            if code == self.code:
                explanation = text
        return f"{self.code} ({explanation}) {self.reason}".rstrip()


def is_close_code(code):
    """Whether a peer may send `code` (RFC 6455 section 7.4)."""
    return code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014) or (
        3000 <= code < 5000
    )


def header(opcode, length, fin=True, key=None):
    """A frame header (section 5.2).

    Args:
        opcode: one of the constants above.
        length: payload bytes.
        fin: whether this is the last frame of its message.
        key: the masking key, 4 bytes, in frames from a client.

    Returns:
        A bytearray of 2 to 14 bytes.
    """
    masked = 0x80 if key else 0
    if fin:
        opcode |= 0x80
    if length < 126:
        head = bytearray((opcode, masked | length))
    elif length < 65536:
        head = bytearray((opcode, masked | 126, length >> 8, length & 0xFF))
    else:
        head = bytearray((opcode, masked | 127, 0, 0, 0, 0))
        head.extend(length.to_bytes(4, "big"))
    if key:
        head.extend(key)
    return head


def encode(opcode, payload, fin=True, key=None):
    """A frame as a tuple of buffers to be sent one after the other.

    Args:
        payload: bytes-like, or str to be sent as UTF-8.
        key: the masking key, 4 bytes, for a client.
    """
    payload = memoryview(payload)  # of a str: its UTF-8
    length = len(payload)
    head = header(opcode, length, fin, key)
    if not length:
        return (head,)
    if key is None and length > JOIN_LIMIT:
        return (head, payload)
    start = len(head)
    try:
        frame = bytearray(start + length)
    except MemoryError:
        if key is not None:
            raise
        return (head, payload)
    frame[:start] = head
    frame[start:] = payload
    if key is not None:
        mask(frame, start, start + length, key, 0)
    return (frame,)


@micropython.native
def encode_short(opcode, payload):
    """What `encode` gives for a short message from a server, without a tuple around it.

    Returns:
        A bytearray, None for a message that needs `encode`.
    """
    payload = memoryview(payload)
    length = len(payload)
    if length > JOIN_LIMIT:
        return None
    try:
        if length < 126:
            frame = bytearray(2 + length)
            frame[1] = length
            frame[2:] = payload
        else:
            frame = bytearray(4 + length)
            frame[1] = 126
            frame[2] = length >> 8
            frame[3] = length & 0xFF
            frame[4:] = payload
    except MemoryError:
        return None
    frame[0] = 0x80 | opcode
    return frame


@micropython.viper
def whole(buf: ptr8, start: int, end: int, is_client: int) -> int:
    """Where the payload of the frame at `start` begins, if it is a message of its own.

    That is: text or binary, final, without extensions, masked by a client, its length in the
    shortest form, and all of it before `end`.

    Returns:
        The length in the upper, the header's size in the lower 4 bits; 0 for any other frame.
    """
    have = end - start
    if have < 2:
        return 0
    first = buf[start]
    if first != 0x81 and first != 0x82:
        return 0
    length = buf[start + 1]
    head = 2
    if is_client:
        if length > 126:
            return 0
    else:
        length -= 0x80
        if length < 0 or length > 126:
            return 0
        head = 6
    if length == 126:
        if have < 4:
            return 0
        length = buf[start + 2] << 8 | buf[start + 3]
        if length < 126:
            return 0
        head += 2
    if have < head + length:
        return 0
    return length << 4 | head


@micropython.viper
def mask(buf: ptr8, start: int, end: int, key: ptr8, phase: int):
    """XOR `buf[start:end]` with the masking key, beginning with `key[phase & 3]` (section 5.3).

    `buf` must be a bytearray, not a slice of one: its words are accessed, and a chip's words
    must be aligned.
    """
    i = start
    while i < end and i & 3:
        buf[i] = buf[i] ^ key[(phase + i - start) & 3]
        i += 1
    p = phase + i - start
    word = key[p & 3] | key[(p + 1) & 3] << 8 | key[(p + 2) & 3] << 16 | key[(p + 3) & 3] << 24
    # An index that is a literal is part of the instruction: twice as fast as one that is counted.
    while i < end - 31:
        words = ptr32(int(buf) + i)
        words[0] = words[0] ^ word
        words[1] = words[1] ^ word
        words[2] = words[2] ^ word
        words[3] = words[3] ^ word
        words[4] = words[4] ^ word
        words[5] = words[5] ^ word
        words[6] = words[6] ^ word
        words[7] = words[7] ^ word
        i += 32
    while i < end - 3:
        words = ptr32(int(buf) + i)
        words[0] = words[0] ^ word
        i += 4
    while i < end:
        buf[i] = buf[i] ^ key[(phase + i - start) & 3]
        i += 1


@micropython.viper
def unmask(buf: ptr8, start: int, end: int):
    """`mask` of `buf[start:end]` with the key that stands before it."""
    i = start
    while i < end and i & 3:
        buf[i] = buf[i] ^ buf[start - 4 + ((i - start) & 3)]
        i += 1
    p = i - start
    key = start - 4
    word = buf[key + (p & 3)] | buf[key + ((p + 1) & 3)] << 8
    word |= buf[key + ((p + 2) & 3)] << 16 | buf[key + ((p + 3) & 3)] << 24
    while i < end - 3:
        words = ptr32(int(buf) + i)
        words[0] = words[0] ^ word
        i += 4
    while i < end:
        buf[i] = buf[i] ^ buf[key + ((i - start) & 3)]
        i += 1
