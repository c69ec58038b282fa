"""permessage-deflate (RFC 7692): its negotiation and its payloads. No I/O.

Both directions always go without context takeover: nothing is kept between messages, so that an
idle connection costs no window, and one compressed frame can be broadcast to many.

Compressing is done here and not by `deflate.DeflateIO`, which can't flush without ending its
stream and looks for matches by comparing with every place in its window.
"""

from io import BytesIO

import micropython
from deflate import RAW, DeflateIO
from micropython import const

# The window that the peer is asked to keep to, as by Python's `websockets`: it is what expanding
# a message takes beside the message itself, 4 KiB.
PEER_BITS = 12

# The window of a peer that wasn't asked (RFC 7692 section 7.1.2.2).
MAX_BITS = 15

# Below this size compressing saves nothing worth the work.
MIN_SIZE = 32

# A message is expanded into this many times its size at first, and then twice as much again.
FIRST_RATIO = 4

NAME = "permessage-deflate"

# Section 7.2.2: what the sender cut off; then an empty final block, so that the stream ends.
_TAIL = b"\x00\x00\xff\xff\x01\x00\x00\xff\xff"
_CUT = const(4)

# Bits of a nibble in reverse; DEFLATE packs its Huffman codes with the first bit lowest.
_MIRROR = b"\x00\x08\x04\x0c\x02\x0a\x06\x0e\x01\x09\x05\x0d\x03\x0b\x07\x0f"

# Where three bytes with a certain hash were last seen, modulo 65536. Left over between messages:
# every place is checked before it is used. Made when the first message is compressed.
_HASH_BITS = 10
_table = None


class TooBig(Exception):
    """An expanded message is over its limit."""


class Deflate:
    """What a connection has negotiated.

    Attributes:
        bits: base-2 logarithm of the window for compressing, 8 to 15.
    """

    def __init__(self, bits, peer_bits):
        self.bits = bits
        self._peer_bits = peer_bits

    def compress(self, payload):
        """Compress a message.

        Args:
            payload: bytes-like, or str that is taken as UTF-8.

        Returns:
            A memoryview to be sent as the payload, or None when that would be no shorter
            or there isn't the memory for it.
        """
        global _table
        size = len(memoryview(payload))
        if size < MIN_SIZE:
            return None
        try:
            if _table is None:
                _table = bytearray(2 << _HASH_BITS)
            out = bytearray(size)
        except MemoryError:
            return None
        n = _compress(payload, size, out, _table, 1 << self.bits)
        return memoryview(out)[:n] if n else None

    def expand(self, payload, max_size):
        """Expand a message.

        Args:
            payload: bytearray, which is changed.
            max_size: most bytes of the result, None for no limit.

        Returns:
            (bytearray, how many of its bytes are the message).

        Raises:
            TooBig: the message is over `max_size`.
            ValueError: the payload isn't a DEFLATE stream.
        """
        first = FIRST_RATIO * len(payload) + 64
        end = len(payload)
        payload.extend(_TAIL)
        source = BytesIO(payload)
        stream = DeflateIO(source, RAW, self._window_bits(max_size))
        # One byte more than allowed tells a message that fits from one that doesn't.
        out = bytearray(first if max_size is None else min(first, max_size + 1))
        fill = 0
        try:
            while True:
                fill += stream.readinto(memoryview(out)[fill:])
                if max_size is not None and fill > max_size:
                    raise TooBig
                size = len(out)
                if fill < size:
                    break
                more = size if max_size is None else min(size, max_size + 1 - size)
                out.extend(bytes(more))
        except (OSError, EOFError):
            raise ValueError("not a DEFLATE stream")
        # The end that was reached is ours, or that of the sender's own final block. This has one
        # byte behind it (section 7.2.3.4), or ends with the first part of ours: it was cut off
        # like any other (section 7.2.1).
        if source.tell() not in (end + len(_TAIL), end + _CUT, end, end - 1):
            raise ValueError("data behind the end of a DEFLATE stream")
        return out, fill

    def _window_bits(self, max_size):
        # A message has nothing further back than its own beginning.
        bits = self._peer_bits
        if max_size is not None:
            while bits > 8 and 1 << bits - 1 >= max_size:
                bits -= 1
        return bits


