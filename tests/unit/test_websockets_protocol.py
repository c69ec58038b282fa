"""The protocol's rules, byte by byte: what a peer sends, what becomes of it, what is answered."""

import gc

from websockets import frames
from websockets.frames import BINARY, CLOSE, CONT, PONG, TEXT
from websockets.protocol import CLOSED, CLOSING, FAULT, OPEN, Protocol

KEY = b"\x37\xfa\x21\x3d"

# A transport's block: what a protocol does not consume is delivered again.
BLOCK = 4096


def masked(first, payload, length=None):
    """A client's frame: first byte, and the payload that is masked here."""
    if length is None:
        n = len(payload)
        length = bytes((n,)) if n < 126 else b"\x7e" + n.to_bytes(2, "big")
    data = bytearray(payload)
    frames.mask(data, 0, len(data), KEY, 0)
    return bytes((first, length[0] | 0x80)) + length[1:] + KEY + bytes(data)


class Side:
    """A protocol fed as by a transport."""

    def __init__(self, is_client=False, max_size=1 << 16):
        self.protocol = Protocol(is_client, max_size)
        self.events = []

    def feed(self, data, size=BLOCK):
        """Deliver `data`, `size` bytes at a time."""
        kept = b""
        for i in range(0, len(data), size):
            piece = data[i : i + size]
            while piece:
                wanted = self.protocol.wanted
                if wanted is not None:
                    n = min(len(wanted), len(piece))
                    wanted[:n] = piece[:n]
                    piece = piece[n:]
                    self.protocol.filled(n)
                    self.note()
                    continue
                buf = bytearray(kept + piece)
                start = 0
                while start < len(buf):
                    start = self.protocol.receive(buf, start, len(buf))
                    if self.protocol.event is None:
                        break
                    self.note()
                kept = bytes(buf[start:])
                piece = b""
        return self

    def note(self):
        protocol = self.protocol
        if protocol.event == FAULT:
            assert protocol.fault is not None
            protocol.fail()
            self.events.append((FAULT, protocol.fault.code))
        elif protocol.event == CLOSE:
            if protocol.fault is not None:
                protocol.fail()
            self.events.append((CLOSE, protocol.close_rcvd and protocol.close_rcvd.code))
        elif protocol.event is not None:
            data = protocol.data
            self.events.append((protocol.event, data if isinstance(data, str) else bytes(data)))

    @property
    def output(self):
        return b"".join(bytes(piece) for piece in self.protocol.output)


def closed_with(data, code, is_client=False, **options):
    """Check that `data` is answered by a close frame with `code`, however it is cut."""
    for size in (1, 2, 3, 7, BLOCK):
        side = Side(is_client, **options).feed(data, size)
        protocol = side.protocol
        assert protocol.close_sent.code == code, (data[:20], size, protocol.close_sent)
        assert protocol.state != OPEN
        # Behind the fault only the peer's close counts, which may be the very frame at fault.
        first = side.events.index((FAULT, code))
        assert all(event == (CLOSE, None) for event in side.events[first + 1 :]), side.events
        if not is_client:
            assert side.output[:1] == b"\x88"
            assert side.output[2:4] == code.to_bytes(2, "big")
        # Section 7.1.7: nothing is parsed any more.
        events = len(side.events)
        side.feed(masked(0x81, b"more"))
        assert all(event == (CLOSE, None) for event in side.events[events:])


def test_messages_however_they_are_cut():
    data = (
        masked(0x81, b"Hello")
        + masked(0x82, b"")
        + masked(0x81, "größer".encode())
        + masked(0x82, b"x" * 125)
        + masked(0x82, b"y" * 126)
        + masked(0x82, b"z" * 5000)
        + masked(0x81, b"")
    )
    expected = [
        (TEXT, "Hello"),
        (BINARY, b""),
        (TEXT, "größer"),
        (BINARY, b"x" * 125),
        (BINARY, b"y" * 126),
        (BINARY, b"z" * 5000),
        (TEXT, ""),
    ]
    for size in (1, 2, 3, 5, 6, 7, 100, BLOCK):
        assert Side().feed(data, size).events == expected, size


def test_client_receives_unmasked_frames():
    side = Side(True).feed(b"\x81\x05Hello\x82\x01\x00", 1)
    assert side.events == [(TEXT, "Hello"), (BINARY, b"\x00")]


def test_length_of_64_bits():
    data = masked(0x82, b"x" * 65536, b"\x7f\0\0\0\0\0\x01\0\0")
    assert Side().feed(data).events == [(BINARY, b"x" * 65536)]


def test_fragments_with_control_frames_between():
    # Section 5.4.
    data = (
        masked(0x01, b"one ")
        + masked(0x89, b"ping")
        + masked(0x00, b"two ")
        + masked(0x00, b"")
        + masked(0x8A, b"pong")
        + masked(0x80, b"three")
    )
    for size in (1, 4, BLOCK):
        side = Side().feed(data, size)
        assert side.events == [(PONG, b"pong"), (TEXT, "one two three")]
        assert side.output == b"\x8a\x04ping"


