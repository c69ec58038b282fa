"""Phone home over TLS: whom the device takes for its relay.

That is whoever has a certificate from the authority in home/ca for the relay's name; or, with
home/key, whoever has that key, whatever the certificate says (RFC 7469 section 2.4 pins the same).
"""

from binascii import hexlify
from errno import ENOENT
from hashlib import sha256

import tls

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
    at, _ = _inside(certificate, 0)
    at, _ = _inside(certificate, at)
    if certificate[at] == 0xA0:  # the version, which is not always there
        at = _inside(certificate, at)[1]
    for _ in range(5):  # serial number, algorithm, issuer, validity, subject
        at = _inside(certificate, at)[1]
    end = _inside(certificate, at)[1]
    if certificate[at] != 0x30:
        raise ValueError("not a SEQUENCE")
    return certificate[at:end]


def _inside(data, at):
    # Where the content of an element of DER begins and ends (X.690 section 8.1).
    size = data[at + 1]
    at += 2
    if size & 0x80:
        count = size & 0x7F
        size = int.from_bytes(bytes(data[at : at + count]), "big")
        at += count
    if at + size > len(data):
        raise ValueError("cut off")
    return at, at + size
