"""DER, as far as certificates and keys need it (X.690 section 8.1)."""


def element(data, at):
    """The element at an offset.

    Args:
        data: bytes-like.

    Returns:
        (tag, content, offset of the next); of a memoryview the content is one too.

    Raises:
        IndexError, ValueError: it is cut off.
    """
    tag, size = data[at], data[at + 1]
    at += 2
    if size & 0x80:
        count = size & 0x7F
        size = int.from_bytes(data[at : at + count], "big")
        at += count
    if at + size > len(data):
        raise ValueError("cut off")
    return tag, data[at : at + size], at + size
