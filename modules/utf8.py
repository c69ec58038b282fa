"""UTF-8 as RFC 3629 defines it, for bytes from outside.

MicroPython's own decoder lets surrogates and code points beyond U+10FFFF pass; the text would
reach a browser in a WebSocket message, and the browser would close the connection for it.
"""


def is_utf8(data):
    """Whether the whole of `data` (bytes-like) is well-formed UTF-8."""
    i = 0
    while i < len(data):
        length = _sequence_length(data, i)
        if not length:
            return False
        i += length
    return True


def printable(data):
    r"""`data` (bytes-like) as str; a byte that is not part of a UTF-8 sequence becomes "\xff"."""
    if is_utf8(data):
        return bytes(data).decode()
    parts = []
    start = i = 0
    while i < len(data):
        length = _sequence_length(data, i)
        if length:
            i += length
            continue
        parts.append(bytes(data[start:i]).decode())
        parts.append(f"\\x{data[i]:02x}")
        i += 1
        start = i
    parts.append(bytes(data[start:]).decode())
    return "".join(parts)


def _sequence_length(data, i):
    """The number of bytes of the sequence at `data[i]`, 0 for an ill-formed one (RFC 3629 4)."""
    first = data[i]
    if first < 0x80:
        return 1
    # The second byte's range excludes overlong forms, surrogates and what is above U+10FFFF.
    low, high = 0x80, 0xBF
    if 0xC2 <= first <= 0xDF:
        length = 2
    elif 0xE0 <= first <= 0xEF:
        length = 3
        if first == 0xE0:
            low = 0xA0
        elif first == 0xED:
            high = 0x9F
    elif 0xF0 <= first <= 0xF4:
        length = 4
        if first == 0xF0:
            low = 0x90
        elif first == 0xF4:
            high = 0x8F
    else:
        return 0
    if i + length > len(data) or not low <= data[i + 1] <= high:
        return 0
    for j in range(i + 2, i + length):
        if data[j] & 0xC0 != 0x80:
            return 0
    return length
