"""JSON from outside: strict, of bounded depth, of valid Unicode.

MicroPython's `json` keeps a list for each level that is open, so that a few KiB of brackets take
the whole heap; it takes `["a" "b",]` for a list of two, and an object's key may be a number, which
nothing here expects; it takes the two escapes of a character beyond U+FFFF for two characters,
and half of such a pair, which no text can carry to a browser, for one.
"""

import json

import micropython
from micropython import const
from utf8 import validate

# Levels of lists and objects. The deepest that the device reads has five: app.json, an app's
# section, interfaces, an interface, a list among its options. At most 29, which is what fits into
# a small integer, see _scan.
MAX_DEPTH = 8

_ESCAPE = "\\u"

# What _scan and what it calls answer instead of a number.
_MALFORMED = const(-1)
_NOT_UNICODE = const(-2)

# What the grammar allows next.
_VALUE = const(0)
_VALUE_OR_END = const(1)
_KEY = const(2)
_KEY_OR_END = const(3)
_COLON = const(4)
_COMMA_OR_END = const(5)


@micropython.viper
def _scan(text: ptr8, size: int) -> int:
    # Checks a JSON text (RFC 8259 section 2). Returns the number of levels open at most.
    most = 0
    depth = 0
    kinds = 0  # a bit for each open level, the innermost lowest: 1 for an object
    expected = _VALUE
    i = 0
    while i < size:
        c = text[i]
        if c == 0x20 or c == 0x0A or c == 0x0D or c == 0x09:
            i += 1
        elif c == 0x2C:  # ,
            if expected != _COMMA_OR_END or depth == 0:
                return _MALFORMED
            expected = _KEY if kinds & 1 else _VALUE
            i += 1
        elif c == 0x3A:  # :
            if expected != _COLON:
                return _MALFORMED
            expected = _VALUE
            i += 1
        elif c == 0x5D or c == 0x7D:  # ] }
            is_object = 1 if c == 0x7D else 0
            empty = _KEY_OR_END if is_object else _VALUE_OR_END
            if depth == 0 or kinds & 1 != is_object:
                return _MALFORMED
            if expected != _COMMA_OR_END and expected != empty:
                return _MALFORMED
            depth -= 1
            kinds >>= 1
            expected = _COMMA_OR_END
            i += 1
        elif expected == _KEY or expected == _KEY_OR_END:
            if c != 0x22:
                return _MALFORMED
            i = int(_string(text, i + 1, size))
            if i < 0:
                return i
            expected = _COLON
        elif expected != _VALUE and expected != _VALUE_OR_END:
            return _MALFORMED
        elif c == 0x5B or c == 0x7B:  # [ {
            depth += 1
            if depth > most:
                most = depth
                if most > int(MAX_DEPTH):
                    return most
            kinds <<= 1
            expected = _VALUE_OR_END
            if c == 0x7B:
                kinds |= 1
                expected = _KEY_OR_END
            i += 1
        else:
            if c == 0x22:
                i = int(_string(text, i + 1, size))
            else:
                i = int(_word(text, i, size))
            if i < 0:
                return i
            expected = _COMMA_OR_END
    return most if expected == _COMMA_OR_END and depth == 0 else _MALFORMED


@micropython.viper
def _string(text: ptr8, i: int, size: int) -> int:
    # Checks a string whose first character is at `i`; returns where it ends.
    high = 0  # 1 when the first half of a pair of escapes stands before `i`
    while i < size:
        c = text[i]
        if c == 0x5C and text[i + 1] == 0x75:  # \u
            code = int(_hex(text, i + 2, size))
            if code < 0:
                return _MALFORMED
            # The second half, DC00 to DFFF, after the first, D800 to DBFF, and nowhere else.
            if (1 if code >> 10 == 0x37 else 0) != high:
                return _NOT_UNICODE
            high = 1 if code >> 10 == 0x36 else 0
            i += 6
            continue
        if high:
            return _NOT_UNICODE
        if c == 0x22:
            return i + 1
        if c < 0x20:
            return _MALFORMED
        if c == 0x5C:
            n = text[i + 1]
            # " \ / b f n r t
            if not (
                n == 0x22
                or n == 0x5C
                or n == 0x2F
                or n == 0x62
                or n == 0x66
                or n == 0x6E
                or n == 0x72
                or n == 0x74
            ):
                return _MALFORMED
            i += 1
        i += 1
    return _MALFORMED


@micropython.viper
def _hex(text: ptr8, i: int, size: int) -> int:
    # The value of the four hexadecimal digits at `i`.
    value = 0
    end = i + 4
    if end > size:
        return _MALFORMED
    while i < end:
        c = text[i]
        if 0x30 <= c <= 0x39:
            c -= 0x30
        else:
            c |= 0x20
            if c < 0x61 or c > 0x66:
                return _MALFORMED
            c -= 0x57
        value = value << 4 | c
        i += 1
    return value


@micropython.viper
def _word(text: ptr8, i: int, size: int) -> int:
    # Checks a number, true, false or null that begins at `i`; returns where it ends.
    c = text[i]
    if c > 0x60:
        word = ptr8(b"true")
        length = 4
        if c == 0x66:
            word = ptr8(b"false")
            length = 5
        elif c == 0x6E:
            word = ptr8(b"null")
        n = 0
        while n < length:
            if text[i + n] != word[n]:
                return _MALFORMED
            n += 1
        return i + length
    if c == 0x2D:  # -
        i += 1
    if text[i] == 0x30:
        i += 1
    else:
        i = int(_digits(text, i))
    if i > 0 and text[i] == 0x2E:  # .
        i = int(_digits(text, i + 1))
    if i > 0 and text[i] | 0x20 == 0x65:  # e
        i += 1
        if text[i] == 0x2B or text[i] == 0x2D:
            i += 1
        i = int(_digits(text, i))
    return i


@micropython.viper
def _digits(text: ptr8, i: int) -> int:
    # Where the digits at `i` end, of which there must be one; a text has a zero byte at its end.
    first = i
    while 0x30 <= text[i] <= 0x39:
        i += 1
    return i if i > first else _MALFORMED


def loads(text):
    """Parse JSON.

    Args:
        text: str.

    Raises:
        ValueError: not JSON, or more than MAX_DEPTH levels, or a text that is not Unicode.
    """
    size = len(memoryview(text))  # bytes
    depth = _NOT_UNICODE if validate(text, 0, size, 0) else _scan(text, size)
    if depth == _NOT_UNICODE:
        raise ValueError("a text that is not Unicode")
    if depth > MAX_DEPTH:
        raise ValueError(f"more than {MAX_DEPTH} levels")
    if depth < 0:
        raise ValueError("malformed JSON")
    if _ESCAPE in text:
        text = _join_surrogates(text)
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError("malformed JSON")


def _join_surrogates(text):
    # Replaces the pairs of escapes \uD800-\uDBFF \uDC00-\uDFFF by the character they stand for.
    parts = []
    copied = start = 0
    while True:
        start = text.find("\\", start)
        if start < 0:
            break
        high = _unit(text, start)
        if 0xD800 <= high < 0xDC00:
            low = _unit(text, start + 6)
            parts.append(text[copied:start])
            parts.append(chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)))
            start = copied = start + 12
        else:
            start += 2  # an escape has at least two characters
    parts.append(text[copied:])
    return "".join(parts)


def _unit(text, start):
    # The code unit of the escape at `start`, -1 when it is another one.
    if text[start : start + 2] != _ESCAPE:
        return -1
    return int(text[start + 2 : start + 6], 16)
