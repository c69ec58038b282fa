"""TLS as the device speaks it, on both sides.

Only with forward secrecy and authenticated encryption (RFC 9325 section 4.2).
"""

import tls


def context(protocol):
    """A `tls.SSLContext` for `tls.PROTOCOL_TLS_CLIENT` or `_SERVER`."""
    made = tls.SSLContext(protocol)
    names = [name for name in made.get_ciphers() if "-ECDHE-" in name and _is_aead(name)]
    made.set_ciphers(names)
    return made


def _is_aead(name):
    return "-GCM-" in name or "-CHACHA20-" in name