def test_character_across_fragments():
    side = Side().feed(masked(0x01, b"\xe2\x82") + masked(0x80, b"\xac"), 1)
    assert side.events == [(TEXT, "€")]


def test_pings_are_answered_with_their_payload():
    # Section 5.5.2.
    for payload in (b"", b"x", b"\xff" * 125):
        side = Side().feed(masked(0x89, payload))
        assert side.output == bytes((0x8A, len(payload))) + payload
        assert side.events == []


def test_client_masks_its_answers():
    side = Side(True).feed(b"\x89\x02hi")
    answer = bytearray(side.output)
    assert answer[:2] == b"\x8a\x82" and len(answer) == 8
    frames.mask(answer, 6, 8, bytes(answer[2:6]), 0)
    assert answer[6:] == b"hi"


def test_reserved_bits_are_1002():
    # Section 5.2.
    for bits in (0x10, 0x20, 0x40, 0x70):
        closed_with(masked(0x81 | bits, b"x"), 1002)
        closed_with(masked(0x89 | bits, b"x"), 1002)
        closed_with(bytes((0x82 | bits, 1)) + b"x", 1002, True)


def test_unknown_opcodes_are_1002():
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        closed_with(masked(0x80 | opcode, b""), 1002)
        closed_with(masked(0x80 | opcode, b"x"), 1002)


def test_mask_is_the_clients_and_only_the_clients():
    # Section 5.1.
    closed_with(b"\x81\x05Hello" + bytes(8), 1002)
    closed_with(b"\x89\x00" + bytes(8), 1002)
    closed_with(masked(0x81, b"Hello"), 1002, True)


def test_control_frames_are_short_and_whole():
    # Section 5.5.
    for opcode in (8, 9, 10):
        closed_with(masked(opcode, b"x"), 1002)
        closed_with(masked(0x80 | opcode, b"x" * 126), 1002)
        closed_with(masked(0x80 | opcode, b"xy", b"\x7e\x00\x02"), 1002)


def test_lengths_have_their_shortest_form():
    # Section 5.2.
    closed_with(masked(0x82, b"x", b"\x7e\x00\x01"), 1002)
    closed_with(masked(0x82, b"x" * 125, b"\x7e\x00\x7d"), 1002)
    closed_with(masked(0x82, b"x", b"\x7f\0\0\0\0\0\0\0\x01"), 1002)
    closed_with(masked(0x82, b"x", b"\x7f\0\0\0\0\0\0\xff\xff"), 1002)
    closed_with(masked(0x82, b"", b"\x7f\x80\0\0\0\0\0\0\x00"), 1002)


def test_order_of_fragments():
    # Section 5.4.
    closed_with(masked(0x80, b"x"), 1002)
    closed_with(masked(0x00, b"x"), 1002)
    closed_with(masked(0x01, b"x") + masked(0x81, b"y"), 1002)
    closed_with(masked(0x02, b"") + masked(0x02, b""), 1002)
    closed_with(masked(0x81, b"x") + masked(0x80, b"y"), 1002)


def test_messages_before_a_violation_are_delivered():
    side = Side().feed(masked(0x81, b"good") + masked(0x83, b"bad"))
    assert side.events == [(TEXT, "good"), (FAULT, 1002)]


def test_nothing_behind_a_violation_counts_but_the_peers_close():
    for bad in (masked(0xC1, b"x" * 200), masked(0x83, b"x"), b"\x81\x05Hello", masked(9, b"")):
        for size in (1, 3, BLOCK):
            side = Side().feed(bad + masked(0x81, b"more") + masked(0x89, b"ping"), size)
            assert side.events == [(FAULT, 1002)]
            assert side.protocol.state == CLOSING
            side.feed(masked(0x82, b"x" * 300) + masked(0x88, b"\x03\xea"), size)
            assert side.events == [(FAULT, 1002), (CLOSE, None)]
            assert side.protocol.state == CLOSED
            assert side.protocol.close_rcvd is None
            assert side.output.count(b"\x03\xea") == 1


def test_rest_of_a_frame_that_failed_is_passed_over():
    side = Side().feed(masked(0x81, b"\xff" * 300) + masked(0x88, b""), 7)
    assert side.protocol.state == CLOSED
    assert side.output[2:4] == b"\x03\xef"


def test_text_that_is_not_utf8_is_1007():
    # Section 8.1.
    closed_with(masked(0x81, b"\xff"), 1007)
    closed_with(masked(0x81, b"cut \xe2\x82"), 1007)
    closed_with(masked(0x01, b"\xe2") + masked(0x80, b"\x28\xa1"), 1007)
    closed_with(masked(0x01, b"\xe2") + masked(0x80, b""), 1007)


