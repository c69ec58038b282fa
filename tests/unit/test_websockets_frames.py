"""Frames: headers and masking against plain Python, and the close codes."""

from os import urandom

from websockets import frames

KEY = b"\x37\xfa\x21\x3d"


def join(pieces):
    return b"".join(bytes(piece) for piece in pieces)


def plain_mask(data, key, phase):
    return bytes(byte ^ key[(phase + i) & 3] for i, byte in enumerate(data))


def test_headers_are_those_of_the_rfc():
    assert bytes(frames.header(frames.TEXT, 5)) == b"\x81\x05"
    assert bytes(frames.header(frames.TEXT, 5, False)) == b"\x01\x05"
    assert bytes(frames.header(frames.CONT, 0)) == b"\x80\x00"
    assert bytes(frames.header(frames.BINARY, 125)) == b"\x82\x7d"
    assert bytes(frames.header(frames.BINARY, 126)) == b"\x82\x7e\x00\x7e"
    assert bytes(frames.header(frames.BINARY, 65535)) == b"\x82\x7e\xff\xff"
    assert bytes(frames.header(frames.BINARY, 65536)) == b"\x82\x7f\0\0\0\0\0\x01\0\0"
    assert bytes(frames.header(frames.PING, 3, True, KEY)) == b"\x89\x83" + KEY
    assert bytes(frames.header(frames.BINARY, 256, True, KEY)) == b"\x82\xfe\x01\x00" + KEY


def test_examples_of_the_rfc():
    # Section 5.7.
    assert join(frames.encode(frames.TEXT, "Hello")) == b"\x81\x05Hello"
    masked = join(frames.encode(frames.TEXT, "Hello", True, KEY))
    assert masked == b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
    assert join(frames.encode(frames.TEXT, "Hel", False)) == b"\x01\x03Hel"
    assert join(frames.encode(frames.CONT, "lo")) == b"\x80\x02lo"


def test_payloads_are_str_or_bytes_like():
    for payload in ("größer", b"\x00\xff", bytearray(b"ab"), memoryview(b"abc")[1:], "", b""):
        data = payload.encode() if isinstance(payload, str) else bytes(payload)
        assert join(frames.encode(frames.BINARY, payload)) == bytes((0x82, len(data))) + data


def test_small_frames_are_one_buffer_and_large_payloads_are_not_copied():
    small = bytes(frames.JOIN_LIMIT)
    assert len(frames.encode(frames.BINARY, small)) == 1
    large = bytearray(frames.JOIN_LIMIT + 1)
    _, payload = frames.encode(frames.BINARY, large)
    large[0] = 7
    assert payload[0] == 7


def test_short_frames_are_one_buffer_without_a_tuple():
    for length in (0, 1, 125, 126, 300, frames.JOIN_LIMIT):
        payload = bytes([n & 0xFF for n in range(length)])
        assert frames.encode_short(frames.BINARY, payload) == join(
            frames.encode(frames.BINARY, payload)
        )
    assert frames.encode_short(frames.TEXT, "gr\u00f6\u00df") == b"\x81\x06gr\xc3\xb6\xc3\x9f"
    assert frames.encode_short(frames.BINARY, bytes(frames.JOIN_LIMIT + 1)) is None


def test_a_whole_frame_is_known_by_its_header():
    for length in (0, 1, 125, 126, 300):
        payload = bytes([n & 0xFF for n in range(length)])
        for key in (None, KEY):
            from_client = key is not None
            frame = b"..." + join(frames.encode(frames.BINARY, payload, True, key))
            buf = bytearray(frame + b"more")
            found = frames.whole(buf, 3, len(frame), not from_client)
            start = 3 + (found & 15)
            assert found >> 4 == length and start + length == len(frame)
            if from_client:
                frames.unmask(buf, start, len(frame))
            assert buf[start : len(frame)] == payload
            # Not for the other side, and not with a byte missing.
            assert frames.whole(buf, 3, len(frame), from_client) == 0
            for end in range(3, len(frame)):
                assert frames.whole(buf, 3, end, not from_client) == 0
    for frame in (
        b"\x01\x01x",  # not final
        b"\xc1\x01x",  # compressed
        b"\x80\x01x",  # a continuation
        b"\x89\x01x",  # a ping
        b"\x83\x01x",  # an unknown opcode
        b"\x81\x7e\x00\x05hello",  # not the shortest form
        b"\x81\x7f" + bytes(8),
    ):
        assert frames.whole(bytearray(frame), 0, len(frame), True) == 0


def test_unmask_at_every_alignment_and_length():
    for start in range(4, 12):
        for length in range(0, 40):
            data = bytes([n * 7 & 0xFF for n in range(length)])
            buf = bytearray(start) + bytearray(data) + bytearray(b"end")
            buf[start - 4 : start] = KEY
            frames.mask(buf, start, start + length, KEY, 0)
            frames.unmask(buf, start, start + length)
            assert buf[start:] == data + b"end"


def test_masking_leaves_the_payload_alone():
    payload = bytearray(b"x" * 100)
    frames.encode(frames.BINARY, payload, True, KEY)
    assert payload == b"x" * 100


def test_mask_at_every_alignment_and_phase():
    for length in (0, 1, 2, 3, 4, 5, 7, 15, 16, 17, 18, 19, 20, 63, 64, 200):
        for start in range(5):
            for phase in range(4):
                data = urandom(length + start + 3)
                masked = bytearray(data)
                frames.mask(masked, start, start + length, KEY, phase)
                expected = plain_mask(data[start : start + length], KEY, phase)
                assert masked == data[:start] + expected + data[start + length :]


def test_mask_in_pieces_is_mask_in_one():
    data = urandom(257)
    whole = bytearray(data)
    frames.mask(whole, 0, 257, KEY, 0)
    pieces = bytearray(data)
    place = 0
    while place < 257:
        end = min(257, place + 1 + urandom(1)[0] % 20)
        frames.mask(pieces, place, end, KEY, place)
        place = end
    assert pieces == whole == plain_mask(data, KEY, 0)


def test_masking_twice_is_the_identity():
    data = bytearray(urandom(1000))
    before = bytes(data)
    frames.mask(data, 0, 1000, KEY, 0)
    assert data != before
    frames.mask(data, 0, 1000, KEY, 0)
    assert data == before


def test_close_codes():
    # RFC 6455 section 7.4 and the IANA registry.
    good = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}
    good |= {3000, 3999, 4000, 4999}
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        assert not frames.is_close_code(code)
    for code in good:
        assert frames.is_close_code(code)


def test_close_says_code_and_reason():
    assert str(frames.Close(1000)) == "1000 (OK)"
    assert str(frames.Close(1011, "oops")) == "1011 (internal error) oops"
    assert str(frames.Close(3000)) == "3000 (registered)"
    assert str(frames.Close(4999, "x")) == "4999 (private use) x"
    assert str(frames.Close(2999)) == "2999 (unknown)"
    assert frames.Close(1000, "x") == frames.Close(1000, "x")
    assert frames.Close(1000, "x") != frames.Close(1000)
    assert frames.Close(1000) != 1000
