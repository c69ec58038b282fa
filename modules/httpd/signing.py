"""Text that its reader can tell to be one's own: HMAC-SHA-256 (RFC 2104)."""

from binascii import a2b_base64, b2a_base64
from hashlib import sha256

_BLOCK = 64


def hmac_keys(key):
    """The two keys that HMAC-SHA-256 makes of one (RFC 2104 section 2)."""
    if len(key) > _BLOCK:
        key = sha256(key).digest()
    key = key + bytes(_BLOCK - len(key))
    return bytes([b ^ 0x36 for b in key]), bytes([b ^ 0x5C for b in key])


def hmac_sha256(key, message):
    """The 32 bytes of a message's code."""
    inner, outer = hmac_keys(key)
    return sha256(outer + sha256(inner + message).digest()).digest()


def equal(one, other):
    """Whether two bytes-like or str are the same, in a time that doesn't say where they differ."""
    if isinstance(one, str):
        one = one.encode()
    if isinstance(other, str):
        other = other.encode()
    different = len(one) ^ len(other)
    for a, b in zip(one, other):
        different |= a ^ b
    return not different


def sign(secret, data):
    """Text of data (bytes) and its code, for a cookie or a URL."""
    return _text(data) + "." + _text(hmac_sha256(secret, data))


def unsign(secret, text):
    """The data in what `sign` has made with the same secret; None for anything else."""
    data, _, code = text.partition(".")
    try:
        data, code = _bytes(data), _bytes(code)
    except ValueError:
        return None
    return data if equal(code, hmac_sha256(secret, data)) else None


def _text(data):
    # RFC 4648 section 5, without padding.
    text = str(b2a_base64(data), "utf-8").rstrip("\n=")
    return text.replace("+", "-").replace("/", "_")


def _bytes(text):
    for c in text:
        if not (c.isalpha() or c.isdigit() or c in "-_") or c > "z":
            raise ValueError("not of the alphabet")
    text = text.replace("-", "+").replace("_", "/")
    return a2b_base64(text + "=" * (-len(text) % 4))
