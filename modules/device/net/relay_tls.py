"""Phone home over TLS: whom the device takes for its relay.

That is whoever has a certificate from the authority in home/ca for the relay's name; or, with
home/key, whoever has that key, whatever the certificate says (RFC 7469 section 2.4 pins the same).
"""

from binascii import hexlify
from errno import ENOENT
from hashlib import sha256

import tls

from .der import element
from .secrecy import context

# Bytes of the file with the authority's certificates.
MAX_CA = 16_384


class Unusable(Exception):
    """Nobody can be trusted; the text says why."""


def relay_context(config):
    """The `tls.SSLContext` to connect with.

    Raises:
        Unusable: there is neither a key nor a file that can be used.
    """
    made = context(tls.PROTOCOL_TLS_CLIENT)
    key = config.get("home/key").lower()
    if key:
        # Optional: the certificate needn't be anybody's, the callback decides.
        made.verify_mode = tls.CERT_OPTIONAL
        made.verify_callback = lambda certificate, depth: depth == 0 and _differs(certificate, key)
        return made
    path = config.get("home/ca")
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_CA)
    except OSError as error:
        if error.errno == ENOENT:
            raise Unusable(path + " is missing, which says whom to trust; or set home/key")
        raise Unusable(f"{path} can't be read ({error})")
    made.verify_mode = tls.CERT_REQUIRED
    try:
        made.load_verify_locations(data)
    except ValueError:
        raise Unusable(path + " isn't a certificate in PEM or DER")
    return made


def _differs(certificate, key):
    try:
        found = sha256(public_key(certificate)).digest()
    except (IndexError, ValueError):
        return 1
    return int(str(hexlify(found), "utf-8") != key)


def public_key(certificate):
    """The SubjectPublicKeyInfo of a certificate in DER (RFC 5280 section 4.1).

    Raises:
        IndexError, ValueError: it isn't a certificate.
    """
    _, inner, _ = element(element(certificate, 0)[1], 0)
    # The version, which is not always there; serial number, algorithm, issuer, validity, subject.
    at = 0
    for _ in range(6 if inner[0] == 0xA0 else 5):
        _, _, at = element(inner, at)
    tag, _, end = element(inner, at)
    if tag != 0x30:
        raise ValueError("not a SEQUENCE")
    return inner[at:end]
