"""Certificates made on the spot with openssl: an authority of the test's own, what it issues."""

import ssl
import subprocess
from pathlib import Path

CONFIG = """
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
subjectAltName = DNS:localhost, IP:127.0.0.1
authorityKeyIdentifier = keyid
"""

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
RSA = ("-newkey", "rsa:2048")


class Authority:
    """An authority in `folder`, which keeps everything as files; `ca.pem` is its certificate."""

    def __init__(self, folder):
        self.folder = Path(folder)
        (self.folder / "openssl.cnf").write_text(CONFIG)
        self._make("ca", EC, "authority")

    def issue(self, name, key=EC, by="ca", extensions="server"):
        """Make `name`.pem and its key, `name`.key, both in PEM."""
        self._make(name, key, extensions, "-CA", f"{by}.pem", "-CAkey", f"{by}.key")

    def _make(self, name, key, extensions, *issuer):
        self.openssl(
            *("req", "-x509", "-config", "openssl.cnf", "-extensions", extensions, *key, "-nodes"),
            *("-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2"),
            *("-subj", f"/CN={name}", *issuer),
        )

    def openssl(self, *arguments):
        """Run openssl in the folder."""
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def read(self, name):
        """The bytes of one of the files."""
        return (self.folder / name).read_bytes()

    def files(self, name="server"):
        """What goes on a device's filesystem, for support.Image."""
        return {"cert.pem": self.read(f"{name}.pem"), "key.pem": self.read(f"{name}.key")}

    def client(self):
        """An SSLContext that trusts this authority alone and checks the server's name."""
        return ssl.create_default_context(cafile=self.folder / "ca.pem")
