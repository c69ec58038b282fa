"""DNS messages of a resolver for which every name has one and the same address (RFC 1035).

Does no I/O: `portal.Resolver` has the socket.
"""

from micropython import const

# Longest query that is looked at (RFC 1035 section 2.3.4). What a longer one has after its
# question, as EDNS's padding, doesn't matter here.
MAX_QUERY = 512

_HEADER = const(12)
_MAX_NAME = const(255)
_MAX_LABEL = const(63)

# Header, third byte: QR and AA; fourth byte: RA and the response code (section 4.1.1).
_RESPONSE = const(0x80)
_AUTHORITATIVE = const(0x04)
_RECURSION_AVAILABLE = const(0x80)
_NO_ERROR = const(0)
_FORMAT_ERROR = const(1)
_NOT_IMPLEMENTED = const(4)

# QTYPE and QCLASS (sections 3.2.2 to 3.2.5).
_A = const(1)
_IN = const(1)
_ANY = const(255)

# A resource record: a pointer to the question's name, A, IN, a TTL of 0, 4 bytes of address. The
# name means something else as soon as the phone is on another network: nobody shall cache this.
_RECORD = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04"


def respond(query, address):
    """The response to a query.

    Args:
        query: one datagram, bytes.
        address: the IPv4 address of every name, 4 bytes.

    Returns:
        bytes; None for what gets no response: no whole header, or a response itself.
    """
    if len(query) < _HEADER or query[2] & _RESPONSE:
        return None
    if query[2] & 0x78:  # OPCODE: anything but a standard query
        return _header(query, _NOT_IMPLEMENTED, 0, 0)
    end = _question_end(query)
    if end is None:
        return _header(query, _FORMAT_ERROR, 0, 0)
    kind = query[end - 4] << 8 | query[end - 3]
    net = query[end - 2] << 8 | query[end - 1]
    question = query[_HEADER:end]
    if kind not in (_A, _ANY) or net not in (_IN, _ANY):
        # The name exists, but has no such record: RFC 2308 section 2.2, NODATA.
        return _header(query, _NO_ERROR, 1, 0) + question
    return _header(query, _NO_ERROR, 1, 1) + question + _RECORD + address


def _question_end(query):
    """Where the only question ends; None when there isn't exactly one, well formed."""
    if query[4] or query[5] != 1:
        return None
    at = _HEADER
    while at < len(query):
        length = query[at]
        if length > _MAX_LABEL:
            return None  # a pointer has nothing to point to yet (section 4.1.4)
        at += 1 + length
        if at - _HEADER > _MAX_NAME:
            return None
        if not length:
            return at + 4 if at + 4 <= len(query) else None
    return None


def _header(query, code, questions, answers):
    flags = _RESPONSE | _AUTHORITATIVE | (query[2] & 0x79)  # with its OPCODE and RD
    return query[:2] + bytes(
        (flags, _RECURSION_AVAILABLE | code, 0, questions, 0, answers, 0, 0, 0, 0)
    )
