"""What can be the name and the password of a Wi-Fi network."""

from utf8 import is_utf8

# IEEE 802.11: an SSID has up to 32 bytes; a passphrase has 8 to 63, and a key given in full is
# written as 64 hexadecimal digits.
SSID_MAX = 32
PASSWORD_MIN = 8
PASSWORD_MAX = 63
KEY_DIGITS = 64


def check_ssid(ssid):
    """Check a network's name, a str of 1 to 32 bytes as UTF-8.

    Raises:
        ValueError: the text says what it must be.
    """
    if not isinstance(ssid, str):
        raise ValueError("the SSID must be text")
    data = ssid_bytes(ssid)
    if not 0 < len(data) <= SSID_MAX:
        raise ValueError(f"the SSID must have 1 to {SSID_MAX} bytes")
    if not is_utf8(ssid.encode()) or b"\x00" in data:
        raise ValueError("the SSID must be valid Unicode without NUL")


def ssid_bytes(ssid):
    r"""The bytes of a network's name, which need not be UTF-8 (IEEE 802.11 section 9.4.2.2).

    Where they aren't, the text has "\xe9" for a byte, as `utf8.printable` writes it.
    """
    data = b""
    parts = ssid.split("\\x")
    for i, part in enumerate(parts):
        if i:
            digits = part[:2].lower()
            if len(digits) == 2 and digits[0] in "89abcdef" and digits[1] in "0123456789abcdef":
                data += bytes([int(digits, 16)])
                part = part[2:]
            else:
                data += b"\\x"
        data += part.encode()
    return data


def check_password(password):
    """Check a network's password: "" for none, or what WPA takes.

    Raises:
        ValueError: the text says what it must be.
    """
    if not isinstance(password, str):
        raise ValueError("the password must be text")
    size = len(password.encode())
    if size == KEY_DIGITS:
        if all(c in "0123456789abcdefABCDEF" for c in password):
            return
    elif size == 0 or PASSWORD_MIN <= size <= PASSWORD_MAX:
        if "\x00" not in password:
            return
    raise ValueError(
        f"the password must have {PASSWORD_MIN} to {PASSWORD_MAX} bytes, "
        f"be {KEY_DIGITS} hexadecimal digits, or be empty"
    )


def check(ssid, password):
    """Check a network's name and password.

    Raises:
        ValueError: one of them can't be.
    """
    check_ssid(ssid)
    check_password(password)
