"""utf8: whole texts, texts in pieces, and what is shown of bytes that are no text."""

from utf8 import is_utf8, printable, validate

# Ill-formed UTF-8 (RFC 3629 section 4), each with the number of bytes that are fine before the
# one that decides.
ILL_FORMED = (
    (b"\x80", 0),
    (b"\xbf", 0),
    (b"\xc0\x80", 0),  # overlong
    (b"\xc1\xbf", 0),
    (b"\xc2\x7f", 1),
    (b"\xc2\xc0", 1),
    (b"\xe0\x80\x80", 1),
    (b"\xe0\x9f\xbf", 1),
    (b"\xe1\x80\x7f", 2),
    (b"\xed\xa0\x80", 1),  # surrogates
    (b"\xed\xbf\xbf", 1),
    (b"\xef\xbf\xc0", 2),
    (b"\xf0\x80\x80\x80", 1),
    (b"\xf0\x8f\xbf\xbf", 1),
    (b"\xf1\x80\x80\x41", 3),
    (b"\xf4\x90\x80\x80", 1),  # above U+10FFFF
    (b"\xf5\x80\x80\x80", 0),
    (b"\xff", 0),
)

# The first and last characters of each length, and those beside the surrogates.
WELL_FORMED = (
    b"\x00",
    b"\x7f",
    b"\xc2\x80",
    b"\xdf\xbf",
    b"\xe0\xa0\x80",
    b"\xed\x9f\xbf",
    b"\xee\x80\x80",
    b"\xef\xbf\xbf",
    b"\xf0\x90\x80\x80",
    b"\xf4\x8f\xbf\xbf",
)


def test_every_character_is_utf8_and_ends_at_its_last_byte_alone():
    for text in WELL_FORMED:
        for offset in range(4):
            buf = bytearray(b"a" * offset + text + b"zzzzz")
            end = offset + len(text)
            assert validate(buf, 0, len(buf), 0) == 0
            for stop in range(offset, end):
                assert (validate(buf, 0, stop, 0) > 0) is (stop > offset)


def test_characters_may_be_cut_anywhere():
    text = bytearray(b"".join(WELL_FORMED) + "κόσμε ascii ascii 🙂".encode())
    for first in range(len(text) + 1):
        state = validate(text, 0, first, 0)
        assert state >= 0
        assert validate(text, first, len(text), state) == 0
    state = 0
    for place in range(len(text)):
        state = validate(text, place, place + 1, state)
        assert state >= 0
    assert state == 0


def test_ill_formed_text_fails_at_the_byte_that_decides():
    for text, good in ILL_FORMED:
        for offset in range(4):
            buf = bytearray(b"a" * offset + text + b"aaaa")
            assert validate(buf, 0, len(buf), 0) == -1
            assert validate(buf, 0, offset + good, 0) >= 0
            assert validate(buf, 0, offset + good + 1, 0) == -1


def test_utf8_does_not_look_behind_the_end():
    for end in range(9):
        buf = bytearray(b"a" * end + b"\xff" * 8)
        assert validate(buf, 0, end, 0) == 0


def test_the_beginning_of_the_data_may_be_anywhere():
    # A slice begins at any address; words are read at their own only.
    text = "ascii ascii κόσμε 🙂 ascii".encode()
    for shift in range(9):
        whole = bytearray(b"\xff" * shift + text + b"\xff" * 9)
        piece = memoryview(whole)[shift : shift + len(text)]
        assert is_utf8(piece) and is_utf8(bytes(piece))
        assert printable(piece) == str(text, "utf-8")
        for place in range(len(text)):
            kept = whole[shift + place]
            whole[shift + place] = 0xFF
            assert not is_utf8(piece), (shift, place)
            whole[shift + place] = kept


def test_bytes_that_are_no_character_are_shown_as_escapes():
    for good in (b"", b"plain", "üß€🙂".encode(), b"\xf4\x8f\xbf\xbf", b"\xed\x9f\xbf"):
        assert is_utf8(good), good
        assert printable(good).encode() == good
    for bad, shown in (
        (b"\x80", "\\x80"),
        (b"a\xffb", "a\\xffb"),
        (b"\xc0\xaf", "\\xc0\\xaf"),
        (b"\xe0\x80\x80", "\\xe0\\x80\\x80"),
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
        (b"\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf"),
        (b"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"),
        (b"\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80"),
        (b"\xe2\x82", "\\xe2\\x82"),
        (b"\xe2\x82x\xe2\x82\xac", "\\xe2\\x82x€"),
        (b"\xe2\x28\xa1", "\\xe2(\\xa1"),
    ):
        assert not is_utf8(bad), bad
        assert printable(memoryview(bad)) == shown, (bad, printable(bad))
