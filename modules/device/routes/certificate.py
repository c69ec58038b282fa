"""A TLS server's certificate and key, from the device's filesystem.

Both are files in PEM or DER. The tls module tells little of what is wrong with them, and doesn't
notice a key that belongs to another certificate: this does.
"""

from binascii import a2b_base64
from errno import ENOENT
from os import stat

import tls
from micropython import const

from ..net.der import element
from ..net.secrecy import context

# Bytes of a file. A chain of four RSA-4096 certificates has some 9 KB in PEM.
MAX_FILE = 16_384

# Tags of DER (X.690 section 8.1.2).
_INTEGER = const(0x02)
_OCTET_STRING = const(0x04)
_SEQUENCE = const(0x30)
_FIELD_1 = const(0xA1)

_BEGIN = b"-----BEGIN "

_NO_KEY = " isn't an RSA or ECDSA key in PEM or DER"
_NO_CERTIFICATE = " isn't a certificate in PEM or DER"


class Unusable(Exception):
    """A certificate or key that can't serve; the text says which file and why."""


def load(certificate_path, key_path):
    """The `tls.SSLContext` of a server.

    Raises:
        Unusable: a file is missing, isn't what it must be, or the key is another certificate's.
        MemoryError, OSError: no memory for it.
    """
    certificate = _read(certificate_path)
    key = _read(key_path)
    if b"ENCRYPTED" in key:
        raise Unusable(key_path + " is encrypted")
    try:
        public = public_part(to_der(key, b"PRIVATE KEY"))
    except (IndexError, ValueError):
        raise Unusable(key_path + _NO_KEY)
    try:
        leaf = to_der(certificate, b"CERTIFICATE")
    except ValueError:
        raise Unusable(certificate_path + _NO_CERTIFICATE)
    made = context(tls.PROTOCOL_TLS_SERVER)
    try:
        made.load_cert_chain(certificate, key)
    except ValueError as error:
        # "invalid cert" or "invalid key": the tls module tells no more.
        if "key" in str(error):
            raise Unusable(key_path + _NO_KEY)
        raise Unusable(certificate_path + _NO_CERTIFICATE)
    # The tls module doesn't compare them: every handshake would fail.
    if public is not None and public not in leaf:
        raise Unusable(f"{key_path} isn't the key of {certificate_path}")
    return made


def _read(path):
    try:
        if stat(path)[6] > MAX_FILE:
            raise Unusable(f"{path} has over {MAX_FILE} bytes")
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        if error.errno == ENOENT:
            raise Unusable(path + " is missing")
        raise Unusable(f"{path} can't be read ({error})")


def to_der(data, label):
    """The first block in PEM (RFC 7468) whose label ends with `label`; what isn't PEM, as it is.

    Raises:
        ValueError: there is no such block, or it is damaged.
    """
    start = data.find(_BEGIN)
    if start < 0:
        return data
    while start >= 0:
        start += len(_BEGIN)
        end_of_label = data.find(b"-----", start)
        name = data[start:end_of_label]
        end = data.find(b"-----END " + name, end_of_label)
        if end_of_label < 0 or end < 0:
            break
        if name.endswith(label):
            return a2b_base64(data[end_of_label + 5 : end])
        start = data.find(_BEGIN, end)
    raise ValueError("no " + str(label, "utf-8"))


def public_part(key, inner=False):
    """What a private key in DER has in common with its certificate.

    Args:
        key: the DER.
        inner: it comes from within PKCS #8.

    Returns:
        RSA's modulus, the x coordinate of ECDSA's public key, or None when the key comes without.

    Raises:
        IndexError, ValueError: it isn't a key.
    """
    tag, content, _ = element(key, 0)
    if tag != _SEQUENCE:
        raise ValueError("not a SEQUENCE")
    _, _, at = element(content, 0)  # the version
    tag, first, at = element(content, at)
    if tag == _INTEGER:  # PKCS #1 (RFC 8017 section A.1.2): the modulus follows
        return first
    if tag == _SEQUENCE and not inner:  # PKCS #8 (RFC 5208 section 5): the algorithm, the key
        return public_part(element(content, at)[1], True)
    # SEC 1 (RFC 5915 section 3): the number, [0] the curve, [1] the public key.
    if tag != _OCTET_STRING:
        raise ValueError("not a key")
    while at < len(content):
        tag, field, at = element(content, at)
        if tag == _FIELD_1:
            # A BIT STRING: no unused bits, then the point (SEC 1 section 2.3.3), 4 x y.
            point = element(field, 0)[1]
            return point[2 : 2 + (len(point) - 2) // 2]
    return None