@micropython.viper
def _compress(src: ptr8, size: int, out: ptr8, table: ptr16, window: int) -> int:
    # One block with the fixed Huffman codes (RFC 1951 section 3.2.6) up to and with the header of
    # the empty block that section 7.2.1 asks for. Returns the number of bytes, 0 when there would
    # be as many as before.
    mirror = ptr8(_MIRROR)
    bits = 2  # not final, fixed codes
    count = 3
    o = 0
    i = 0
    limit = size - 8  # an iteration writes at most 6 bytes
    while i < size:
        if o > limit:
            return 0
        length = 0
        seen = 0
        if i + 2 < size:
            h = (((src[i] | src[i + 1] << 8 | src[i + 2] << 16) * 40503) >> 12) & 1023
            seen = i - (i & 65535) + int(table[h])
            if seen >= i:
                seen -= 65536
            table[h] = i
            if seen >= 0 and i - seen <= window:
                most = size - i
                if most > 258:
                    most = 258
                while length < most and src[seen + length] == src[i + length]:
                    length += 1
        if length < 3:
            c = src[i]
            i += 1
            if c < 144:
                c += 48
                bits |= (mirror[c & 15] << 4 | mirror[c >> 4]) << count
                count += 8
            else:
                bits |= (1 | mirror[c & 15] << 5 | mirror[c >> 4] << 1) << count
                count += 9
        else:
            distance = i - seen - 1
            i += length
            length -= 3
            extra = 0
            if length == 255:
                c = 28
            elif length < 8:
                c = length
            else:
                while length >> extra > 7:
                    extra += 1
                c = 4 * extra + (length >> extra)
            # Codes 257 to 279 have 7 bits, 280 to 285 have 8.
            c += 1
            if c < 24:
                c += c
                bits |= (mirror[c & 15] << 4 | mirror[c >> 4]) << count
                count += 7
            else:
                c += 168
                bits |= (mirror[c & 15] << 4 | mirror[c >> 4]) << count
                count += 8
            bits |= (length & ((1 << extra) - 1)) << count
            count += extra
            while count > 7:
                out[o] = bits
                o += 1
                bits >>= 8
                count -= 8
            extra = 0
            while distance >> extra > 3:
                extra += 1
            c = (2 * extra + (distance >> extra)) << 3
            bits |= (mirror[c & 15] << 4 | mirror[c >> 4]) << count
            count += 5
            bits |= (distance & ((1 << extra) - 1)) << count
            count += extra
        while count > 7:
            out[o] = bits
            o += 1
            bits >>= 8
            count -= 8
    # End of block (7 zero bits), header of the empty block (3), and up to a whole byte.
    count += 17
    while count > 7:
        out[o] = bits
        o += 1
        bits >>= 8
        count -= 8
    return o


def _parameters(extension):
    # "name; a; b=1" -> (name, {"a": None, "b": "1"}), or None when a name is repeated.
    parts = extension.split(";")
    found = {}
    for part in parts[1:]:
        name, given, value = part.partition("=")
        name = name.strip().lower()
        if name in found:
            return None, found
        found[name] = value.strip().strip('"') if given else None
    return parts[0].strip().lower(), found


def _window(value):
    # Section 7.1.2: a decimal number from 8 to 15 without leading zeros.
    return int(value) if value in ("8", "9", "10", "11", "12", "13", "14", "15") else 0


def _valid(parameters, optional):
    # Section 7.1: whether all parameters are known and have good values. Those in `optional` may
    # come without a value.
    for name, value in parameters.items():
        if name in ("server_no_context_takeover", "client_no_context_takeover"):
            good = value is None
        elif name in ("server_max_window_bits", "client_max_window_bits"):
            good = _window(value) or (value is None and name in optional)
        else:
            good = False
        if not good:
            return False
    return True


def accept(offers):
    """Answer a client's Sec-WebSocket-Extensions (section 5.1).

    Args:
        offers: the header's value, None when there is none.

    Returns:
        (`Deflate`, the response's header) for the first offer that can be accepted, else
        (None, None).
    """
    for offer in (offers or "").split(","):
        name, parameters = _parameters(offer)
        if name != NAME or not _valid(parameters, ("client_max_window_bits",)):
            continue
        answer = NAME + "; server_no_context_takeover; client_no_context_takeover"
        bits = peer_bits = MAX_BITS
        if "server_max_window_bits" in parameters:
            bits = _window(parameters["server_max_window_bits"])
            answer += f"; server_max_window_bits={bits}"
        # Section 7.1.2.2: only a client that mentions it can be asked.
        if "client_max_window_bits" in parameters:
            peer_bits = min(_window(parameters["client_max_window_bits"]) or MAX_BITS, PEER_BITS)
            answer += f"; client_max_window_bits={peer_bits}"
        return Deflate(bits, peer_bits), answer
    return None, None


def offer():
    """A client's Sec-WebSocket-Extensions: the window that is wanted, or else any.

    A server that can't keep to a window declines what asks for one (RFC 7692 section 7.1.2.1).
    """
    plain = NAME + "; server_no_context_takeover; client_no_context_takeover"
    return f"{plain}; server_max_window_bits={PEER_BITS}; client_max_window_bits, {plain}"


def accepted(answer):
    """The `Deflate` that a server's Sec-WebSocket-Extensions, an answer to `offer`, agrees to.

    None when it agrees to something that wasn't offered.
    """
    name, parameters = _parameters(answer)
    # Section 7.1.1.1 and 7.1.2.1: a server that accepts an offer repeats what it asked for.
    if (
        name != NAME
        or not _valid(parameters, ())
        or "server_no_context_takeover" not in parameters
    ):
        return None
    if "server_max_window_bits" not in parameters:
        # The second offer, which has no window for the client either.
        return None if "client_max_window_bits" in parameters else Deflate(MAX_BITS, MAX_BITS)
    peer_bits = _window(parameters["server_max_window_bits"])
    if not 8 <= peer_bits <= PEER_BITS:
        return None
    return Deflate(_window(parameters.get("client_max_window_bits")) or MAX_BITS, peer_bits)
