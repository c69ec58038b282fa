"""permessage-deflate: payloads against known streams, negotiation by the RFC's rules."""

from os import urandom

from helpers import raises
from websockets import deflate
from websockets.deflate import Deflate, TooBig


def expand(data, max_size=1 << 20, bits=15):
    message, size = Deflate(15, bits).expand(bytearray(data), max_size)
    return bytes(memoryview(message)[:size])


def test_examples_of_the_rfc():
    # Section 7.2.3: one block; two blocks; a block without compression; a final block.
    assert expand(b"\xf2\x48\xcd\xc9\xc9\x07\x00") == b"Hello"
    assert expand(b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00") == b"Hello"
    assert expand(b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00") == b"Hello"
    assert expand(b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00") == b"Hello"
    assert expand(b"\x02\x00") == b""


def test_a_final_block_may_be_cut_off():
    # Section 7.2.1: what is appended ends it.
    assert expand(b"\x01") == b""


def test_what_is_compressed_expands_to_the_same():
    for bits in (8, 9, 12, 15):
        agreed = Deflate(bits, bits)
        for size in (32, 33, 63, 257, 258, 259, 300, 1000, 5000, 40_000):
            for values in (1, 2, 5, 40):
                data = bytes(byte % values for byte in urandom(size))
                compressed = agreed.compress(data)
                if compressed is not None:
                    assert len(compressed) < size
                    assert expand(compressed, bits=bits) == data, (bits, size, values)
                else:
                    assert values > 2


def test_text_of_every_byte_value():
    data = bytes(range(256)) * 3 + "größer 🙂".encode() * 40
    assert expand(Deflate(15, 15).compress(data)) == data
    text = "größer 🙂" * 40
    assert expand(Deflate(15, 15).compress(text)) == text.encode()


def test_runs_of_every_length():
    # Each match length has a code of its own, with extra bits (RFC 1951 section 3.2.5).
    for run in range(1, 520):
        data = b"x" * run + b"0123456789abcdef0123456789ABCDEF" * 2
        assert expand(Deflate(15, 15).compress(data)) == data, run


def test_matches_at_every_distance():
    unit = urandom(40)
    for distance in (41, 64, 96, 97, 128, 200, 256, 257, 1000, 4096, 5000, 20_000, 32_000):
        data = unit + bytes(byte & 3 for byte in urandom(distance - 40)) + unit
        for bits in (8, 12, 15):
            assert expand(Deflate(bits, bits).compress(data), bits=bits) == data, distance


def test_what_would_not_become_shorter_is_left():
    agreed = Deflate(15, 15)
    assert agreed.compress(b"") is None
    assert agreed.compress(b"short") is None
    assert agreed.compress(urandom(1000)) is None


def test_limit_is_that_of_the_message():
    compressed = bytes(Deflate(15, 15).compress(bytes(10_000)))
    assert len(compressed) < 200
    assert expand(compressed, 10_000) == bytes(10_000)
    raises(TooBig, expand, compressed, 9_999)
    raises(TooBig, expand, compressed, 10)
    raises(TooBig, expand, compressed, 0)
    assert expand(b"\x02\x00", 0) == b""


def test_malformed_streams():
    for data in (
        b"\xff" * 10,  # no such type of block
        b"\x07",
        b"\xf2\x48\xcd",  # cut
        b"\x00\x05\x00\xfa\xfe\x48\x65\x6c\x6c\x6f\x00",  # length and its complement differ
        b"\xf3\x48\xcd\xc9\xc9\x07\x00" + b"more behind the end",
    ):
        raises(ValueError, expand, data)


def test_random_bytes_expand_or_fail():
    for _ in range(300):
        try:
            expand(urandom(1 + urandom(1)[0]), 10_000)
        except (ValueError, TooBig):
            pass


def test_offers():
    for offer, bits, answer in (
        ("permessage-deflate", 15, ""),
        ("permessage-deflate; client_max_window_bits", 15, "; client_max_window_bits=12"),
        ("permessage-deflate; client_max_window_bits=9", 15, "; client_max_window_bits=9"),
        ("permessage-deflate; server_max_window_bits=10", 10, "; server_max_window_bits=10"),
        ('permessage-deflate; server_max_window_bits="8"', 8, "; server_max_window_bits=8"),
        ("permessage-deflate; client_no_context_takeover", 15, ""),
        ("permessage-deflate;server_no_context_takeover", 15, ""),
        ("x-webkit-deflate-frame, permessage-deflate", 15, ""),
        ("permessage-deflate; mystery, permessage-deflate", 15, ""),
    ):
        agreed, text = deflate.accept(offer)
        assert agreed.bits == bits, offer
        assert text == (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover" + answer
        )


def test_offers_that_must_be_declined():
    # Section 7.1.
    for offer in (
        None,
        "",
        "x-webkit-deflate-frame",
        "permessage-deflate; mystery",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; client_max_window_bits=x",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
    ):
        assert deflate.accept(offer) == (None, None), offer


def test_answers():
    good = "permessage-deflate; server_no_context_takeover; server_max_window_bits=12"
    assert deflate.accepted(good).bits == 15
    assert deflate.accepted(good + "; client_no_context_takeover").bits == 15
    assert deflate.accepted(good + "; client_max_window_bits=9").bits == 9
    for answer in (
        "",
        "x-webkit-deflate-frame",
        "permessage-deflate",
        "permessage-deflate; server_no_context_takeover; client_max_window_bits=9",
        "permessage-deflate; server_max_window_bits=12",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=13",
        good + "; client_max_window_bits",
        good + "; mystery",
        good + "; server_no_context_takeover",
        good + ", permessage-deflate",
    ):
        assert deflate.accepted(answer) is None, answer


def test_a_server_that_can_not_keep_to_a_window_takes_the_second_offer():
    first, second = deflate.offer().split(", ")
    assert "server_max_window_bits=12" in first and "max_window_bits" not in second
    agreed = deflate.accepted(second)
    assert agreed.bits == 15 and agreed._window_bits(None) == 15


def test_window_is_no_larger_than_the_message():
    assert Deflate(15, 15)._window_bits(None) == 15
    assert Deflate(15, 15)._window_bits(1024) == 10
    assert Deflate(15, 15)._window_bits(1025) == 11
    assert Deflate(15, 9)._window_bits(32768) == 9
    assert Deflate(15, 15)._window_bits(1) == 8