def test_bad_text_is_noticed_within_its_frame():
    data = masked(0x01, b"\xed\xa0" + b"a" * 1000)
    side = Side().feed(data[: 8 + 2])
    assert side.protocol.close_sent.code == 1007


def test_binary_messages_need_not_be_utf8():
    assert Side().feed(masked(0x82, b"\xff\xfe")).events == [(BINARY, b"\xff\xfe")]


def test_message_over_max_size_is_1009():
    closed_with(masked(0x82, b"x" * 101), 1009, max_size=100)
    closed_with(masked(0x02, b"x" * 60) + masked(0x80, b"x" * 41), 1009, max_size=100)
    side = Side(max_size=100).feed(masked(0x02, b"x" * 60) + masked(0x80, b"x" * 40))
    assert side.events == [(BINARY, b"x" * 100)]


def test_size_is_checked_before_memory_is_taken():
    gc.collect()
    before = gc.mem_alloc()
    side = Side(max_size=1000)
    side.feed(b"\x82\xff\0\0\0\0\x7f\xff\xff\xff" + KEY)
    assert side.protocol.close_sent.code == 1009
    assert gc.mem_alloc() - before < 20_000


def test_message_that_memory_cannot_hold_is_1013():
    # Some are beyond a chip's small integers; the last, with a byte before it, beyond any word.
    for size in (0x7FFFFFFF, 1 << 32, 1 << 62, (1 << 63) - 1):
        for before, opcode in ((b"", b"\x82"), (masked(0x02, b"x"), b"\x80")):
            data = before + opcode + b"\xff" + size.to_bytes(8, "big") + KEY
            side = Side(max_size=None).feed(data)
            assert side.protocol.close_sent.code == 1013, size


def test_close_is_answered_with_its_code():
    # Section 5.5.1.
    for code in (1000, 1001, 1003, 1007, 1011, 1012, 3000, 4999):
        payload = code.to_bytes(2, "big") + "größer".encode()
        side = Side().feed(masked(0x88, payload), 1)
        assert side.events == [(CLOSE, code)]
        assert side.protocol.close_rcvd.reason == "größer"
        assert side.output == bytes((0x88, len(payload))) + payload


def test_close_without_a_code():
    side = Side().feed(masked(0x88, b""))
    assert side.events == [(CLOSE, 1005)]
    assert side.output == b"\x88\x00"


def test_close_codes_that_nobody_may_send_are_1002():
    # Section 7.4.
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535):
        closed_with_protocol_error(code.to_bytes(2, "big"))
    closed_with_protocol_error(b"\x03")


def closed_with_protocol_error(payload):
    side = Side().feed(masked(0x88, payload))
    assert side.output[2:4] == b"\x03\xea"
    assert side.protocol.close_rcvd is None


def test_close_reason_that_is_not_utf8_is_1007():
    side = Side().feed(masked(0x88, b"\x03\xe8\xce\xba\xe1"))
    assert side.output[2:4] == b"\x03\xef"


def test_nothing_is_parsed_after_a_close_frame():
    data = masked(0x88, b"\x03\xe8") + masked(0x81, b"late") + masked(0x89, b"late")
    side = Side().feed(data)
    assert side.events == [(CLOSE, 1000)]
    assert side.output == b"\x88\x02\x03\xe8"


def test_close_is_sent_once():
    side = Side()
    side.protocol.close(1001, "bye")
    side.protocol.close(1000)
    side.feed(masked(0x88, b"\x03\xe9"))
    assert side.output == b"\x88\x05\x03\xe9bye"
    assert side.events == [(CLOSE, 1001)]
    assert (side.protocol.close_sent.code, side.protocol.close_rcvd.code) == (1001, 1001)


def test_pings_are_not_answered_after_our_close():
    side = Side()
    side.protocol.close(1000)
    side.feed(masked(0x89, b"x") + masked(0x81, b"still coming"))
    assert side.output == b"\x88\x02\x03\xe8"
    assert side.events == [(TEXT, "still coming")]


def test_state():
    side = Side()
    assert side.protocol.state == OPEN
    side.feed(masked(0x88, b""))
    assert side.protocol.state == CLOSING


def test_sending_masks_with_fresh_keys():
    protocol = Protocol(True, None)
    keys = set()
    for _ in range(20):
        (frame,) = protocol.encode(TEXT, "mask me")
        keys.add(bytes(frame[2:6]))
        payload = bytearray(frame)
        frames.mask(payload, 6, len(payload), bytes(frame[2:6]), 0)
        assert payload[6:] == b"mask me"
    assert len(keys) == 20
    (frame,) = Protocol(False, None).encode(CONT, b"x", False)
    assert frame == b"\x00\x01x"
