"""UTF-8 as RFC 3629 defines it, for bytes from outside.

MicroPython's own decoder lets surrogates and code points beyond U+10FFFF pass; the text would
reach a browser in a WebSocket message, and the browser would close the connection for it.
"""

import micropython


@micropython.viper
def validate(data: ptr8, start: int, end: int, state: int) -> int:
    """Validate `data[start:end]`, which may be a piece of a text (RFC 3629 section 4).

    Args:
        data: bytes-like, or a str for the bytes that it is made of.
        state: 0 at first, then what the call for the piece before returned.

    Returns:
        0 at the end of a character, more than 0 within one, -1 when it isn't UTF-8.
    """
    need = state & 3
    low = (state >> 8) & 255
    high = (state >> 16) & 255
    # A chip reads words at their own addresses only, wherever the data begins.
    skew = int(data) & 3
    words = ptr32(int(data) - skew)
    last = (end + skew) >> 2
    high_bits = 0x20202020
    high_bits = high_bits << 2  # 0x80808080, which as a literal would be no machine word
    i = start
    while i < end:
        if need == 0:
            if not (i + skew) & 3:
                w = (i + skew) >> 2
                while w < last and not words[w] & high_bits:
                    w += 1
                i = (w << 2) - skew
                if i >= end:
                    break
            c = data[i]
            if c > 127:
                if c < 0xC2 or c > 0xF4:
                    return -1
                low = 0x80
                high = 0xBF
                if c < 0xE0:
                    need = 1
                elif c < 0xF0:
                    need = 2
                    if c == 0xE0:
                        low = 0xA0  # shorter forms are not allowed
                    elif c == 0xED:
                        high = 0x9F  # surrogates are not characters
                else:
                    need = 3
                    if c == 0xF0:
                        low = 0x90
                    elif c == 0xF4:
                        high = 0x8F  # nothing above U+10FFFF
        else:
            c = data[i]
            if c < low or c > high:
                return -1
            need -= 1
            low = 0x80
            high = 0xBF
        i += 1
    if need == 0:
        return 0
    return need | low << 8 | high << 16


def is_utf8(data):
    """Whether the whole of `data`, bytes-like, is well-formed."""
    return not validate(data, 0, len(data), 0)


def printable(data):
    r"""`data`, bytes-like, as str; a byte that isn't part of a character becomes "\xff"."""
    if is_utf8(data):
        return str(data, "utf-8")
    size = len(data)
    parts = []
    begun = i = 0  # data[begun:i] is well-formed
    while i < size:
        stop = i + 1
        state = validate(data, i, stop, 0)
        while state > 0 and stop < size:
            state = validate(data, stop, stop + 1, state)
            stop += 1
        if state:
            parts.append(str(data[begun:i], "utf-8"))
            parts.append(f"\\x{data[i]:02x}")
            begun = stop = i + 1
        i = stop
    parts.append(str(data[begun:], "utf-8"))
    return "".join(parts)
