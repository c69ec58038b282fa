"""What can be the name and the password of a Wi-Fi network."""

from utf8 import is_utf8

# IEEE 802.11: an SSID has up to 32 bytes; a passphrase has 8 to 63, and a key given in full is
# written as 64 hexadecimal digits.
SSID_MAX = 32
PASSWORD_MIN = 8
PASSWORD_MAX = 63
KEY_DIGITS = 64


def check_ssid(ssid):
    """Raise ValueError unless `ssid` is a str of 1 to 32 bytes as UTF-8."""
    if not isinstance(ssid, str):
        raise ValueError("the SSID must be text")
    data = ssid.encode()
    if not 0 < len(data) <= SSID_MAX:
        raise ValueError(f"the SSID must have 1 to {SSID_MAX} bytes")
    if not is_utf8(data) or b"\x00" in data:
        raise ValueError("the SSID must be valid Unicode without NUL")


def check_password(password):
    """Raise ValueError unless `password` is "" or what WPA takes."""
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
    """Raise ValueError unless both can be those of a network."""
    check_ssid(ssid)
    check_password(password)
