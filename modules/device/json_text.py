"""JSON from outside: of bounded depth, and with characters beyond U+FFFF.

MicroPython's `json` keeps a list for each level that is open, so that a few KiB of brackets take
the whole heap; and it takes the two escapes of such a character (RFC 8259 section 7) for two
characters, which then are no UTF-8.
"""

import json

import micropython

# Levels of lists and objects. The deepest that the device reads has five: app.json, an app's
# section, interfaces, an interface, a list among its options.
MAX_DEPTH = 8

_ESCAPE = "\\u"


@micropython.viper
def _depth(text: ptr8, size: int) -> int:
    # The number of levels open at most, outside of strings.
    most = 0
    depth = 0
    quoted = False
    i = 0
    while i < size:
        c = text[i]
        if quoted:
            if c == 0x5C:  # a backslash hides what follows
                i += 1
            elif c == 0x22:
                quoted = False
        elif c == 0x22:
            quoted = True
        elif c == 0x5B or c == 0x7B:
            depth += 1
            if depth > most:
                most = depth
        elif c == 0x5D or c == 0x7D:
            depth -= 1
        i += 1
    return most


def loads(text):
    """Parse JSON.

    Args:
        text: str.

    Raises:
        ValueError: not JSON, or more than MAX_DEPTH levels.
    """
    if _depth(text, len(memoryview(text))) > MAX_DEPTH:
        raise ValueError("more than {} levels".format(MAX_DEPTH))
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
        low = _unit(text, start + 6)
        if 0xD800 <= high < 0xDC00 <= low < 0xE000:
            parts.append(text[copied:start])
            parts.append(chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)))
            start = copied = start + 12
        else:
            start += 2  # an escape has at least two characters
    parts.append(text[copied:])
    return "".join(parts)


def _unit(text, start):
    # The code unit of the escape at `start`, -1 when there is none.
    digits = text[start + 2 : start + 6]
    if text[start : start + 2] != _ESCAPE or len(digits) < 4:
        return -1
    try:
        return int(digits, 16)
    except ValueError:
        return -1
