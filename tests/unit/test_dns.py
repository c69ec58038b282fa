"""The portal's DNS messages (RFC 1035)."""

import os

from device.net.dns import respond

ADDRESS = bytes((192, 168, 4, 1))
NAME = b"\x07captive\x05Apple\x03com\0"  # in the letters that the client chose
A, AAAA, HTTPS, ANY = b"\0\x01", b"\0\x1c", b"\0\x41", b"\0\xff"
IN, CHAOS = b"\0\x01", b"\0\x03"


def query(name=NAME, kind=A, net=IN, flags=b"\x01\0", counts=b"\0\x01\0\0\0\0\0\0", rest=b""):
    return b"\xca\xfe" + flags + counts + name + kind + net + rest


def header(flags, questions, answers):
    return b"\xca\xfe" + flags + bytes((0, questions, 0, answers, 0, 0, 0, 0))


RECORD = b"\xc0\x0c" + A + IN + b"\0\0\0\0" + b"\0\x04" + ADDRESS


def test_every_name_has_the_address():
    for name in (NAME, b"\x01a\0", b"\0", (b"\x3f" + b"x" * 63) * 3 + b"\x3d" + b"y" * 61 + b"\0"):
        for kind in (A, ANY):
            expected = header(b"\x85\x80", 1, 1) + name + kind + IN + RECORD
            assert respond(query(name, kind), ADDRESS) == expected


def test_recursion_desired_is_repeated():
    assert respond(query(flags=b"\0\0"), ADDRESS)[2:4] == b"\x84\x80"
    assert respond(query(flags=b"\x01\x20"), ADDRESS)[2:4] == b"\x85\x80"


def test_no_other_record_exists():
    for kind, net in ((AAAA, IN), (HTTPS, IN), (A, CHAOS)):
        expected = header(b"\x85\x80", 1, 0) + NAME + kind + net
        assert respond(query(kind=kind, net=net), ADDRESS) == expected


def test_what_follows_the_question_is_not_looked_at():
    opt = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"
    with_opt = query(counts=b"\0\x01\0\0\0\0\0\x01", rest=opt)
    assert respond(with_opt, ADDRESS) == respond(query(), ADDRESS)


def test_other_operations_are_not_implemented():
    for opcode in range(1, 16):
        flags = bytes((opcode << 3, 0))
        response = respond(query(flags=flags), ADDRESS)
        assert response == header(bytes((0x84 | opcode << 3, 0x84)), 0, 0), opcode


def test_malformed_queries():
    error = header(b"\x85\x81", 0, 0)
    whole = query()
    for damaged in (
        query(counts=b"\0\0\0\0\0\0\0\0"),
        query(counts=b"\0\x02\0\0\0\0\0\0"),
        query(counts=b"\x01\x01\0\0\0\0\0\0"),
        query(name=b"\xc0\x0c"),  # a name that is itself
        query(name=b"\x40" + b"x" * 64 + b"\0"),
        query(name=b"\x80\0"),
        query(name=(b"\x3f" + b"x" * 63) * 4 + b"\0"),  # 257 bytes
        query(name=b"\x3fabc\0"),
    ):
        assert respond(damaged, ADDRESS) == error, damaged
    for end in range(12, len(whole)):
        assert respond(whole[:end], ADDRESS) == error, end


def test_what_gets_no_response():
    whole = query()
    for end in range(12):
        assert respond(whole[:end], ADDRESS) is None
    assert respond(query(flags=b"\x81\x80"), ADDRESS) is None
    assert respond(respond(whole, ADDRESS), ADDRESS) is None


def test_noise_gets_a_short_response_or_none():
    for _ in range(500):
        noise = os.urandom(1)[0] % 64
        message = query()[: os.urandom(1)[0] % 16] + os.urandom(noise)
        response = respond(message, ADDRESS)
        if response is not None:
            assert response[:2] == message[:2]
            assert response[2] & 0x80
            assert len(response) <= max(len(message) + 16, 12)
