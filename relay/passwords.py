"""Passwords and tokens, as they are kept: none can be read from what is on the disk."""

import hashlib
import hmac
import secrets

# scrypt's cost (RFC 7914): 16 MiB and some 50 ms for each try.
_N, _R, _P = 2**14, 8, 1
_SALT_BYTES = 16

PASSWORD_MIN = 10
PASSWORD_MAX = 200


def new_token() -> str:
    """A token of 256 bits."""
    return secrets.token_urlsafe(32)


def token_digest(token: str) -> str:
    """What is kept of a token; it is random, so a plain hash can't be turned back."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def password_hash(password: str) -> str:
    """What is kept of a password.

    Raises:
        ValueError: it can't be one.
    """
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise ValueError(f"a password has {PASSWORD_MIN} to {PASSWORD_MAX} characters")
    salt = secrets.token_bytes(_SALT_BYTES)
    return f"scrypt:{salt.hex()}:{_scrypt(password, salt).hex()}"


def password_is(password: str, kept: str) -> bool:
    """Whether a password is the one that was kept."""
    _, salt, found = kept.split(":")
    return hmac.compare_digest(_scrypt(password, bytes.fromhex(salt)), bytes.fromhex(found))


# What a name is compared with that no user has, so that it takes as long.
NOBODY = "scrypt:" + "00" * _SALT_BYTES + ":" + "00" * 32


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password[:PASSWORD_MAX].encode(), salt=salt, n=_N, r=_R, p=_P, dklen=32)
